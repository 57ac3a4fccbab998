//! What is made before the crate is compiled: the table of the page's files, and the gRPC service.

mod service;
mod web;

fn main() -> std::io::Result<()> {
    service::write();
    web::write()
}

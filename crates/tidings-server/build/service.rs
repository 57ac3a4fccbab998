//! Makes the server's side of the service in `proto/tidings/v1/tidings.proto`, whose messages are in
//! `tidings-protocol`.
//!
//! Its methods are listed by hand, because what streams is not decoded here: a shard does that. A test
//! calls each of them as the proto file has them.

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

/// What is passed on as it comes.
const BYTES: &str = "::axum::body::Bytes";
const AS_IT_COMES: &str = "crate::grpc::codec::BytesCodec";

pub(crate) fn write() {
    let service = Service::builder()
        .name("Tidings")
        .package("tidings.v1")
        .method(streaming("session", "Session").client_streaming().build())
        .method(streaming("subscribe", "Subscribe").build())
        .method(unary("publish", "Publish"))
        .method(unary("history", "History"))
        .method(unary("presence", "Presence"))
        .build();
    Builder::new().build_client(false).build_transport(false).compile(&[service]);
}

fn streaming(name: &str, route: &str) -> MethodBuilder {
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(BYTES)
        .output_type(BYTES)
        .codec_path(AS_IT_COMES)
        .server_streaming()
}

fn unary(name: &str, route: &str) -> Method {
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(format!("::tidings_protocol::proto::v1::{route}Request"))
        .output_type(format!("::tidings_protocol::proto::v1::{route}Response"))
        .codec_path("::tonic_prost::ProstCodec")
        .build()
}

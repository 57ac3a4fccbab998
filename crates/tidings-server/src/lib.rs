//! The control plane: everything that is asked over plain HTTP, on tokio.
//!
//! Takes connections from whoever accepted them, with the bytes already read. Refuses to know the
//! rules of messaging: it asks the engine, and what shards serve goes to them, be it a connection, a
//! stream of one, or a single request.
#![forbid(unsafe_code)]

mod server;
mod state;

mod activity;
mod refusal;
mod stream;
mod substream;
mod upgrade;

mod passage;

mod answer;
mod ask;
mod body;
mod cors;
mod parameters;
mod routes;

mod grpc;

pub use passage::Passage;
pub use server::{Server, Visitor};
pub use state::{Setup, Shards};
pub use substream::Substream;
pub use upgrade::{Carrier, Upgraded};

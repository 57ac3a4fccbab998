//! The control plane: everything that is asked over plain HTTP, on tokio.
//!
//! Takes connections from whoever accepted them, with the bytes already read. Refuses to know the
//! rules of messaging: it asks the engine, and a WebSocket goes back to where it came from.
#![forbid(unsafe_code)]

mod server;
mod state;

mod activity;
mod refusal;
mod stream;
mod upgrade;

mod answer;
mod ask;
mod body;
mod parameters;
mod routes;

pub use server::{Server, Visitor};
pub use state::{Setup, Shards};
pub use upgrade::Upgraded;

//! The opening handshake of RFC 6455 §4, from heads that somebody else has parsed, to bytes that somebody else sends.
//! Used by whoever owns the socket. Refuses a request or an answer that is no WebSocket handshake, and says why.

mod client;
mod key;
mod refusal;
mod server;
pub(crate) mod tokens;

pub use client::{ClientRequest, Established, Mismatch, Response};
pub use key::{AcceptKey, ClientKey};
pub use refusal::Refusal;
pub use server::{Accepted, Offered, Request, accept, accept_stream, choose_subprotocol, response};

//! Why a call of this crate failed, sorted by who has to act. Words say what happened, then what to do.

use std::io;

use tidings_websocket::handshake::Mismatch;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be understood. The caller acts.
    #[error("\"{address}\" is no address: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection could be made.
    #[error("{authority}: {source}. Is the server running there?")]
    Unreachable {
        /// Host and port.
        authority: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered the handshake with something other than a WebSocket.
    #[error(transparent)]
    Handshake(#[from] Mismatch),
    /// Bytes that are no HTTP, or an answer that is too large.
    #[error("the server's answer cannot be read: {0}. Does the address lead to a Tidings server?")]
    Answer(&'static str),
    /// The connection broke. A [`Client`](crate::Client) comes back by itself, a [`Socket`](crate::Socket) is done.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The server broke a rule of the WebSocket protocol.
    #[error("the server broke the WebSocket protocol: {0}")]
    Protocol(#[from] tidings_websocket::Error),
    /// The server closed the connection.
    #[error("the server closed the connection with code {code}: {reason}")]
    Closed {
        /// The close code; 1005 when none was sent.
        code: u16,
        /// The reason, possibly empty.
        reason: String,
    },
    /// Published while there is no connection. Call `next` until `Event::Connected`, then publish again.
    #[error("there is no connection at the moment; wait for it, then publish again")]
    Disconnected,
    /// Too many publications wait for their `ack`. Call `next` until some came.
    #[error("{0} publications wait for their ack; take some events, then publish again")]
    TooManyUnacknowledged(usize),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

//! What the load generators speak: sockets that never block, and readers for what each transport sends.
//!
//! Owned by whoever runs the loop. Refuses answers that the transport's rules do not allow; what they say is for others.

pub(crate) mod answers;
pub(crate) mod connection;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod http2;
pub(crate) mod recogniser;
pub(crate) mod request;

use std::io;

/// What the server sent is not what it should be.
pub(crate) fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

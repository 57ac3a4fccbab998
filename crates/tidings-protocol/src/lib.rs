//! The wire contract: ids, limits, client and server frames, error and close codes.
//!
//! Knows bytes and their meaning. Refuses to know time, sockets, and who is subscribed.
#![forbid(unsafe_code)]

pub mod ids;
pub mod limits;
pub mod message;

pub use ids::{MessageId, NameError, RoomName, SessionId, UserId};
pub use limits::Limits;
pub use message::{Message, Payload};

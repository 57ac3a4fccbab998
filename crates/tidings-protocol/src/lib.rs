//! The wire contract: ids, limits, client and server frames, error and close codes.
//!
//! Knows bytes and their meaning. Refuses to know time, sockets, and who is subscribed.
#![forbid(unsafe_code)]

pub mod attempt;
pub mod client;
pub mod codes;
pub mod cursor;
pub mod ids;
pub mod limits;
pub mod message;
pub mod origins;
pub mod proto;
pub mod rest;
pub mod server;
mod varint;

pub use attempt::Attempt;
pub use client::{ClientFrame, Decoded, FrameError};
pub use codes::{CloseCode, ErrorCode};
pub use cursor::{Cursor, CursorError};
pub use ids::{MessageId, NameError, RoomName, SessionId, UserId};
pub use limits::Limits;
pub use message::{Message, Payload};
pub use origins::{OriginError, Origins};
pub use server::{GapReason, Received, ServerFrame};

//! A stored message: what a room's log consists of and every transport delivers.
//!
//! Made once by the engine, shared as an `Arc` by every shard that has members in the room, and
//! never changed afterwards.

use serde_json::value::RawValue;

use crate::ids::{MessageId, RoomName, UserId};

/// One entry of a room's log.
#[derive(Debug)]
pub struct Message {
    /// The room whose log it stands in.
    pub room: RoomName,
    /// Its place in the log.
    pub id: MessageId,
    /// The id before it. `prev == cursor` is the only proof that nothing is missing.
    pub prev: MessageId,
    /// Who published it, if that is known.
    pub user: Option<UserId>,
    /// What it is about, for rooms that conflate: a newer message of the same key replaces this
    /// one for a slow consumer under the `latest` policy. No key is one key of its own.
    pub key: Option<Box<str>>,
    /// What was said.
    pub payload: Payload,
    /// When the engine stored it, in milliseconds since 1970.
    pub stored_at_ms: u64,
}

/// The content of a message, kept as it came so that it is never decoded and encoded again.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Chat text; `text` in JSON.
    Text(Box<str>),
    /// Any JSON; `data` in JSON, byte for byte as the publisher wrote it.
    Data(Box<RawValue>),
    /// Anything else; `data_base64` in JSON.
    Binary(Box<[u8]>),
}

impl Payload {
    /// Size in bytes, as limits and history count it.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Data(json) => json.get().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Data(a), Self::Data(b)) => a.get() == b.get(),
            (Self::Binary(a), Self::Binary(b)) => a == b,
            _ => false,
        }
    }
}

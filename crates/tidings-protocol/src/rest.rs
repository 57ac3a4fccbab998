//! The JSON bodies of the HTTP endpoints.
//!
//! Owned by server, client and tests alike. Refuses to know paths and statuses beyond what an
//! [`ErrorCode`] says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codes::ErrorCode;
use crate::ids::{RoomName, UserId};
use crate::message::Message;
use crate::server::write::Writer;

/// JSON body of `POST /broadcast`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastRequest {
    /// Chat text.
    pub message: String,
    /// Where to; the lobby if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
}

/// Answer of `POST /broadcast`, as the textbook's clients expect it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastAnswer {
    /// Always `sent`.
    pub status: String,
    /// The id the message has.
    pub id: u64,
}

impl BroadcastAnswer {
    /// The message is stored.
    pub fn sent(id: crate::MessageId) -> Self {
        Self { status: "sent".into(), id: id.0 }
    }
}

/// Answer of `POST /rooms/{room}/messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishAnswer {
    /// The id the message has.
    pub id: u64,
}

/// Answer of `GET /rooms/{room}/messages`, as a client reads it; the server writes it with
/// [`encode_history`].
pub use crate::server::History as HistoryAnswer;

/// Appends the answer of `GET /rooms/{room}/messages`: `{"room","messages","complete"}`.
pub fn encode_history(room: &RoomName, messages: &[Arc<Message>], complete: bool, out: &mut Vec<u8>) {
    Writer::new(out)
        .begin_untyped("room", room.as_str())
        .messages(messages)
        .boolean("complete", complete)
        .end();
}

/// Answer of `GET /rooms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsAnswer {
    /// In the order of their names.
    pub rooms: Vec<RoomEntry>,
    /// Whether the list ends here; otherwise ask again with `after` the last name.
    pub complete: bool,
}

/// A room of [`RoomsAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomEntry {
    /// Its name.
    pub room: String,
    /// Its newest message's id.
    pub last_message_id: u64,
    /// Messages its history holds.
    pub messages: usize,
    /// Their payload bytes.
    pub bytes: usize,
}

/// Answer of `GET /nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesAnswer {
    /// In the order of their names.
    pub nodes: Vec<NodeEntry>,
}

/// A node of [`NodesAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// Its name.
    pub name: String,
    /// Connections it holds, of every transport.
    pub connections: usize,
    /// Rooms it has use for.
    pub rooms: usize,
    /// How long ago it said so; 0 for the node that answers.
    pub age_ms: u64,
}

/// Answer of `GET /rooms/{room}/presence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceAnswer {
    /// The room.
    pub room: String,
    /// The page's users, in the order of their ids.
    pub users: Vec<PresenceEntry>,
    /// Users in the room, on all pages.
    pub total: usize,
    /// Whether the list ends here; otherwise ask again with `after` the last user.
    pub complete: bool,
}

/// A user of [`PresenceAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceEntry {
    /// Who.
    pub user_id: String,
    /// Connections in the room; 0 for one who left a moment ago and may be coming back.
    pub connections: u32,
}

/// Answer of `GET /rooms/{room}/typing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingAnswer {
    /// Who types.
    pub users: Vec<String>,
}

/// Answer of `GET /presence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineAnswer {
    /// Those of the users asked for who are online.
    pub online: Vec<String>,
}

/// Answer of `DELETE /users/{user}/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisconnectAnswer {
    /// Always `disconnected`.
    pub status: String,
}

impl Default for DisconnectAnswer {
    fn default() -> Self {
        Self { status: "disconnected".into() }
    }
}

/// Users' ids as text.
pub fn names(users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| user.as_str().to_owned()).collect()
}

/// Body of every HTTP error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// Name of an [`ErrorCode`].
    pub code: String,
    /// What happened, then what to do.
    pub message: String,
}

impl ErrorAnswer {
    /// The body for a code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: code.name().into(), message: message.into() }
    }
}

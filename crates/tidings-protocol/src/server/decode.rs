//! Server frames as a client reads them: owned values.
//!
//! Owned by clients and tests; the server never reads its own frames. Refuses text that is not
//! what the contract says, and lets types that it does not know pass as [`Received::Unknown`].

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::message::Payload;
use crate::server::GapReason;

/// A frame as a client received it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "see `ServerFrame` for each")]
pub enum Received {
    Session(Session),
    Restore(Restore),
    Joined(Joined),
    Left(Left),
    Message(MessageBody),
    Ack(Ack),
    History(History),
    Presence(Presence),
    UserTyping(UserEvent),
    UserStoppedTyping(UserEvent),
    UserJoined(UserEvent),
    UserLeft(UserEvent),
    PresenceChanged(PresenceChanged),
    Pong,
    Gap(Gap),
    Error(Error),
    ServerRestart {
        reconnect_after_ms: u64,
    },
    /// A type that this version does not know; newer servers may send such.
    Unknown {
        kind: String,
    },
}

/// Why a text is no server frame.
#[derive(Debug, thiserror::Error)]
#[error("the server's frame cannot be read: {0}")]
pub struct DecodeError(#[from] serde_json::Error);

/// Decodes a server frame.
pub fn decode(text: &str) -> Result<Received, DecodeError> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    let Kind { kind } = serde_json::from_str(text)?;
    Ok(match &*kind {
        "session" => Received::Session(serde_json::from_str(text)?),
        "restore" => Received::Restore(serde_json::from_str(text)?),
        "joined" => Received::Joined(serde_json::from_str(text)?),
        "left" => Received::Left(serde_json::from_str(text)?),
        "message" => Received::Message(serde_json::from_str(text)?),
        "ack" => Received::Ack(serde_json::from_str(text)?),
        "history" => Received::History(serde_json::from_str(text)?),
        "presence" => Received::Presence(serde_json::from_str(text)?),
        "user_typing" => Received::UserTyping(serde_json::from_str(text)?),
        "user_stopped_typing" => Received::UserStoppedTyping(serde_json::from_str(text)?),
        "user_joined" => Received::UserJoined(serde_json::from_str(text)?),
        "user_left" => Received::UserLeft(serde_json::from_str(text)?),
        "presence_changed" => Received::PresenceChanged(serde_json::from_str(text)?),
        "pong" => Received::Pong,
        "gap" => Received::Gap(serde_json::from_str(text)?),
        "error" => Received::Error(serde_json::from_str(text)?),
        "server_restart" => {
            let ServerRestart { reconnect_after_ms } = serde_json::from_str(text)?;
            Received::ServerRestart { reconnect_after_ms }
        }
        _ => Received::Unknown { kind: kind.into_owned() },
    })
}

/// See [`ServerFrame::Session`](super::ServerFrame::Session).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Session {
    pub session_id: String,
    pub user_id: Option<String>,
    pub rooms: Vec<String>,
    pub resumed: bool,
    pub ping_interval_ms: u64,
    pub node: String,
}

/// See [`ServerFrame::Restore`](super::ServerFrame::Restore).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Restore {
    pub room: String,
    pub messages: Vec<MessageBody>,
    pub last_message_id: u64,
    pub recovered: bool,
}

/// See [`ServerFrame::Joined`](super::ServerFrame::Joined).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Joined {
    pub room: String,
    pub last_message_id: u64,
    pub recovered: Option<bool>,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// See [`ServerFrame::Left`](super::ServerFrame::Left).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Left {
    pub room: String,
    pub last_message_id: u64,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// See [`ServerFrame::Ack`](super::ServerFrame::Ack).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Ack {
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    pub room: String,
    pub id: u64,
}

/// See [`ServerFrame::History`](super::ServerFrame::History); also the answer of
/// `GET /rooms/{room}/messages`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct History {
    pub room: String,
    pub messages: Vec<MessageBody>,
    pub complete: bool,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// See [`ServerFrame::Presence`](super::ServerFrame::Presence).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Presence {
    pub room: String,
    pub users: Vec<PresentUser>,
    pub total: usize,
    pub complete: bool,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// A user of [`Presence`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the entry")]
pub struct PresentUser {
    pub user_id: String,
    pub connections: u32,
}

/// See [`ServerFrame::UserTyping`](super::ServerFrame::UserTyping) and the variants after it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct UserEvent {
    pub room: String,
    pub user_id: String,
}

/// See [`ServerFrame::PresenceChanged`](super::ServerFrame::PresenceChanged).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct PresenceChanged {
    pub room: String,
    pub users: usize,
    pub joined: usize,
    pub left: usize,
    pub joined_ids: Vec<String>,
    pub left_ids: Vec<String>,
}

/// See [`ServerFrame::Gap`](super::ServerFrame::Gap).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Gap {
    pub room: String,
    pub after: u64,
    pub before: u64,
    pub reason: GapReason,
}

/// See [`ServerFrame::Error`](super::ServerFrame::Error). The code is text: newer servers may
/// have codes that [`ErrorCode`](crate::codes::ErrorCode) does not know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct Error {
    pub code: String,
    pub message: String,
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

#[derive(Deserialize)]
struct ServerRestart {
    reconnect_after_ms: u64,
}

/// A message, alone or in `restore` and `history`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "MessageFields")]
#[expect(missing_docs, reason = "the fields of the frame")]
pub struct MessageBody {
    pub room: String,
    pub id: u64,
    pub user_id: Option<String>,
    pub key: Option<String>,
    pub payload: Payload,
}

#[derive(Deserialize)]
struct MessageFields {
    room: String,
    id: u64,
    user_id: Option<String>,
    key: Option<String>,
    text: Option<Box<str>>,
    /// `null` is data like any other, so it must not pass as absent.
    #[serde(default, deserialize_with = "even_null")]
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl TryFrom<MessageFields> for MessageBody {
    type Error = &'static str;

    fn try_from(fields: MessageFields) -> Result<Self, Self::Error> {
        let payload = match (fields.text, fields.data, fields.data_base64) {
            (Some(text), None, None) => Payload::Text(text),
            (None, Some(json), None) => Payload::Data(json),
            (None, None, Some(base64)) => {
                let bytes = STANDARD.decode(base64).map_err(|_| "data_base64 is no base64")?;
                Payload::Binary(bytes.into())
            }
            _ => return Err("a message has exactly one of text, data and data_base64"),
        };
        let MessageFields { room, id, user_id, key, .. } = fields;
        Ok(Self { room, id, user_id, key, payload })
    }
}

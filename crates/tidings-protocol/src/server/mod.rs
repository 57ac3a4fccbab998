//! What the server says: frames as JSON, appended to a buffer of the caller's.
//!
//! Owned by whoever holds the buffer. Refuses to allocate beside that buffer, and to leave the
//! order of fields open: it is part of `docs/protocol.md`.

mod decode;
#[cfg(test)]
mod tests;
pub(crate) mod write;

pub use decode::{
    Ack, DecodeError, Error, Gap, History, Joined, Left, MessageBody, Received, Restore, Session, decode,
};

use std::sync::Arc;

use crate::ids::{MessageId, RoomName, SessionId, UserId};
use crate::message::{Message, Payload};
use write::Writer;

/// A frame to be sent.
#[derive(Debug, Clone, Copy)]
pub enum ServerFrame<'a> {
    /// The connection is a session now.
    Session {
        /// Its id: a secret of the client's.
        session_id: &'a SessionId,
        /// Who the client is; `None` is a guest.
        user_id: Option<&'a UserId>,
        /// The rooms it is in.
        rooms: &'a [RoomName],
        /// Whether it is the session that the client asked for.
        resumed: bool,
        /// Silence after which the server pings.
        ping_interval_ms: u64,
        /// The node that serves it.
        node: &'a str,
    },
    /// What a resumed session missed in a room.
    Restore {
        /// The room.
        room: &'a RoomName,
        /// In the order of their ids.
        messages: &'a [Arc<Message>],
        /// Where the client stands after them: its position when it comes back.
        last_message_id: MessageId,
        /// Whether nothing is missing.
        recovered: bool,
    },
    /// The connection entered a room.
    Joined {
        /// The room.
        room: &'a RoomName,
        /// Where the subscription begins: the id of the last message before what follows.
        last_message_id: MessageId,
        /// Whether nothing is missing; only where the client named a position.
        recovered: Option<bool>,
        /// The client's own.
        reference: Option<&'a str>,
    },
    /// The connection left a room.
    Left {
        /// The room.
        room: &'a RoomName,
        /// The last message delivered in it.
        last_message_id: MessageId,
        /// The client's own.
        reference: Option<&'a str>,
    },
    /// A message of a room.
    Message(&'a Message),
    /// The client's message is stored.
    Ack {
        /// The client's own.
        reference: &'a str,
        /// The room.
        room: &'a RoomName,
        /// The id it has.
        id: MessageId,
    },
    /// A stretch of a room's log.
    History {
        /// The room.
        room: &'a RoomName,
        /// In the order of their ids.
        messages: &'a [Arc<Message>],
        /// Whether nothing newer is left to ask for, and nothing between was lost.
        complete: bool,
        /// The client's own.
        reference: Option<&'a str>,
    },
    /// Answer to `ping`.
    Pong,
    /// Messages with `after < id < before` may be lost.
    Gap {
        /// The room.
        room: &'a RoomName,
        /// The last message before the gap.
        after: MessageId,
        /// The first message after it.
        before: MessageId,
        /// Why.
        reason: GapReason,
    },
    /// Something the client asked for was not done.
    Error {
        /// Which kind of mistake.
        code: crate::codes::ErrorCode,
        /// What happened, then what to do.
        message: &'a str,
        /// The client's own.
        reference: Option<&'a str>,
    },
    /// The server restarts.
    ServerRestart {
        /// When to come back.
        reconnect_after_ms: u64,
    },
}

/// Why messages may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The log does not reach back so far.
    Expired,
    /// The client read too slowly for a room that drops or conflates.
    Overflow,
    /// The log lost its end, or the position is from another log.
    RolledBack,
}

impl GapReason {
    /// The reason on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Overflow => "overflow",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl ServerFrame<'_> {
    /// Appends the frame as JSON, without a line break unless `data` has one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        match *self {
            Self::Message(message) => encode_message(message, out),
            Self::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node } => {
                w.begin("session").hex("session_id", session_id.as_bytes());
                w.optional("user_id", user_id.map(UserId::as_str));
                w.strings("rooms", rooms.iter().map(RoomName::as_str)).boolean("resumed", resumed);
                w.number("ping_interval_ms", ping_interval_ms).string("node", node).end();
            }
            Self::Restore { room, messages, last_message_id, recovered } => {
                w.begin("restore").string("room", room.as_str()).messages(messages);
                w.number("last_message_id", last_message_id.0).boolean("recovered", recovered).end();
            }
            Self::Joined { room, last_message_id, recovered, reference } => {
                w.begin("joined").string("room", room.as_str()).number("last_message_id", last_message_id.0);
                if let Some(recovered) = recovered {
                    w.boolean("recovered", recovered);
                }
                w.optional("ref", reference).end();
            }
            Self::Left { room, last_message_id, reference } => {
                w.begin("left").string("room", room.as_str()).number("last_message_id", last_message_id.0);
                w.optional("ref", reference).end();
            }
            Self::Ack { reference, room, id } => {
                w.begin("ack").string("ref", reference).string("room", room.as_str());
                w.number("id", id.0).end();
            }
            Self::History { room, messages, complete, reference } => {
                w.begin("history").string("room", room.as_str());
                w.messages(messages).boolean("complete", complete).optional("ref", reference).end();
            }
            Self::Pong => w.begin("pong").end(),
            Self::Gap { room, after, before, reason } => {
                w.begin("gap").string("room", room.as_str()).number("after", after.0);
                w.number("before", before.0).string("reason", reason.name()).end();
            }
            Self::Error { code, message, reference } => {
                w.begin("error").string("code", code.name()).string("message", message);
                w.optional("ref", reference).end();
            }
            Self::ServerRestart { reconnect_after_ms } => {
                w.begin("server_restart").number("reconnect_after_ms", reconnect_after_ms).end();
            }
        }
    }
}

/// Appends a `message` frame: the one that is encoded for every message and every shard.
pub fn encode_message(message: &Message, out: &mut Vec<u8>) {
    // One growth at most: names may need escapes, but rarely do.
    out.reserve(message.payload.len() + message.room.as_str().len() + 128);
    let mut w = Writer::new(out);
    w.begin("message").string("room", message.room.as_str()).number("id", message.id.0);
    w.optional("user_id", message.user.as_ref().map(UserId::as_str));
    w.optional("key", message.key.as_deref());
    match &message.payload {
        Payload::Text(text) => w.string("text", text),
        Payload::Data(json) => w.raw("data", json.get()),
        Payload::Binary(bytes) => w.base64("data_base64", bytes),
    };
    w.end();
}

//! Server frames as JSON.
//!
//! Owned by whoever holds the buffer. Refuses to leave the order of fields open: it is part of
//! `docs/protocol.md`.

use super::ServerFrame;
use super::write::Writer;
use crate::ids::{RoomName, UserId};
use crate::message::{Message, Payload};

impl ServerFrame<'_> {
    /// Appends the frame as JSON, without a line break unless `data` has one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, mut w) = (self.kind(), Writer::new(out));
        match *self {
            Self::Message(message) => encode_message(message, out),
            Self::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node } => {
                w.begin(kind).hex("session_id", session_id.as_bytes());
                w.optional("user_id", user_id.map(UserId::as_str));
                w.strings("rooms", rooms.iter().map(RoomName::as_str)).boolean("resumed", resumed);
                w.number("ping_interval_ms", ping_interval_ms).string("node", node).end();
            }
            Self::Restore { room, messages, last_message_id, recovered } => {
                w.begin(kind).string("room", room.as_str()).messages(messages);
                w.number("last_message_id", last_message_id.0).boolean("recovered", recovered).end();
            }
            Self::Joined { room, last_message_id, recovered, reference } => {
                w.begin(kind).string("room", room.as_str()).number("last_message_id", last_message_id.0);
                if let Some(recovered) = recovered {
                    w.boolean("recovered", recovered);
                }
                w.optional("ref", reference).end();
            }
            Self::Left { room, last_message_id, reference } => {
                w.begin(kind).string("room", room.as_str()).number("last_message_id", last_message_id.0);
                w.optional("ref", reference).end();
            }
            Self::Ack { reference, room, id } => {
                w.begin(kind).optional("ref", reference).string("room", room.as_str());
                w.number("id", id.0).end();
            }
            Self::History { room, messages, complete, reference } => {
                w.begin(kind).string("room", room.as_str());
                w.messages(messages).boolean("complete", complete).optional("ref", reference).end();
            }
            Self::Presence { room, users, total, complete, reference } => {
                w.begin(kind).string("room", room.as_str()).users(users).count("total", total);
                w.boolean("complete", complete).optional("ref", reference).end();
            }
            Self::UserTyping { room, user }
            | Self::UserStoppedTyping { room, user }
            | Self::UserJoined { room, user }
            | Self::UserLeft { room, user } => {
                w.begin(kind).string("room", room.as_str()).string("user_id", user.as_str()).end();
            }
            Self::PresenceChanged { room, users, joined, left, joined_names, left_names } => {
                w.begin(kind).string("room", room.as_str());
                w.count("users", users).count("joined", joined).count("left", left);
                w.strings("joined_ids", joined_names.iter().map(UserId::as_str));
                w.strings("left_ids", left_names.iter().map(UserId::as_str)).end();
            }
            Self::Pong => w.begin(kind).end(),
            Self::Gap { room, after, before, reason } => {
                w.begin(kind).string("room", room.as_str()).number("after", after.0);
                w.number("before", before.0).string("reason", reason.name()).end();
            }
            Self::Error { code, message, reference } => {
                w.begin(kind).string("code", code.name()).string("message", message);
                w.optional("ref", reference).end();
            }
            Self::ServerRestart { reconnect_after_ms } => {
                w.begin(kind).number("reconnect_after_ms", reconnect_after_ms).end();
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

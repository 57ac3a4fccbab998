//! Server frames in protobuf.
//!
//! A message is encoded for every room and shard, so it goes straight into the buffer; every other frame
//! is made a generated type first, which gRPC wants anyway.

use std::sync::Arc;

use prost::Message as _;

use super::v1;
use super::v1::server_frame::Frame;
use crate::ids::{MessageId, RoomName, UserId};
use crate::message::{Message, Payload};
use crate::server::{GapReason, ServerFrame};
use crate::varint;

impl ServerFrame<'_> {
    /// Appends the frame as a `tidings.v1.ServerFrame`.
    pub fn encode_protobuf(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(message) => encode_message_protobuf(message, out),
            other => v1::ServerFrame::from(other).encode(out).expect("a Vec takes it"),
        }
    }
}

/// Appends a `tidings.v1.ServerFrame` with a message.
pub fn encode_message_protobuf(message: &Message, out: &mut Vec<u8>) {
    // Numbers of `tidings.proto`: of `ServerFrame.message`, and of the fields of `Message`.
    const MESSAGE: u8 = 1;
    let (number, payload) = match &message.payload {
        Payload::Text(text) => (3, text.as_bytes()),
        Payload::Data(json) => (4, json.get().as_bytes()),
        Payload::Binary(bytes) => (5, &**bytes),
    };
    let fields = [
        Some(Field::Bytes(1, message.room.as_str().as_bytes())),
        Some(Field::Number(2, message.id.0)),
        Some(Field::Bytes(number, payload)),
        message.user.as_ref().map(|user| Field::Bytes(6, user.as_str().as_bytes())),
        message.key.as_ref().map(|key| Field::Bytes(7, key.as_bytes())),
    ];
    let fields = fields.iter().flatten();
    let bytes: usize = fields.clone().map(Field::encoded_len).sum();
    out.reserve(1 + varint::LEN_MAX + bytes);
    Field::lead(MESSAGE, Field::DELIMITED, out);
    varint::push(out, bytes as u64);
    fields.for_each(|field| field.encode(out));
}

/// A field whose number is below 16, so that its tag is one byte.
enum Field<'a> {
    Bytes(u8, &'a [u8]),
    Number(u8, u64),
}

impl Field<'_> {
    /// Wire types of the protobuf encoding.
    const VARINT: u8 = 0;
    const DELIMITED: u8 = 2;

    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Bytes(_, bytes) => varint::len(bytes.len() as u64) + bytes.len(),
            Self::Number(_, number) => varint::len(*number),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Bytes(number, bytes) => {
                Self::lead(number, Self::DELIMITED, out);
                varint::push(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Number(number, value) => {
                Self::lead(number, Self::VARINT, out);
                varint::push(out, value);
            }
        }
    }

    fn lead(number: u8, wire_type: u8, out: &mut Vec<u8>) {
        out.push(number << 3 | wire_type);
    }
}

impl From<&Message> for v1::Message {
    fn from(message: &Message) -> Self {
        Self {
            room: text(&message.room),
            id: message.id.0,
            user_id: message.user.as_ref().map(user_text),
            key: message.key.as_deref().map(Into::into),
            payload: Some(match &message.payload {
                Payload::Text(text) => v1::message::Payload::Text(text.to_string()),
                Payload::Data(json) => v1::message::Payload::Data(json.get().into()),
                Payload::Binary(bytes) => v1::message::Payload::Binary(bytes.to_vec()),
            }),
        }
    }
}

impl From<&ServerFrame<'_>> for v1::ServerFrame {
    fn from(frame: &ServerFrame<'_>) -> Self {
        Self { r#ref: reference(frame).map(Into::into), frame: Some(body(frame)) }
    }
}

fn body(frame: &ServerFrame<'_>) -> Frame {
    match *frame {
        ServerFrame::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node } => {
            Frame::Session(v1::Session {
                session_id: session_id.to_string(),
                user_id: user_id.map(user_text),
                rooms: rooms.iter().map(text).collect(),
                resumed,
                ping_interval_ms,
                node: node.into(),
            })
        }
        ServerFrame::Restore { room, messages, last_message_id: MessageId(last_message_id), recovered } => {
            let (room, messages) = (text(room), list(messages));
            Frame::Restore(v1::Restore { room, messages, last_message_id, recovered })
        }
        ServerFrame::Joined { room, last_message_id: MessageId(last_message_id), recovered, .. } => {
            Frame::Joined(v1::Joined { room: text(room), last_message_id, recovered })
        }
        ServerFrame::Left { room, last_message_id: MessageId(last_message_id), .. } => {
            Frame::Left(v1::Left { room: text(room), last_message_id })
        }
        ServerFrame::Message(message) => Frame::Message(message.into()),
        ServerFrame::Ack { room, id: MessageId(id), .. } => Frame::Ack(v1::Ack { room: text(room), id }),
        ServerFrame::History { room, messages, complete, .. } => {
            let (room, messages) = (text(room), list(messages));
            Frame::History(v1::HistoryResponse { room, messages, complete })
        }
        ServerFrame::Presence { room, users, total, complete, .. } => {
            let (room, users, total) = (text(room), users.iter().map(present).collect(), total as u64);
            Frame::Presence(v1::PresenceResponse { room, users, total, complete })
        }
        ServerFrame::UserTyping { room, user } => Frame::UserTyping(about(room, user)),
        ServerFrame::UserStoppedTyping { room, user } => Frame::UserStoppedTyping(about(room, user)),
        ServerFrame::UserJoined { room, user } => Frame::UserJoined(about(room, user)),
        ServerFrame::UserLeft { room, user } => Frame::UserLeft(about(room, user)),
        ServerFrame::PresenceChanged { room, users, joined, left, joined_names, left_names } => {
            Frame::PresenceChanged(v1::PresenceChanged {
                room: text(room),
                users: users as u64,
                joined: joined as u64,
                left: left as u64,
                joined_ids: joined_names.iter().map(user_text).collect(),
                left_ids: left_names.iter().map(user_text).collect(),
            })
        }
        ServerFrame::Pong => Frame::Pong(v1::Pong {}),
        ServerFrame::Gap { room, after: MessageId(after), before: MessageId(before), reason } => {
            let reason = v1::GapReason::from(reason).into();
            Frame::Gap(v1::Gap { room: text(room), after, before, reason })
        }
        ServerFrame::Error { code, message, .. } => {
            Frame::Error(v1::Error { code: code.name().into(), message: message.into() })
        }
        ServerFrame::ServerRestart { reconnect_after_ms } => {
            Frame::ServerRestart(v1::ServerRestart { reconnect_after_ms })
        }
    }
}

/// In protobuf the `ref` stands beside the frame, so that a client finds it whatever the frame is.
const fn reference<'a>(frame: &ServerFrame<'a>) -> Option<&'a str> {
    match *frame {
        ServerFrame::Joined { reference, .. }
        | ServerFrame::Left { reference, .. }
        | ServerFrame::Ack { reference, .. }
        | ServerFrame::History { reference, .. }
        | ServerFrame::Presence { reference, .. }
        | ServerFrame::Error { reference, .. } => reference,
        ServerFrame::Session { .. }
        | ServerFrame::Restore { .. }
        | ServerFrame::Message(_)
        | ServerFrame::UserTyping { .. }
        | ServerFrame::UserStoppedTyping { .. }
        | ServerFrame::UserJoined { .. }
        | ServerFrame::UserLeft { .. }
        | ServerFrame::PresenceChanged { .. }
        | ServerFrame::Pong
        | ServerFrame::Gap { .. }
        | ServerFrame::ServerRestart { .. } => None,
    }
}

impl From<GapReason> for v1::GapReason {
    fn from(reason: GapReason) -> Self {
        match reason {
            GapReason::Expired => Self::Expired,
            GapReason::Overflow => Self::Overflow,
            GapReason::RolledBack => Self::RolledBack,
        }
    }
}

fn about(room: &RoomName, user: &UserId) -> v1::UserEvent {
    v1::UserEvent { room: text(room), user_id: user_text(user) }
}

fn present((user, connections): &(UserId, u32)) -> v1::PresentUser {
    v1::PresentUser { user_id: user_text(user), connections: *connections }
}

fn list(messages: &[Arc<Message>]) -> Vec<v1::Message> {
    messages.iter().map(|message| (&**message).into()).collect()
}

fn text(room: &RoomName) -> String {
    room.as_str().into()
}

fn user_text(user: &UserId) -> String {
    user.as_str().into()
}

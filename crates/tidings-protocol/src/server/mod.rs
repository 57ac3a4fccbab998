//! What the server says: frames as JSON, appended to a buffer of the caller's.
//!
//! Owned by whoever holds the buffer. Refuses to allocate beside that buffer.

mod decode;
mod encode;
pub mod sse;
#[cfg(test)]
mod tests;
pub(crate) mod write;

pub use decode::{
    Ack, DecodeError, Error, Gap, History, Joined, Left, MessageBody, Presence, PresenceChanged, PresentUser,
    Received, Restore, Session, UserEvent, decode,
};
pub use encode::encode_message;

use std::sync::Arc;

use crate::ids::{MessageId, RoomName, SessionId, UserId};
use crate::message::Message;

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
        /// The client's own; `None` where the publisher is told without having asked.
        reference: Option<&'a str>,
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
    /// Who is in a room: one page of them.
    Presence {
        /// The room.
        room: &'a RoomName,
        /// The page's users, in the order of their ids' bytes, and how many connections each has.
        users: &'a [(UserId, u32)],
        /// Users in the room, on all pages.
        total: usize,
        /// Whether this page is the last.
        complete: bool,
        /// The client's own.
        reference: Option<&'a str>,
    },
    /// A user began to type, or goes on typing.
    UserTyping {
        /// The room.
        room: &'a RoomName,
        /// Who.
        user: &'a UserId,
    },
    /// A user no longer types.
    UserStoppedTyping {
        /// The room.
        room: &'a RoomName,
        /// Who.
        user: &'a UserId,
    },
    /// A user's first connection entered a room.
    UserJoined {
        /// The room.
        room: &'a RoomName,
        /// Who.
        user: &'a UserId,
    },
    /// A user's last connection left a room, and none came back within the grace.
    UserLeft {
        /// The room.
        room: &'a RoomName,
        /// Who.
        user: &'a UserId,
    },
    /// What big rooms get instead of [`UserJoined`](Self::UserJoined) and [`UserLeft`](Self::UserLeft).
    PresenceChanged {
        /// The room.
        room: &'a RoomName,
        /// Users who are in now.
        users: usize,
        /// How many came in since the last such event.
        joined: usize,
        /// How many went out.
        left: usize,
        /// Some of those who came in, at most `presence_names_max`.
        joined_names: &'a [UserId],
        /// Some of those who went out, at most `presence_names_max`.
        left_names: &'a [UserId],
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

impl ServerFrame<'_> {
    /// The frame's name: its `type` in JSON, its `event` in a stream of server-sent events.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Session { .. } => "session",
            Self::Restore { .. } => "restore",
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
            Self::Message(_) => "message",
            Self::Ack { .. } => "ack",
            Self::History { .. } => "history",
            Self::Presence { .. } => "presence",
            Self::UserTyping { .. } => "user_typing",
            Self::UserStoppedTyping { .. } => "user_stopped_typing",
            Self::UserJoined { .. } => "user_joined",
            Self::UserLeft { .. } => "user_left",
            Self::PresenceChanged { .. } => "presence_changed",
            Self::Pong => "pong",
            Self::Gap { .. } => "gap",
            Self::Error { .. } => "error",
            Self::ServerRestart { .. } => "server_restart",
        }
    }
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

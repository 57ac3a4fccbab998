//! What clients say: text frames of the WebSocket, decoded in one pass, borrowed where nothing is
//! escaped.
//!
//! Owned by whoever holds the frame's bytes. Refuses what the wire contract refuses and tells why;
//! refuses to know whether the client may do what it asks.

pub(crate) mod checks;
mod fields;
mod frame;
mod lists;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::attempt::Attempt;
use crate::codes::ErrorCode;
use crate::ids::{MessageId, RoomName, SessionId, UserId};
use crate::limits::Limits;

pub use checks::check_reference;

use fields::Fields;

/// Deepest nesting of `data` that is passed on: what common JSON readers take by default.
pub const DATA_DEPTH_MAX: usize = 128;

/// What a text frame turned out to be.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// A frame of the contract.
    Frame(ClientFrame<'a>),
    /// Plain chat: no JSON object, or one without `type`.
    Chat(&'a str),
    /// A frame that is not as the contract asks; to be answered with `error`.
    Refused(FrameError),
}

/// A client's frame.
#[derive(Debug)]
pub enum ClientFrame<'a> {
    /// Begins or resumes a session.
    Hello(Hello<'a>),
    /// Enters a room, from a position on.
    Join {
        /// The room.
        room: RoomName,
        /// The last message the client has; `None` asks for nothing of the past.
        last_message_id: Option<MessageId>,
        /// Comes back in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Leaves a room.
    Leave {
        /// A valid room name; `None` is the connection's only room.
        room: Option<Cow<'a, str>>,
        /// Comes back in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Publishes.
    Message {
        /// A valid room name; `None` is the connection's only room.
        room: Option<Cow<'a, str>>,
        /// What is said.
        payload: Said<'a>,
        /// Conflation key.
        key: Option<Cow<'a, str>>,
        /// Asks for an `ack`, and makes a repeat harmless.
        reference: Option<Cow<'a, str>>,
    },
    /// Asks for a stretch of a room's log.
    History {
        /// A valid room name; `None` is the connection's only room.
        room: Option<Cow<'a, str>>,
        /// Messages after this id.
        after: MessageId,
        /// At most so many; `None` is as many as the server gives.
        limit: Option<usize>,
        /// Comes back in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Its user begins to type, or goes on typing.
    TypingStart {
        /// A valid room name; `None` is the connection's only room.
        room: Option<Cow<'a, str>>,
    },
    /// Its user no longer types.
    TypingStop {
        /// A valid room name; `None` is the connection's only room.
        room: Option<Cow<'a, str>>,
    },
    /// Asks who is in a room.
    Presence {
        /// A valid room name; `None` is the connection's only room.
        room: Option<Cow<'a, str>>,
        /// The last user of the page before; `None` asks for the first page.
        after: Option<UserId>,
        /// Comes back in the answer.
        reference: Option<Cow<'a, str>>,
    },
    /// Asks for `pong`.
    Ping,
    /// Says that the client is ready for the restart.
    RestartAck,
    /// Asks to be treated as if the server restarted.
    RehearseRestart,
    /// A type of the contract that is not served yet; to be answered with `not_supported`.
    Unserved {
        /// Which one.
        kind: Unserved,
        /// Comes back in the answer.
        reference: Option<Cow<'a, str>>,
    },
}

/// The client's introduction.
#[derive(Debug, Default)]
pub struct Hello<'a> {
    /// Proof of who it is.
    pub token: Option<Cow<'a, str>>,
    /// Who it says it is.
    pub user_id: Option<UserId>,
    /// Rooms to join, each once; at most `rooms_per_connection_max`.
    pub rooms: Vec<RoomName>,
    /// The session to resume. A string that no node can have given out counts as none.
    pub session_id: Option<SessionId>,
    /// Which of the client's connections this is.
    pub attempt: Attempt,
    /// The last message the client has, if it is in one room.
    pub last_message_id: Option<MessageId>,
    /// The last message the client has, room by room; at most `rooms_per_connection_max`.
    pub positions: Vec<(RoomName, MessageId)>,
}

/// The payload of a `message` frame.
#[derive(Debug)]
pub enum Said<'a> {
    /// Chat text.
    Text(Cow<'a, str>),
    /// Any JSON, nested no deeper than [`DATA_DEPTH_MAX`].
    Data(&'a RawValue),
    /// Anything else; in protobuf only.
    Binary(&'a [u8]),
}

/// Types of the contract that later work will serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// `refresh`
    Refresh,
}

/// Why a frame was refused: the content of the `error` frame that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError {
    /// Which kind of mistake.
    pub code: ErrorCode,
    /// What happened, then what to do.
    pub message: Cow<'static, str>,
    /// The frame's `ref`, if it had a usable one.
    pub reference: Option<String>,
}

impl FrameError {
    /// A refusal without `ref`.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), reference: None }
    }
}

/// Decodes a text frame.
pub fn decode<'a>(text: &'a str, limits: &Limits) -> Decoded<'a> {
    decode_as(text, limits, None)
}

/// Decodes the first text frame on `/ws`, where an object without `type` is a `hello`, as the
/// textbook's clients send it.
pub fn decode_first<'a>(text: &'a str, limits: &Limits) -> Decoded<'a> {
    decode_as(text, limits, Some("hello"))
}

impl<'a> From<Result<ClientFrame<'a>, FrameError>> for Decoded<'a> {
    fn from(result: Result<ClientFrame<'a>, FrameError>) -> Self {
        result.map_or_else(Self::Refused, Self::Frame)
    }
}

fn decode_as<'a>(text: &'a str, limits: &Limits, default: Option<&'static str>) -> Decoded<'a> {
    let Some(fields) = Fields::read(text) else { return Decoded::Chat(text) };
    let Some(kind) = fields.kind_or(default) else { return Decoded::Chat(text) };
    kind.and_then(|kind| frame::build(&kind, &fields, limits))
        .map_err(|error| FrameError { reference: fields.usable_reference(limits), ..error })
        .into()
}

/// Whether JSON text is nested deeper than [`DATA_DEPTH_MAX`]. Passing such text on would break
/// readers that recurse, so `data` from any door is asked this first.
///
/// `json` must be well formed.
pub fn is_too_deep(json: &str) -> bool {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    // Nearly every text has fewer brackets than it may have levels, and counting is quick.
    if json.bytes().filter(opens).count() <= DATA_DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DATA_DEPTH_MAX {
            return true;
        }
    }
    false
}

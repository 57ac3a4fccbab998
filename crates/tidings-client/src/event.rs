//! What a client is told, and the server's frames it is read from. Refuses nothing: what it does not know is handed on
//! as [`Event::Other`], because a newer server may say more.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Any JSON.
    Data(Value),
    /// Bytes.
    Binary(Vec<u8>),
}

/// A stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its room.
    pub room: String,
    /// Its place in the room's log.
    pub id: u64,
    /// Who published it, if that is known.
    pub user: Option<String>,
    /// What it says.
    pub content: Content,
    /// Whether it was missed at first and came from the room's log.
    pub recovered: bool,
}

/// What [`Client::next`](crate::Client::next) returns.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection stands and the session is known.
    Connected {
        /// Names this client across reconnects.
        session: String,
        /// The node one is connected to, where it says so.
        node: Option<String>,
        /// Whether it is the session from before the last disconnect.
        resumed: bool,
    },
    /// The connection broke; the client will try again.
    Disconnected {
        /// Why.
        error: Error,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// A message, each once and in its room's order.
    Message(Message),
    /// Messages between two ids may be lost.
    Gap {
        /// The room.
        room: String,
        /// The last id before the gap.
        after: u64,
        /// The first id behind it, if known.
        before: Option<u64>,
        /// `expired`, `overflow` or `rolled_back`.
        reason: String,
    },
    /// A publication was stored.
    Acknowledged {
        /// What [`Client::publish`](crate::Client::publish) returned.
        reference: String,
        /// The message's id.
        id: u64,
    },
    /// A room was joined.
    Joined {
        /// The room.
        room: String,
    },
    /// A room was left.
    Left {
        /// The room.
        room: String,
    },
    /// The server refused a frame.
    Refused {
        /// The code, of the protocol's table.
        code: String,
        /// What happened, then what to do.
        message: String,
        /// Which publication it was about, if it was one.
        reference: Option<String>,
    },
    /// The server restarts; the client will come back after the given time.
    ServerRestart {
        /// As the server asks.
        reconnect_after: Duration,
    },
    /// A frame this client has no event for: typing, presence, history.
    Other(Value),
}

/// A server's frame with a `type` this client acts upon.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame {
    Session {
        session_id: String,
        #[serde(default)]
        resumed: bool,
        node: Option<String>,
    },
    Restore {
        room: String,
        messages: Vec<WireMessage>,
        last_message_id: Option<u64>,
        recovered: bool,
    },
    Joined {
        room: String,
        last_message_id: Option<u64>,
    },
    Left {
        room: String,
        #[serde(rename = "ref")]
        reference: Option<String>,
    },
    Message(WireMessage),
    Ack {
        #[serde(rename = "ref")]
        reference: String,
        id: u64,
    },
    Gap {
        room: String,
        after: u64,
        before: Option<u64>,
        #[serde(default)]
        reason: String,
    },
    Error {
        code: String,
        #[serde(default)]
        message: String,
        #[serde(rename = "ref")]
        reference: Option<String>,
    },
    ServerRestart {
        #[serde(default)]
        reconnect_after_ms: u64,
    },
}

#[derive(Debug, Deserialize)]
pub(crate) struct WireMessage {
    /// Left out within `restore`, which names it once.
    pub(crate) room: Option<String>,
    pub(crate) id: u64,
    user_id: Option<String>,
    text: Option<String>,
    data: Option<Value>,
    data_base64: Option<String>,
}

impl ServerFrame {
    /// `None` for a `type` that is unknown here, or fields that are not as expected.
    pub(crate) fn deserialize_from(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

impl WireMessage {
    /// The message as applications see it.
    pub(crate) fn into_message(self, room: String, recovered: bool) -> Message {
        let decode = |text| STANDARD.decode(text).ok().map(Content::Binary);
        let content = self
            .text
            .map(Content::Text)
            .or_else(|| self.data_base64.and_then(decode))
            .unwrap_or_else(|| Content::Data(self.data.unwrap_or(Value::Null)));
        Message { room, id: self.id, user: self.user_id, content, recovered }
    }
}

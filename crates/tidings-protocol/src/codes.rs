//! The one table of what can go wrong: error codes and WebSocket close codes, each with who must
//! do what about it.
//!
//! Owned by the wire contract; `docs/errors.md` is made from it (see [`page`]). Refuses codes without
//! a use: one that nothing sends yet says so.

/// Whether the client may go on as it is, or has to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request fails again: change it.
    Never,
    /// The same request may succeed after a moment (`Retry-After` where HTTP says it).
    Later,
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => ($name:literal, $status:literal, $retry:ident, $remedy:literal),)*) => {
        /// The `code` of an `error` frame and of an HTTP error body.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status that goes with it where the answer is an HTTP response.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Whether trying the same again can help. The connection stays open either way.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }

            /// What the client should do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }

            /// What happened.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)* }
            }
        }
    };
}

error_codes! {
    /// The frame or body is not what its type asks for: a missing field, a wrong type, a field given twice.
    BadFrame => ("bad_frame", 400, Never, "compare the frame with docs/protocol.md"),
    /// The frame's `type` is none that the server knows.
    UnknownType => ("unknown_type", 400, Never, "use a type of docs/protocol.md; send JSON of your own in `data` of a `message`"),
    /// The frame's type is known but not served yet.
    NotSupported => ("not_supported", 501, Never, "do without it on this version of the server"),
    /// The room's name is empty, too long, or has control characters.
    BadRoom => ("bad_room", 400, Never, "choose another name"),
    /// The user's name is empty, too long, or has control characters.
    BadUser => ("bad_user", 400, Never, "choose another name"),
    /// The `ref`, `key` or `Idempotency-Key` is empty, too long, or has control characters.
    BadRef => ("bad_ref", 400, Never, "use a short printable string"),
    /// A query parameter is missing or not what it should be.
    BadQuery => ("bad_query", 400, Never, "compare the address with docs/protocol.md"),
    /// The frame names no room and the connection is not in exactly one.
    RoomRequired => ("room_required", 400, Never, "name the room in the frame"),
    /// The connection is not in the room.
    NotInRoom => ("not_in_room", 409, Never, "join the room first"),
    /// The cursor, `Last-Event-ID` or position is none that this address gives out.
    BadCursor => ("bad_cursor", 400, Never, "leave it out and begin anew, or read the history"),
    /// The session is not known: it ended with its window, or was never given out.
    SessionUnknown => ("session_unknown", 404, Never, "begin a new session; positions in `hello` still recover what history holds"),
    /// A newer connection of the same session, or a newer poll of the same client, took over.
    Superseded => ("superseded", 409, Never, "use the newer one"),
    /// The client may not do this.
    Forbidden => ("forbidden", 403, Never, "do it as the user who may"),
    /// The connection is in as many rooms as it may be, or the node knows as many as it may.
    TooManyRooms => ("too_many_rooms", 503, Later, "leave a room, or try again later"),
    /// More frames per second than a connection may send. The frame was not processed.
    RateLimited => ("rate_limited", 429, Later, "send more slowly; send the frame again"),
    /// The message is larger than it may be.
    MessageTooLarge => ("message_too_large", 413, Never, "send a smaller message"),
    /// The body is of a kind that the address does not take.
    UnsupportedMediaType => ("unsupported_media_type", 415, Never, "send JSON, with `Content-Type: application/json`"),
    /// The store of the messages does not answer. Whether the message was stored is not known.
    Unavailable => ("engine_unavailable", 503, Later, "try again in a moment, with the same `ref` or `Idempotency-Key`"),
    /// Nothing is served at this address.
    NotFound => ("not_found", 404, Never, "compare the address with docs/protocol.md"),
    /// The address does not take this method.
    MethodNotAllowed => ("method_not_allowed", 405, Never, "use a method that the header `Allow` names"),
    /// The body ended before its announced length.
    BodyIncomplete => ("body_incomplete", 400, Later, "send the whole body"),
    /// The request's head is not HTTP.
    BadHead => ("bad_head", 400, Never, "send an HTTP/1.1 request"),
    /// The request's head is larger than it may be.
    HeadTooLarge => ("head_too_large", 431, Never, "send fewer or shorter headers"),
    /// The request did not arrive in time.
    Timeout => ("timeout", 408, Later, "connect again and send the request at once"),
    /// A WebSocket handshake lacks something that RFC 6455 asks for.
    BadHandshake => ("bad_handshake", 400, Never, "connect with a WebSocket client"),
    /// The address speaks WebSocket version 13 only.
    UpgradeRequired => ("upgrade_required", 426, Never, "connect with a WebSocket client, version 13"),
    /// The node serves as many connections as it may.
    AtCapacity => ("at_capacity", 503, Later, "connect again later, or to another node"),
    /// The node is stopping.
    Restarting => ("restarting", 503, Later, "connect again in a moment"),
    /// A fault of the server.
    Internal => ("internal", 500, Later, "try again; if it stays, report it with the server's log"),
}

impl ErrorCode {
    /// The code of a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! close_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident => ($number:literal, $reconnect:literal, $remedy:literal),)*) => {
        /// Why the server closed a WebSocket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum CloseCode { $($(#[doc = $doc])+ $variant = $number,)* }

        impl CloseCode {
            /// Every code the server sends, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code on the wire.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// Whether a client that wants to go on should connect again.
            pub const fn reconnect(self) -> bool {
                match self { $(Self::$variant => $reconnect,)* }
            }

            /// What the client should do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }

            /// What happened.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)* }
            }
        }
    };
}

close_codes! {
    /// Done: the client closed, or asked for it.
    Normal => (1000, false, "nothing"),
    /// The server stops and its deadline is reached.
    GoingAway => (1001, true, "reconnect and resume by cursor"),
    /// A frame broke RFC 6455.
    ProtocolError => (1002, false, "repair the client"),
    /// A kind of data that the address does not take.
    UnsupportedData => (1003, false, "repair the client"),
    /// Text that is not UTF-8, or a compressed message that cannot be inflated.
    InvalidPayload => (1007, false, "repair the client"),
    /// Not allowed; the reason names the right.
    PolicyViolation => (1008, false, "ask for the right"),
    /// A message larger, or in more fragments, than it may be.
    MessageTooBig => (1009, false, "send smaller messages"),
    /// A fault of the server in handling this connection.
    InternalError => (1011, true, "reconnect and resume by cursor"),
    /// The server restarts and the client had said that it is ready (`restart_ack`).
    ServiceRestart => (1012, true, "reconnect after `reconnect_after_ms` and resume by cursor"),
    /// The server is at capacity, or the client read too slowly for a room that closes slow readers.
    TryAgainLater => (1013, true, "reconnect later, with a growing pause"),
    /// A newer connection of the same session took over.
    Superseded => (4000, false, "use the newer connection"),
    /// No sign of life followed a ping.
    PongTimeout => (4001, true, "reconnect and resume by cursor"),
    /// The token expired. Reserved: not sent yet.
    TokenExpired => (4003, true, "get a new token, then reconnect"),
}

impl CloseCode {
    /// The code of a number on the wire, if it is one that the server sends.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

/// `docs/errors.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Errors and close codes\n\n\
         Made from `crates/tidings-protocol/src/codes.rs`; change it there.\n\n\
         ## Error codes\n\n\
         `code` of an `error` frame and of an HTTP error body. After an `error` frame the connection stays open.\n\n\
         | code | HTTP | what happened | try again | what to do |\n|---|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        let retry = if code.retry() == Retry::Later { "later" } else { "no" };
        let (name, status) = (code.name(), code.http_status());
        page += &format!("| `{name}` | {status} | {} | {retry} | {} |\n", code.meaning(), code.remedy());
    }
    page += "\n## WebSocket close codes\n\n\
             | code | what happened | reconnect | what to do |\n|---|---|---|---|\n";
    for code in CloseCode::ALL {
        let reconnect = if code.reconnect() { "yes" } else { "no" };
        page += &format!("| {} | {} | {reconnect} | {} |\n", code.number(), code.meaning(), code.remedy());
    }
    page
}

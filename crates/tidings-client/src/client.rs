//! A session with the server that outlives its connections.
//!
//! Owned by one thread, driven by [`Client::next`]: all waiting happens there, reconnecting too. Refuses to hide a
//! loss, and to publish while there is no connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_protocol::codes::{CloseCode, ErrorCode, Retry};
use tidings_websocket::handshake::Mismatch;

use crate::backoff::Backoff;
use crate::error::{Error, Result};
use crate::event::{Content, Event, ServerFrame, WireMessage};
use crate::options::{Options, Start};
use crate::positions::Positions;
use crate::socket::{Frame, Socket, fill_random};

/// Where a hello that names no room puts a connection.
const LOBBY: &str = "lobby";
/// Marks a leave that the application has not asked for.
const LEAVE_LOBBY: &str = "leave-lobby";

/// A client that reconnects and recovers.
#[derive(Debug)]
pub struct Client {
    options: Options,
    link: Link,
    backoff: Backoff,
    positions: Positions,
    session: Option<String>,
    /// Publications whose `ack` has not come, oldest first: sent again after a reconnect.
    unacknowledged: VecDeque<(String, String)>,
    events: VecDeque<Event>,
    /// A `restore` that lacked something, as the room and the ids around that: the next frame says why.
    unexplained: Option<(String, u64, Option<u64>)>,
    references: u64,
    /// Asked for by `server_restart`; replaces the next pause.
    restart_pause: Option<Duration>,
}

#[derive(Debug)]
enum Link {
    Up { socket: Box<Socket>, since: Instant, pinged: bool },
    Down { retry_at: Instant },
}

impl Client {
    /// Connects and says hello. The first attempt is the only one: an address that leads nowhere is an error here.
    pub fn connect(options: Options) -> Result<Self> {
        let mut client = Self {
            link: Link::Down { retry_at: Instant::now() },
            backoff: options.backoff.clone(),
            positions: Positions::new(&options.rooms),
            session: None,
            unacknowledged: VecDeque::new(),
            events: VecDeque::new(),
            unexplained: None,
            references: 0,
            restart_pause: None,
            options,
        };
        client.open()?;
        Ok(client)
    }

    /// The next event; `None` when nothing happened within `timeout`. An attempt to connect may take up to
    /// [`Options::connect_timeout`] longer.
    ///
    /// An error is final: the server will not have this client ([`Error::Closed`] with a code after which
    /// one does not reconnect, or a handshake refused with a 4xx).
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Event>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let outcome = match self.link {
                Link::Down { retry_at } => {
                    std::thread::sleep(retry_at.min(deadline).saturating_duration_since(Instant::now()));
                    if retry_at > deadline {
                        return Ok(None);
                    }
                    self.open()
                }
                Link::Up { .. } => self.receive(deadline),
            };
            if let Err(error) = outcome {
                self.disconnected(error)?;
            } else if self.events.is_empty() && Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    /// Publishes to a room one is in, and returns the reference that [`Event::Acknowledged`] will name. It is sent
    /// again if the connection breaks before that; the server stores it once as long as the session is resumed.
    ///
    /// [`Content::Binary`] travels as a binary frame, which names no room and no reference: it goes to the one room this
    /// client is in and is neither acknowledged nor sent again. `POST /rooms/{room}/messages` does both for bytes.
    pub fn publish(&mut self, room: &str, content: &Content) -> Result<String> {
        if self.unacknowledged.len() >= self.options.unacknowledged_max {
            return Err(Error::TooManyUnacknowledged(self.unacknowledged.len()));
        }
        let reference = self.next_reference();
        let mut frame = json!({"type": "message", "room": room, "ref": reference});
        match content {
            Content::Text(text) => frame["text"] = text.as_str().into(),
            Content::Data(data) => frame["data"] = data.clone(),
            Content::Binary(bytes) => {
                self.socket()?.send_binary(bytes)?;
                return Ok(reference);
            }
        }
        let frame = frame.to_string();
        self.socket()?.send_text(&frame)?;
        self.unacknowledged.push_back((reference.clone(), frame));
        Ok(reference)
    }

    /// Joins a room; [`Event::Joined`] follows.
    pub fn join(&mut self, room: &str, start: Start) -> Result<()> {
        let frame = join_frame(room, start);
        self.socket()?.send_text(&frame)?;
        self.positions.join(room, start);
        Ok(())
    }

    /// Leaves a room; [`Event::Left`] follows.
    pub fn leave(&mut self, room: &str) -> Result<()> {
        self.socket()?.send_text(&json!({"type": "leave", "room": room}).to_string())?;
        self.positions.leave(room);
        Ok(())
    }

    /// Sends any other frame of the protocol.
    pub fn send(&mut self, frame: &Value) -> Result<()> {
        self.socket()?.send_text(&frame.to_string())
    }

    /// The id of the message last delivered in a room.
    pub fn position(&self, room: &str) -> Option<u64> {
        self.positions.cursor(room)
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Says goodbye and waits shortly for the answer.
    pub fn close(mut self) {
        if let Link::Up { socket, .. } = &mut self.link
            && socket.close(1000, "").is_ok()
        {
            let deadline = Instant::now() + Duration::from_secs(1);
            while Instant::now() < deadline && socket.next(Duration::from_millis(100)).is_ok() {}
        }
    }

    fn socket(&mut self) -> Result<&mut Socket> {
        match &mut self.link {
            Link::Up { socket, .. } => Ok(socket),
            Link::Down { .. } => Err(Error::Disconnected),
        }
    }

    /// One attempt: connect, say hello, wait for the session, say again what was not acknowledged.
    fn open(&mut self) -> Result<()> {
        let mut socket = Socket::connect_with(&self.options.address, &self.options)?;
        socket.send_text(&self.hello().to_string())?;
        self.await_session(&mut socket)?;
        // Only an answered join says where a live room begins, so that even a connection that breaks before the first
        // message loses nothing. A hello would join without saying it, and lobby if it names no room.
        if self.positions.iter().all(|(_, cursor)| cursor.is_none()) {
            let leave = json!({"type": "leave", "room": LOBBY, "ref": LEAVE_LOBBY});
            socket.send_text(&leave.to_string())?;
        }
        for (room, _) in self.positions.iter().filter(|(_, cursor)| cursor.is_none()) {
            socket.send_text(&join_frame(room, Start::Live))?;
        }
        for (_, frame) in &self.unacknowledged {
            socket.send_text(frame)?;
        }
        self.link = Link::Up { socket: Box::new(socket), since: Instant::now(), pinged: false };
        Ok(())
    }

    fn hello(&self) -> Value {
        let positions: serde_json::Map<String, Value> = self
            .positions
            .iter()
            .filter_map(|(room, cursor)| Some((room.to_owned(), cursor?.into())))
            .collect();
        let mut hello = json!({"type": "hello", "positions": positions});
        let known =
            [("user_id", &self.options.user), ("token", &self.options.token), ("session_id", &self.session)];
        for (name, value) in known {
            if let Some(value) = value {
                hello[name] = value.as_str().into();
            }
        }
        hello
    }

    fn await_session(&mut self, socket: &mut Socket) -> Result<()> {
        let deadline = Instant::now() + self.options.connect_timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match socket.next(left)? {
                Some(Frame::Text(text)) => self.handle(&text),
                Some(_) => {}
                None => return Err(Error::Answer("no session came in time")),
            }
            let is_session = |event: &Event| matches!(event, Event::Connected { .. });
            if self.events.iter().any(is_session) {
                return Ok(());
            }
            if let Some(Event::Refused { code, message, .. }) = self.events.back() {
                let (code, reason) = (close_code(code), message.clone());
                self.events.pop_back();
                return Err(Error::Closed { code, reason });
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<()> {
        let Link::Up { socket, pinged, .. } = &mut self.link else { return Ok(()) };
        let allowed = self.options.silence_max * if *pinged { 2 } else { 1 };
        let silent_at = socket.last_received() + allowed;
        let frame = socket.next(deadline.min(silent_at).saturating_duration_since(Instant::now()))?;
        match frame {
            None if Instant::now() < silent_at => {}
            None if *pinged => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            None => {
                *pinged = true;
                socket.send_ping(b"")?;
            }
            Some(frame) => {
                *pinged = false;
                if let Frame::Text(text) = frame {
                    self.handle(&text);
                    self.answer_restart()?;
                }
            }
        }
        Ok(())
    }

    /// Lets the server close at once instead of waiting for us until its deadline.
    fn answer_restart(&mut self) -> Result<()> {
        if matches!(self.events.back(), Some(Event::ServerRestart { .. })) {
            self.socket()?.send_text(r#"{"type":"restart_ack"}"#)?;
        }
        Ok(())
    }

    fn disconnected(&mut self, error: Error) -> Result<()> {
        let lasted = match &self.link {
            Link::Up { since, .. } => since.elapsed(),
            Link::Down { .. } => Duration::ZERO,
        };
        let chance = f64::from(random()) / f64::from(u32::MAX);
        let retry_in = self.backoff.lost(lasted, self.restart_pause.take(), chance);
        self.link = Link::Down { retry_at: Instant::now() + retry_in };
        if is_final(&error) {
            return Err(error);
        }
        self.events.push_back(Event::Disconnected { error, retry_in });
        Ok(())
    }

    /// Turns a frame into events; the cursors decide which messages are new.
    fn handle(&mut self, text: &str) {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return self.events.push_back(Event::Other(text.into()));
        };
        let frame = ServerFrame::deserialize_from(&value);
        self.explain(frame.as_ref());
        match frame {
            None => self.events.push_back(Event::Other(value)),
            Some(frame) => self.act(frame),
        }
    }

    /// Something was missing and the frame that follows does not say what: then this client says it.
    fn explain(&mut self, frame: Option<&ServerFrame>) {
        if let Some((room, after, before)) = self.unexplained.take()
            && !matches!(frame, Some(ServerFrame::Gap { room: other, .. }) if *other == room)
        {
            self.tell_gap(room, after, before, "expired".to_owned());
        }
    }

    fn act(&mut self, frame: ServerFrame) {
        let event = match frame {
            ServerFrame::Session { session_id, resumed, node } => {
                self.session = Some(session_id.clone());
                Event::Connected { session: session_id, node, resumed }
            }
            ServerFrame::Restore { room, messages, last_message_id, recovered } => {
                self.restore(&room, messages, recovered);
                self.positions.advance(&room, last_message_id.unwrap_or(0));
                return;
            }
            ServerFrame::Message(message) => return self.deliver(None, message, false),
            ServerFrame::Joined { room, last_message_id } => {
                self.positions.learn_start(&room, last_message_id.unwrap_or(0));
                Event::Joined { room }
            }
            ServerFrame::Left { reference: Some(reference), .. } if reference == LEAVE_LOBBY => return,
            ServerFrame::Left { room, .. } => Event::Left { room },
            ServerFrame::Ack { reference, id } => {
                self.unacknowledged.retain(|(other, _)| *other != reference);
                Event::Acknowledged { reference, id }
            }
            ServerFrame::Gap { room, after, before, reason } => {
                return self.tell_gap(room, after, before, reason);
            }
            ServerFrame::Error { code, message, reference } => {
                self.unacknowledged.retain(|(other, _)| Some(other) != reference.as_ref());
                Event::Refused { code, message, reference }
            }
            ServerFrame::ServerRestart { reconnect_after_ms } => {
                let reconnect_after = Duration::from_millis(reconnect_after_ms);
                self.restart_pause = Some(reconnect_after);
                Event::ServerRestart { reconnect_after }
            }
        };
        self.events.push_back(event);
    }

    fn restore(&mut self, room: &str, messages: Vec<WireMessage>, recovered: bool) {
        let cursor = self.positions.cursor(room);
        // From 0 on, "not everything is there" merely means that the room is older than its history.
        if let (false, Some(after @ 1..)) = (recovered, cursor) {
            let before = messages.first().map(|message| message.id);
            self.unexplained = Some((room.to_owned(), after, before));
        }
        if let (None, Some(first)) = (cursor, messages.first()) {
            self.positions.learn_start(room, first.id.saturating_sub(1));
        }
        for message in messages {
            self.deliver(Some(room), message, true);
        }
    }

    fn deliver(&mut self, room: Option<&str>, message: WireMessage, recovered: bool) {
        let room = message.room.clone().or_else(|| room.map(str::to_owned)).unwrap_or_default();
        if self.positions.accept(&room, message.id) {
            self.events.push_back(Event::Message(message.into_message(room, recovered)));
        }
    }

    fn tell_gap(&mut self, room: String, after: u64, before: Option<u64>, reason: String) {
        if self.positions.accept_gap(&room, after, before, &reason) {
            self.events.push_back(Event::Gap { room, after, before, reason });
        }
    }

    fn next_reference(&mut self) -> String {
        self.references += 1;
        // The random part keeps two processes that resume one session from taking each other's references.
        format!("{:08x}-{}", random(), self.references)
    }
}

fn join_frame(room: &str, start: Start) -> String {
    let mut frame = json!({"type": "join", "room": room});
    if let Start::After(id) = start {
        frame["last_message_id"] = id.into();
    }
    frame.to_string()
}

/// What a refused hello is like: a connection that is closed for good, or one that is worth another attempt.
fn close_code(error: &str) -> u16 {
    let again = ErrorCode::from_name(error)
        .is_none_or(|code| code.retry() != Retry::Never || code == ErrorCode::SessionUnknown);
    if again { CloseCode::TryAgainLater.number() } else { CloseCode::PolicyViolation.number() }
}

/// Whether trying again would only repeat the refusal.
fn is_final(error: &Error) -> bool {
    match error {
        // A new token is the application's to get.
        Error::Closed { code, .. } => CloseCode::from_number(*code)
            .is_some_and(|code| !code.reconnect() || code == CloseCode::TokenExpired),
        Error::Handshake(Mismatch::Status { status }) => (400..500).contains(status) && *status != 429,
        _ => false,
    }
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    fill_random(&mut bytes);
    u32::from_ne_bytes(bytes)
}

#[cfg(test)]
mod vectors;

//! A client that is cut off and comes back: what it remembers of its place, and what it says to go on from there.
//!
//! Owned by the field. Refuses to judge what comes; it hands it up, once it is whole.

use std::io;

use prost::Message as _;
use tidings_protocol::proto::v1::client_frame::Frame;
use tidings_protocol::proto::v1::{self, Position};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use super::Way;
use super::told::Told;
use crate::bench::wire::answers::{Answer, Polled};
use crate::bench::wire::connection::{Connection, Stage, opening_end};
use crate::bench::wire::events::Events;
use crate::bench::wire::frames::{Frames, WHOLE_TEXT};
use crate::bench::wire::http2::{self, Stream};
use crate::bench::wire::{request, wrong};

/// Any mask does.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN_PING: u8 = 0x89;
/// In front of each message of a gRPC call: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// A client.
#[derive(Debug)]
pub(in crate::bench) struct Client {
    number: usize,
    pub(in crate::bench) room: usize,
    way: Way,
    /// Its connection, unless it is cut off.
    pub(in crate::bench) line: Option<Connection>,
    /// What carries its bytes on the line, where that is HTTP/2.
    stream: Option<Stream>,
    /// A connection that it does not know to be dead, until it has another.
    pub(in crate::bench) dead_line: Option<Connection>,
    session: Option<String>,
    /// The position, event id or cursor with which it comes back.
    place: Option<String>,
    pub(in crate::bench) cuts: u64,
    /// When it will be cut off, or come back.
    pub(in crate::bench) turns_ns: u64,
    /// Came back at this time and has heard nothing yet.
    pub(in crate::bench) listening_since_ns: Option<u64>,
}

/// The name of a room.
pub(in crate::bench) fn room_name(room: usize) -> String {
    format!("drops-{room:03}")
}

impl Client {
    pub(in crate::bench) fn new(number: usize, room: usize, way: Way) -> Self {
        Self {
            number,
            room,
            way,
            line: None,
            stream: None,
            dead_line: None,
            session: None,
            place: None,
            cuts: 0,
            turns_ns: 0,
            listening_since_ns: None,
        }
    }

    /// Whether it knows its place: from here on it must miss nothing.
    pub(in crate::bench) fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// Its request, now that the connection stands.
    pub(in crate::bench) fn ask(&mut self, host: &str) -> io::Result<()> {
        let room = room_name(self.room);
        let place = self.place.as_deref();
        let request = match self.way {
            Way::Websocket => request::websocket(host, "/ws").into(),
            Way::Sse => request::event_stream(host, &room, place).into(),
            Way::Poll => request::poll(host, &request::client(self.number), &room, place).into(),
            // They ask for the stream when they have heard what the server can do.
            Way::WebsocketHttp2 | Way::Grpc => http2::opening(),
        };
        self.stream = match self.way {
            Way::WebsocketHttp2 => Some(Stream::websocket(host, "/ws")),
            Way::Grpc => Some(Stream::grpc(host, "/tidings.v1.Tidings/Session")),
            Way::Websocket | Way::Sse | Way::Poll => None,
        };
        self.line.as_mut().map_or(Ok(()), |line| line.ask(&request))
    }

    /// Takes what came, keeps its place, and hands up what each frame tells. Returns how many bytes are done with.
    pub(in crate::bench) fn take(
        &mut self,
        host: &str,
        bytes: &[u8],
        hear: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        if self.stream.is_some() {
            return self.take_stream(bytes, hear);
        }
        let start = match self.line.as_mut() {
            Some(line) if line.stage == Stage::Answering && self.way != Way::Poll => {
                let Some(end) = opening_end(self.way.speaks(), bytes)? else { return Ok(0) };
                line.stage = Stage::Open;
                if self.way == Way::Websocket {
                    self.introduce_itself()?;
                }
                end
            }
            _ => 0,
        };
        let rest = &bytes[start..];
        let consumed = match self.way {
            Way::Poll => self.take_answer(host, rest, hear),
            Way::Sse => self.take_events(rest, hear),
            Way::Websocket | Way::WebsocketHttp2 | Way::Grpc => self.take_frames(rest, hear),
        };
        Ok(start + consumed?)
    }

    /// Takes what came over HTTP/2: what the stream carried, as far as it is whole.
    fn take_stream(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let (Some(line), Some(stream)) = (self.line.as_mut(), self.stream.as_mut()) else {
            return Ok(bytes.len());
        };
        let mut answer = Vec::new();
        let consumed = stream.take(bytes, &mut answer)?;
        line.send(&answer)?;
        let is_new = stream.is_open && line.stage == Stage::Answering;
        let mut unread = std::mem::take(&mut stream.unread);
        if is_new {
            line.stage = Stage::Open;
            self.introduce_itself()?;
        }
        let done = if self.way == Way::Grpc {
            self.take_call(&unread, hear)
        } else {
            self.take_frames(&unread, hear)
        };
        unread.drain(..done?);
        if let Some(stream) = self.stream.as_mut() {
            stream.unread = unread;
        }
        Ok(consumed)
    }

    fn introduce_itself(&mut self) -> io::Result<()> {
        let room = room_name(self.room);
        if self.way == Way::Grpc {
            return self.introduce_itself_to_grpc(room);
        }
        match (&self.session, &self.place) {
            (Some(session), Some(position)) => self.say(&format!(
                r#"{{"type":"hello","session_id":"{session}","positions":{{"{room}":{position}}}}}"#
            )),
            _ => {
                self.say(&format!(r#"{{"type":"hello","rooms":["{room}"]}}"#))?;
                // Its answer says where the client stands; that of `hello` does not.
                self.say(&format!(r#"{{"type":"join","room":"{room}"}}"#))
            }
        }
    }

    fn introduce_itself_to_grpc(&mut self, room: String) -> io::Result<()> {
        match (&self.session, &self.place) {
            (Some(session), Some(position)) => {
                let last_message_id = position.parse().map_err(|_| wrong("a position is a number"))?;
                self.call(Frame::Hello(v1::Hello {
                    session_id: Some(session.clone()),
                    positions: vec![Position { room, last_message_id }],
                    ..v1::Hello::default()
                }))
            }
            _ => {
                self.call(Frame::Hello(v1::Hello { rooms: vec![room.clone()], ..v1::Hello::default() }))?;
                self.call(Frame::Join(v1::Join { room, last_message_id: None }))
            }
        }
    }

    fn say(&mut self, json: &str) -> io::Result<()> {
        self.say_frame(Opcode::Text, json.as_bytes())
    }

    fn say_frame(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::new();
        encoder::masked(&mut frame, MASK, opcode, payload);
        self.send(&frame)
    }

    fn call(&mut self, frame: Frame) -> io::Result<()> {
        let message = v1::ClientFrame { frame: Some(frame), r#ref: None }.encode_to_vec();
        let mut bytes = vec![0];
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
        self.send(&bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(line) = self.line.as_mut() else { return Ok(()) };
        if self.stream.is_some() { line.send(&http2::data(bytes)) } else { line.send(bytes) }
    }

    /// What a server frame does to what it remembers.
    fn remember(&mut self, told: &Told<'_>) {
        match told {
            Told::Session { id, .. } => self.session = Some((*id).to_owned()),
            Told::Place { position, .. } => self.place = Some(position.to_string()),
            Told::Message { id, .. } => self.place = Some(id.to_string()),
            Told::Gap | Told::Other => {}
        }
    }

    fn take_frames(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut frames = Frames::new(bytes);
        for frame in frames.by_ref() {
            match frame.first_byte {
                WHOLE_TEXT => {
                    let told = Told::read(frame.payload)?;
                    self.remember(&told);
                    hear(told)?;
                }
                FIN_PING => self.say_frame(Opcode::Pong, frame.payload)?,
                _ => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(frames.consumed())
    }

    fn take_call(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut consumed = 0;
        while let Some((&[compressed, length @ ..], behind)) =
            bytes[consumed..].split_first_chunk::<PREFIX_BYTES>()
        {
            let Some(message) = behind.get(..u32::from_be_bytes(length) as usize) else { break };
            if compressed != 0 {
                return Err(wrong("a message is compressed, which was not asked for"));
            }
            let frame =
                v1::ServerFrame::decode(message).map_err(|_| wrong("a message is no frame of ours"))?;
            let told = Told::of(&frame)?;
            self.remember(&told);
            hear(told)?;
            consumed += PREFIX_BYTES + message.len();
        }
        Ok(consumed)
    }

    fn take_events(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut events = Events::new(bytes);
        for event in events.by_ref() {
            let event = event?;
            if !event.data.is_empty() {
                hear(Told::read(event.data)?)?;
            }
            if !event.id.is_empty() {
                self.place = Some(String::from_utf8_lossy(event.id).into_owned());
            }
        }
        Ok(events.consumed())
    }

    fn take_answer(
        &mut self,
        host: &str,
        bytes: &[u8],
        hear: &mut impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let Some(answer) = Answer::parse(bytes)? else { return Ok(0) };
        let polled = Polled::parse(answer)?;
        if answer.whole.len() < bytes.len() {
            return Err(wrong("more came than the answer to a poll"));
        }
        polled.data.iter().try_for_each(|json| hear(Told::read(json.get().as_bytes())?))?;
        self.place = Some(polled.cursor.to_owned());
        let request =
            request::poll(host, &request::client(self.number), &room_name(self.room), Some(polled.cursor));
        self.line.as_mut().map_or(Ok(()), |line| {
            line.stage = Stage::Open;
            line.send(request.as_bytes())
        })?;
        Ok(bytes.len())
    }
}

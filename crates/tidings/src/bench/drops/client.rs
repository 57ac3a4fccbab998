//! A client that is cut off and comes back: what it remembers of its place, and what it says to go on from there.
//!
//! Owned by the field. Refuses to judge what comes; it hands it up, once it is whole.

use std::io;

use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use super::told::Told;
use crate::bench::plan::Transport;
use crate::bench::wire::answers::{Answer, Polled};
use crate::bench::wire::connection::{Connection, Stage, opening_end};
use crate::bench::wire::events::Events;
use crate::bench::wire::frames::{Frames, WHOLE_TEXT};
use crate::bench::wire::{request, wrong};

/// Any mask does.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN_PING: u8 = 0x89;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    pub(super) room: usize,
    transport: Transport,
    /// Its connection, unless it is cut off.
    pub(super) line: Option<Connection>,
    /// A connection that it does not know to be dead, until it has another.
    pub(super) dead_line: Option<Connection>,
    session: Option<String>,
    /// The position, event id or cursor with which it comes back.
    place: Option<String>,
    pub(super) cuts: u64,
    /// When it will be cut off, or come back.
    pub(super) turns_ns: u64,
    /// Came back at this time and has heard nothing yet.
    pub(super) listening_since_ns: Option<u64>,
}

/// The name of a room.
pub(super) fn room_name(room: usize) -> String {
    format!("drops-{room:03}")
}

impl Client {
    pub(super) fn new(number: usize, room: usize, transport: Transport) -> Self {
        Self {
            number,
            room,
            transport,
            line: None,
            dead_line: None,
            session: None,
            place: None,
            cuts: 0,
            turns_ns: 0,
            listening_since_ns: None,
        }
    }

    /// Whether it knows its place: from here on it must miss nothing.
    pub(super) fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// Its request, now that the connection stands.
    pub(super) fn ask(&mut self, host: &str) -> io::Result<()> {
        let room = room_name(self.room);
        let place = self.place.as_deref();
        let request = match self.transport {
            Transport::Websocket => request::websocket(host, "/ws"),
            Transport::Sse => request::event_stream(host, &room, place),
            Transport::Poll => request::poll(host, &request::client(self.number), &room, place),
        };
        self.line.as_mut().map_or(Ok(()), |line| line.ask(&request))
    }

    /// Takes what came, and hands up each frame's JSON with the place that is reached behind it. Returns how many bytes
    /// are done with.
    pub(super) fn take(
        &mut self,
        host: &str,
        bytes: &[u8],
        hear: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let start = match self.line.as_mut() {
            Some(line) if line.stage == Stage::Answering && self.transport != Transport::Poll => {
                let Some(end) = opening_end(self.transport, bytes)? else { return Ok(0) };
                line.stage = Stage::Open;
                if self.transport == Transport::Websocket {
                    self.introduce_itself()?;
                }
                end
            }
            _ => 0,
        };
        let rest = &bytes[start..];
        let consumed = match self.transport {
            Transport::Websocket => self.take_frames(rest, hear),
            Transport::Sse => self.take_events(rest, hear),
            Transport::Poll => self.take_answer(host, rest, hear),
        };
        Ok(start + consumed?)
    }

    fn introduce_itself(&mut self) -> io::Result<()> {
        let room = room_name(self.room);
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

    fn say(&mut self, json: &str) -> io::Result<()> {
        let mut frame = Vec::new();
        encoder::masked(&mut frame, MASK, Opcode::Text, json.as_bytes());
        self.line.as_mut().map_or(Ok(()), |line| line.send(&frame))
    }

    fn take_frames(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut frames = Frames::new(bytes);
        for frame in frames.by_ref() {
            match frame.first_byte {
                WHOLE_TEXT => {
                    hear(frame.payload)?;
                    match Told::read(frame.payload)? {
                        Told::Session { id, .. } => self.session = Some(id.to_owned()),
                        Told::Place { position, .. } => self.place = Some(position.to_string()),
                        Told::Message { id, .. } => self.place = Some(id.to_string()),
                        Told::Gap | Told::Other => {}
                    }
                }
                FIN_PING => {
                    let mut pong = Vec::new();
                    encoder::masked(&mut pong, MASK, Opcode::Pong, frame.payload);
                    self.line.as_mut().map_or(Ok(()), |line| line.send(&pong))?;
                }
                _ => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(frames.consumed())
    }

    fn take_events(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut events = Events::new(bytes);
        for event in events.by_ref() {
            let event = event?;
            if !event.data.is_empty() {
                hear(event.data)?;
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
        hear: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let Some(answer) = Answer::parse(bytes)? else { return Ok(0) };
        let polled = Polled::parse(answer)?;
        if answer.whole.len() < bytes.len() {
            return Err(wrong("more came than the answer to a poll"));
        }
        polled.data.iter().try_for_each(|json| hear(json.get().as_bytes()))?;
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

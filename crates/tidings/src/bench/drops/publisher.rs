//! The one who publishes to all rooms in turn, and knows how much each was sent.
//!
//! Owned by the field. Refuses to go on when the server refuses a message.

use std::io;
use std::net::SocketAddr;

use mio::{Interest, Registry, Token};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use super::client::room_name;
use crate::bench::clock::now_ns;
use crate::bench::payload::{STAMP_BYTES, Stamp};
use crate::bench::plan::Transport;
use crate::bench::wire::connection::{Connection, Stage, opening_end};
use crate::bench::wire::{request, wrong};

/// What wakes the field for the publisher.
pub(in crate::bench) const PUBLISHER: Token = Token(usize::MAX);
/// Any mask does.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// See the module.
#[derive(Debug)]
pub(in crate::bench) struct Publisher {
    connection: Connection,
    host: String,
    /// Messages published to each room.
    published: Vec<u32>,
    turn: usize,
}

impl Publisher {
    pub(in crate::bench) fn start(server: SocketAddr, rooms: usize, registry: &Registry) -> io::Result<Self> {
        let mut connection = Connection::start(server, Transport::Websocket, 0, now_ns())?;
        registry.register(&mut connection.stream, PUBLISHER, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { connection, host: server.to_string(), published: vec![0; rooms], turn: 0 })
    }

    pub(in crate::bench) fn is_open(&self) -> bool {
        self.connection.stage == Stage::Open
    }

    /// Messages published to a room.
    pub(in crate::bench) fn published(&self, room: usize) -> u32 {
        self.published[room]
    }

    pub(in crate::bench) fn published_to_all(&self) -> u64 {
        self.published.iter().map(|count| u64::from(*count)).sum()
    }

    /// Goes on with what the socket allows.
    pub(in crate::bench) fn ready(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        if self.connection.stage == Stage::Connecting {
            // Its first frame is no `hello`, so it stays a guest whom nobody tells anything.
            self.connection.ask(request::websocket(&self.host, "/ws"))?;
        }
        self.connection.send_pending()?;
        while let Some(count) = self.connection.receive(scratch)? {
            let bytes = &scratch[..count];
            if self.connection.stage == Stage::Open {
                let error = b"\"type\":\"error\"";
                if bytes.windows(error.len()).any(|window| window == error) {
                    return Err(wrong("the server refuses to publish"));
                }
            } else {
                match opening_end(Transport::Websocket, bytes)? {
                    Some(_) => self.connection.stage = Stage::Open,
                    None => self.connection.carry.extend_from_slice(bytes),
                }
            }
        }
        Ok(())
    }

    /// Publishes to the next room.
    pub(in crate::bench) fn publish(&mut self) -> io::Result<()> {
        let room = self.turn % self.published.len();
        self.turn += 1;
        let mut text = Vec::new();
        Stamp { at_ns: now_ns(), sequence: self.published[room], publisher: room as u32 }
            .write(&mut text, STAMP_BYTES);
        let text = String::from_utf8_lossy(&text);
        let json = format!(r#"{{"type":"message","room":"{}","text":"{text}"}}"#, room_name(room));
        let mut frame = Vec::new();
        encoder::masked(&mut frame, MASK, Opcode::Text, json.as_bytes());
        self.published[room] += 1;
        self.connection.send(&frame)
    }
}

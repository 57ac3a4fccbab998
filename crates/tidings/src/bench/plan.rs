//! What the parent tells a worker or the floor server, and what they answer: one JSON line each.
//!
//! Owned by both sides. Refuses nothing; both are the same binary.

use std::io::{BufRead, Write};
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::latency::Recorded;
use super::order::Faults;

/// How connections speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
pub(crate) enum Transport {
    Websocket,
    /// Server-sent events over HTTP/1.1.
    Sse,
    /// Long polls, one after another on a connection that is kept.
    Poll,
}

/// Where connections sit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Seating {
    /// All in one room, whose only publisher is connection 0.
    Shared,
    /// Each in a room of its own.
    Own,
    /// In rooms of so many, all of whom publish.
    RoomsOf(usize),
    /// All in one room, each as a user of its own, to be seen coming and going.
    Users,
    /// At `/echo`.
    Echo,
}

impl Seating {
    /// How many publishers a connection hears.
    pub(crate) fn publishers(self) -> usize {
        if let Self::RoomsOf(size) = self { size } else { 1 }
    }
}

/// First line to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WorkerPlan {
    /// The nodes; a connection's number says which one it goes to.
    pub(crate) nodes: Vec<SocketAddr>,
    pub(crate) seating: Seating,
    pub(crate) transport: Transport,
    /// The number of this worker's first connection.
    pub(crate) first: usize,
}

/// Further lines to a worker. Each is answered by one [`Report`], but for `Progress` in between.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Open so many connections more, at most `at_once` of them on their way at any time.
    Open { count: usize, at_once: usize },
    /// Start publishing messages of so many bytes of text; a share of the connections stops reading until `End`. While
    /// traffic flows already, this changes it and starts counting over. Answered at once.
    Begin { traffic: Traffic, payload_bytes: usize, stalled_percent: f64 },
    /// Stop publishing, wait for what is under way, report. A worker without the publisher is told how many messages
    /// there were.
    End { published: Option<u32> },
    /// Say what the server's answers look like, byte for byte.
    Sample,
    /// Say how many events about people came.
    Told,
    /// Close all connections at once.
    Leave,
}

/// Who publishes how fast.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Traffic {
    /// This worker only listens.
    Listen,
    /// Connection 0 writes `burst` messages back to back, every `interval_ns`.
    Bursts { burst: usize, interval_ns: u64 },
    /// Connection 0 keeps so many messages unreceived by the slowest of a few members.
    Window { messages: u32 },
    /// One connection after another publishes one message, `interval_ns` apart, rooms taking turns.
    Everyone { interval_ns: u64 },
    /// Every connection sends one message whenever the last one came back.
    PingPong,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// To `Open`: how many stand, how many were refused, and the time each took.
    Opened { open: usize, failed: usize, took: Recorded, all_took_ns: u64 },
    /// To `Begin`.
    Begun,
    /// To `End`.
    Ended(Ended),
    /// To `Sample`.
    Sample(Seen),
    /// To `Told`: since the worker began.
    Told { events: u64 },
    /// To `Leave`.
    Left,
    /// Some times a second while messages flow.
    Progress { took_ns: u64, published: u64, received: u64, p99_us: f64 },
}

/// What the server was seen sending, byte for byte.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) websocket: Sample,
    pub(crate) sse: Sample,
    pub(crate) poll: Sample,
}

/// What it sent over one transport.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Before the first message; of long polls, the answer without one.
    pub(crate) greeting: Vec<u8>,
    /// The frame, event or answer with the first message.
    pub(crate) message: Vec<u8>,
}

/// What happened between `Begin` and `End`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Messages published by this worker.
    pub(crate) published: u64,
    /// Messages published by connection 0 since it opened.
    pub(crate) published_ever: u32,
    /// Messages received by this worker's connections.
    pub(crate) received: u64,
    /// From `Begin` to the last message received.
    pub(crate) took_ns: u64,
    pub(crate) latency: Recorded,
    pub(crate) faults: Faults,
    /// Connections the server closed.
    pub(crate) broken: usize,
    /// Messages not sent because the server had stopped reading from the publisher.
    pub(crate) held_back: u64,
}

/// First line to the floor server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FloorPlan {
    pub(crate) seating: Seating,
    pub(crate) seen: Seen,
    pub(crate) payload_bytes: usize,
}

impl Transport {
    /// Its name for people and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }
}

impl Seen {
    /// What was seen of a transport.
    pub(crate) fn of(&mut self, transport: Transport) -> &mut Sample {
        match transport {
            Transport::Websocket => &mut self.websocket,
            Transport::Sse => &mut self.sse,
            Transport::Poll => &mut self.poll,
        }
    }
}

/// Writes a line.
pub(crate) fn say(out: &mut impl Write, what: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

/// Reads a line; `None` at the end.
pub(crate) fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> std::io::Result<Option<T>> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

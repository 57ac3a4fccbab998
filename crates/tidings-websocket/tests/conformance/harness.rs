//! Writes what a client would send and collects what a decoder hears, however the bytes are cut.
//! Used by every test here. Fails a test whose events depend on where the stream was cut.

use tidings_websocket::deflate::Deflaters;
use tidings_websocket::encoder;
use tidings_websocket::frame::{FrameHeader, Opcode};
use tidings_websocket::{Config, Decoder, Error, Event, Role, Scratch};

/// An arbitrary key: what matters is that it is not zero and differs in each byte.
pub(crate) const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

pub(crate) const SERVER: Config =
    Config { role: Role::Server, message_bytes_max: 16 << 20, fragments_max: 100_000 };

/// An event that owns its bytes, or the error that ended the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(Error),
}

impl From<Event<'_>> for Heard {
    fn from(event: Event<'_>) -> Heard {
        match event {
            Event::Text(text) => Heard::Text(text.to_owned()),
            Event::Binary(bytes) => Heard::Binary(bytes.to_owned()),
            Event::Ping(bytes) => Heard::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Heard::Pong(bytes.to_owned()),
            Event::Close(close) => Heard::Close(close.map(|close| (close.code, close.reason.to_owned()))),
        }
    }
}

pub(crate) fn text(text: &str) -> Heard {
    Heard::Text(text.to_owned())
}

pub(crate) fn binary(bytes: &[u8]) -> Heard {
    Heard::Binary(bytes.to_owned())
}

pub(crate) fn ping(bytes: &[u8]) -> Heard {
    Heard::Ping(bytes.to_owned())
}

pub(crate) fn pong(bytes: &[u8]) -> Heard {
    Heard::Pong(bytes.to_owned())
}

/// What a client sends, frame after frame.
#[derive(Clone, Default)]
pub(crate) struct Stream(pub(crate) Vec<u8>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "b\"{}\"", self.0.escape_ascii())
    }
}

impl Stream {
    pub(crate) fn new() -> Stream {
        Stream::default()
    }

    /// A whole frame.
    pub(crate) fn frame(self, opcode: Opcode, payload: impl AsRef<[u8]>) -> Stream {
        self.fragment(true, opcode, payload)
    }

    /// A frame with or without FIN.
    pub(crate) fn fragment(self, fin: bool, opcode: Opcode, payload: impl AsRef<[u8]>) -> Stream {
        self.with(FrameHeader { fin, rsv1: false, opcode, mask: Some(MASK) }, payload)
    }

    pub(crate) fn with(mut self, header: FrameHeader, payload: impl AsRef<[u8]>) -> Stream {
        encoder::frame_with(&mut self.0, header, payload.as_ref());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Stream {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn then(self, other: &Stream) -> Stream {
        self.raw(&other.0)
    }

    /// A masked frame with any first byte at all.
    pub(crate) fn first_byte(mut self, first: u8, payload: &[u8]) -> Stream {
        let start = self.0.len();
        encoder::masked(&mut self.0, MASK, Opcode::Text, payload);
        self.0[start] = first;
        self
    }

    /// A message in fragments of `fragment_bytes`; the last may be shorter.
    pub(crate) fn fragments(mut self, opcode: Opcode, payload: &[u8], fragment_bytes: usize) -> Stream {
        let count = payload.len().div_ceil(fragment_bytes);
        for (index, piece) in payload.chunks(fragment_bytes).enumerate() {
            let opcode = if index == 0 { opcode } else { Opcode::Continuation };
            self = self.fragment(index + 1 == count, opcode, piece);
        }
        self
    }

    pub(crate) fn close(mut self, code: u16, reason: &str) -> Stream {
        encoder::close_masked(&mut self.0, MASK, code, reason);
        self
    }

    /// A message that is compressed, whether that helps or not, in fragments of `fragment_bytes`.
    pub(crate) fn deflated(
        mut self,
        opcode: Opcode,
        payload: &[u8],
        window_bits: u8,
        fragment_bytes: usize,
    ) -> Stream {
        let mut deflated = Vec::new();
        assert!(Deflaters::new().compress(window_bits, payload, &mut deflated), "the window can be kept");
        let count = deflated.len().div_ceil(fragment_bytes);
        for (index, piece) in deflated.chunks(fragment_bytes).enumerate() {
            let opcode = if index == 0 { opcode } else { Opcode::Continuation };
            let header = FrameHeader { fin: index + 1 == count, rsv1: index == 0, opcode, mask: Some(MASK) };
            self = self.with(header, piece);
        }
        self
    }
}

/// Asserts what a server hears, however the stream is cut.
#[track_caller]
pub(crate) fn hears(stream: &Stream, expected: &[Heard]) {
    hears_as(&SERVER, false, stream, expected);
}

/// Asserts that a server hears nothing but this failure.
#[track_caller]
pub(crate) fn fails(stream: &Stream, error: Error) {
    hears(stream, &[Heard::Failed(error)]);
}

/// Asserts what is heard under any configuration, however the stream is cut.
#[track_caller]
pub(crate) fn hears_as(config: &Config, deflate: bool, stream: &Stream, expected: &[Heard]) {
    let bytes = &stream.0;
    assert_heard(&hear(config, deflate, bytes, &[]), expected, "whole");
    for cut in cuts(bytes.len()) {
        assert_heard(&hear(config, deflate, bytes, &[cut]), expected, &format!("cut at {cut}"));
    }
    for piece in [1, 2, 3, 7, 997] {
        let cuts: Vec<usize> = (piece..bytes.len()).step_by(piece).collect();
        assert_heard(&hear(config, deflate, bytes, &cuts), expected, &format!("in pieces of {piece}"));
    }
}

/// What a decoder hears when the stream arrives cut at these places.
pub(crate) fn hear(config: &Config, deflate: bool, bytes: &[u8], cuts: &[usize]) -> Vec<Heard> {
    let mut decoder = Decoder::new(deflate);
    let mut scratch = Scratch::new();
    let mut heard = Vec::new();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let mut start = 0;
    for end in ends {
        let mut piece = bytes[start..end].to_vec();
        start = end;
        if let Err(error) = hear_piece(&mut decoder, config, &mut scratch, &mut piece, &mut heard) {
            heard.push(Heard::Failed(error));
            break;
        }
    }
    heard
}

/// Feeds one piece to the end, as an event loop would.
pub(crate) fn hear_piece(
    decoder: &mut Decoder,
    config: &Config,
    scratch: &mut Scratch,
    piece: &mut [u8],
    heard: &mut Vec<Heard>,
) -> Result<(), Error> {
    let mut at = 0;
    loop {
        let left = piece.len() - at;
        let step = decoder.decode(config, scratch, &mut piece[at..])?;
        assert!(step.consumed <= left);
        at += step.consumed;
        match step.event {
            Some(event) => heard.push(event.into()),
            None => {
                assert_eq!(at, piece.len(), "without an event all input is used up");
                return Ok(());
            }
        }
    }
}

/// Every place to cut a short stream; of a long one those near its ends, and some between.
fn cuts(length: usize) -> Vec<usize> {
    match length {
        0..=600 => (0..=length).collect(),
        _ => (0..40).chain((40..length - 40).step_by(length / 24)).chain(length - 40..=length).collect(),
    }
}

/// Names the first difference instead of printing megabytes.
#[track_caller]
fn assert_heard(heard: &[Heard], expected: &[Heard], how: &str) {
    for (index, (heard, expected)) in heard.iter().zip(expected).enumerate() {
        if heard != expected {
            panic!("{how}, event {index}: heard {}, expected {}", brief(heard), brief(expected));
        }
    }
    assert_eq!(heard.len(), expected.len(), "{how}: the number of events");
}

fn brief(heard: &Heard) -> String {
    format!("{heard:?}").chars().take(200).collect()
}

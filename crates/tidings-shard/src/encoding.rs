//! A batch's bytes on the wire: encoded once for all members that are spoken to alike.
//!
//! Owned by the batch while it is fanned out. Refuses to encode for a single connection.

use std::rc::Rc;

use smallvec::SmallVec;
use tidings_core::{Batch, Telling};
use tidings_protocol::proto::encode_message_protobuf;
use tidings_protocol::server::{encode_message, sse};
use tidings_protocol::{Message, ServerFrame};
use tidings_websocket::deflate::{Deflaters, window_bits_needed};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

/// Below this a compressed message saves nothing worth a client's time to inflate it.
const COMPRESSED_BYTES_MIN: usize = 256;
/// About what a message needs besides its payload.
const ENVELOPE_BYTES: usize = 128;

/// How a connection is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON in text frames.
    Json,
    /// The same, with permessage-deflate where a message is long enough, in a window of so many bits.
    JsonDeflate(u8),
    /// Protobuf in binary frames.
    Protobuf,
    /// The same, compressed like JSON.
    ProtobufDeflate(u8),
    /// Server-sent events, each message with its id.
    Feed,
    /// The same without ids: what readers of several rooms share, whose ids are their own cursors.
    FeedWithoutIds,
    /// JSON and nothing around it, for the answers to polls.
    Bare,
}

impl Encoding {
    /// What a WebSocket agreed on in its handshake: the subprotocol, and the window of its compression.
    pub const fn agreed(is_protobuf: bool, deflate_window_bits: Option<u8>) -> Self {
        match (is_protobuf, deflate_window_bits) {
            (false, None) => Self::Json,
            (false, Some(bits)) => Self::JsonDeflate(bits),
            (true, None) => Self::Protobuf,
            (true, Some(bits)) => Self::ProtobufDeflate(bits),
        }
    }

    /// Whether a WebSocket speaks protobuf.
    pub const fn is_protobuf(self) -> bool {
        matches!(self, Self::Protobuf | Self::ProtobufDeflate(_))
    }

    /// The window for compressed messages.
    pub const fn deflate_window_bits(self) -> Option<u8> {
        match self {
            Self::JsonDeflate(bits) | Self::ProtobufDeflate(bits) => Some(bits),
            _ => None,
        }
    }

    /// The same without compression.
    const fn plain(self) -> Self {
        match self {
            Self::JsonDeflate(_) => Self::Json,
            Self::ProtobufDeflate(_) => Self::Protobuf,
            other => other,
        }
    }

    /// What a WebSocket's messages are in.
    const fn opcode(self) -> Opcode {
        if self.is_protobuf() { Opcode::Binary } else { Opcode::Text }
    }

    /// Writes what goes into a WebSocket's message.
    fn write_message(self, message: &Message, out: &mut Vec<u8>) {
        match self.is_protobuf() {
            true => encode_message_protobuf(message, out),
            false => encode_message(message, out),
        }
    }

    fn write_frame(self, frame: &ServerFrame<'_>, out: &mut Vec<u8>) {
        match self.is_protobuf() {
            true => frame.encode_protobuf(out),
            false => frame.encode(out),
        }
    }
}

/// Frames of consecutive messages, one behind the other.
#[derive(Debug)]
pub struct Frames {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Where each message's frame ends.
    pub ends: SmallVec<[u32; 4]>,
}

impl Frames {
    /// Where the frame of a message begins.
    pub fn start(&self, index: usize) -> u32 {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// What a batch keeps of its encodings; one or two in nearly every room.
#[derive(Debug, Default)]
pub struct Encoded(SmallVec<[(Encoding, Rc<Frames>); 1]>);

/// What encoding needs besides the messages; one per shard.
#[derive(Debug, Default)]
pub struct Tools {
    /// The compressors.
    pub deflaters: Deflaters,
    payload: Vec<u8>,
}

/// The batch's frames in an encoding; made when first asked for.
pub fn frames(batch: &mut Batch<Encoded>, encoding: Encoding, tools: &mut Tools) -> Rc<Frames> {
    if let Some((_, frames)) = batch.encoded.0.iter().find(|(known, _)| *known == encoding) {
        return Rc::clone(frames);
    }
    let frames = match encoding {
        Encoding::JsonDeflate(_) | Encoding::ProtobufDeflate(_) => deflated(batch, encoding, tools),
        Encoding::Json | Encoding::Protobuf => each(batch, |message, out| {
            tools.payload.clear();
            encoding.write_message(message, &mut tools.payload);
            encoder::frame(out, encoding.opcode(), &tools.payload);
        }),
        Encoding::Feed => each(batch, |message, out| {
            sse::id(out, &message.id.to_string());
            sse::message_event(message, out);
        }),
        Encoding::FeedWithoutIds => each(batch, sse::message_event),
        Encoding::Bare => each(batch, encode_message),
    };
    batch.encoded.0.push((encoding, Rc::clone(&frames)));
    frames
}

/// An event's frame in an encoding; made when first asked for.
pub fn event(telling: &mut Telling<Encoded>, encoding: Encoding, tools: &mut Tools) -> Rc<Frames> {
    // An event is too short to be worth inflating, and has no id.
    let encoding = match encoding.plain() {
        Encoding::Feed => Encoding::FeedWithoutIds,
        plain => plain,
    };
    if let Some((_, frames)) = telling.encoded.0.iter().find(|(known, _)| *known == encoding) {
        return Rc::clone(frames);
    }
    let (frame, mut bytes) = (telling.event.frame(), Vec::new());
    match encoding {
        Encoding::Feed | Encoding::FeedWithoutIds => sse::frame_event(&frame, &mut bytes),
        Encoding::Bare => frame.encode(&mut bytes),
        _ => answer(&frame, encoding, tools, &mut bytes),
    }
    let frames = Rc::new(Frames { ends: SmallVec::from_buf_and_len([end(&bytes), 0, 0, 0], 1), bytes });
    telling.encoded.0.push((encoding, Rc::clone(&frames)));
    frames
}

/// Appends one frame to a WebSocket's client alone, never compressed: it is too short for that, or
/// rare.
pub fn answer(frame: &ServerFrame<'_>, encoding: Encoding, tools: &mut Tools, out: &mut Vec<u8>) {
    tools.payload.clear();
    encoding.write_frame(frame, &mut tools.payload);
    encoder::frame(out, encoding.opcode(), &tools.payload);
}

/// Frames that are about as long as their payloads.
fn each(batch: &Batch<Encoded>, write: impl FnMut(&Message, &mut Vec<u8>)) -> Rc<Frames> {
    let sizes = batch.messages().iter().map(|message| message.payload.len() + ENVELOPE_BYTES);
    each_into(Vec::with_capacity(sizes.sum()), batch, write)
}

fn each_into(
    bytes: Vec<u8>,
    batch: &Batch<Encoded>,
    mut write: impl FnMut(&Message, &mut Vec<u8>),
) -> Rc<Frames> {
    let mut frames = Frames { bytes, ends: SmallVec::with_capacity(batch.messages().len()) };
    for message in batch.messages() {
        write(message, &mut frames.bytes);
        frames.ends.push(end(&frames.bytes));
    }
    Rc::new(frames)
}

/// Compressed where it pays; where it pays for no message, the plain frames serve.
fn deflated(batch: &mut Batch<Encoded>, encoding: Encoding, tools: &mut Tools) -> Rc<Frames> {
    let plain = frames(batch, encoding.plain(), tools);
    let (mut long, mut start) = (false, 0);
    for &end in &plain.ends {
        long |= (end - start) as usize >= COMPRESSED_BYTES_MIN;
        start = end;
    }
    if !long {
        return plain;
    }
    each_into(Vec::new(), batch, |message, out| {
        tools.payload.clear();
        encoding.write_message(message, &mut tools.payload);
        compressible(out, encoding, encoding.opcode(), &tools.payload, &mut tools.deflaters);
    })
}

/// Appends one frame, compressed if the encoding allows it and the payload is long enough.
pub fn compressible(
    out: &mut Vec<u8>,
    encoding: Encoding,
    opcode: Opcode,
    payload: &[u8],
    deflaters: &mut Deflaters,
) {
    match encoding.deflate_window_bits() {
        Some(bits) if payload.len() >= COMPRESSED_BYTES_MIN => {
            let bits = bits.min(window_bits_needed(payload.len()).max(9));
            encoder::compressed(out, deflaters, bits, None, opcode, payload);
        }
        _ => encoder::frame(out, opcode, payload),
    }
}

fn end(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a batch is bounded far below 4 GiB")
}

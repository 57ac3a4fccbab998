//! A batch's bytes on the wire: encoded once for all members that are spoken to alike.
//!
//! Owned by the batch while it is fanned out. Refuses to encode for a single connection.

use std::rc::Rc;

use tidings_core::{Batch, Telling};
use tidings_protocol::Message;
use tidings_protocol::server::{encode_message, sse};
use tidings_websocket::deflate::{Deflaters, window_bits_needed};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

/// Below this a compressed message saves nothing worth a client's time to inflate it.
const COMPRESSED_BYTES_MIN: usize = 256;

/// How a connection is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON in text frames.
    Json,
    /// The same, with permessage-deflate where a message is long enough, in a window of so many bits.
    JsonDeflate(u8),
    /// Server-sent events, each message with its id.
    Feed,
    /// The same without ids: what readers of several rooms share, whose ids are their own cursors.
    FeedWithoutIds,
    /// JSON and nothing around it, for the answers to polls.
    Bare,
}

/// Frames of consecutive messages, one behind the other.
#[derive(Debug)]
pub struct Frames {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Where each message's frame ends.
    pub ends: Vec<u32>,
}

impl Frames {
    /// Where the frame of a message begins.
    pub fn start(&self, index: usize) -> u32 {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// What a batch keeps of its encodings; one or two in nearly every room.
#[derive(Debug, Default)]
pub struct Encoded(Vec<(Encoding, Rc<Frames>)>);

/// What encoding needs besides the messages; one per shard.
#[derive(Debug, Default)]
pub struct Tools {
    /// The compressors.
    pub deflaters: Deflaters,
    json: Vec<u8>,
}

/// The batch's frames in an encoding; made when first asked for.
pub fn frames(batch: &mut Batch<Encoded>, encoding: Encoding, tools: &mut Tools) -> Rc<Frames> {
    if let Some((_, frames)) = batch.encoded.0.iter().find(|(known, _)| *known == encoding) {
        return Rc::clone(frames);
    }
    let frames = match encoding {
        Encoding::JsonDeflate(bits) => deflated(batch, bits, tools),
        Encoding::Json => each(batch, |message, out| {
            tools.json.clear();
            encode_message(message, &mut tools.json);
            encoder::frame(out, Opcode::Text, &tools.json);
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
    let encoding = match encoding {
        Encoding::JsonDeflate(_) => Encoding::Json,
        Encoding::Feed => Encoding::FeedWithoutIds,
        other => other,
    };
    if let Some((_, frames)) = telling.encoded.0.iter().find(|(known, _)| *known == encoding) {
        return Rc::clone(frames);
    }
    let (frame, mut bytes) = (telling.event.frame(), Vec::new());
    match encoding {
        Encoding::Feed | Encoding::FeedWithoutIds => sse::frame_event(&frame, &mut bytes),
        Encoding::Bare => frame.encode(&mut bytes),
        Encoding::Json | Encoding::JsonDeflate(_) => {
            tools.json.clear();
            frame.encode(&mut tools.json);
            encoder::frame(&mut bytes, Opcode::Text, &tools.json);
        }
    }
    let frames = Rc::new(Frames { ends: vec![end(&bytes)], bytes });
    telling.encoded.0.push((encoding, Rc::clone(&frames)));
    frames
}

fn each(batch: &Batch<Encoded>, mut write: impl FnMut(&Message, &mut Vec<u8>)) -> Rc<Frames> {
    let mut frames = Frames { bytes: Vec::new(), ends: Vec::with_capacity(batch.messages().len()) };
    for message in batch.messages() {
        write(message, &mut frames.bytes);
        frames.ends.push(end(&frames.bytes));
    }
    Rc::new(frames)
}

/// Compressed where it pays; where it pays for no message, the plain frames serve.
fn deflated(batch: &mut Batch<Encoded>, window_bits: u8, tools: &mut Tools) -> Rc<Frames> {
    let plain = frames(batch, Encoding::Json, tools);
    let (mut long, mut start) = (false, 0);
    for &end in &plain.ends {
        long |= (end - start) as usize >= COMPRESSED_BYTES_MIN;
        start = end;
    }
    if !long {
        return plain;
    }
    each(batch, |message, out| {
        tools.json.clear();
        encode_message(message, &mut tools.json);
        let encoding = Encoding::JsonDeflate(window_bits);
        compressible(out, encoding, Opcode::Text, &tools.json, &mut tools.deflaters);
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
    match encoding {
        Encoding::JsonDeflate(bits) if payload.len() >= COMPRESSED_BYTES_MIN => {
            let bits = bits.min(window_bits_needed(payload.len()).max(9));
            encoder::compressed(out, deflaters, bits, None, opcode, payload);
        }
        _ => encoder::frame(out, opcode, payload),
    }
}

fn end(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a batch is bounded far below 4 GiB")
}

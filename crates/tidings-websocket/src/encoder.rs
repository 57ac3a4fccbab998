//! Writes frames behind whatever already stands in a `Vec<u8>`, so that many can leave in one `send`.
//! Used by whoever sends. Never refuses: what could not be sent as asked (a control payload that is too long, a close
//! code that may not travel) is a fault of the caller and is cut short or left out, never put on the wire.

use crate::close;
use crate::deflate::Deflaters;
use crate::frame::{CONTROL_BYTES_MAX, FrameHeader, HeaderBytes, Opcode};
use crate::mask::{self, Mask};

/// The header alone of an unmasked, unfragmented frame; write the payload directly behind it.
pub fn header(opcode: Opcode, payload_bytes: usize) -> HeaderBytes {
    FrameHeader::whole(opcode).bytes(payload_bytes)
}

/// Appends one unmasked, unfragmented frame.
pub fn frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    frame_with(out, FrameHeader::whole(opcode), payload);
}

/// Appends one masked, unfragmented frame, as clients must; `mask` has to be fresh randomness (RFC 6455 §10.3).
pub fn masked(out: &mut Vec<u8>, mask: Mask, opcode: Opcode, payload: &[u8]) {
    frame_with(out, FrameHeader { mask: Some(mask), ..FrameHeader::whole(opcode) }, payload);
}

/// Appends one frame with a header of the caller's making. A control payload is cut at 125 bytes.
pub fn frame_with(out: &mut Vec<u8>, header: FrameHeader, payload: &[u8]) {
    let payload = match header.opcode.is_control() {
        true => &payload[..payload.len().min(CONTROL_BYTES_MAX)],
        false => payload,
    };
    out.extend_from_slice(&header.bytes(payload.len()));
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = header.mask {
        mask::apply(&mut out[start..], mask, 0);
    }
}

/// Appends a text message.
pub fn text(out: &mut Vec<u8>, text: &str) {
    frame(out, Opcode::Text, text.as_bytes());
}

/// Appends a binary message.
pub fn binary(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Binary, payload);
}

/// Appends a ping; the payload is cut at 125 bytes.
pub fn ping(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Ping, payload);
}

/// Appends a pong; the payload is cut at 125 bytes.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Pong, payload);
}

/// Appends a close frame. The reason is cut at 123 bytes; with a code that may not travel (1005, say) the frame is empty.
pub fn close(out: &mut Vec<u8>, code: u16, reason: &str) {
    close_with(out, None, code, reason);
}

/// Appends a close frame as a client sends it.
pub fn close_masked(out: &mut Vec<u8>, mask: Mask, code: u16, reason: &str) {
    close_with(out, Some(mask), code, reason);
}

/// Appends a whole text or binary message, compressed within `window_bits` (as agreed, RFC 7692 §7.1.2) where that
/// makes it shorter, plain otherwise: both are allowed once permessage-deflate is agreed on (§6).
pub fn compressed(
    out: &mut Vec<u8>,
    deflaters: &mut Deflaters,
    window_bits: u8,
    mask: Option<Mask>,
    opcode: Opcode,
    payload: &[u8],
) {
    debug_assert!(!opcode.is_control(), "control frames are never compressed (RFC 7692 §6.1)");
    let plain = FrameHeader { mask, ..FrameHeader::whole(opcode) };
    match deflaters.compress_to_scratch(window_bits, payload) {
        Some(deflated) if deflated.len() < payload.len() => {
            frame_with(out, FrameHeader { rsv1: true, ..plain }, deflated);
        }
        _ => frame_with(out, plain, payload),
    }
}

fn close_with(out: &mut Vec<u8>, mask: Option<Mask>, code: u16, reason: &str) {
    let header = FrameHeader { mask, ..FrameHeader::whole(Opcode::Close) };
    if !close::is_sendable(code) {
        return frame_with(out, header, &[]);
    }
    let reason = close::shorten(reason).as_bytes();
    let mut payload = [0; CONTROL_BYTES_MAX];
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason);
    frame_with(out, header, &payload[..2 + reason.len()]);
}

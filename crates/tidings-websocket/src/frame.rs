//! The frame header of RFC 6455 §5.2: its fields, its bytes, and the rules that need no memory of earlier frames.
//! Used by the decoder and the encoder. Refuses what no frame may say, whoever sends it: reserved opcodes, RSV2 and
//! RSV3, control frames in pieces or over 125 bytes, and lengths that are not written in their shortest form.

use crate::error::Error;
use crate::mask::Mask;

/// The most payload bytes a control frame may carry (RFC 6455 §5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// The most bytes a frame header takes: 2, a 64-bit length, a mask.
pub const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_OR_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;
const LENGTH_IN_16_BITS: u8 = 126;
const LENGTH_IN_64_BITS: u8 = 127;

/// What a frame is for (RFC 6455 §11.8). Reserved numbers have no value here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message in progress.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// A sign of life that wants an answer.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life by itself.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of the low four bits of a frame's first byte; `None` for a reserved one.
    pub fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    /// Whether frames of this opcode are control frames: whole, short, and allowed between fragments.
    pub fn is_control(self) -> bool {
        self as u8 >= 0x8
    }
}

/// Everything a frame says before its payload, but for the payload's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The last (or only) fragment of its message.
    pub fin: bool,
    /// With permessage-deflate, on the first fragment: the message is compressed (RFC 7692 §6).
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key: always `Some` from a client, always `None` from a server.
    pub mask: Option<Mask>,
}

/// A header that was read from the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The header itself.
    pub header: FrameHeader,
    /// Bytes the header took, 2 to 14.
    pub header_bytes: usize,
    /// Bytes of payload it announces, below 2^63.
    pub payload_bytes: u64,
}

/// A written header: at most 14 bytes, on the stack. Dereferences to its bytes.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBytes {
    bytes: [u8; HEADER_BYTES_MAX],
    length: u8,
}

impl FrameHeader {
    /// An unmasked, unfragmented, uncompressed frame: what a server sends most.
    pub fn whole(opcode: Opcode) -> FrameHeader {
        FrameHeader { fin: true, rsv1: false, opcode, mask: None }
    }

    /// Reads a header from the front of `bytes`; `Ok(None)` when it is not all there yet.
    ///
    /// What the first two bytes already prove wrong is refused at two bytes. Rules that depend on the role, on the
    /// negotiated extensions or on earlier frames are the decoder's.
    pub fn parse(bytes: &[u8]) -> Result<Option<Parsed>, Error> {
        let [first, second, after @ ..] = bytes else { return Ok(None) };
        let opcode = check_first_two(*first, *second)?;
        let Some((payload_bytes, length_bytes)) = read_length(*second & !MASKED, after)? else {
            return Ok(None);
        };
        let (mask, mask_bytes) = if second & MASKED == 0 {
            (None, 0)
        } else {
            let Some(mask) = after[length_bytes..].first_chunk::<4>() else { return Ok(None) };
            (Some(*mask), 4)
        };
        let header = FrameHeader { fin: first & FIN != 0, rsv1: first & RSV1 != 0, opcode, mask };
        Ok(Some(Parsed { header, header_bytes: 2 + length_bytes + mask_bytes, payload_bytes }))
    }

    /// The header's bytes for a payload of `payload_bytes`, to be followed directly by that payload.
    pub fn bytes(self, payload_bytes: usize) -> HeaderBytes {
        let mut out = HeaderBytes { bytes: [0; HEADER_BYTES_MAX], length: 0 };
        let fin = if self.fin { FIN } else { 0 };
        let rsv1 = if self.rsv1 { RSV1 } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(&[fin | rsv1 | self.opcode as u8]);
        match payload_bytes {
            0..=125 => out.push(&[masked | payload_bytes as u8]),
            126..=0xFFFF => {
                out.push(&[masked | LENGTH_IN_16_BITS]);
                out.push(&(payload_bytes as u16).to_be_bytes());
            }
            _ => {
                out.push(&[masked | LENGTH_IN_64_BITS]);
                out.push(&(payload_bytes as u64).to_be_bytes());
            }
        }
        out.push(self.mask.as_ref().map_or(&[], |mask| mask.as_slice()));
        out
    }
}

fn check_first_two(first: u8, second: u8) -> Result<Opcode, Error> {
    if first & RSV2_OR_RSV3 != 0 {
        return Err(Error::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(Error::ReservedOpcode { opcode: first & 0x0F })?;
    if opcode.is_control() {
        if first & FIN == 0 {
            return Err(Error::ControlFragmented);
        }
        if usize::from(second & !MASKED) > CONTROL_BYTES_MAX {
            return Err(Error::ControlTooLong);
        }
    }
    Ok(opcode)
}

/// The payload length and how many bytes its extended form took.
///
/// §5.2 says that the minimal number of bytes MUST be used; a longer form is refused, so that one frame has one
/// spelling and nothing can hide behind a parser that reads it otherwise.
fn read_length(seven_bits: u8, after: &[u8]) -> Result<Option<(u64, usize)>, Error> {
    match seven_bits {
        LENGTH_IN_16_BITS => {
            let Some(bytes) = after.first_chunk::<2>() else { return Ok(None) };
            let length = u16::from_be_bytes(*bytes);
            if length < u16::from(LENGTH_IN_16_BITS) {
                return Err(Error::LengthNotMinimal);
            }
            Ok(Some((length.into(), 2)))
        }
        LENGTH_IN_64_BITS => {
            let Some(bytes) = after.first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*bytes);
            if length >> 63 != 0 {
                return Err(Error::LengthTopBit);
            }
            if length <= u64::from(u16::MAX) {
                return Err(Error::LengthNotMinimal);
            }
            Ok(Some((length, 8)))
        }
        short => Ok(Some((short.into(), 0))),
    }
}

impl HeaderBytes {
    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u8;
    }
}

impl std::ops::Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameHeader, Opcode};

    #[test]
    fn a_written_header_reads_back_the_same_at_every_length_form() {
        for payload_bytes in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, 16 << 20] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader { fin: false, rsv1: true, opcode: Opcode::Binary, mask };
                let bytes = header.bytes(payload_bytes);
                let parsed = FrameHeader::parse(&bytes).unwrap().unwrap();
                assert_eq!(parsed.header, header);
                assert_eq!(parsed.payload_bytes, payload_bytes as u64);
                assert_eq!(parsed.header_bytes, bytes.len());
                for cut in 0..bytes.len() {
                    assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None), "cut at {cut}");
                }
            }
        }
    }
}

//! The cheap way through a server's bytes: frame headers by hand, stamps and ids at the places where they stood in the
//! last message. Pure. It trusts the server to speak WebSocket; that it does is other tests' business.

use crate::bench::payload::{MARK, Stamp};

/// A text frame's first byte when it comes whole and uncompressed, as every message does.
pub(crate) const WHOLE_TEXT: u8 = 0x81;
const ID_KEY: &[u8] = b"\"id\":";
/// Digits of an id: microseconds since 1970, until the year 2286.
const ID_DIGITS: usize = 16;

/// The whole frames at the front of some bytes, in order.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    consumed: usize,
}

/// One frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// FIN, reserved bits and opcode.
    pub(crate) first_byte: u8,
    pub(crate) payload: &'a [u8],
    /// Header and payload.
    pub(crate) whole: &'a [u8],
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, consumed: 0 }
    }

    /// How many bytes the frames returned so far took.
    pub(crate) fn consumed(&self) -> usize {
        self.consumed
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let bytes = &self.bytes[self.consumed..];
        let (length, header_bytes): (usize, usize) = match bytes {
            [_, 126, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 4),
            [_, 127, rest @ ..] => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
            [_, 126, ..] => return None,
            [_, length, ..] => (usize::from(*length), 2),
            _ => return None,
        };
        let whole = bytes.get(..header_bytes.checked_add(length)?)?;
        self.consumed += whole.len();
        Some(Frame { first_byte: whole[0], payload: &whole[header_bytes..], whole })
    }
}

/// Finds the stamp and the id in a message's JSON, first where they were last time.
#[derive(Debug, Default)]
pub(crate) struct Recogniser {
    stamp_at: usize,
    id_at: usize,
}

impl Recogniser {
    /// The stamp, if this is a benchmark's message.
    pub(crate) fn stamp(&mut self, payload: &[u8]) -> Option<Stamp> {
        if payload.get(self.stamp_at) != Some(&MARK) {
            self.stamp_at = payload.iter().position(|byte| *byte == MARK)?;
        }
        Stamp::read(&payload[self.stamp_at..])
    }

    /// The id's digits as a number that grows as the id does: all ids have as many digits.
    pub(crate) fn id(&mut self, payload: &[u8]) -> Option<u128> {
        if payload.get(self.id_at.wrapping_sub(ID_KEY.len())..self.id_at) != Some(ID_KEY) {
            let found = payload.windows(ID_KEY.len()).position(|window| window == ID_KEY)?;
            self.id_at = found + ID_KEY.len();
        }
        let digits = payload[self.id_at..].first_chunk::<ID_DIGITS>()?;
        Some(u128::from_be_bytes(*digits))
    }
}

#[cfg(test)]
mod tests {
    use tidings_websocket::encoder;

    use super::*;

    #[test]
    fn frames_of_every_length_form_are_found_and_the_unfinished_one_is_left() {
        let mut bytes = Vec::new();
        for length in [0, 5, 125, 126, 70_000] {
            encoder::binary(&mut bytes, &vec![b'x'; length]);
        }
        let whole = bytes.len();
        encoder::text(&mut bytes, "not all of this has come");
        for cut in whole..bytes.len() {
            let mut frames = Frames::new(&bytes[..cut]);
            let lengths: Vec<usize> = frames.by_ref().map(|frame| frame.payload.len()).collect();
            assert_eq!(lengths, [0, 5, 125, 126, 70_000]);
            assert_eq!(frames.consumed(), whole);
        }
    }

    #[test]
    fn stamp_and_id_are_found_wherever_they_stand() {
        let mut recogniser = Recogniser::default();
        let stamp = Stamp { at_ns: 5, sequence: 6, publisher: 7 };
        let mut text = Vec::new();
        stamp.write(&mut text, 40);
        let text = String::from_utf8(text).unwrap();
        let mut last = 0;
        for frame in [
            format!(r#"{{"type":"message","room":"a","id":1790000000000001,"text":"{text}"}}"#),
            format!(r#"{{"type":"message","room":"longer","id":1790000000000002,"text":"{text}"}}"#),
            format!(r#"{{"text":"{text}","id":1790000000000010}}"#),
        ] {
            assert_eq!(recogniser.stamp(frame.as_bytes()), Some(stamp));
            let id = recogniser.id(frame.as_bytes()).unwrap();
            assert!(id > last);
            last = id;
        }
        assert_eq!(recogniser.stamp(br#"{"type":"session"}"#), None);
    }
}

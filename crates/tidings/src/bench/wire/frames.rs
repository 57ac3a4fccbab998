//! The cheap way through a WebSocket's bytes: frame headers by hand. Pure. It trusts the server to speak WebSocket; that
//! it does is other tests' business.

/// A text frame's first byte when it comes whole and uncompressed, as every message does.
pub(crate) const WHOLE_TEXT: u8 = 0x81;

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
}

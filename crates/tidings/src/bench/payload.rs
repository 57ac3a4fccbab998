//! What a benchmark's message says: when it was published, by whom, and as their how-manyth.
//!
//! `~`, 16 hexadecimal digits of nanoseconds, 8 of the sequence number, 8 of the publisher's connection, then padding.
//! The `~` stands nowhere else in a frame, so that a reader finds the stamp without parsing JSON. Pure.

/// Bytes of a stamp.
pub(crate) const STAMP_BYTES: usize = 1 + 16 + 8 + 8;
/// Where a stamp begins.
pub(crate) const MARK: u8 = b'~';

/// The beginning of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When it was published; see [`clock`](super::clock).
    pub(crate) at_ns: u64,
    /// 0 for a publisher's first message, then one more each time.
    pub(crate) sequence: u32,
    /// The number of the connection that published it.
    pub(crate) publisher: u32,
}

impl Stamp {
    /// Writes a payload of `bytes` bytes, at least [`STAMP_BYTES`].
    pub(crate) fn write(self, out: &mut Vec<u8>, bytes: usize) {
        let start = out.len();
        out.push(MARK);
        push_hex(out, self.at_ns, 16);
        push_hex(out, self.sequence.into(), 8);
        push_hex(out, self.publisher.into(), 8);
        out.resize(start + bytes.max(STAMP_BYTES), b'.');
    }

    /// Reads the stamp at the front of `bytes`, but for its time: few messages need that.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<STAMP_BYTES>()?;
        if bytes[0] != MARK {
            return None;
        }
        let (at_ns, sequence, publisher) =
            (read_hex(&bytes[1..17]), read_hex(&bytes[17..25]), read_hex(&bytes[25..33]));
        Some(Self { at_ns, sequence: sequence as u32, publisher: publisher as u32 })
    }
}

fn push_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    out.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(value >> (digit * 4)) as usize & 15]));
}

/// The value of hexadecimal digits; other bytes give some value or other, as a damaged stamp would anyway.
fn read_hex(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| {
        let digit = (digit & 15) + 9 * (digit >> 6);
        value << 4 | u64::from(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_and_fills_its_payload() {
        let stamp = Stamp { at_ns: 0x0123_4567_89ab_cdef, sequence: 0xdead_beef, publisher: 42 };
        let mut payload = Vec::new();
        stamp.write(&mut payload, 128);
        assert_eq!(payload.len(), 128);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(payload.iter().filter(|byte| **byte == MARK).count(), 1);
        assert_eq!(Stamp::read(&payload[..20]), None);
    }
}

//! The inflater, shared by all connections of a thread, with the buffer it inflates into.
//! Owned by the decoder's scratch. Refuses data that is no DEFLATE, and stops at the message limit while inflating, so
//! that a compression bomb costs no more than an honest message of the greatest size.

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::error::Error;

/// The buffer's first size: most messages of a message bus fit.
const BUFFER_BYTES_FIRST: usize = 4096;

/// The most compressed bytes that are taken in for a message of at most `message_bytes_max`.
///
/// Compressing incompressible bytes makes them longer: by an eighth with the fixed code that fast compressors use, or by
/// five bytes per stored block. Over that, the sender wastes our memory.
pub(crate) fn deflated_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 8).saturating_add(64)
}

/// One inflater with the widest window (it reads what was compressed with any) and its output.
#[derive(Debug)]
pub(crate) struct Inflater {
    inflate: Decompress,
    /// Kept as long as it grew: at most one byte over the message limit, once per thread.
    output: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater { inflate: Decompress::new(false), output: Vec::new() }
    }

    pub(crate) fn buffer_bytes(&self) -> usize {
        self.output.capacity()
    }

    /// Inflates one whole message, given without its tail.
    pub(crate) fn inflate(&mut self, deflated: &[u8], message_bytes_max: usize) -> Result<&[u8], Error> {
        self.inflate.reset(false);
        let mut written = 0;
        let mut left = deflated;
        for (input, is_tail) in [(deflated, false), (TAIL.as_slice(), true)] {
            left = input;
            loop {
                self.make_room(written, message_bytes_max)?;
                let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
                let output = &mut self.output[written..];
                let room = output.len();
                let status = self.inflate.decompress(left, output, FlushDecompress::Sync);
                let status = status.map_err(|_| Error::CompressionInvalid)?;
                left = &left[(self.inflate.total_in() - in_before) as usize..];
                let grown = (self.inflate.total_out() - out_before) as usize;
                written += grown;
                if written > message_bytes_max {
                    return Err(Error::MessageTooBig { limit_bytes: message_bytes_max });
                }
                if status == Status::StreamEnd {
                    return self.after_final_block(left, is_tail, written);
                }
                // With room left in the output, the inflater has said all it can about this input.
                if grown < room {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(Error::CompressionInvalid);
            }
        }
        debug_assert!(left.is_empty());
        Ok(&self.output[..written])
    }

    /// Some compressors end a message with a final block, and a zero byte to stand for the empty one (RFC 7692
    /// §7.2.3.4). More than that behind a final block would be lost silently, and is refused.
    fn after_final_block(&self, left: &[u8], is_tail: bool, written: usize) -> Result<&[u8], Error> {
        match (left, is_tail) {
            ([] | [0x00], false) | (_, true) => Ok(&self.output[..written]),
            _ => Err(Error::CompressionInvalid),
        }
    }

    /// Doubles the output when it is full, up to one byte over the limit: the byte that proves a message too big.
    fn make_room(&mut self, written: usize, message_bytes_max: usize) -> Result<(), Error> {
        let bytes_max = message_bytes_max.saturating_add(1);
        if written < self.output.len().min(bytes_max) {
            return Ok(());
        }
        if written >= bytes_max {
            return Err(Error::MessageTooBig { limit_bytes: message_bytes_max });
        }
        let doubled = self.output.len().saturating_mul(2).max(BUFFER_BYTES_FIRST).min(bytes_max);
        // Exactly, for `Vec` would double once more for the last byte.
        self.output.reserve_exact(doubled - self.output.len());
        self.output.resize(doubled, 0);
        Ok(())
    }
}

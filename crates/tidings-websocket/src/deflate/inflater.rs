//! The inflater, shared by all connections of a thread, with the buffer it inflates into.
//! Owned by the decoder's scratch. Refuses data that is no DEFLATE, and stops at the message limit while inflating, so
//! that a compression bomb costs no more than an honest message of the greatest size.

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::Error;

/// The tail that the sender removed ([`super::TAIL`]), then [`FINAL_BLOCK`].
const END: [u8; 9] = [0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF];

/// A final block without content. It ends the stream only where a block may begin, so a message that stopped inside one
/// is found out, instead of its beginning passing for all of it. (Only a stored block that lacks just the four bytes of
/// the tail swallows them unseen.)
const FINAL_BLOCK: &[u8] = &[0x01, 0x00, 0x00, 0xFF, 0xFF];

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
        let is_whole = match self.feed(deflated, &mut written, message_bytes_max)? {
            // Some compressors end a message with a final block, and a zero byte to stand for the empty one (RFC 7692
            // §7.2.3.4). More than that behind a final block would be lost silently.
            Some(left) => matches!(left, [] | [0x00]),
            // A final block may also end with the tail.
            None => matches!(self.feed(&END, &mut written, message_bytes_max)?, Some([] | FINAL_BLOCK)),
        };
        if is_whole { Ok(&self.output[..written]) } else { Err(Error::CompressionInvalid) }
    }

    /// Inflates `input` behind what is `written`; answers what is left of it behind a final block, if one came.
    fn feed<'a>(
        &mut self,
        mut input: &'a [u8],
        written: &mut usize,
        message_bytes_max: usize,
    ) -> Result<Option<&'a [u8]>, Error> {
        loop {
            self.make_room(*written, message_bytes_max)?;
            let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
            let output = &mut self.output[*written..];
            let room = output.len();
            let status = self.inflate.decompress(input, output, FlushDecompress::Sync);
            let status = status.map_err(|_| Error::CompressionInvalid)?;
            input = &input[(self.inflate.total_in() - in_before) as usize..];
            let grown = (self.inflate.total_out() - out_before) as usize;
            *written += grown;
            if *written > message_bytes_max {
                return Err(Error::MessageTooBig { limit_bytes: message_bytes_max });
            }
            if status == Status::StreamEnd {
                return Ok(Some(input));
            }
            // With room left in the output, the inflater has said all it can about this input.
            if grown < room {
                return if input.is_empty() { Ok(None) } else { Err(Error::CompressionInvalid) };
            }
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

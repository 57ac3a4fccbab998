//! Compressors, shared by all connections of a thread, one for each window size in use, made when first needed.
//! Owned by whoever encodes for that thread. Refuses (by answering `None`) what would need a window it cannot keep.

use flate2::{Compress, Compression, FlushCompress};

use super::{TAIL, WINDOW_BITS};

/// zlib's raw DEFLATE has no 256-byte window: it silently takes 512. See [`Deflaters::compress`] for window 8.
const COMPRESSOR_WINDOW_BITS_MIN: u8 = 9;

/// The least work that still compresses: on a message bus the processor is scarcer than the wire, and without context
/// takeover there is little for a longer search to find.
const LEVEL: u32 = 1;

/// The smallest window (8 to 15 bits) in which a message of `payload_bytes` can be compressed without restraint.
///
/// Without context takeover no reference reaches further back than the message's own start, so a message compressed
/// with any window inflates in this one: a frame may be shared by all connections that agreed on at least this much.
pub fn window_bits_needed(payload_bytes: usize) -> u8 {
    WINDOW_BITS.clone().find(|bits| payload_bytes <= 1 << bits).unwrap_or(*WINDOW_BITS.end())
}

/// The compressors of one thread. Each takes some 380 KB, so never one per connection.
#[derive(Debug, Default)]
pub struct Deflaters {
    /// Index 0 is the smallest window.
    compressors: [Option<Compress>; 7],
    buffer: Vec<u8>,
}

impl Deflaters {
    /// No compressor yet.
    pub fn new() -> Deflaters {
        Deflaters::default()
    }

    /// Appends `payload`, compressed as one message's payload (without the `00 00 FF FF` tail), to `out` and answers
    /// `true`; or leaves `out` alone and answers `false` when this cannot be done within `window_bits`, which
    /// happens with a window of 8 and more than 256 bytes only. Such a message is to be sent uncompressed.
    ///
    /// # Panics
    /// When `window_bits` is not 8 to 15: no negotiation agrees on that.
    #[must_use]
    pub fn compress(&mut self, window_bits: u8, payload: &[u8], out: &mut Vec<u8>) -> bool {
        assert!(
            WINDOW_BITS.contains(&window_bits),
            "window bits are negotiated as 8 to 15, not {window_bits}"
        );
        if payload.is_empty() {
            // RFC 7692 §7.2.3.6: one empty block, its length stripped with the tail.
            out.push(0x00);
            return true;
        }
        // The widest compressor serves all messages that fit the window whole, so most threads only ever make one.
        let window_bits = match window_bits >= window_bits_needed(payload.len()) {
            true => *WINDOW_BITS.end(),
            false => window_bits,
        };
        if window_bits < COMPRESSOR_WINDOW_BITS_MIN {
            return false;
        }
        run(self.compressor(window_bits), payload, out);
        true
    }

    /// As [`Deflaters::compress`], into a buffer that lives here and is used again for the next message.
    pub(crate) fn compress_to_scratch(&mut self, window_bits: u8, payload: &[u8]) -> Option<&[u8]> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let done = self.compress(window_bits, payload, &mut buffer);
        self.buffer = buffer;
        done.then_some(self.buffer.as_slice())
    }

    fn compressor(&mut self, window_bits: u8) -> &mut Compress {
        let slot = &mut self.compressors[usize::from(window_bits - COMPRESSOR_WINDOW_BITS_MIN)];
        let compressor = slot.get_or_insert_with(|| {
            Compress::new_with_window_bits(Compression::new(LEVEL), false, window_bits)
        });
        compressor.reset();
        compressor
    }
}

fn run(compressor: &mut Compress, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Room for the worst case at once (nine bits per byte): zlib repeats the tail when it has to ask for more space.
    out.reserve(payload.len() + payload.len() / 8 + 64);
    loop {
        let consumed = compressor.total_in() as usize;
        let status = compressor.compress_vec(&payload[consumed..], out, FlushCompress::Sync);
        status.expect("a compressor that was reset takes any bytes");
        if compressor.total_in() as usize == payload.len() && out.len() < out.capacity() {
            break;
        }
        out.reserve(64);
    }
    assert!(out[start..].ends_with(&TAIL), "a sync flush ends with an empty stored block");
    out.truncate(out.len() - TAIL.len());
}

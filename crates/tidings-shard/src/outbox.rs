//! What waits for a client because the kernel did not take it.
//!
//! Owned by the connection while it is blocked, absent otherwise. Shares the bytes of batches
//! instead of copying them: a thousand slow readers of one room cost its bytes once. It refuses
//! nothing; the shard asks for its size before it adds.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::encoding::Frames;

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    parts: VecDeque<Part>,
    bytes: usize,
}

/// A stretch of bytes.
#[derive(Debug)]
pub enum Part {
    /// Of a batch.
    Shared {
        /// The batch's frames.
        frames: Rc<Frames>,
        /// First byte.
        start: u32,
        /// Byte after the last.
        end: u32,
    },
    /// Of the connection's own.
    Own {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many of them were sent. Moving the rest to the front at each short write would cost
        /// a large echo the square of its size.
        sent: usize,
    },
}

impl Part {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared { frames, start, end } => &frames.bytes[*start as usize..*end as usize],
            Self::Own { bytes, sent } => &bytes[*sent..],
        }
    }

    fn skip(&mut self, count: usize) {
        match self {
            Self::Shared { start, .. } => {
                *start += u32::try_from(count).expect("no more than the part has");
            }
            Self::Own { sent, .. } => *sent += count,
        }
    }
}

impl Outbox {
    /// Bytes that wait.
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a part at the end, without its first `sent` bytes.
    pub fn push(&mut self, mut part: Part, sent: usize) {
        let len = part.bytes().len();
        if sent < len {
            part.skip(sent);
            self.bytes += len - sent;
            self.parts.push_back(part);
        }
    }

    /// Copies what comes next, about `bytes_max`, so that one call can send it.
    pub fn gather(&self, bytes_max: usize, into: &mut Vec<u8>) {
        for part in &self.parts {
            let room = bytes_max.saturating_sub(into.len());
            if room == 0 {
                break;
            }
            let bytes = part.bytes();
            into.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// So many bytes were sent.
    pub fn sent(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(first) = self.parts.front_mut() {
            let len = first.bytes().len();
            if count < len {
                first.skip(count);
                break;
            }
            count -= len;
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_whatever_the_kernel_takes() {
        let frames = Rc::new(Frames { bytes: b"abcdefghij".to_vec(), ends: [10].as_slice().into() });
        for step in 1..=16 {
            let mut outbox = Outbox::default();
            outbox.push(Part::Shared { frames: Rc::clone(&frames), start: 2, end: 8 }, 1);
            outbox.push(Part::Own { bytes: b"0123456789".to_vec(), sent: 0 }, 0);
            outbox.push(Part::Own { bytes: Vec::new(), sent: 0 }, 0);
            let mut sent = Vec::new();
            while !outbox.is_empty() {
                let mut gathered = Vec::new();
                outbox.gather(step, &mut gathered);
                assert!(gathered.len() <= step);
                outbox.sent(gathered.len());
                sent.extend(gathered);
            }
            assert_eq!(sent, b"defgh0123456789");
        }
    }
}

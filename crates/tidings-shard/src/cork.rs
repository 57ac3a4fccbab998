//! The cork: what one turn wants to send, connection by connection, until the turn's end lets it
//! out with one system call each.
//!
//! Owned by the shard, emptied every turn. A connection's list is two numbers in its record; the
//! entries lie here. Refuses to know sockets.

use std::rc::Rc;

use crate::encoding::Frames;
use crate::outbox::Part;

/// A connection's list in the cork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List {
    first: u32,
    last: u32,
    /// Bytes in it.
    pub bytes: u32,
}

impl List {
    /// Nothing to send.
    pub const EMPTY: Self = Self { first: NONE, last: NONE, bytes: 0 };

    /// Whether there is nothing to send.
    pub const fn is_empty(self) -> bool {
        self.first == NONE
    }
}

const NONE: u32 = u32::MAX;
/// The source of an entry whose bytes are the connection's own.
const OWN: u32 = u32::MAX;
/// The source of a stretch that was copied together.
const GATHERED: u32 = u32::MAX - 1;

/// Bytes in one piece, until the turn's end; gathered ones until [`Cork::forget_gathered`].
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    source: u32,
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    stretch: Stretch,
    next: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cork {
    entries: Vec<Entry>,
    shared: Vec<Rc<Frames>>,
    own: Vec<u8>,
    /// Copies of lists that were no single stretch.
    gathered: Vec<u8>,
}

impl Cork {
    /// Adds a stretch of a batch to a list.
    pub fn push_shared(&mut self, list: &mut List, frames: &Rc<Frames>, start: u32, end: u32) {
        // Members of a room come one after the other, so the batch is nearly always the last one.
        if !self.shared.last().is_some_and(|last| Rc::ptr_eq(last, frames)) {
            self.shared.push(Rc::clone(frames));
        }
        self.push(list, index(self.shared.len() - 1), start, end);
    }

    /// Adds bytes of the connection's own, which `write` appends.
    pub fn push_own(&mut self, list: &mut List, write: impl FnOnce(&mut Vec<u8>)) {
        let start = index(self.own.len());
        write(&mut self.own);
        let end = index(self.own.len());
        // Answers to one connection mostly follow each other: then they are one stretch.
        let joins = (list.last != NONE).then(|| &mut self.entries[list.last as usize]);
        match joins.filter(|last| last.stretch.source == OWN && last.stretch.end == start) {
            Some(last) => {
                last.stretch.end = end;
                list.bytes += end - start;
            }
            None => self.push(list, OWN, start, end),
        }
    }

    fn push(&mut self, list: &mut List, source: u32, start: u32, end: u32) {
        let entry = index(self.entries.len());
        self.entries.push(Entry { stretch: Stretch { source, start, end }, next: NONE });
        match list.last {
            NONE => list.first = entry,
            last => self.entries[last as usize].next = entry,
        }
        list.last = entry;
        list.bytes += end - start;
    }

    /// The list's bytes in one piece: where they lie, if they are one stretch, else copied together.
    /// Copying small frames and sending once beats `writev` by about 15 %.
    pub fn gather(&mut self, list: List) -> Stretch {
        if list.first == list.last && list.first != NONE {
            return self.entries[list.first as usize].stretch;
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        let start = index(gathered.len());
        for stretch in self.stretches(list) {
            gathered.extend_from_slice(self.bytes(stretch));
        }
        self.gathered = gathered;
        Stretch { source: GATHERED, start, end: index(self.gathered.len()) }
    }

    /// The bytes of a stretch.
    pub fn bytes(&self, Stretch { source, start, end }: Stretch) -> &[u8] {
        let bytes = match source {
            GATHERED => &self.gathered,
            OWN => &self.own,
            shared => &self.shared[shared as usize].bytes,
        };
        &bytes[start as usize..end as usize]
    }

    /// Bytes that were copied together and not yet forgotten.
    pub const fn gathered_bytes(&self) -> usize {
        self.gathered.len()
    }

    /// What was copied together has been sent.
    pub fn forget_gathered(&mut self) {
        self.gathered.clear();
    }

    /// The list's stretches, to be kept beyond the turn.
    pub fn parts(&self, list: List) -> impl Iterator<Item = Part> {
        self.stretches(list).map(|stretch| match self.shared.get(stretch.source as usize) {
            Some(frames) => {
                Part::Shared { frames: Rc::clone(frames), start: stretch.start, end: stretch.end }
            }
            None => Part::Own { bytes: self.bytes(stretch).to_vec(), sent: 0 },
        })
    }

    /// Whether so much is corked that it should be let out before the turn's end.
    pub const fn is_full(&self) -> bool {
        self.own.len() >= OWN_BYTES_MAX
    }

    /// The turn is over and every list has been let out.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.shared.clear();
        self.own.clear();
        self.gathered.clear();
        // A turn that answered with megabytes should not be remembered by its memory.
        self.own.shrink_to(OWN_BYTES_KEPT);
        self.gathered.shrink_to(OWN_BYTES_KEPT);
        self.entries.shrink_to(ENTRIES_KEPT);
    }

    fn stretches(&self, list: List) -> impl Iterator<Item = Stretch> {
        let mut at = list.first;
        std::iter::from_fn(move || {
            let entry = *self.entries.get(at as usize)?;
            at = entry.next;
            Some(entry.stretch)
        })
    }
}

/// Answers can be large and many, and places in the cork are 32 bits.
const OWN_BYTES_MAX: usize = 16 * 1024 * 1024;
const OWN_BYTES_KEPT: usize = 64 * 1024;
const ENTRIES_KEPT: usize = 4_096;

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("a turn's output is bounded far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_gets_its_own_bytes_in_order() {
        let frames = Rc::new(Frames { bytes: b"onetwo".to_vec(), ends: [3, 6].as_slice().into() });
        let (mut cork, mut ana, mut ben) = (Cork::default(), List::EMPTY, List::EMPTY);
        cork.push_own(&mut ana, |out| out.extend(b"a"));
        cork.push_shared(&mut ana, &frames, 0, 6);
        cork.push_shared(&mut ben, &frames, 3, 6);
        cork.push_own(&mut ana, |out| out.extend(b"b"));
        cork.push_own(&mut ana, |out| out.extend(b"c"));
        let (for_ana, for_ben) = (cork.gather(ana), cork.gather(ben));
        assert_eq!(cork.bytes(for_ana), b"aonetwobc");
        assert_eq!(cork.bytes(for_ben), b"two");
        assert_eq!((ana.bytes, ben.bytes), (9, 3));
        let parts: Vec<u8> = cork.parts(ana).flat_map(|part| part.bytes().to_vec()).collect();
        assert_eq!(parts, b"aonetwobc");
        assert!(List::EMPTY.is_empty());
        let nothing = cork.gather(List::EMPTY);
        assert_eq!(cork.bytes(nothing), b"");
    }
}

//! Which line leads to a slot: to the master that has it, as far as this node knows.
//!
//! Independent servers have one line for all slots. Read for every request, so without a lock. Refuses to
//! find out: the topology and redirections write it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::slots::{SLOTS, Slot};

/// A line's number; never given twice by a server.
pub(crate) type LineNumber = u32;

/// What stands for no line at all.
pub(crate) const NOWHERE: LineNumber = u32::MAX;

/// See the module.
pub(crate) struct Routes(Box<[AtomicU32]>);

impl Routes {
    /// All slots by one line; [`NOWHERE`] for a Cluster that is not known yet.
    pub(crate) fn all_by(line: LineNumber) -> Self {
        Self((0..SLOTS).map(|_| AtomicU32::new(line)).collect())
    }

    pub(crate) fn line_of(&self, slot: Slot) -> LineNumber {
        self.0[slot.index()].load(Ordering::Acquire)
    }

    /// Says whether that is news.
    pub(crate) fn set(&self, slot: Slot, line: LineNumber) -> bool {
        self.0[slot.index()].swap(line, Ordering::AcqRel) != line
    }

    /// Whether a line leads to some slot, and whether each slot has one.
    pub(crate) fn leads_somewhere(&self, line: LineNumber) -> bool {
        self.0.iter().any(|known| known.load(Ordering::Acquire) == line)
    }
}

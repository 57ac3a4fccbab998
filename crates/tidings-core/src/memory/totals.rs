//! What all stripes hold together, readable without a lock.
//!
//! Owned by the memory engine. Refuses to let the rooms grow beyond their limit.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::engine::EngineGauges;

#[derive(Default)]
pub(crate) struct Totals {
    rooms: AtomicUsize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

/// Messages taken out of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Totals {
    /// Counts one more room, unless there are as many as there may be.
    pub(crate) fn reserve_room(&self, rooms_max: usize) -> bool {
        self.rooms.fetch_update(Relaxed, Relaxed, |rooms| (rooms < rooms_max).then_some(rooms + 1)).is_ok()
    }

    /// Counts one more room, whatever the limit: one that has members, which the shards bound.
    pub(crate) fn add_room(&self) {
        self.rooms.fetch_add(1, Relaxed);
    }

    pub(crate) fn remove_room(&self) {
        self.rooms.fetch_sub(1, Relaxed);
    }

    pub(crate) fn add_message(&self, bytes: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn subtract(&self, trimmed: Trimmed) {
        if trimmed.messages > 0 {
            self.messages.fetch_sub(trimmed.messages, Relaxed);
            self.bytes.fetch_sub(trimmed.bytes, Relaxed);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn gauges(&self) -> EngineGauges {
        EngineGauges {
            rooms: self.rooms.load(Relaxed),
            messages: self.messages.load(Relaxed),
            bytes: self.bytes(),
        }
    }
}

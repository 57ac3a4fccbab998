//! Remembers which idempotency keys were used, so that a repeated publication is no second message.
//!
//! Owned by the memory engine. Refuses to remember longer than the window or more than the limit:
//! the oldest key is forgotten first.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_protocol::{Limits, MessageId, RoomName};

use crate::engine::{IdempotencyKey, Timestamp};

/// Keys are spread over this many locks; each holds its share of the limit.
const SHELVES: usize = 16;

/// Expired keys dropped for every key that is added: more than one, so that they never pile up.
const DROPPED_PER_ADDED: usize = 2;

/// What makes two publications one.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Repeat {
    pub(crate) room: RoomName,
    pub(crate) key: IdempotencyKey,
}

pub(crate) struct Repeats {
    shelves: Vec<Mutex<Shelf>>,
    keys_max: usize,
    window_us: u64,
    hasher: RandomState,
}

#[derive(Default)]
struct Shelf {
    keys: HashMap<Arc<Repeat>, Remembered>,
    /// In the order they were added, with the time each is remembered until.
    order: VecDeque<(Arc<Repeat>, Timestamp)>,
}

struct Remembered {
    id: MessageId,
    until: Timestamp,
}

impl Repeats {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
            keys_max: limits.idempotency_keys_max.div_ceil(SHELVES),
            window_us: limits.idempotency_window_ms.saturating_mul(1_000),
            hasher: RandomState::new(),
        }
    }

    /// The id that an earlier publication with the same key has.
    pub(crate) fn find(&self, now: Timestamp, repeat: &Repeat) -> Option<MessageId> {
        let shelf = self.shelf(repeat);
        shelf.keys.get(repeat).filter(|remembered| now < remembered.until).map(|remembered| remembered.id)
    }

    /// Remembers a key. The caller holds the room's lock since it asked [`Repeats::find`].
    pub(crate) fn remember(&self, now: Timestamp, repeat: Repeat, id: MessageId) {
        let mut shelf = self.shelf(&repeat);
        shelf.expire(now, DROPPED_PER_ADDED);
        let until = Timestamp(now.0.saturating_add(self.window_us));
        let repeat = Arc::new(repeat);
        shelf.order.push_back((Arc::clone(&repeat), until));
        shelf.keys.insert(repeat, Remembered { id, until });
        while shelf.order.len() > self.keys_max {
            shelf.drop_oldest();
        }
    }

    /// Drops expired keys, at most so many.
    pub(crate) fn expire(&self, now: Timestamp, keys_max: usize) {
        for shelf in &self.shelves {
            lock(shelf).expire(now, keys_max / SHELVES);
        }
    }

    fn shelf(&self, repeat: &Repeat) -> MutexGuard<'_, Shelf> {
        let place = self.hasher.hash_one(repeat) % SHELVES as u64;
        lock(&self.shelves[usize::try_from(place).expect("a shelf's number is small")])
    }
}

impl Shelf {
    fn expire(&mut self, now: Timestamp, keys_max: usize) {
        for _ in 0..keys_max {
            if self.order.front().is_none_or(|(_, until)| now < *until) {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((repeat, until)) = self.order.pop_front() else { return };
        // A key that expired and was used again has a younger entry further back.
        if self.keys.get(&repeat).is_some_and(|remembered| remembered.until == until) {
            self.keys.remove(&repeat);
        }
    }
}

/// Every step under the lock leaves the shelf usable.
fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_used_again_outlives_its_first_use() {
        let limits = Limits { idempotency_window_ms: 1, ..Limits::default() };
        let repeats = Repeats::new(&limits);
        let room = RoomName::new("r", &limits).unwrap();
        let repeat = |name: &str| Repeat {
            room: room.clone(),
            key: IdempotencyKey { session: None, reference: name.into() },
        };
        // So many keys expire that the first use is still waiting to be dropped at the second.
        for number in 0..1_000 {
            repeats.remember(Timestamp(0), repeat(&format!("early {number}")), MessageId(1));
        }
        repeats.remember(Timestamp(0), repeat("again"), MessageId(2));
        let later = Timestamp(1_000);
        assert_eq!(repeats.find(later, &repeat("again")), None);
        repeats.remember(later, repeat("again"), MessageId(3));
        repeats.expire(later, usize::MAX);
        assert_eq!(repeats.find(later, &repeat("again")), Some(MessageId(3)));
        let left: usize = repeats.shelves.iter().map(|shelf| lock(shelf).order.len()).sum();
        assert_eq!(left, 1, "everything that expired was dropped");
    }
}

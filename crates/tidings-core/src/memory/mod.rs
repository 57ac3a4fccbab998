//! The memory engine: every room's log in this process, behind a lock per stripe of rooms.
//!
//! Owned by the node, shared by shards and control plane; answers every call inline. Refuses to
//! outlive the process: a position from before a restart is told by `gap`.

mod log;
mod repeats;
mod stripe;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_protocol::{Limits, Message, MessageId, RoomName};

use crate::engine::{EngineGauges, Timestamp};
use crate::{
    Completion, Engine, EngineError, Hub, Page, Position, Publication, Published, RoomRules, RoomSummary,
};
use repeats::{Repeat, Repeats};
use stripe::Stripe;
use totals::Totals;

/// Rooms are spread over this many locks, so that shards rarely meet at one.
const STRIPES: usize = 64;

/// How often a publication to a new room makes space and finds it taken by another.
const SPACE_ATTEMPTS: usize = 3;

/// Rooms of one stripe looked at to make space for a new one.
const EXAMINED_FOR_SPACE: usize = 8;

/// See the module.
///
/// Locks, in the order they are taken: a stripe, then the hub's or that of the idempotency keys.
pub struct MemoryEngine {
    hub: Arc<Hub>,
    rules: Arc<RoomRules>,
    limits: Arc<Limits>,
    shelves: Vec<Shelf>,
    repeats: Repeats,
    totals: Totals,
    hasher: RandomState,
    origin: MessageId,
}

/// A stripe and what others may know about it without its lock.
struct Shelf {
    stripe: Mutex<Stripe>,
    /// No message of the stripe has a smaller id. `u64::MAX` if it has none.
    oldest: AtomicU64,
}

impl MemoryEngine {
    /// An engine without rooms, which knows of nothing before `started`: a position from before
    /// may have missed what was lost with an earlier process.
    pub fn new(hub: Arc<Hub>, rules: Arc<RoomRules>, limits: Arc<Limits>, started: Timestamp) -> Self {
        // A clock beyond all ids leaves none to give, as in `Stripe::append`.
        let origin = MessageId(started.0.min(MessageId::LIMIT - 1));
        let shelf = || Shelf { stripe: Mutex::new(Stripe::new(origin)), oldest: AtomicU64::new(u64::MAX) };
        Self {
            repeats: Repeats::new(&limits),
            shelves: (0..STRIPES).map(|_| shelf()).collect(),
            totals: Totals::default(),
            hasher: RandomState::new(),
            hub,
            rules,
            limits,
            origin,
        }
    }

    fn store(&self, now: Timestamp, publication: Publication) -> Result<Published, EngineError> {
        let options = self.rules.of(&publication.room);
        publication.check_size(options, &self.limits)?;
        let Publication { room, user, key, payload, idempotency_key } = publication;
        let repeat = idempotency_key.map(|key| Repeat { room: room.clone(), key });

        let shelf = &self.shelves[self.place(&room)];
        let mut stripe = match self.open(now, shelf, &room, repeat.as_ref())? {
            Opened::Room(stripe) => stripe,
            Opened::Repeated(id) => return Ok(Published { id, repeated: true }),
        };
        let stored_at_ms = now.as_ms();
        let made = stripe.append(room, options, now, &self.totals, |room, id, prev| Message {
            room,
            id,
            prev,
            user,
            key,
            payload,
            stored_at_ms,
        });
        let message = made.ok_or(EngineError::Unavailable)?;
        let id = message.id;
        shelf.oldest.store(stripe.oldest(), Ordering::Release);
        if let Some(repeat) = repeat {
            self.repeats.remember(now, repeat, id);
        }
        // Under the lock, so that what is announced has the order of the log.
        self.hub.announce(&message);
        drop(stripe);

        self.shrink();
        Ok(Published { id, repeated: false })
    }

    /// Locks the room's stripe with the room in it, unless the publication is a repeat.
    fn open<'a>(
        &'a self,
        now: Timestamp,
        shelf: &'a Shelf,
        room: &RoomName,
        repeat: Option<&Repeat>,
    ) -> Result<Opened<'a>, EngineError> {
        for _ in 0..SPACE_ATTEMPTS {
            let mut stripe = lock(&shelf.stripe);
            if let Some(id) = repeat.and_then(|repeat| self.repeats.find(now, repeat)) {
                return Ok(Opened::Repeated(id));
            }
            if stripe.knows(room) {
                return Ok(Opened::Room(stripe));
            }
            if self.totals.reserve_room(self.limits.rooms_max) {
                stripe.add(room);
                return Ok(Opened::Room(stripe));
            }
            drop(stripe);
            if !self.make_space(now, room) {
                break;
            }
        }
        Err(EngineError::TooManyRooms)
    }

    /// Forgets a room that is empty and keeps no message. Looks at a few rooms of each stripe; the
    /// next call looks at the next ones.
    fn make_space(&self, now: Timestamp, room: &RoomName) -> bool {
        let first = self.place(room);
        (0..STRIPES).any(|offset| {
            let number = (first + offset) % STRIPES;
            let mut stripe = lock(&self.shelves[number].stripe);
            let count = EXAMINED_FOR_SPACE.min(stripe.rooms());
            (0..count).any(|_| self.examine(number, &mut stripe, now, 0))
        })
    }

    /// Looks at the next room of a stripe, see [`Stripe::examine`].
    fn examine(&self, number: usize, stripe: &mut Stripe, now: Timestamp, grace_us: u64) -> bool {
        let is_here = |room: &RoomName| self.place(room) == number;
        stripe.examine(&self.hub, &self.rules, now, grace_us, &self.totals, is_here)
    }

    /// Trims the messages stored first, of whichever room, until all history fits its limit.
    fn shrink(&self) {
        while self.totals.bytes() > self.limits.history_bytes_max {
            let oldest = |shelf: &&Shelf| shelf.oldest.load(Ordering::Acquire);
            let shelf = self.shelves.iter().min_by_key(oldest).expect("there are stripes");
            if oldest(&shelf) == u64::MAX {
                break;
            }
            let mut stripe = lock(&shelf.stripe);
            stripe.shrink(&self.totals);
            shelf.oldest.store(stripe.oldest(), Ordering::Release);
        }
    }

    fn read(&self, now: Timestamp, room: &RoomName, from: Position, messages_max: usize) -> Page {
        let mut stripe = lock(&self.shelves[self.place(room)].stripe);
        let head = stripe.head(room);
        let Some(log) = stripe.log(room) else {
            return Page { messages: Vec::new(), head, origin: self.origin, hole: None };
        };
        let trimmed = log.expire(self.rules.of(room), now);
        self.totals.subtract(trimmed);
        let messages = match from {
            Position::Head => Vec::new(),
            Position::After(id) => log.after(id, messages_max),
        };
        Page { messages, head, origin: self.origin, hole: None }
    }

    fn list(&self, now: Timestamp, after: Option<&RoomName>, rooms_max: usize) -> Vec<RoomSummary> {
        let mut found = Listing { after, rooms_max, rooms: BTreeMap::new() };
        self.hub.each_room(|room| found.add(room, MessageId::ZERO, 0, 0));
        for shelf in &self.shelves {
            let mut stripe = lock(&shelf.stripe);
            for (room, log) in stripe.logs() {
                if !found.wants(room) {
                    continue;
                }
                self.totals.subtract(log.expire(self.rules.of(room), now));
                if log.messages() > 0 || found.rooms.contains_key(room) {
                    found.add(room, log.head(), log.messages(), log.bytes());
                }
            }
        }
        found.rooms.into_values().collect()
    }

    fn place(&self, room: &RoomName) -> usize {
        usize::try_from(self.hasher.hash_one(room) % STRIPES as u64).expect("a stripe's number is small")
    }
}

/// The smallest names after one.
struct Listing<'a> {
    after: Option<&'a RoomName>,
    rooms_max: usize,
    rooms: BTreeMap<RoomName, RoomSummary>,
}

impl Listing<'_> {
    fn wants(&self, room: &RoomName) -> bool {
        let is_after = self.after.is_none_or(|after| room > after);
        let full = self.rooms.len() >= self.rooms_max;
        is_after && (!full || self.rooms.last_key_value().is_some_and(|(last, _)| room <= last))
    }

    fn add(&mut self, room: &RoomName, head: MessageId, messages: usize, bytes: usize) {
        if self.wants(room) {
            self.rooms.insert(room.clone(), RoomSummary { room: room.clone(), head, messages, bytes });
        }
        if self.rooms.len() > self.rooms_max {
            self.rooms.pop_last();
        }
    }
}

enum Opened<'a> {
    Room(MutexGuard<'a, Stripe>),
    Repeated(MessageId),
}

impl Engine for MemoryEngine {
    fn publish(&self, now: Timestamp, publication: Publication, done: Completion<Published>) {
        done.complete(self.store(now, publication));
    }

    fn history(
        &self,
        now: Timestamp,
        room: &RoomName,
        from: Position,
        messages_max: usize,
        done: Completion<Page>,
    ) {
        done.complete(Ok(self.read(now, room, from, messages_max)));
    }

    /// The hub knows already; what is left is to say where the log ends. Once the ends of unknown
    /// rooms may rise, a watched room gets a record, so that all its members are told the same.
    fn watch(&self, _now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        let mut stripe = lock(&self.shelves[self.place(room)].stripe);
        if stripe.has_forgotten() && !stripe.knows(room) {
            self.totals.add_room();
            stripe.add(room);
        }
        let head = stripe.head(room);
        drop(stripe);
        done.complete(Ok(head));
    }

    fn unwatch(&self, _room: &RoomName) {}

    fn rooms(
        &self,
        now: Timestamp,
        after: Option<&RoomName>,
        rooms_max: usize,
        done: Completion<Vec<RoomSummary>>,
    ) {
        done.complete(Ok(self.list(now, after, rooms_max)));
    }

    fn tick(&self, now: Timestamp) {
        let grace_us = self.limits.room_forgotten_after_ms.saturating_mul(1_000);
        for (number, shelf) in self.shelves.iter().enumerate() {
            let mut stripe = lock(&shelf.stripe);
            for _ in 0..(self.limits.examined_per_tick / STRIPES).min(stripe.rooms()) {
                self.examine(number, &mut stripe, now, grace_us);
            }
            shelf.oldest.store(stripe.oldest(), Ordering::Release);
        }
        self.repeats.expire(now, self.limits.examined_per_tick);
    }

    fn gauges(&self) -> EngineGauges {
        self.totals.gauges()
    }
}

/// A panic while a lock is held leaves the state usable: at worst a total is off by one message.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

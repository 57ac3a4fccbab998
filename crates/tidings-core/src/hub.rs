//! The hub: knows which shards have members in which room, and hands each announced message to
//! the inbox of just those.
//!
//! Owned by the node, shared by engine and shards. Refuses to know members: a shard enters a room
//! with its first member and exits with its last.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tidings_protocol::{Message, MessageId, RoomName};

use crate::engine::Hole;
use crate::event::Event;

/// Where a shard receives what the engine announces.
pub trait Inbox: Send + Sync + 'static {
    /// Takes the message, or remembers that it could not (then the shard reads the log instead).
    /// Called under the engine's lock of the room: must be short and must not call back.
    fn announce(&self, message: &Arc<Message>);

    /// Takes notice that what was announced of a room may not be all, or remembers it for later.
    /// Must be short and must not call back.
    fn doubt(&self, doubt: &Arc<Doubt>);

    /// Takes the event, or drops it if there are too many. Must be short and must not call back.
    fn tell(&self, event: &Arc<Event>);
}

/// An engine's word that announcements of a room may be missing, which no message will show soon.
/// Members who stand before the head read the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The room.
    pub room: RoomName,
    /// Where its log ends.
    pub head: MessageId,
    /// What the store behind the engine has lost, when that is the reason.
    pub hole: Option<Hole>,
}

/// A set of shards by their number, below 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// Shards a node can have.
    pub const SHARDS_MAX: usize = 64;

    fn insert(&mut self, shard: usize) -> bool {
        let before = self.0;
        self.0 |= 1 << shard;
        before == 0
    }

    fn remove(&mut self, shard: usize) -> bool {
        self.0 &= !(1 << shard);
        self.0 == 0
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::SHARDS_MAX).filter(move |shard| self.0 & (1 << shard) != 0)
    }
}

/// Rooms are spread over this many locks, so that shards rarely meet at one.
const STRIPES: usize = 64;

/// See the module.
pub struct Hub {
    inboxes: OnceLock<Vec<Arc<dyn Inbox>>>,
    stripes: Vec<Mutex<HashMap<RoomName, ShardSet>>>,
    hasher: RandomState,
    rooms: AtomicUsize,
}

impl Hub {
    /// A hub without shards; they are named once by [`Hub::connect`].
    pub fn new() -> Self {
        Self {
            inboxes: OnceLock::new(),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            rooms: AtomicUsize::new(0),
        }
    }

    /// Names the shards' inboxes, in the order of the shards' numbers.
    ///
    /// # Panics
    /// If called twice or with more than [`ShardSet::SHARDS_MAX`] inboxes: wiring is ours to get right.
    pub fn connect(&self, inboxes: Vec<Arc<dyn Inbox>>) {
        assert!(inboxes.len() <= ShardSet::SHARDS_MAX, "a node has at most 64 shards");
        assert!(self.inboxes.set(inboxes).is_ok(), "the hub is connected once");
    }

    /// Hands a message to every shard that has members in its room. Engines call it in the order
    /// of ids per room.
    pub fn announce(&self, message: &Arc<Message>) {
        self.each_inbox(&message.room, |inbox| inbox.announce(message));
    }

    /// Hands a doubt to every shard that has members in its room.
    pub fn doubt(&self, doubt: &Arc<Doubt>) {
        self.each_inbox(&doubt.room, |inbox| inbox.doubt(doubt));
    }

    /// Hands an event to every shard that has members in its room.
    pub fn tell(&self, event: &Arc<Event>) {
        self.each_inbox(&event.room, |inbox| inbox.tell(event));
    }

    fn each_inbox(&self, room: &RoomName, visit: impl Fn(&Arc<dyn Inbox>)) {
        let Some(shards) = self.stripe(room).get(room).copied() else { return };
        let Some(inboxes) = self.inboxes.get() else { return };
        for shard in shards.iter() {
            visit(&inboxes[shard]);
        }
    }

    /// A shard gained its first member of a room. Says whether it is the first shard on the node,
    /// which then must [`watch`](crate::Engine::watch) the room.
    pub fn enter(&self, room: &RoomName, shard: usize) -> bool {
        let first = self.stripe(room).entry(room.clone()).or_default().insert(shard);
        self.rooms.fetch_add(usize::from(first), Ordering::Relaxed);
        first
    }

    /// A shard lost its last member of a room. Says whether no shard is left in it, which then
    /// must [`unwatch`](crate::Engine::unwatch) the room.
    pub fn exit(&self, room: &RoomName, shard: usize) -> bool {
        let mut stripe = self.stripe(room);
        let Some(shards) = stripe.get_mut(room) else { return false };
        let empty = shards.remove(shard);
        if empty {
            stripe.remove(room);
            self.rooms.fetch_sub(1, Ordering::Relaxed);
        }
        empty
    }

    /// Rooms in which some shard of this node has members.
    pub fn rooms(&self) -> usize {
        self.rooms.load(Ordering::Relaxed)
    }

    /// Whether some shard of this node has members in a room.
    pub fn has_members(&self, room: &RoomName) -> bool {
        self.stripe(room).contains_key(room)
    }

    /// Visits every room that has members on this node, in no order. The visitor runs under a lock
    /// of the hub's and must not call back.
    pub fn each_room(&self, mut visit: impl FnMut(&RoomName)) {
        for stripe in &self.stripes {
            stripe.lock().unwrap_or_else(PoisonError::into_inner).keys().for_each(&mut visit);
        }
    }

    fn stripe(&self, room: &RoomName) -> MutexGuard<'_, HashMap<RoomName, ShardSet>> {
        let stripe = usize::try_from(self.hasher.hash_one(room)).unwrap_or(usize::MAX) % STRIPES;
        // A panic while holding the lock leaves the map whole: every step under it is one call.
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

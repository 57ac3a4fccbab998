//! Typing: who is typing in which room on this node, and the events that tell of it.
//!
//! Owned by the node, shared by all shards: any thread calls, and one of them calls
//! [`Typing::tick`] about once a second. Refuses to tell of the same user in the same room more
//! often than `typing_interval_ms`, however often they start and stop.

mod stripe;
#[cfg(test)]
mod tests;
mod typist;

use std::sync::{Arc, OnceLock};

use tidings_protocol::{Limits, RoomName, UserId};

use crate::Hub;
use crate::engine::{Completion, Timestamp};
use crate::event::{Event, EventKind};
use crate::registry::Registry;
use crate::stripes::Stripes;

use stripe::{News, Source, Stripe};

/// See the module.
///
/// Events are told under the lock of the room's stripe, so that everyone gets them in the order
/// in which they happened. The hub takes its own lock and the inboxes' below this one, and neither
/// calls back.
pub struct Typing {
    rooms: Stripes<Stripe>,
    hub: Arc<Hub>,
    limits: Arc<Limits>,
    /// What this node shares with others, if there are any.
    registry: OnceLock<Arc<dyn Registry>>,
}

impl Typing {
    /// Nobody is typing yet.
    pub fn new(hub: Arc<Hub>, limits: Arc<Limits>) -> Self {
        Self { rooms: Stripes::new(), hub, limits, registry: OnceLock::new() }
    }

    /// From now on what members are told by this node is reported to the registry as well.
    ///
    /// # Panics
    /// If called twice: wiring is ours to get right.
    pub fn share(&self, registry: Arc<dyn Registry>) {
        assert!(self.registry.set(registry).is_ok(), "typing has one registry");
    }

    /// The user types, and will for `typing_timeout_ms` unless they say so again. The others are
    /// told, unless they were within `typing_interval_ms`: then once that is over, if it still holds.
    pub fn started(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        if let Some(news) = stripe.start(now, room, user, &self.limits, Source::Here) {
            self.tell(room, news);
        }
    }

    /// The user does not type any more. The others are told if they believe otherwise.
    pub fn stopped(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        if let Some(news) = stripe.stop(now, room, user, &self.limits, Source::Here) {
            self.tell(room, news);
        }
    }

    /// Another node has told its members that a user types, or does not any more.
    pub fn heard(&self, now: Timestamp, room: &RoomName, user: &UserId, types: bool) {
        let mut stripe = self.rooms.of(room);
        if !self.hub.has_members(room) {
            return;
        }
        let news = match types {
            true => stripe.start(now, room, user, &self.limits, Source::Elsewhere),
            false => stripe.stop(now, room, user, &self.limits, Source::Elsewhere),
        };
        if let Some(News { kind, .. }) = news {
            self.hub.tell(&Arc::new(Event { room: room.clone(), kind }));
        }
    }

    /// Who types in the room as far as this node knows, in the order of their ids.
    pub fn typists(&self, now: Timestamp, room: &RoomName) -> Vec<UserId> {
        self.rooms.of(room).typists(now, room)
    }

    /// Who types in the room on any node. Without others the answer comes at once.
    pub fn ask_typists(&self, now: Timestamp, room: &RoomName, done: Completion<Vec<UserId>>) {
        match self.registry.get() {
            Some(registry) => registry.typists(now, room, done),
            None => done.complete(Ok(self.typists(now, room))),
        }
    }

    /// Called about once a second: whoever has not said for too long that they type has stopped.
    /// Looks at no more than `examined_per_tick` users; the rest wait for the next call.
    pub fn tick(&self, now: Timestamp) {
        self.rooms.sweep(self.limits.examined_per_tick, |stripe| {
            let Some((room, news)) = stripe.next_due(now, &self.limits) else { return false };
            if let Some(news) = news {
                self.tell(&room, news);
            }
            true
        });
    }

    fn tell(&self, room: &RoomName, News { kind, for_others }: News) {
        if for_others && let Some(registry) = self.registry.get() {
            match &kind {
                EventKind::Typing(user) => registry.typing(room, user, true),
                EventKind::StoppedTyping(user) => registry.typing(room, user, false),
                _ => {}
            }
        }
        self.hub.tell(&Arc::new(Event { room: room.clone(), kind }));
    }
}

//! Typing: who is typing in which room on this node, and the events that tell of it.
//!
//! Owned by the node, shared by all shards: any thread calls, and one of them calls
//! [`Typing::tick`] about once a second. Refuses to tell of the same user in the same room more
//! often than `typing_interval_ms`, however often they start and stop.

mod stripe;
#[cfg(test)]
mod tests;
mod typist;

use std::sync::Arc;

use tidings_protocol::{Limits, RoomName, UserId};

use crate::Hub;
use crate::engine::Timestamp;
use crate::event::{Event, EventKind};
use crate::stripes::Stripes;

use stripe::Stripe;

/// See the module.
///
/// Events are told under the lock of the room's stripe, so that everyone gets them in the order
/// in which they happened. The hub takes its own lock and the inboxes' below this one, and neither
/// calls back.
pub struct Typing {
    rooms: Stripes<Stripe>,
    hub: Arc<Hub>,
    limits: Arc<Limits>,
}

impl Typing {
    /// Nobody is typing yet.
    pub fn new(hub: Arc<Hub>, limits: Arc<Limits>) -> Self {
        Self { rooms: Stripes::new(), hub, limits }
    }

    /// The user types, and will for `typing_timeout_ms` unless they say so again. The others are
    /// told, unless they were within `typing_interval_ms`: then once that is over, if it still holds.
    pub fn started(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        if let Some(kind) = stripe.start(now, room, user, &self.limits) {
            self.tell(room, kind);
        }
    }

    /// The user does not type any more. The others are told if they believe otherwise.
    pub fn stopped(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        if let Some(kind) = stripe.stop(now, room, user, &self.limits) {
            self.tell(room, kind);
        }
    }

    /// Who types in the room, in the order of their ids.
    pub fn typists(&self, now: Timestamp, room: &RoomName) -> Vec<UserId> {
        self.rooms.of(room).typists(now, room)
    }

    /// Called about once a second: whoever has not said for too long that they type has stopped.
    /// Looks at no more than `examined_per_tick` users; the rest wait for the next call.
    pub fn tick(&self, now: Timestamp) {
        self.rooms.sweep(self.limits.examined_per_tick, |stripe| {
            let Some((room, kind)) = stripe.next_due(now, &self.limits) else { return false };
            if let Some(kind) = kind {
                self.tell(&room, kind);
            }
            true
        });
    }

    fn tell(&self, room: &RoomName, kind: EventKind) {
        self.hub.tell(&Arc::new(Event { room: room.clone(), kind }));
    }
}

//! Presence: who is in a room and who is online, on this node, and the events that tell of it.
//!
//! Owned by the node, shared by all shards: any thread calls, and one of them calls
//! [`Presence::tick`] about once a second. A user is there from their first connection until
//! their last one has been gone for the grace; meanwhile they are listed, with no connections.
//! Refuses to know connections: it counts them.

mod person;
#[cfg(test)]
mod property;
mod room;
mod stripe;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

use tidings_protocol::{Limits, RoomName, UserId};

use crate::engine::Timestamp;
use crate::event::{Event, EventKind};
use crate::stripes::Stripes;
use crate::{Hub, RoomRules};

use person::People;
use stripe::Stripe;

/// A page of the users in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomPresence {
    /// Users in the order of their ids, with their connections; none for who is within the grace.
    pub users: Vec<(UserId, u32)>,
    /// Users in the room, whatever the page.
    pub total: usize,
    /// Whether nobody comes after this page.
    pub complete: bool,
}

/// See the module.
///
/// Events are told under the lock of the room's stripe: else a thread that tells of a user's
/// leaving could be overtaken by one that tells of their return, and all who listen would take them for gone.
/// The hub takes its own lock and the inboxes' below this one, and neither calls back.
pub struct Presence {
    rooms: Stripes<Stripe>,
    people: Stripes<People>,
    hub: Arc<Hub>,
    limits: Arc<Limits>,
    rules: Arc<RoomRules>,
}

impl Presence {
    /// Nobody is there yet.
    pub fn new(hub: Arc<Hub>, limits: Arc<Limits>, rules: Arc<RoomRules>) -> Self {
        Self { rooms: Stripes::new(), people: Stripes::new(), hub, limits, rules }
    }

    /// A connection of the user came into the room. If it is the first, the others are told.
    pub fn entered(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        if let Some(news) = stripe.enter(now, room, user, &self.limits, &self.rules) {
            self.tell(room, news);
        }
    }

    /// A connection of the user went out of the room. If it was the last, [`Presence::tick`] tells the others
    /// once the grace is over, unless the user is back by then.
    pub fn exited(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        self.rooms.of(room).exit(now, room, user, &self.limits);
    }

    /// A connection of the user began, whatever rooms it is in.
    pub fn came_online(&self, now: Timestamp, user: &UserId) {
        self.people.of(user).come(now, user);
    }

    /// A connection of the user ended. After the last one they stay online for the grace.
    pub fn went_offline(&self, now: Timestamp, user: &UserId) {
        self.people.of(user).go(now, user, self.limits.presence_grace_ms);
    }

    /// Users of a room in the order of their ids, after an id (for paging), at most `users_max`.
    pub fn in_room(&self, room: &RoomName, after: Option<&UserId>, users_max: usize) -> RoomPresence {
        self.rooms.of(room).page(room, after, users_max)
    }

    /// Those of the users who are online, in the order given.
    pub fn who_is_online<'a>(&self, users: impl Iterator<Item = &'a UserId>) -> Vec<UserId> {
        users.filter(|user| self.people.of(user).has(user)).cloned().collect()
    }

    /// Called about once a second: ends the graces that are over and tells the changes of big
    /// rooms that are due. Does at most `examined_per_tick` of each; the rest waits for the next call.
    pub fn tick(&self, now: Timestamp) {
        self.sweep(now);
    }

    /// Returns how much there was to do.
    fn sweep(&self, now: Timestamp) -> usize {
        let budget = self.limits.examined_per_tick;
        let rooms = self.rooms.sweep(budget, |stripe| {
            let Some((room, news)) = stripe.next_due(now, &self.limits) else { return false };
            if let Some(news) = news {
                self.tell(&room, news);
            }
            true
        });
        rooms + self.people.sweep(budget, |people| people.end_grace(now))
    }

    fn tell(&self, room: &RoomName, kind: EventKind) {
        self.hub.tell(&Arc::new(Event { room: room.clone(), kind }));
    }
}

//! Presence: who is in a room and who is online, on this node, and the events that tell of it.
//!
//! Owned by the node, shared by all shards: any thread calls, and one of them calls
//! [`Presence::tick`] about once a second. A user is there from their first connection until
//! their last one has been gone for the grace; meanwhile they are listed, with no connections.
//! Refuses to know connections: it counts them.
//!
//! Where several nodes share a [`Registry`], this table reports to it what changes, and tells of changes
//! only what it hears from it.

mod person;
#[cfg(test)]
mod property;
mod room;
#[cfg(test)]
mod shared;
mod stripe;
#[cfg(test)]
mod tests;
mod users;

use std::sync::{Arc, OnceLock};

use tidings_protocol::{Limits, RoomName, UserId};

use crate::engine::Completion;
use crate::engine::Timestamp;
use crate::event::{Event, EventKind};
use crate::registry::Registry;
use crate::stripes::{STRIPES, Stripes};
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

/// What changed in a room over all nodes, in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomChanges {
    /// Users who are in the room now.
    pub users: usize,
    /// Users who were on no node before.
    pub joined: Vec<UserId>,
    /// Users who are on no node any more.
    pub left: Vec<UserId>,
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
    /// What this node shares with others, if there are any.
    registry: OnceLock<Arc<dyn Registry>>,
}

impl Presence {
    /// Nobody is there yet.
    pub fn new(hub: Arc<Hub>, limits: Arc<Limits>, rules: Arc<RoomRules>) -> Self {
        Self { rooms: Stripes::new(), people: Stripes::new(), hub, limits, rules, registry: OnceLock::new() }
    }

    /// From now on what changes is reported to the registry, and told when it is heard from there.
    ///
    /// # Panics
    /// If called twice: wiring is ours to get right.
    pub fn share(&self, registry: Arc<dyn Registry>) {
        assert!(self.registry.set(registry).is_ok(), "presence has one registry");
    }

    /// What is to be asked for what holds on all nodes; `None` if this node is alone.
    pub fn registry(&self) -> Option<&Arc<dyn Registry>> {
        self.registry.get()
    }

    /// A connection of the user came into the room. If it is the first, the others are told.
    pub fn entered(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        match self.registry.get() {
            None => {
                let eventful = || self.rules.of(room).presence_events;
                if let Some(news) = stripe.enter(now, room, user, &self.limits, eventful) {
                    self.tell(room, news);
                }
            }
            Some(registry) => {
                stripe.enter(now, room, user, &self.limits, || false);
                registry.changed(room, user);
            }
        }
    }

    /// A connection of the user went out of the room. If it was the last, [`Presence::tick`] tells the others
    /// once the grace is over, unless the user is back by then.
    pub fn exited(&self, now: Timestamp, room: &RoomName, user: &UserId) {
        let mut stripe = self.rooms.of(room);
        stripe.exit(now, room, user, &self.limits);
        if let Some(registry) = self.registry.get() {
            registry.changed(room, user);
        }
    }

    /// The registry says what changed in a room. Members on this node are told, in a big room
    /// together with other changes.
    pub fn heard(&self, now: Timestamp, room: &RoomName, changes: &RoomChanges) {
        if !self.rules.of(room).presence_events {
            return;
        }
        let mut stripe = self.rooms.of(room);
        if self.hub.has_members(room) {
            stripe.hear(now, room, changes, &self.limits, |news| self.tell(room, news));
        }
    }

    /// A user's connections to a room on this node; none within the grace. `None` if they are not there.
    pub fn connections(&self, room: &RoomName, user: &UserId) -> Option<u32> {
        self.rooms.of(room).connections(room, user)
    }

    /// Whether a user is online by this node.
    pub fn is_online_here(&self, user: &UserId) -> bool {
        self.people.of(user).has(user)
    }

    /// Slices in which [`Presence::slice_of_rooms`] and [`Presence::slice_of_people`] give all there is.
    pub const SLICES: usize = STRIPES;

    /// Who is in which room on this node, a slice of it by its number below [`Presence::SLICES`].
    pub fn slice_of_rooms(&self, slice: usize, mut visit: impl FnMut(&RoomName, &UserId)) {
        self.rooms.lock(slice).each(&mut visit);
    }

    /// Who is online by this node, a slice of it by its number below [`Presence::SLICES`].
    pub fn slice_of_people(&self, slice: usize, visit: impl FnMut(&UserId)) {
        self.people.lock(slice).each(visit);
    }

    /// A connection of the user began, whatever rooms it is in.
    pub fn came_online(&self, now: Timestamp, user: &UserId) {
        let mut people = self.people.of(user);
        if people.come(now, user)
            && let Some(registry) = self.registry.get()
        {
            registry.online_changed(user);
        }
    }

    /// A connection of the user ended. After the last one they stay online for the grace.
    pub fn went_offline(&self, now: Timestamp, user: &UserId) {
        self.people.of(user).go(now, user, self.limits.presence_grace_ms);
    }

    /// Users of a room on this node in the order of their ids, after an id (for paging), at most `users_max`.
    pub fn in_room(&self, room: &RoomName, after: Option<&UserId>, users_max: usize) -> RoomPresence {
        self.rooms.of(room).page(room, after, users_max)
    }

    /// Those of the users who are online by this node, in the order given.
    pub fn who_is_online<'a>(&self, users: impl Iterator<Item = &'a UserId>) -> Vec<UserId> {
        users.filter(|user| self.people.of(user).has(user)).cloned().collect()
    }

    /// The users of a room on all nodes. Without others the answer comes at once.
    pub fn ask_room(
        &self,
        room: &RoomName,
        after: Option<&UserId>,
        users_max: usize,
        done: Completion<RoomPresence>,
    ) {
        match self.registry.get() {
            Some(registry) => registry.in_room(room, after, users_max, done),
            None => done.complete(Ok(self.in_room(room, after, users_max))),
        }
    }

    /// Those of the users who are online by any node, in the order given.
    pub fn ask_online(&self, users: Vec<UserId>, done: Completion<Vec<UserId>>) {
        match self.registry.get() {
            Some(registry) => registry.who_is_online(users, done),
            None => done.complete(Ok(self.who_is_online(users.iter()))),
        }
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
            let Some(done) = stripe.next_due(now, &self.limits) else { return false };
            if let Some(news) = done.news {
                self.tell(&done.room, news);
            }
            if let Some((registry, user)) = self.registry.get().zip(done.gone) {
                registry.changed(&done.room, &user);
            }
            true
        });
        let people = self.people.sweep(budget, |people| {
            let Some(user) = people.end_grace(now) else { return false };
            if let Some(registry) = self.registry.get() {
                registry.online_changed(&user);
            }
            true
        });
        rooms + people
    }

    fn tell(&self, room: &RoomName, kind: EventKind) {
        self.hub.tell(&Arc::new(Event { room: room.clone(), kind }));
    }
}

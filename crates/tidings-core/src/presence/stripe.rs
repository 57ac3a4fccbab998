//! The rooms behind one lock, and what is due in them.
//!
//! Owned by presence. Refuses to keep a room in which nobody is and of which nothing is to be told.

use std::collections::HashMap;

use tidings_protocol::{Limits, RoomName, UserId};

use super::room::{Entry, News, Room};
use super::{RoomChanges, RoomPresence};
use crate::engine::Timestamp;
use crate::event::EventKind;
use crate::schedule::{Moment, Schedule};

#[derive(Default)]
pub(super) struct Stripe {
    rooms: HashMap<RoomName, Room>,
    schedule: Schedule<Due>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The changes of a big room are told.
    Changes(RoomName),
    /// A user has been gone for the grace.
    Grace(RoomName, UserId),
}

/// What was due in a room.
pub(super) struct Done {
    pub(super) room: RoomName,
    /// What is to be told now.
    pub(super) news: Option<EventKind>,
    /// Whose grace was over.
    pub(super) gone: Option<UserId>,
}

impl Stripe {
    pub(super) fn enter(
        &mut self,
        now: Timestamp,
        room: &RoomName,
        user: &UserId,
        limits: &Limits,
        eventful: impl FnOnce() -> bool,
    ) -> Option<EventKind> {
        let now = self.schedule.now(now);
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), Room::new(eventful()));
        }
        let entry = self.rooms.get_mut(room)?.enter(user, limits);
        match entry {
            Entry::Further => None,
            Entry::Back(until) => {
                self.schedule.cancel(until, Due::Grace(room.clone(), user.clone()));
                None
            }
            Entry::First(news) => self.now_or_later(now, room, news, limits),
        }
    }

    pub(super) fn exit(&mut self, now: Timestamp, room: &RoomName, user: &UserId, limits: &Limits) {
        let until = self.schedule.now(now).plus_ms(limits.presence_grace_ms);
        let Some(members) = self.rooms.get_mut(room) else {
            debug_assert!(false, "a connection went that had not come");
            return;
        };
        if members.exit(user, until) {
            self.schedule.set(until, Due::Grace(room.clone(), user.clone()));
        }
    }

    /// What changed over all nodes is told now by `tell`, or later.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        name: &RoomName,
        changes: &RoomChanges,
        limits: &Limits,
        tell: impl FnMut(EventKind),
    ) {
        let now = self.schedule.now(now);
        let room = self.rooms.entry(name.clone()).or_insert_with(|| Room::new(false));
        let (news, later) = room.hear(changes, limits);
        if room.is_over() {
            self.rooms.remove(name);
        }
        news.into_iter().for_each(tell);
        if later {
            self.schedule.set(now.plus_ms(limits.presence_interval_ms), Due::Changes(name.clone()));
        }
    }

    /// Does one thing that is due, if there is one.
    pub(super) fn next_due(&mut self, now: Timestamp, limits: &Limits) -> Option<Done> {
        let now = self.schedule.now(now);
        let (room, news, gone) = match self.schedule.take_due(now)? {
            Due::Changes(name) => {
                let news = self.rooms.get_mut(&name).and_then(|room| room.take_changes(limits));
                (name, news, None)
            }
            Due::Grace(name, user) => {
                let news = self.rooms.get_mut(&name).map_or(News::None, |room| room.leave(&user, limits));
                let news = self.now_or_later(now, &name, news, limits);
                (name, news, Some(user))
            }
        };
        if self.rooms.get(&room).is_some_and(Room::is_over) {
            self.rooms.remove(&room);
        }
        Some(Done { room, news, gone })
    }

    fn now_or_later(
        &mut self,
        now: Moment,
        room: &RoomName,
        news: News,
        limits: &Limits,
    ) -> Option<EventKind> {
        match news {
            News::None => None,
            News::Now(kind) => Some(kind),
            News::Later => {
                self.schedule.set(now.plus_ms(limits.presence_interval_ms), Due::Changes(room.clone()));
                None
            }
        }
    }

    pub(super) fn page(&self, room: &RoomName, after: Option<&UserId>, users_max: usize) -> RoomPresence {
        self.rooms.get(room).map_or_else(
            || RoomPresence { complete: true, ..RoomPresence::default() },
            |room| room.page(after, users_max),
        )
    }

    pub(super) fn connections(&self, room: &RoomName, user: &UserId) -> Option<u32> {
        self.rooms.get(room)?.connections(user)
    }

    pub(super) fn each(&self, visit: &mut impl FnMut(&RoomName, &UserId)) {
        for (name, room) in &self.rooms {
            room.each(|user| visit(name, user));
        }
    }

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.rooms.len() + self.schedule.len() + self.rooms.values().map(Room::records).sum::<usize>()
    }
}

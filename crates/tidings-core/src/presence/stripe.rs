//! The rooms behind one lock, and what is due in them.
//!
//! Owned by presence. Refuses to keep a room in which nobody is and of which nothing is to be told.

use std::collections::HashMap;

use tidings_protocol::{Limits, RoomName, UserId};

use super::RoomPresence;
use super::room::{Entry, News, Room};
use crate::RoomRules;
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

impl Stripe {
    pub(super) fn enter(
        &mut self,
        now: Timestamp,
        room: &RoomName,
        user: &UserId,
        limits: &Limits,
        rules: &RoomRules,
    ) -> Option<EventKind> {
        let now = self.schedule.now(now);
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), Room::new(rules.of(room).presence_events));
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

    /// Does one thing that is due, if there is one: where, and what is to be told now.
    pub(super) fn next_due(
        &mut self,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<(RoomName, Option<EventKind>)> {
        let now = self.schedule.now(now);
        let (name, news) = match self.schedule.take_due(now)? {
            Due::Changes(name) => {
                let news = self.rooms.get_mut(&name).and_then(|room| room.take_changes(limits));
                (name, news)
            }
            Due::Grace(name, user) => {
                let news = self.rooms.get_mut(&name).map_or(News::None, |room| room.leave(&user, limits));
                let news = self.now_or_later(now, &name, news, limits);
                (name, news)
            }
        };
        if self.rooms.get(&name).is_some_and(Room::is_over) {
            self.rooms.remove(&name);
        }
        Some((name, news))
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

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.rooms.len() + self.schedule.len() + self.rooms.values().map(Room::records).sum::<usize>()
    }
}

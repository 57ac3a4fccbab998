//! The rooms behind one lock in which somebody types.
//!
//! Owned by typing. Refuses to keep a room without typists, and more typists in a room than the limit.

use std::collections::{BTreeMap, HashMap};

use tidings_protocol::{Limits, RoomName, UserId};

use super::typist::Typist;
use crate::engine::Timestamp;
use crate::event::EventKind;
use crate::schedule::{Moment, Schedule};

/// What members are told.
pub(super) struct News {
    pub(super) kind: EventKind,
    /// Other nodes are to be told as well.
    pub(super) for_others: bool,
}

/// Who says that somebody types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A connection of this node.
    Here,
    /// Another node.
    Elsewhere,
}

#[derive(Default)]
pub(super) struct Stripe {
    rooms: HashMap<RoomName, BTreeMap<UserId, Typist>>,
    /// Every typist once, at [`Typist::next`].
    schedule: Schedule<(RoomName, UserId)>,
}

impl Stripe {
    pub(super) fn start(
        &mut self,
        now: Timestamp,
        room: &RoomName,
        user: &UserId,
        limits: &Limits,
        source: Source,
    ) -> Option<News> {
        let now = self.schedule.now(now);
        let (known, typists) =
            self.rooms.get(room).map_or((false, 0), |typists| (typists.contains_key(user), typists.len()));
        if !known {
            if typists >= limits.typists_max {
                return None;
            }
            self.rooms.entry(room.clone()).or_default().insert(user.clone(), Typist::new(now));
        }
        self.change(now, room, user, limits, |typist| match source {
            Source::Here => typist.start(now, limits),
            Source::Elsewhere => typist.hear_start(now, limits),
        })
    }

    pub(super) fn stop(
        &mut self,
        now: Timestamp,
        room: &RoomName,
        user: &UserId,
        limits: &Limits,
        source: Source,
    ) -> Option<News> {
        let now = self.schedule.now(now);
        self.change(now, room, user, limits, |typist| match source {
            Source::Here => typist.stop(now),
            Source::Elsewhere => typist.hear_stop(now),
        })
    }

    /// Looks at one typist for whom something is due, if there is one: where, and what is to be told.
    pub(super) fn next_due(&mut self, now: Timestamp, limits: &Limits) -> Option<(RoomName, Option<News>)> {
        let now = self.schedule.now(now);
        let (room, user) = self.schedule.take_due(now)?;
        let news = self.change(now, &room, &user, limits, |_| ());
        Some((room, news))
    }

    fn change(
        &mut self,
        now: Moment,
        room: &RoomName,
        user: &UserId,
        limits: &Limits,
        change: impl FnOnce(&mut Typist),
    ) -> Option<News> {
        let typists = self.rooms.get_mut(room)?;
        let typist = typists.get_mut(user)?;
        let name = (room.clone(), user.clone());
        let before = typist.next();
        change(typist);
        let news = typist.news(now, user, limits).map(|kind| News { kind, for_others: typist.is_here() });
        let next = typist.next();
        if next <= now {
            typists.remove(user);
            if typists.is_empty() {
                self.rooms.remove(room);
            }
            self.schedule.cancel(before, name);
        } else {
            self.schedule.shift(before, next, name);
        }
        news
    }

    pub(super) fn typists(&mut self, now: Timestamp, room: &RoomName) -> Vec<UserId> {
        let now = self.schedule.now(now);
        let typists = self.rooms.get(room).into_iter().flatten();
        typists.filter(|(_, typist)| typist.types(now)).map(|(user, _)| user.clone()).collect()
    }

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.rooms.values().map(BTreeMap::len).sum::<usize>() + self.rooms.len() + self.schedule.len()
    }
}

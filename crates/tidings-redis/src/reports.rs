//! What one Redis server has yet to be told and asked of people.
//!
//! A report names whom to look at; what is so is read when it is sent, so that a thousand changes of one
//! user are one, and sending again does no harm. Refuses to grow: see `presence_changes_max`.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidings_core::{Completion, Presence, RoomPresence};
use tidings_protocol::{RoomName, UserId};
use tokio::sync::Notify;

/// Somebody wants to know who is in a room. Answered after what was reported before was sent.
pub(crate) struct Question {
    pub(crate) room: RoomName,
    pub(crate) after: Option<UserId>,
    pub(crate) users_max: usize,
    pub(crate) done: Completion<RoomPresence>,
}

/// What is to be done next, in this order.
#[derive(Default)]
pub(crate) struct Work {
    /// In the order of rooms.
    pub(crate) here: BTreeSet<(RoomName, UserId)>,
    pub(crate) online: BTreeSet<UserId>,
    /// Bounded by what connections may ask.
    pub(crate) questions: Vec<Question>,
    /// A slice of all that this node has is entered once more.
    pub(crate) slice: Option<usize>,
}

/// See the module.
pub(crate) struct Reports {
    waiting: Mutex<Work>,
    changes_max: usize,
    /// Rung when there is work.
    pub(crate) bell: Notify,
}

impl Reports {
    pub(crate) fn new(changes_max: usize) -> Self {
        Self { waiting: Mutex::default(), changes_max, bell: Notify::new() }
    }

    pub(crate) fn changed(&self, room: &RoomName, user: &UserId) {
        self.note(|work| work.here.insert((room.clone(), user.clone())));
    }

    pub(crate) fn online_changed(&self, user: &UserId) {
        self.note(|work| work.online.insert(user.clone()));
    }

    pub(crate) fn ask(&self, question: Question) {
        self.note(|work| work.questions.push(question));
    }

    /// All that this node has is to be entered once more, from the beginning.
    pub(crate) fn again(&self) {
        self.note(|work| work.slice = Some(0));
    }

    /// Everything that waits, with one slice of what is entered once more.
    pub(crate) fn take(&self) -> Option<Work> {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            return None;
        }
        let next = waiting.slice.map(|slice| slice + 1).filter(|&slice| slice < Presence::SLICES);
        Some(std::mem::replace(&mut *waiting, Work { slice: next, ..Work::default() }))
    }

    /// The server did not take it. Nobody is called: it waits for the next tick.
    pub(crate) fn put_back(&self, work: Work) {
        let mut waiting = self.waiting();
        waiting.here.extend(work.here);
        waiting.online.extend(work.online);
        // Which slices the server has after it was away is not known.
        waiting.slice = waiting.slice.or(work.slice).map(|_| 0);
        waiting.bound(self.changes_max);
    }

    /// Calls for what could not be done before.
    pub(crate) fn remind(&self) {
        if !self.waiting().is_empty() {
            self.bell.notify_one();
        }
    }

    /// Whether a user's change in a room waits.
    pub(crate) fn waits(&self, change: &(RoomName, UserId)) -> bool {
        self.waiting().here.contains(change)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn note<T>(&self, notice: impl FnOnce(&mut Work) -> T) {
        let mut waiting = self.waiting();
        notice(&mut waiting);
        waiting.bound(self.changes_max);
        drop(waiting);
        self.bell.notify_one();
    }

    /// A panic while the lock is held leaves the work whole: each step under it is one call.
    fn waiting(&self) -> MutexGuard<'_, Work> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.online.is_empty() && self.questions.is_empty() && self.slice.is_none()
    }

    /// What is forgotten here is found when all there is has been entered once more.
    fn bound(&mut self, changes_max: usize) {
        if self.here.len() + self.online.len() > changes_max {
            self.here.clear();
            self.online.clear();
            self.slice = Some(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;

    fn room(name: &str) -> RoomName {
        RoomName::new(name, &Limits::default()).unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::new(id, &Limits::default()).unwrap()
    }

    #[test]
    fn a_user_who_changes_often_is_one_report_a_room() {
        let reports = Reports::new(10);
        for _ in 0..100 {
            reports.changed(&room("a"), &user("ana"));
            reports.changed(&room("b"), &user("ana"));
            reports.online_changed(&user("ana"));
        }
        assert!(reports.waits(&(room("a"), user("ana"))) && !reports.waits(&(room("a"), user("ben"))));
        let work = reports.take().unwrap();
        assert_eq!((work.here.len(), work.online.len(), work.slice), (2, 1, None));
        assert!(reports.take().is_none() && reports.is_empty());
    }

    #[test]
    fn what_was_not_taken_is_tried_again_and_entering_begins_anew() {
        let reports = Reports::new(10);
        reports.changed(&room("a"), &user("ana"));
        reports.again();
        assert_eq!(reports.take().unwrap().slice, Some(0));
        let work = reports.take().unwrap();
        assert_eq!((work.here.len(), work.slice), (0, Some(1)));
        reports.changed(&room("a"), &user("ben"));
        reports.put_back(Work { here: [(room("a"), user("ana"))].into(), ..work });
        let work = reports.take().unwrap();
        assert_eq!((work.here.len(), work.slice), (2, Some(0)));
    }

    #[test]
    fn every_slice_is_entered_once() {
        let reports = Reports::new(10);
        reports.again();
        let slices: Vec<_> = std::iter::from_fn(|| reports.take()).map(|work| work.slice).collect();
        assert_eq!(slices, (0..Presence::SLICES).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn more_changes_than_the_limit_are_forgotten_and_all_is_entered_instead() {
        let reports = Reports::new(10);
        for i in 0..11 {
            reports.changed(&room("a"), &user(&format!("user-{i}")));
        }
        let work = reports.take().unwrap();
        assert_eq!((work.here.len(), work.slice), (0, Some(0)));
    }
}

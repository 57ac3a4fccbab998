//! The users of one room, and the changes that the others have yet to be told.
//!
//! Owned by a stripe. Refuses to know time: it says what is to be told now and what later.

use std::collections::BTreeSet;

use tidings_protocol::{Limits, UserId};

use super::person::Stay;
use super::users::Users;
use super::{RoomChanges, RoomPresence};
use crate::event::{Changes, EventKind};
use crate::schedule::Moment;

pub(super) struct Room {
    users: Users,
    /// Whether comings and goings on this node are told as they are. Not if the room has no events, nor
    /// if they are heard from the registry.
    eventful: bool,
    /// What the others believe differs from who is here in exactly these users. Present while
    /// changes are to be told later. Boxed because few rooms are big.
    untold: Option<Box<Untold>>,
}

/// A user is in one of the two sets at most: whoever came and went in between is in neither.
#[derive(Default)]
struct Untold {
    /// Users on all nodes as last heard; `None` where those here are all.
    users: Option<usize>,
    joined: BTreeSet<UserId>,
    left: BTreeSet<UserId>,
}

/// How the others learn of a change.
pub(super) enum News {
    /// Not at all, because they never heard of the opposite; or with changes for which a time is set
    /// already.
    None,
    /// At once.
    Now(EventKind),
    /// With the changes to come, for which a time has to be set.
    Later,
}

/// What an entry was to the user.
pub(super) enum Entry {
    /// They were there already.
    Further,
    /// They came back within the grace that would have ended then.
    Back(Moment),
    /// They were not there before.
    First(News),
}

impl Room {
    pub(super) fn new(eventful: bool) -> Self {
        Self { users: Users::new(), eventful, untold: None }
    }

    pub(super) fn enter(&mut self, user: &UserId, limits: &Limits) -> Entry {
        if let Some(stay) = self.users.get_mut(user) {
            return stay.enter().map_or(Entry::Further, Entry::Back);
        }
        self.users.insert(user.clone(), Stay::FIRST);
        Entry::First(if self.eventful { self.came(user, self.is_big(limits)) } else { News::None })
    }

    /// Returns whether the user's grace began.
    pub(super) fn exit(&mut self, user: &UserId, until: Moment) -> bool {
        let Some(stay) = self.users.get_mut(user) else {
            debug_assert!(false, "a connection went that had not come");
            return false;
        };
        stay.exit(until)
    }

    /// The user's grace is over.
    pub(super) fn leave(&mut self, user: &UserId, limits: &Limits) -> News {
        // One who leaves counts: the room is as big to them as it was when they came.
        let big = self.is_big(limits);
        self.users.remove(user);
        if self.eventful { self.went(user, big) } else { News::None }
    }

    /// What changed over all nodes. Gives what is to be told now, and whether there are changes for which a time
    /// has to be set.
    pub(super) fn hear(&mut self, changes: &RoomChanges, limits: &Limits) -> (Vec<EventKind>, bool) {
        let RoomChanges { users, joined, left } = changes;
        let before = (users + left.len()).saturating_sub(joined.len());
        let big = before.max(*users) > limits.presence_single_users_max;
        let (mut now, mut later) = (Vec::new(), false);
        let came = joined.iter().map(|user| (user, true));
        for (user, came) in left.iter().map(|user| (user, false)).chain(came) {
            match if came { self.came(user, big) } else { self.went(user, big) } {
                News::None => {}
                News::Now(kind) => now.push(kind),
                News::Later => later = true,
            }
        }
        if let Some(untold) = &mut self.untold {
            untold.users = Some(*users);
        }
        (now, later)
    }

    fn came(&mut self, user: &UserId, big: bool) -> News {
        let took_back = self.untold.as_mut().is_some_and(|untold| untold.left.remove(user));
        self.news(took_back, user, big, EventKind::Joined, |untold| &mut untold.joined)
    }

    fn went(&mut self, user: &UserId, big: bool) -> News {
        let took_back = self.untold.as_mut().is_some_and(|untold| untold.joined.remove(user));
        self.news(took_back, user, big, EventKind::Left, |untold| &mut untold.left)
    }

    pub(super) fn connections(&self, user: &UserId) -> Option<u32> {
        self.users.get(user).map(Stay::connections)
    }

    pub(super) fn each(&self, visit: impl FnMut(&UserId)) {
        self.users.each(visit);
    }

    fn news(
        &mut self,
        took_back: bool,
        user: &UserId,
        big: bool,
        kind: fn(UserId) -> EventKind,
        changed: fn(&mut Untold) -> &mut BTreeSet<UserId>,
    ) -> News {
        if took_back {
            News::None
        } else if !big {
            News::Now(kind(user.clone()))
        } else {
            let first = self.untold.is_none();
            changed(self.untold.get_or_insert_default()).insert(user.clone());
            if first { News::Later } else { News::None }
        }
    }

    fn is_big(&self, limits: &Limits) -> bool {
        self.users.len() > limits.presence_single_users_max
    }

    /// What the others have not been told is told now.
    pub(super) fn take_changes(&mut self, limits: &Limits) -> Option<EventKind> {
        let Untold { users, joined, left } = *self.untold.take()?;
        if joined.is_empty() && left.is_empty() {
            return None;
        }
        let names = |users: BTreeSet<UserId>| users.into_iter().take(limits.presence_names_max).collect();
        Some(EventKind::Changed(Changes {
            users: users.unwrap_or(self.users.len()),
            joined: joined.len(),
            left: left.len(),
            joined_names: names(joined),
            left_names: names(left),
        }))
    }

    /// Whether there is nothing left to know of the room.
    pub(super) fn is_over(&self) -> bool {
        self.users.len() == 0 && self.untold.is_none()
    }

    pub(super) fn page(&self, after: Option<&UserId>, users_max: usize) -> RoomPresence {
        let (users, complete) = self.users.page(after, users_max);
        RoomPresence { users, total: self.users.len(), complete }
    }

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.users.len() + self.untold.as_ref().map_or(0, |untold| untold.joined.len() + untold.left.len())
    }
}

//! A person who is there, by their connections; and all who are online, behind one lock.
//!
//! Owned by presence. Refuses to know rooms and events.

use std::collections::HashMap;
use std::num::NonZeroU32;

use tidings_protocol::UserId;

use crate::engine::Timestamp;
use crate::schedule::{Moment, Schedule};

/// How a user is there. Who is not has no such record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// With so many connections.
    Connected(NonZeroU32),
    /// The last connection is gone, and nobody has been told; they will be at this moment.
    Grace(Moment),
}

impl Stay {
    pub(super) const FIRST: Self = Self::Connected(NonZeroU32::MIN);

    /// One connection more. Returns the end of the grace that need not be waited for any more.
    pub(super) fn enter(&mut self) -> Option<Moment> {
        match *self {
            Self::Connected(connections) => {
                *self = Self::Connected(connections.saturating_add(1));
                None
            }
            Self::Grace(until) => {
                *self = Self::FIRST;
                Some(until)
            }
        }
    }

    /// One connection less. Returns whether it was the last, so that the grace lasts until `until`.
    pub(super) fn exit(&mut self, until: Moment) -> bool {
        let Self::Connected(connections) = *self else {
            debug_assert!(false, "a connection went that had not come");
            return false;
        };
        let rest = NonZeroU32::new(connections.get() - 1);
        *self = rest.map_or(Self::Grace(until), Self::Connected);
        rest.is_none()
    }

    pub(super) fn connections(self) -> u32 {
        match self {
            Self::Connected(connections) => connections.get(),
            Self::Grace(_) => 0,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct People {
    stays: HashMap<UserId, Stay>,
    graces: Schedule<UserId>,
}

impl People {
    pub(super) fn has(&self, user: &UserId) -> bool {
        self.stays.contains_key(user)
    }

    /// Says whether the user was not online before.
    pub(super) fn come(&mut self, now: Timestamp, user: &UserId) -> bool {
        self.graces.now(now);
        let Some(stay) = self.stays.get_mut(user) else {
            self.stays.insert(user.clone(), Stay::FIRST);
            return true;
        };
        if let Some(until) = stay.enter() {
            self.graces.cancel(until, user.clone());
        }
        false
    }

    pub(super) fn each(&self, visit: impl FnMut(&UserId)) {
        self.stays.keys().for_each(visit);
    }

    pub(super) fn go(&mut self, now: Timestamp, user: &UserId, grace_ms: u64) {
        let until = self.graces.now(now).plus_ms(grace_ms);
        let Some(stay) = self.stays.get_mut(user) else {
            debug_assert!(false, "a connection went that had not come");
            return;
        };
        if stay.exit(until) {
            self.graces.set(until, user.clone());
        }
    }

    /// Forgets one user whose grace is over, if there is one.
    pub(super) fn end_grace(&mut self, now: Timestamp) -> Option<UserId> {
        let now = self.graces.now(now);
        let user = self.graces.take_due(now)?;
        self.stays.remove(&user);
        Some(user)
    }

    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.stays.len() + self.graces.len()
    }
}

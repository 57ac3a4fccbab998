//! A user who types in a room, or did a moment ago.
//!
//! Owned by a stripe. Refuses to know rooms: it is a few times and what follows from them.

use tidings_protocol::{Limits, UserId};

use crate::event::EventKind;
use crate::schedule::Moment;

#[derive(Debug)]
pub(super) struct Typist {
    /// They type until then, unless they start again.
    until: Moment,
    /// Until then the others are not told again that they type.
    quiet_until: Moment,
    /// Whether the others believe that they type.
    shown: bool,
}

impl Typist {
    pub(super) const fn new(now: Moment) -> Self {
        Self { until: now, quiet_until: now, shown: false }
    }

    pub(super) fn start(&mut self, now: Moment, limits: &Limits) {
        self.until = now.plus_ms(limits.typing_timeout_ms);
    }

    pub(super) fn stop(&mut self, now: Moment) {
        self.until = now;
    }

    pub(super) fn types(&self, now: Moment) -> bool {
        now < self.until
    }

    /// What the others are to be told after a start, a stop, or the passing of time.
    ///
    /// Who types on is told again after each interval: it reaches those who came in meanwhile, and
    /// those whose program forgets a typist by itself.
    pub(super) fn news(&mut self, now: Moment, user: &UserId, limits: &Limits) -> Option<EventKind> {
        if self.types(now) && self.quiet_until <= now {
            self.quiet_until = now.plus_ms(limits.typing_interval_ms);
            self.shown = true;
            Some(EventKind::Typing(user.clone()))
        } else if self.shown && !self.types(now) {
            self.shown = false;
            Some(EventKind::StoppedTyping(user.clone()))
        } else {
            None
        }
    }

    /// When time alone will change something. Past for one of whom nothing need be known.
    pub(super) fn next(&self) -> Moment {
        if self.shown { self.until } else { self.quiet_until }
    }
}

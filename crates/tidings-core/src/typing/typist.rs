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
    /// They began to type on this node, so that other nodes learn from it when they cease.
    here: bool,
}

impl Typist {
    pub(super) const fn new(now: Moment) -> Self {
        Self { until: now, quiet_until: now, shown: false, here: false }
    }

    pub(super) fn start(&mut self, now: Moment, limits: &Limits) {
        self.until = now.plus_ms(limits.typing_timeout_ms);
        self.here = true;
    }

    /// Another node says that they type. It tells no more often than the interval, and says when they
    /// cease; only if that node dies does it have to be found out here.
    pub(super) fn hear_start(&mut self, now: Moment, limits: &Limits) {
        let lasts = limits.typing_timeout_ms.saturating_add(limits.typing_interval_ms);
        self.until = self.until.max(now.plus_ms(lasts));
        self.quiet_until = now;
    }

    /// Another node says that they do not type any more, which it does not know if they type here.
    pub(super) fn hear_stop(&mut self, now: Moment) {
        if !self.here || !self.types(now) {
            self.until = now;
        }
    }

    pub(super) fn stop(&mut self, now: Moment) {
        self.until = now;
        self.here = true;
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

    /// Whether other nodes learn from this one.
    pub(super) const fn is_here(&self) -> bool {
        self.here
    }

    /// When time alone will change something. Past for one of whom nothing need be known.
    pub(super) fn next(&self) -> Moment {
        if self.shown { self.until } else { self.quiet_until }
    }
}

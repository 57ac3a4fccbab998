//! A schedule: what is to be done when, in the order of time, by a clock that never goes back.
//!
//! Owned by the stripe of a table. Setting and cancelling cost the logarithm of what is waiting; finding what
//! is due costs nothing for what is not. Refuses to read a clock.

use std::collections::BTreeSet;

use crate::engine::Timestamp;

/// Threads read the clock once per turn, so one of them may be behind another by a turn. Only what
/// lies further back than this is a clock that was set back.
const TURN_US_MAX: u64 = 1_000_000;

/// Microseconds by the schedule's own clock, which begins at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Schedule<K> {
    /// The wall clock when it was last read. `None` before the first time.
    read: Option<Timestamp>,
    now: Moment,
    waiting: BTreeSet<(Moment, K)>,
}

impl<K: Ord> Schedule<K> {
    /// Translates the wall clock's time. When that clock is set back, time stands still once and
    /// goes on from there: deadlines neither come at once nor wait until the clock has caught up.
    pub(crate) fn now(&mut self, wall: Timestamp) -> Moment {
        let read = self.read.unwrap_or(wall);
        self.now = Moment(self.now.0.saturating_add(wall.0.saturating_sub(read.0)));
        let set_back = read.0.saturating_sub(wall.0) > TURN_US_MAX;
        self.read = Some(if set_back { wall } else { read.max(wall) });
        self.now
    }

    /// To be done then. The same thing may wait for several moments.
    pub(crate) fn set(&mut self, at: Moment, what: K) {
        self.waiting.insert((at, what));
    }

    /// Not to be done then, after all.
    pub(crate) fn cancel(&mut self, at: Moment, what: K) {
        self.waiting.remove(&(at, what));
    }

    /// To be done at another moment.
    pub(crate) fn shift(&mut self, from: Moment, to: Moment, what: K) {
        let mut entry = (from, what);
        self.waiting.remove(&entry);
        entry.0 = to;
        self.waiting.insert(entry);
    }

    /// Takes out what has waited longest of what is due.
    pub(crate) fn take_due(&mut self, now: Moment) -> Option<K> {
        if self.waiting.first()?.0 > now {
            return None;
        }
        self.waiting.pop_first().map(|(_, what)| what)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Self { read: None, now: Moment::default(), waiting: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_never_early() {
        let mut schedule = Schedule::default();
        let start = schedule.now(Timestamp::from_ms(1_000));
        schedule.set(start.plus_ms(20), "second");
        schedule.set(start.plus_ms(10), "first");
        schedule.set(start.plus_ms(15), "cancelled");
        schedule.cancel(start.plus_ms(15), "cancelled");
        let early = schedule.now(Timestamp::from_ms(1_009));
        assert_eq!(schedule.take_due(early), None);
        let late = schedule.now(Timestamp::from_ms(1_020));
        assert_eq!(schedule.take_due(late), Some("first"));
        assert_eq!(schedule.take_due(late), Some("second"));
        assert_eq!(schedule.take_due(late), None);
    }

    #[test]
    fn a_clock_set_back_delays_nothing_by_more_than_what_passed_meanwhile() {
        let mut schedule = Schedule::default();
        let start = schedule.now(Timestamp::from_ms(3_600_000));
        schedule.set(start.plus_ms(5_000), "due");
        let set_back = schedule.now(Timestamp::from_ms(0));
        assert_eq!(schedule.take_due(set_back), None);
        let later = schedule.now(Timestamp::from_ms(5_000));
        assert_eq!(schedule.take_due(later), Some("due"));
    }

    #[test]
    fn threads_whose_clocks_are_read_a_turn_apart_do_not_make_time_run_faster() {
        let mut schedule = Schedule::<()>::default();
        let start = schedule.now(Timestamp::from_ms(10_000));
        for _ in 0..1_000 {
            schedule.now(Timestamp::from_ms(9_990));
            schedule.now(Timestamp::from_ms(10_001));
        }
        assert_eq!(schedule.now(Timestamp::from_ms(10_001)), start.plus_ms(1));
    }
}

//! Whether each connection got each message once and in order: a count per connection and publisher. Pure.
//!
//! A message that comes late fills its hole and counts as out of order; what is missing at the end is lost, unless the
//! server said so with a `gap`.

use std::collections::HashSet;

/// Holes remembered one by one; beyond it, missing messages are lost at once.
const HOLES_MAX: usize = 1 << 20;

/// What went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Faults {
    /// Never came, and nobody said so.
    pub(crate) lost: u64,
    /// Never came, as the server said in a `gap`.
    pub(crate) told: u64,
    /// Came twice.
    pub(crate) duplicated: u64,
    /// Came after a message published later.
    pub(crate) out_of_order: u64,
}

impl Faults {
    /// Whether everything that came, or did not, was in order.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.out_of_order == 0
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            told: self.told + other.told,
            duplicated: self.duplicated + other.duplicated,
            out_of_order: self.out_of_order + other.out_of_order,
        }
    }
}

/// The counts of some connections, each hearing the same number of publishers.
#[derive(Debug)]
pub(crate) struct Order {
    publishers: usize,
    next: Vec<u32>,
    excused: Vec<bool>,
    holes: HashSet<(usize, u32)>,
    faults: Faults,
}

impl Order {
    /// For connections that hear `publishers` each.
    pub(crate) fn new(publishers: usize) -> Self {
        Self {
            publishers,
            next: Vec::new(),
            excused: Vec::new(),
            holes: HashSet::new(),
            faults: Faults::default(),
        }
    }

    /// One more connection, for which each publisher's next message is `next` of them.
    pub(crate) fn add_connection(&mut self, next: impl IntoIterator<Item = u32>) {
        let before = self.next.len();
        self.next.extend(next);
        debug_assert_eq!(self.next.len() - before, self.publishers);
        self.excused.resize(self.next.len(), false);
    }

    /// A message came.
    pub(crate) fn take(&mut self, connection: usize, publisher: usize, sequence: u32) {
        let at = connection * self.publishers + publisher;
        if self.next[at] == sequence {
            self.next[at] = sequence + 1;
            self.excused[at] = false;
        } else {
            self.take_unexpected(at, sequence);
        }
    }

    /// The connection was told that some may be missing: what it lacks at its next message is not held against anyone.
    pub(crate) fn excuse(&mut self, connection: usize) {
        let all = connection * self.publishers..(connection + 1) * self.publishers;
        self.excused[all].fill(true);
    }

    /// A message that came out of turn by its id, though its publisher's order was kept.
    pub(crate) fn count_out_of_order(&mut self) {
        self.faults.out_of_order += 1;
    }

    /// How many of a publisher's messages a connection has reached.
    pub(crate) fn reached(&self, connection: usize, publisher: usize) -> u32 {
        self.next[connection * self.publishers + publisher]
    }

    /// What went wrong until now, given how far each connection should have come. Starts over from there.
    pub(crate) fn settle(&mut self, published: impl Fn(usize, usize) -> u32) -> Faults {
        for at in 0..self.next.len() {
            let end = published(at / self.publishers, at % self.publishers);
            let missing = u64::from(end.saturating_sub(self.next[at]));
            if self.excused[at] {
                self.faults.told += missing;
            } else {
                self.faults.lost += missing;
            }
            self.excused[at] = false;
            self.next[at] = self.next[at].max(end);
        }
        self.faults.lost += self.holes.len() as u64;
        self.holes.clear();
        std::mem::take(&mut self.faults)
    }

    #[cold]
    fn take_unexpected(&mut self, at: usize, sequence: u32) {
        let expected = self.next[at];
        if sequence < expected {
            match self.holes.remove(&(at, sequence)) {
                true => self.faults.out_of_order += 1,
                false => self.faults.duplicated += 1,
            }
            return;
        }
        self.next[at] = sequence + 1;
        if std::mem::take(&mut self.excused[at]) {
            self.faults.told += u64::from(sequence - expected);
        } else if self.holes.len() + ((sequence - expected) as usize) < HOLES_MAX {
            self.holes.extend((expected..sequence).map(|missing| (at, missing)));
        } else {
            self.faults.lost += u64::from(sequence - expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(sequences: &[u32], published: u32) -> Faults {
        let mut order = Order::new(1);
        order.add_connection([0]);
        sequences.iter().for_each(|sequence| order.take(0, 0, *sequence));
        order.settle(|_, _| published)
    }

    #[test]
    fn what_is_missing_twice_or_late_is_counted_as_such() {
        assert!(faults(&[0, 1, 2], 3).is_clean());
        assert_eq!(faults(&[0, 2], 3), Faults { lost: 1, ..Faults::default() });
        assert_eq!(faults(&[0, 1], 3), Faults { lost: 1, ..Faults::default() });
        assert_eq!(faults(&[0, 1, 1, 2], 3), Faults { duplicated: 1, ..Faults::default() });
        assert_eq!(faults(&[0, 2, 1], 3), Faults { out_of_order: 1, ..Faults::default() });
    }

    #[test]
    fn a_gap_excuses_what_is_missing_at_the_next_message_and_no_more() {
        let mut order = Order::new(1);
        order.add_connection([0]);
        order.take(0, 0, 0);
        order.excuse(0);
        order.take(0, 0, 5);
        order.take(0, 0, 7);
        assert_eq!(order.settle(|_, _| 8), Faults { lost: 1, told: 4, ..Faults::default() });
    }

    #[test]
    fn a_gap_in_which_nothing_was_lost_excuses_no_later_loss() {
        let mut order = Order::new(1);
        order.add_connection([0]);
        order.excuse(0);
        order.take(0, 0, 0);
        order.take(0, 0, 2);
        assert_eq!(order.settle(|_, _| 3), Faults { lost: 1, ..Faults::default() });
    }

    #[test]
    fn each_publisher_has_its_own_count() {
        let mut order = Order::new(2);
        order.add_connection([0, 0]);
        order.add_connection([0, 3]);
        order.take(1, 1, 3);
        order.take(1, 0, 0);
        order.take(0, 1, 0);
        let published = |connection: usize, publisher: usize| [[0, 1], [1, 4]][connection][publisher];
        assert!(order.settle(published).is_clean());
    }
}

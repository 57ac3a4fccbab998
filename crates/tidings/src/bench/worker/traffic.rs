//! Who publishes next, and when. Owned by the worker's loop, which asks after every turn. Pure but for the clock, which
//! it is handed.

use crate::bench::plan::{Seating, Traffic};

/// Messages published in one turn at most, so that receiving has its turn too.
const MESSAGES_PER_TURN: usize = 1_024;

/// Traffic under way.
#[derive(Debug)]
pub(crate) struct Schedule {
    traffic: Traffic,
    due_ns: u64,
    turn: usize,
}

/// What is to be published now: so many messages, one after another by the given connections.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Connection 0 writes so many back to back.
    Burst(usize),
    /// One message by the connection of this place in the rooms' turns.
    One(usize),
}

impl Schedule {
    /// Starts now.
    pub(crate) fn new(traffic: Traffic, now_ns: u64) -> Self {
        Self { traffic, due_ns: now_ns, turn: 0 }
    }

    /// The traffic this follows.
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// When something will be due by the clock; `None` if the clock decides nothing.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        match self.traffic {
            Traffic::Bursts { .. } | Traffic::Everyone { .. } => Some(self.due_ns),
            Traffic::Listen | Traffic::Window { .. } | Traffic::PingPong => None,
        }
    }

    /// What to publish now, given how many of connection 0's messages are still under way. Ask again until nothing.
    pub(crate) fn due(&mut self, now_ns: u64, under_way: u32) -> Due {
        match self.traffic {
            Traffic::Listen | Traffic::PingPong => Due::Nothing,
            Traffic::Bursts { .. } | Traffic::Everyone { .. } if now_ns < self.due_ns => Due::Nothing,
            Traffic::Bursts { burst, interval_ns } => {
                self.due_ns += interval_ns;
                Due::Burst(burst)
            }
            Traffic::Everyone { interval_ns } => {
                self.due_ns += interval_ns;
                self.turn += 1;
                Due::One(self.turn - 1)
            }
            // A quarter of the window at once: enough to be worth a write, little enough to keep the pipe filled.
            Traffic::Window { messages } if under_way <= messages - messages.div_ceil(4) => {
                Due::Burst(((messages - under_way) as usize).min(MESSAGES_PER_TURN))
            }
            Traffic::Window { .. } => Due::Nothing,
        }
    }
}

/// The connection of a place in the rooms' turns: all rooms speak once before one speaks again, so that no server can
/// put two messages of a room together.
pub(crate) fn speaker(seating: Seating, turn: usize, connections: usize) -> usize {
    let turn = turn % connections;
    match seating {
        Seating::RoomsOf(size) if connections >= size => {
            let rooms = connections / size;
            (turn % rooms * size + turn / rooms) % connections
        }
        _ => turn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_speaks_once_and_no_room_twice_in_a_row() {
        let speakers: Vec<usize> = (0..40).map(|turn| speaker(Seating::RoomsOf(10), turn, 40)).collect();
        assert!(speakers.windows(2).all(|pair| pair[0] / 10 != pair[1] / 10));
        let mut sorted = speakers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_that_was_late_makes_up_for_it() {
        let mut schedule = Schedule::new(Traffic::Bursts { burst: 4, interval_ns: 10 }, 100);
        let bursts = std::iter::from_fn(|| (schedule.due(125, 0) == Due::Burst(4)).then_some(())).count();
        assert_eq!(bursts, 3);
        assert_eq!(schedule.next_ns(), Some(130));
    }

    #[test]
    fn a_window_is_filled_when_a_quarter_of_it_is_free() {
        let mut schedule = Schedule::new(Traffic::Window { messages: 8 }, 0);
        assert_eq!(schedule.due(0, 0), Due::Burst(8));
        assert_eq!(schedule.due(0, 7), Due::Nothing);
        assert_eq!(schedule.due(0, 6), Due::Burst(2));
    }
}

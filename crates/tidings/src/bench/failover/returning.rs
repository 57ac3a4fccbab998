//! A client that loses its node: when it tries again, where, and how far it has come back.
//!
//! Owned by the field. Refuses to choose a node; it is told.

use std::time::Duration;

use tidings_client::Backoff;

use crate::bench::drops::Way;
use crate::bench::drops::client::Client;

/// The longest pause between two attempts, as clients have it.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(super) struct Returning {
    pub(super) client: Client,
    /// The place of the node that it is at, or tries.
    pub(super) node: usize,
    pub(super) stage: Stage,
    backoff: Backoff,
    random: u32,
    pub(super) attempts: u64,
}

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It comes for the first time.
    Coming,
    /// In its room, and has what was published there.
    Whole,
    /// Pauses, until this time. Cut off since.
    Pausing { since_ns: u64, until_ns: u64 },
    /// On the way, since this time.
    Trying { since_ns: u64, began_ns: u64 },
    /// In its room again; so many messages of the room it must have to be whole.
    Back { since_ns: u64, began_ns: u64, needs: u32 },
}

impl Returning {
    pub(super) fn new(number: usize, room: usize, node: usize, pause: Duration) -> Self {
        Self {
            client: Client::new(number, room, Way::Websocket),
            node,
            stage: Stage::Coming,
            backoff: Backoff::new(pause, PAUSE_MAX.max(pause)),
            // Any odd multiplier spreads the numbers; the low bits of few of them are alike.
            random: (number as u32).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995,
            attempts: 0,
        }
    }

    /// Since when it is cut off, if it is.
    pub(super) fn since_ns(&self) -> Option<u64> {
        match self.stage {
            Stage::Coming | Stage::Whole => None,
            Stage::Pausing { since_ns, .. }
            | Stage::Trying { since_ns, .. }
            | Stage::Back { since_ns, .. } => Some(since_ns),
        }
    }

    /// It waits before it tries the next time, and longer each time.
    pub(super) fn pause(&mut self, since_ns: u64, now_ns: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        // The upper half only: nobody is back before there is anybody to come back from.
        let chance = 0.5 + f64::from(self.random) / f64::from(u32::MAX) / 2.0;
        let pause = self.backoff.lost(Duration::ZERO, None, chance);
        let until_ns = now_ns + u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.stage = Stage::Pausing { since_ns, until_ns };
        until_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_the_upper_half_and_grow() {
        let pause = Duration::from_millis(1_000);
        let pauses = |attempt: usize| -> Vec<u64> {
            let first = |number| {
                let mut client = Returning::new(number, 0, 0, pause);
                (0..attempt).map(|_| client.pause(0, 0)).last().unwrap_or(0) / 1_000_000
            };
            (0..1_000).map(first).collect()
        };
        for (attempt, low, high) in [(1, 500, 1_000), (2, 1_000, 2_000)] {
            let all = pauses(attempt);
            assert!(all.iter().all(|pause| (low..=high).contains(pause)));
            let middle = (low + high) / 2;
            let early = all.iter().filter(|pause| **pause < middle).count();
            assert!((350..650).contains(&early), "{early} of 1000 in the first half");
        }
    }
}

//! How long to wait before the next attempt: the textbook's doubling from 1 s to 30 s, with jitter so that thousands
//! of clients of one fallen server do not come back in one instant. Pure: the randomness is handed in.

use std::time::Duration;

/// A growing pause.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` on, doubling up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause. `random` spreads it over its upper half: the pause is never shorter than half of what the
    /// doubling gives, and never longer than it.
    pub fn next(&mut self, random: u32) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.longest);
        full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// A connection was made: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// 1 s doubling to 30 s.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..7).map(|_| backoff.next(u32::MAX).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX).as_secs(), 1);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        for random in [0, 1, u32::MAX / 2, u32::MAX] {
            let pause = Backoff::default().next(random);
            assert!(pause >= Duration::from_millis(500) && pause <= Duration::from_secs(1), "{pause:?}");
        }
    }
}

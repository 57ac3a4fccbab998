//! How long to wait before the next attempt: full jitter below a ceiling that doubles from 1 s to 30 s, so that thousands of
//! clients of one fallen server do not come back in one instant. The rule is that of docs/client-spec.md, and its vectors test it. Pure:
//! time and randomness are handed in. Refuses to forget its failures because a connection was made: only one that lasted proves anything.

use std::time::Duration;

/// Bad luck must not make a tight loop.
const LEAST: Duration = Duration::from_millis(100);
/// So long a connection must have lasted to begin from the first pause again.
const STABLE: Duration = Duration::from_secs(5);
/// A server's hint counts for no more than this.
const HINT_MAX: Duration = Duration::from_secs(600);
/// Where doubling ends, whatever the ceiling.
const DOUBLINGS_MAX: u32 = 30;

/// A growing pause.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    least: Duration,
    stable: Duration,
    losses: u32,
}

impl Backoff {
    /// Ceilings from `first` on, doubling up to `longest`. No pause is shorter than 100 ms, or than a tenth of `first` where that
    /// is less.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, least: LEAST.min(first / 10), stable: STABLE, losses: 0 }
    }

    /// Begins again after connections that lasted so long, instead of 5 s.
    pub fn stable_after(mut self, stable: Duration) -> Self {
        self.stable = stable;
        self
    }

    /// The pause after a loss. `lasted` is how long the connection had its session, nothing for an attempt that failed; `hint` is the
    /// least that the server asked for; `random` lies between 0 and 1.
    pub fn lost(&mut self, lasted: Duration, hint: Option<Duration>, random: f64) -> Duration {
        if lasted >= self.stable {
            self.losses = 0;
        }
        let ceiling = self.first.saturating_mul(1 << self.losses.min(DOUBLINGS_MAX)).min(self.longest);
        self.losses = self.losses.saturating_add(1);
        let pause = match hint.map(|hint| hint.min(HINT_MAX)) {
            Some(hint) => hint + hint.max(ceiling).mul_f64(random),
            None => ceiling.mul_f64(random),
        };
        pause.max(self.least)
    }
}

/// 1 s doubling to 30 s.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30))
    }
}

//! Whether this node can be sure, by its own clock alone, that its lease on a server has not ended.
//!
//! A process that was stopped, or had no turn for long, does not know that it was: others may have taken it for
//! dead, and its sessions. What it knows is when it last asked for its lease, and was given it. Refuses to doubt
//! because a server cannot be reached: what is noticed in time changes nothing for who is connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::server::Server;

/// See the module. Read by shards in each turn, so without a lock; written by the server's tasks.
pub(crate) struct Standing {
    began: Instant,
    lease_ms: u64,
    /// Doubt ends by itself after so long: a server that does not answer does not give sessions to others either.
    doubt_max_ms: u64,
    /// When the lease may end, on the clock that began with this; 0 if it was never given.
    sure_until_ms: AtomicU64,
    /// The server went away while this node was sure.
    is_away: AtomicBool,
    /// When doubt was first felt; 0 if there is none.
    doubted_ms: AtomicU64,
    proofs: AtomicUsize,
}

/// What a renewal of the lease meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Nobody can have taken this node for dead without its noticing.
    Sure,
    /// Somebody may have.
    Doubtful,
    /// Somebody may have, and it is being found out.
    Proving,
}

impl Standing {
    pub(crate) fn new(lease_ms: u64, doubt_max_ms: u64) -> Self {
        Self {
            began: Instant::now(),
            lease_ms,
            doubt_max_ms,
            sure_until_ms: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            doubted_ms: AtomicU64::new(0),
            proofs: AtomicUsize::new(0),
        }
    }

    /// To be kept from before the lease is asked for.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// The server is away.
    pub(crate) fn went_away(&self) {
        if self.is_sure_at(self.now_ms()) {
            self.is_away.store(true, Ordering::Release);
        }
    }

    /// The lease that was asked for then was given. Whether the one before had ended, the server cannot say for
    /// certain: its answer to an earlier question may have been lost on the way.
    pub(crate) fn renewed(&self, asked_ms: u64) -> Renewal {
        let was_away = self.is_away.swap(false, Ordering::AcqRel);
        if was_away || self.is_sure_at(self.now_ms()) {
            self.is_sure_from(asked_ms);
            return Renewal::Sure;
        }
        match self.proofs.load(Ordering::Acquire) {
            0 => Renewal::Doubtful,
            _ => Renewal::Proving,
        }
    }

    /// It is being found out whether others have taken anything.
    pub(crate) fn begin_proof(&self) {
        self.proofs.fetch_add(1, Ordering::AcqRel);
    }

    /// They have not, or what they took was given up. The lease was asked for then.
    pub(crate) fn end_proof(&self, asked_ms: u64) {
        if self.proofs.fetch_sub(1, Ordering::AcqRel) == 1 {
            tracing::info!("LeaseCertainAgain");
            self.is_sure_from(asked_ms);
        }
    }

    /// Whether others may have taken sessions that this node still has.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let now = self.now_ms();
        if self.is_sure_at(now) || self.is_away.load(Ordering::Acquire) {
            return false;
        }
        let first = match self.doubted_ms.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                tracing::warn!("LeaseOverslept");
                now
            }
            Err(first) => first,
        };
        let lasts = now.saturating_sub(first) <= self.doubt_max_ms;
        if !lasts {
            self.is_away.store(true, Ordering::Release);
            self.doubted_ms.store(0, Ordering::Release);
        }
        lasts
    }

    fn is_sure_at(&self, now_ms: u64) -> bool {
        let until = self.sure_until_ms.load(Ordering::Acquire);
        until == 0 || now_ms <= until
    }

    fn is_sure_from(&self, asked_ms: u64) {
        self.sure_until_ms.fetch_max(asked_ms.saturating_add(self.lease_ms), Ordering::AcqRel);
        self.doubted_ms.store(0, Ordering::Release);
    }
}

/// It is being found out whether others have taken sessions of this node. Ends when it is dropped.
pub(crate) struct Doubt {
    server: Arc<Server>,
    asked_ms: u64,
}

impl Doubt {
    /// The lease that has ended was asked for once more, then.
    pub(crate) fn of(server: &Arc<Server>, asked_ms: u64) -> Self {
        server.standing.begin_proof();
        Self { server: Arc::clone(server), asked_ms }
    }

    /// Whether it is worth finding out still.
    pub(crate) fn lasts(&self) -> bool {
        self.server.standing.is_in_doubt()
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        self.server.standing.end_proof(self.asked_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    /// One whose lease has ended by its own clock.
    fn overslept(doubt_max_ms: u64) -> Standing {
        let standing = Standing::new(5, doubt_max_ms);
        assert_eq!(standing.renewed(standing.now_ms()), Renewal::Sure);
        sleep(Duration::from_millis(20));
        standing
    }

    #[test]
    fn who_overslept_the_lease_is_in_doubt_until_that_is_proven_away() {
        let standing = overslept(60_000);
        assert!(standing.is_in_doubt());
        // Too late to be a server that is away.
        standing.went_away();
        assert!(standing.is_in_doubt());
        assert_eq!(standing.renewed(standing.now_ms()), Renewal::Doubtful);
        standing.begin_proof();
        assert_eq!(standing.renewed(standing.now_ms()), Renewal::Proving);
        assert!(standing.is_in_doubt());
        standing.end_proof(standing.now_ms() + 60_000);
        assert!(!standing.is_in_doubt());
    }

    #[test]
    fn a_server_that_went_away_in_time_puts_nobody_in_doubt() {
        let standing = Standing::new(1_000_000, 60_000);
        standing.renewed(standing.now_ms());
        standing.went_away();
        standing.sure_until_ms.store(1, Ordering::Release);
        sleep(Duration::from_millis(5));
        assert!(!standing.is_in_doubt());
        assert_eq!(standing.renewed(standing.now_ms()), Renewal::Sure);
    }

    #[test]
    fn doubt_that_nobody_can_take_away_ends() {
        let standing = overslept(10);
        assert!(standing.is_in_doubt());
        sleep(Duration::from_millis(20));
        assert!(!standing.is_in_doubt());
    }
}

//! Whether anything moves on a connection.
//!
//! Shared by the connection's stream, which notes, and its task, which looks now and then. One
//! rule covers the idle, the client that never sends the rest, and the one that never reads. What
//! a shard serves within the connection is excepted: the shard has timers of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Counts what moved.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    moves: AtomicU64,
    held: AtomicUsize,
    /// Rings when `held` changes.
    changed: Notify,
}

/// Keeps a connection from being taken for an idle one, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Activity>);

impl Activity {
    /// Something moved.
    pub(crate) fn note(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// A shard serves something of this connection.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        self.held.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        Hold(Arc::clone(self))
    }

    /// Waits until a shard serves something of this connection, or until none does any more.
    pub(crate) async fn is_held(&self, wanted: bool) {
        loop {
            let changed = self.changed.notified();
            if (self.held.load(Ordering::Relaxed) > 0) == wanted {
                return;
            }
            changed.await;
        }
    }

    /// Returns once nothing has moved for at least one period, at the latest after two.
    pub(crate) async fn ceased(&self, period: Duration) {
        let mut seen = self.moves.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(period).await;
            let now = self.moves.load(Ordering::Relaxed);
            if now == seen && self.held.load(Ordering::Relaxed) == 0 {
                return;
            }
            seen = now;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The end is a move too: the connection has its whole time for the next request.
        self.0.note();
        self.0.held.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_lives_for_as_long_as_a_shard_serves_something_of_it() {
        let activity = Arc::new(Activity::default());
        let (period, long) = (Duration::from_secs(60), Duration::from_secs(86_400));
        let hold = activity.hold();
        assert!(tokio::time::timeout(long, activity.ceased(period)).await.is_err());
        drop(hold);
        assert!(tokio::time::timeout(2 * period, activity.ceased(period)).await.is_ok());
    }
}

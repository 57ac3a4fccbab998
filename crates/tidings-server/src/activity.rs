//! Whether anything moves on a connection.
//!
//! Shared by the connection's stream, which notes, and its task, which looks now and then. One
//! rule covers the idle, the client that never sends the rest, and the one that never reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts what moved.
#[derive(Debug, Default)]
pub(crate) struct Activity(AtomicU64);

impl Activity {
    /// Something moved.
    pub(crate) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns once nothing has moved for at least one period, at the latest after two.
    pub(crate) async fn ceased(&self, period: Duration) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(period).await;
            let now = self.0.load(Ordering::Relaxed);
            if now == seen {
                return;
            }
            seen = now;
        }
    }
}

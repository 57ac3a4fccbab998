//! How many clients the node holds: one count for all shards and the control plane.
//!
//! A connection takes a [`Seat`] when it is accepted and gives it back when it is dropped,
//! wherever that happens. Refuses nobody itself; it says when the house is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidings_protocol::Limits;

/// See the module.
#[derive(Debug)]
pub struct Capacity {
    taken: AtomicUsize,
    connections_max: usize,
    refusals_max: usize,
}

/// One connection's place. Counted until dropped.
#[derive(Debug)]
pub struct Seat {
    /// `None` for what belongs to a connection that is counted already.
    capacity: Option<Arc<Capacity>>,
}

impl Seat {
    /// For a request within a connection that keeps its own seat: its client is counted once.
    pub const fn shared() -> Self {
        Self { capacity: None }
    }
}

impl Capacity {
    /// As many seats as the limits say.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            connections_max: limits.connections_max,
            refusals_max: limits.refusals_max,
        })
    }

    /// Connections at the moment.
    pub fn connections(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether one more may be accepted, be it only to be refused.
    pub fn may_accept(&self) -> bool {
        self.connections() < self.connections_max.saturating_add(self.refusals_max)
    }

    /// Takes a seat for a connection that was accepted. Says whether it is one beyond
    /// `connections_max`, whose client is to be told so and sent away.
    pub fn seat(self: &Arc<Self>) -> (Seat, bool) {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        (Seat { capacity: Some(Arc::clone(self)) }, before >= self.connections_max)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(capacity) = &self.capacity {
            capacity.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_connection_is_dropped() {
        let capacity = Capacity::new(&Limits { connections_max: 1, refusals_max: 1, ..Limits::default() });
        let (first, surplus) = capacity.seat();
        assert!(!surplus);
        let (second, surplus) = capacity.seat();
        assert!(surplus);
        assert!(!capacity.may_accept());
        drop(first);
        assert!(capacity.may_accept());
        assert_eq!(capacity.connections(), 1);
        drop(Seat::shared());
        assert_eq!(capacity.connections(), 1);
        drop(second);
        assert!(!capacity.seat().1);
    }
}

//! The gate: how other threads reach a shard besides its mailbox: to stop it, and to bring home a
//! connection that became a WebSocket elsewhere.
//!
//! Owned by the shard, held by whoever talks to it. Bounded, since each arrival holds a seat of
//! the node's capacity.

use std::sync::{Mutex, PoisonError};

use crate::capacity::Seat;

/// A connection that became a WebSocket in the control plane: nginx, for one, sends a handshake on
/// a connection that it kept alive. The 101 is sent.
#[derive(Debug)]
pub struct Arrival<S = std::net::TcpStream> {
    /// The socket.
    pub socket: S,
    /// Path and query of the handshake.
    pub target: String,
    /// The window for compressed messages to this client, if compression was agreed on.
    pub deflate_window_bits: Option<u8>,
    /// What was read behind the handshake.
    pub unread: Vec<u8>,
    /// Its place in the node's count.
    pub seat: Seat,
}

/// See the module.
#[derive(Debug)]
pub struct Gate<S> {
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    arrivals: Vec<Arrival<S>>,
    draining: bool,
}

impl<S> Default for Gate<S> {
    fn default() -> Self {
        Self { state: Mutex::new(State { arrivals: Vec::new(), draining: false }) }
    }
}

impl<S> Gate<S> {
    /// Asks the shard to send its clients away and end. The caller wakes it.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// Brings a connection home. The caller wakes the shard.
    pub fn arrive(&self, arrival: Arrival<S>) {
        self.lock().arrivals.push(arrival);
    }

    /// Takes what arrived, and says whether the shard is to drain.
    pub fn look(&self) -> (Vec<Arrival<S>>, bool) {
        let mut state = self.lock();
        (std::mem::take(&mut state.arrivals), state.draining)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<S>> {
        // Each step under the lock is one call, so a panic leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The gate: how other threads reach a shard besides its mailbox: to stop it, and to bring it a
//! connection from the control plane.
//!
//! Owned by the shard, held by whoever talks to it. Bounded, since each arrival is, or belongs to,
//! a connection that the node has counted.

use std::sync::{Mutex, PoisonError};

use crate::capacity::Seat;
use crate::tcp::Arriving;

/// A connection that the control plane brings.
#[derive(Debug)]
pub struct Arrival<S = Arriving> {
    /// The socket or stream.
    pub socket: S,
    /// Its place in the node's count.
    pub seat: Seat,
    /// What is to become of it.
    pub purpose: Purpose,
}

/// What an arrival is for.
#[derive(Debug)]
pub enum Purpose {
    /// It became a WebSocket in the control plane: nginx, for one, sends a handshake on a connection
    /// that it kept alive. The handshake is answered.
    WebSocket(Handshake),
    /// Its bytes begin with a request's head, to be read as if the connection had been accepted by
    /// the shard. A request for an address of the control plane is refused: it comes from there.
    Request,
}

/// What was agreed on when a WebSocket was opened.
#[derive(Debug)]
pub struct Handshake {
    /// Path and query.
    pub target: String,
    /// The window for compressed messages to this client, if compression was agreed on.
    pub deflate_window_bits: Option<u8>,
    /// Whether the subprotocol of protobuf was agreed on.
    pub is_protobuf: bool,
    /// What was read behind the handshake.
    pub unread: Vec<u8>,
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
    closed: bool,
}

impl<S> Default for Gate<S> {
    fn default() -> Self {
        Self { state: Mutex::new(State { arrivals: Vec::new(), draining: false, closed: false }) }
    }
}

impl<S> Gate<S> {
    /// Asks the shard to send its clients away and end. The caller wakes it.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// Brings a connection; it ends at once if the shard has. The caller wakes the shard.
    pub fn arrive(&self, arrival: Arrival<S>) {
        let mut state = self.lock();
        if !state.closed {
            state.arrivals.push(arrival);
        }
    }

    /// The shard has ended: nobody will take what arrives, or did arrive too late.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let late = std::mem::take(&mut state.arrivals);
        drop(state);
        drop(late);
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

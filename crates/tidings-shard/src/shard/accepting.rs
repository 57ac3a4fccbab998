//! New connections: from the listener, and from the control plane.

use tidings_core::Slot;
use tidings_core::telemetry::Counter;

use super::Shard;
use crate::capacity::Seat;
use crate::connection::Connection;
use crate::io::Io;

/// Connections accepted in one turn; the rest in the next, after sockets had theirs.
const ACCEPTS_PER_TURN: usize = 256;
/// Pause after the system had no descriptor or memory for a connection.
const ACCEPT_PAUSE_MS: u64 = 100;

impl<I: Io> Shard<I> {
    pub(super) fn accept_waiting(&mut self) {
        if !self.accepting || self.now.monotonic_ms < self.accept_again_ms {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.accept_one() {
                return;
            }
        }
    }

    /// Accepts one connection. Says whether another may wait.
    pub(super) fn accept_one(&mut self) -> bool {
        if !self.context.capacity.may_accept() {
            self.accept_again_ms = self.now.monotonic_ms + ACCEPT_PAUSE_MS;
            return false;
        }
        match self.io.accept() {
            Ok(Some(socket)) => {
                self.counters.add(Counter::ConnectionAccepted, 1);
                let (seat, surplus) = self.context.capacity.seat();
                if let Some(slot) = self.admit(socket, seat)
                    && let Some(connection) = self.connections.table.get_mut(slot)
                {
                    connection.surplus = surplus;
                }
                true
            }
            Ok(None) => {
                self.accepting = false;
                false
            }
            // The client is already gone; the next one may not be.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => true,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "AcceptFailed: no connection can be accepted for a moment; raise the descriptor limit, see tidings doctor"
                );
                self.accept_again_ms = self.now.monotonic_ms + ACCEPT_PAUSE_MS;
                false
            }
        }
    }

    /// Gives a socket a record, a deadline for its request, and attention when it is readable.
    pub(super) fn admit(&mut self, socket: I::Socket, seat: Seat) -> Option<Slot> {
        let now_ms = self.connections.now_ms();
        let key = self.connections.table.insert(Connection::new(socket, seat, now_ms));
        let connection = self.connections.table.get_mut(key.slot)?;
        if self.io.watch(&mut connection.socket, key, false, false).is_err() {
            self.remove(key.slot);
            return None;
        }
        self.connections.set_timer(key.slot, self.context.limits.handshake_timeout_ms);
        Some(key.slot)
    }
}

//! How a shard ends: it tells its clients, lets them go when they are ready, and closes the rest
//! at a deadline. A client may ask to have this happen to itself alone.

use tidings_core::telemetry::Counter;
use tidings_core::{Outlet, Slot};
use tidings_protocol::{CloseCode, Limits, ServerFrame};

use super::Shard;
use crate::connection::Phase;
use crate::io::Io;

/// Whether and since when the shard is stopping.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    began_ms: Option<u64>,
    rest_closed: bool,
}

impl Stopping {
    pub(super) const fn has_begun(&self) -> bool {
        self.began_ms.is_some()
    }

    /// When something has to be done.
    pub(super) fn next_ms(&self, limits: &Limits) -> Option<u64> {
        let wait_ms = match self.rest_closed {
            false => limits.restart_ack_timeout_ms.min(limits.drain_timeout_ms),
            true => limits.drain_timeout_ms,
        };
        self.began_ms.map(|began_ms| began_ms + wait_ms)
    }
}

impl<I: Io> Shard<I> {
    /// Takes what other threads brought.
    pub(super) fn look_at_gate(&mut self) {
        let (arrivals, draining) = self.gate.look();
        for arrival in arrivals {
            self.arrived(arrival);
        }
        if draining {
            self.go_on_stopping();
        }
    }

    /// Whether the shard has ended.
    pub fn is_drained(&self) -> bool {
        let Some(began_ms) = self.stopping.began_ms else { return false };
        let deadline_ms = began_ms + self.context.limits.drain_timeout_ms;
        self.connections.table.is_empty() || self.now.monotonic_ms >= deadline_ms
    }

    fn go_on_stopping(&mut self) {
        let Some(began_ms) = self.stopping.began_ms else { return self.begin_stopping() };
        let patience_ms = self.context.limits.restart_ack_timeout_ms;
        if !self.stopping.rest_closed && self.now.monotonic_ms >= began_ms + patience_ms {
            self.stopping.rest_closed = true;
            self.close_rest();
        }
    }

    fn begin_stopping(&mut self) {
        // Who has connected already is told, not reset.
        while self.accept_one() {}
        self.io.stop_listening();
        self.accepting = false;
        self.stopping.began_ms = Some(self.now.monotonic_ms);
        self.connections.stopping = true;
        for slot in self.slots() {
            self.tell_of_restart(slot);
        }
        self.let_leave();
    }

    /// Tells those who asked for it of a restart, as if there were one. Each is waited for by itself.
    pub(super) fn rehearse_restarts(&mut self) {
        let mut rehearsing = std::mem::take(&mut self.connections.rehearsing);
        for key in rehearsing.drain(..) {
            let Some(connection) = self.connections.table.get(key.slot) else { continue };
            let is_told = self.stopping.has_begun()
                || connection.rehearsal_end_ms().is_some()
                || matches!(connection.phase, Phase::Send | Phase::Closing);
            if is_told || !self.connections.table.holds(key) {
                continue;
            }
            self.counters.add(Counter::RestartRehearsed, 1);
            self.tell_of_restart(key.slot);
            self.connections.wait_for_rehearsal(key.slot);
        }
        self.connections.rehearsing = rehearsing;
        self.let_leave();
    }

    fn tell_of_restart(&mut self, slot: Slot) {
        let restart =
            ServerFrame::ServerRestart { reconnect_after_ms: self.context.limits.reconnect_after_ms };
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        match connection.phase {
            Phase::Messages => self.connections.answer(slot, &restart),
            // The next poll belongs on another node, and so on another connection.
            Phase::Poll => {
                connection.keep_if(false);
                self.connections.answer(slot, &restart);
            }
            // Its client cannot say that it is ready, so it is not waited for.
            Phase::Feed => {
                self.connections.answer(slot, &restart);
                self.connections.end_feed(slot);
            }
            Phase::Echo | Phase::Knocking => self.go_away(slot),
            Phase::Head if connection.is_idle() => self.remove(slot),
            Phase::Head | Phase::Body | Phase::Send | Phase::Closing => {}
        }
    }

    fn close_rest(&mut self) {
        for slot in self.slots() {
            match self.connections.table.get(slot).map(|connection| connection.phase) {
                None | Some(Phase::Closing) => {}
                Some(Phase::Head) => self.remove(slot),
                Some(_) => self.go_away(slot),
            }
        }
        self.let_leave();
    }

    pub(super) fn go_away(&mut self, slot: Slot) {
        self.connections.send_away(slot, CloseCode::GoingAway, "server stopping");
    }

    fn slots(&self) -> Vec<Slot> {
        self.connections.table.taken().collect()
    }
}

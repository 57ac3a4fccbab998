//! Deadlines: a request that does not come or cannot be answered, a client that has fallen silent,
//! a close that is not answered. One deadline a connection, looked at when it may have passed.

use tidings_core::Slot;
use tidings_core::telemetry::Counter;
use tidings_protocol::server::sse;
use tidings_protocol::{CloseCode, ErrorCode};

use super::Shard;
use crate::connection::Phase;
use crate::head::Refused;
use crate::io::Io;

/// After so long one looks again whether the engine has answered for a poll that is over.
const LOOK_AGAIN_MS: u64 = 5;

impl<I: Io> Shard<I> {
    pub(super) fn expire_timers(&mut self) {
        let mut expired = std::mem::take(&mut self.expired);
        self.connections.timers.expire(self.now.monotonic_ms, &mut expired);
        for slot in expired.drain(..) {
            self.on_deadline(slot);
        }
        self.expired = expired;
        self.let_leave();
    }

    fn on_deadline(&mut self, slot: Slot) {
        let now_ms = self.connections.now_ms();
        let Some(connection) = self.connections.table.get(slot) else { return };
        if connection.rehearsal_end_ms().is_some_and(|end_ms| self.now.monotonic_ms >= end_ms) {
            return self.go_away(slot);
        }
        let silent_ms = u64::from(now_ms.wrapping_sub(connection.since_ms));
        let limits = &self.context.limits;
        let rests = connection.phase == Phase::Head && self.messaging.rests(slot);
        let allowed_ms = match connection.phase {
            Phase::Head if rests => limits.poll_rest_ms.min(limits.http_idle_timeout_ms),
            Phase::Head if connection.kept => limits.http_idle_timeout_ms,
            Phase::Head => limits.handshake_timeout_ms,
            Phase::Body => limits.body_timeout_ms,
            Phase::Send | Phase::Knocking => limits.engine_timeout_ms,
            Phase::Poll => connection.gathering().map_or(0, |gathering| gathering.timeout_ms),
            Phase::Feed => limits.ping_interval_ms,
            Phase::Closing => limits.close_timeout_ms,
            Phase::Messages | Phase::Echo if connection.pinged => limits.pong_timeout_ms,
            Phase::Messages | Phase::Echo => limits.ping_interval_ms,
        };
        if silent_ms < allowed_ms {
            return self.connections.set_timer(slot, allowed_ms - silent_ms);
        }
        match connection.phase {
            // What the log has for it is on its way: an empty answer would say that there is nothing.
            Phase::Poll
                if self.messaging.is_looking(slot) && silent_ms < allowed_ms + limits.engine_timeout_ms =>
            {
                self.connections.set_timer(slot, LOOK_AGAIN_MS);
            }
            Phase::Head if rests => {
                self.messaging.stop_resting(slot);
                self.connections.set_timer(slot, limits.http_idle_timeout_ms.saturating_sub(silent_ms));
            }
            Phase::Head if connection.rare.is_none() => self.remove(slot),
            Phase::Head | Phase::Body => {
                self.refuse(slot, &Refused::new(ErrorCode::Timeout), Counter::HeadRefused);
            }
            Phase::Send | Phase::Knocking => {
                self.connections.answer_refused(slot, &Refused::new(ErrorCode::Unavailable));
            }
            Phase::Poll => self.end_poll(slot),
            Phase::Feed => self.beat(slot),
            Phase::Closing => self.remove(slot),
            Phase::Messages | Phase::Echo if connection.pinged => self.on_silence(slot),
            Phase::Messages | Phase::Echo => self.ping(slot),
        }
    }

    /// Shows an event stream's client, and proxies on the way, that the server lives. A client that
    /// is gone is found out by the system, which has to bring the bytes to it.
    fn beat(&mut self, slot: Slot) {
        let now_ms = self.connections.now_ms();
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.since_ms = now_ms;
        if !connection.is_blocked() {
            self.connections.queue(slot, |out, _| sse::comment(out, "alive"));
        }
        self.connections.set_timer(slot, self.context.limits.ping_interval_ms);
    }

    fn ping(&mut self, slot: Slot) {
        let now_ms = self.connections.now_ms();
        if let Some(connection) = self.connections.table.get_mut(slot) {
            connection.pinged = true;
            connection.since_ms = now_ms;
        }
        self.connections.ping(slot);
        self.connections.set_timer(slot, self.context.limits.pong_timeout_ms);
    }

    fn on_silence(&mut self, slot: Slot) {
        self.counters.add(Counter::PongMissed, 1);
        self.connections.close(slot, CloseCode::PongTimeout.number(), "no sign of life after a ping");
    }
}

//! Deadlines: a request that does not come, a client that has fallen silent, a close that is not
//! answered. One deadline a connection, looked at when it may have passed.

use tidings_core::Slot;
use tidings_core::telemetry::Counter;
use tidings_protocol::{CloseCode, ErrorCode};

use super::Shard;
use crate::connection::Phase;
use crate::head::Refused;
use crate::io::Io;

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
        let silent_ms = u64::from(now_ms.wrapping_sub(connection.since_ms));
        let limits = &self.context.limits;
        let allowed_ms = match connection.phase {
            Phase::Head => limits.handshake_timeout_ms,
            Phase::Closing => limits.close_timeout_ms,
            Phase::Messages | Phase::Echo if connection.pinged => limits.pong_timeout_ms,
            Phase::Messages | Phase::Echo => limits.ping_interval_ms,
        };
        if silent_ms < allowed_ms {
            return self.connections.set_timer(slot, allowed_ms - silent_ms);
        }
        match connection.phase {
            Phase::Head if connection.rare.is_none() => self.remove(slot),
            Phase::Head => self.refuse(slot, &Refused::new(ErrorCode::Timeout), Counter::HeadRefused),
            Phase::Closing => self.remove(slot),
            Phase::Messages | Phase::Echo if connection.pinged => self.on_silence(slot),
            Phase::Messages | Phase::Echo => self.ping(slot),
        }
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

//! The connections of a shard and what this turn sends to them.
//!
//! Owned by the shard. Refuses to touch sockets: what is queued here leaves in
//! [`flushing`](super::flushing).

use std::sync::Arc;

use tidings_core::telemetry::{Counter, Counters};
use tidings_core::{Now, Slot, SlotKey, Slots};
use tidings_protocol::Limits;
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use crate::connection::{Connection, Phase};
use crate::cork::Cork;
use crate::encoding::{self, Tools};
use crate::wheel::Wheel;

/// See the module.
pub(crate) struct Connections<S> {
    pub(super) table: Slots<Connection<S>>,
    pub(super) cork: Cork,
    pub(super) timers: Wheel,
    pub(super) tools: Tools,
    /// Those with something to send, each once.
    pub(super) dirty: Vec<Slot>,
    /// Closed, and still to be told to the rules of messaging.
    pub(super) leaving: Vec<Slot>,
    /// Those to whom nothing can be sent any more, to be removed at the turn's end.
    pub(super) dead: Vec<SlotKey>,
    /// Those who asked in this turn what a restart is like.
    pub(super) rehearsing: Vec<SlotKey>,
    /// Polls that have something to answer.
    pub(super) ripe: Vec<Slot>,
    /// Those whose next request has been read already, behind the one that was just answered.
    pub(super) pipelined: Vec<SlotKey>,
    /// Whether connections end with the answer that is under way.
    pub(super) stopping: bool,
    pub(super) limits: Arc<Limits>,
    pub(super) counters: Arc<Counters>,
    pub(super) node: Arc<str>,
    pub(super) json: Vec<u8>,
    now: Now,
}

impl<S> Connections<S> {
    pub(super) fn new(node: Arc<str>, limits: Arc<Limits>, counters: Arc<Counters>, now: Now) -> Self {
        Self {
            table: Slots::new(),
            cork: Cork::default(),
            timers: Wheel::new(now.monotonic_ms),
            tools: Tools::default(),
            dirty: Vec::new(),
            leaving: Vec::new(),
            dead: Vec::new(),
            rehearsing: Vec::new(),
            ripe: Vec::new(),
            pipelined: Vec::new(),
            stopping: false,
            limits,
            counters,
            node,
            json: Vec::new(),
            now,
        }
    }

    pub(super) fn begin_turn(&mut self, now: Now) {
        self.now = now;
    }

    /// The time in a connection's 32 bits.
    pub(super) const fn now_ms(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "differences of up to 49 days come out right")]
        let now_ms = self.now.monotonic_ms as u32;
        now_ms
    }

    pub(super) fn set_timer(&mut self, slot: Slot, delay_ms: u64) {
        let end_ms = self.table.get(slot).and_then(Connection::rehearsal_end_ms).unwrap_or(u64::MAX);
        self.timers.set(slot, (self.now.monotonic_ms + delay_ms).min(end_ms));
    }

    /// A connection was told of a restart that is none: whoever holds on to it is sent away in the end.
    pub(super) fn wait_for_rehearsal(&mut self, slot: Slot) {
        let end_ms = self.now.monotonic_ms + self.limits.restart_ack_timeout_ms;
        let Some(connection) = self.table.get_mut(slot) else { return };
        if connection.phase == Phase::Messages {
            connection.rare.get_or_insert_default().rehearsal_end_ms = Some(end_ms);
            // Its deadline is looked at anew, and set to whatever comes first.
            self.set_timer(slot, 0);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Connection<S>> {
        self.timers.cancel(slot);
        self.table.remove(slot)
    }

    /// Queues bytes of the connection's own.
    pub(super) fn queue(&mut self, slot: Slot, write: impl FnOnce(&mut Vec<u8>, &mut Tools)) {
        let Some(connection) = self.table.get_mut(slot) else { return };
        let tools = &mut self.tools;
        self.cork.push_own(&mut connection.list, |out| write(out, tools));
        mark_dirty(connection, slot, &mut self.dirty);
    }

    /// Sends a message back to where it came from.
    pub(super) fn echo(&mut self, slot: Slot, opcode: Opcode, payload: &[u8]) {
        let Some(encoding) = self.table.get(slot).map(|connection| connection.encoding) else { return };
        self.queue(slot, |out, tools| {
            encoding::compressible(out, encoding, opcode, payload, &mut tools.deflaters);
        });
    }

    pub(super) fn pong(&mut self, slot: Slot, payload: &[u8]) {
        self.queue(slot, |out, _| encoder::pong(out, payload));
    }

    pub(super) fn ping(&mut self, slot: Slot) {
        self.counters.add(Counter::PingSent, 1);
        self.queue(slot, |out, _| encoder::ping(out, b""));
    }

    /// Queues a close frame; the WebSocket then waits for the client's.
    pub(super) fn close(&mut self, slot: Slot, code: u16, reason: &str) {
        if self.begin_closing(slot) {
            self.queue(slot, |out, _| encoder::close(out, code, reason));
        }
    }

    /// The WebSocket's client closed, or broke the protocol: queues the last frame and ends the
    /// connection once it is sent.
    pub(super) fn close_for_good(&mut self, slot: Slot, code: u16, reason: &str) {
        self.close(slot, code, reason);
        self.finish(slot);
    }

    /// Does not wait for an answer to the last words, if they are said.
    pub(super) fn finish_if_closing(&mut self, slot: Slot) {
        if self.table.get(slot).is_some_and(|connection| connection.phase == Phase::Closing) {
            self.finish(slot);
        }
    }

    /// Nothing more will be queued: end the outward direction when all is sent.
    pub(super) fn finish(&mut self, slot: Slot) {
        let Some(connection) = self.table.get_mut(slot) else { return };
        connection.finish = true;
        mark_dirty(connection, slot, &mut self.dirty);
    }

    pub(super) fn begin_closing(&mut self, slot: Slot) -> bool {
        let now_ms = self.now_ms();
        let Some(connection) = self.table.get_mut(slot) else { return false };
        if connection.phase == Phase::Closing {
            return false;
        }
        connection.phase = Phase::Closing;
        connection.since_ms = now_ms;
        if let Some(rare) = &mut connection.rare {
            rare.rehearsal_end_ms = None;
        }
        self.leaving.push(slot);
        self.set_timer(slot, self.limits.close_timeout_ms);
        true
    }
}

pub(super) fn mark_dirty<S>(connection: &mut Connection<S>, slot: Slot, dirty: &mut Vec<Slot>) {
    if !connection.dirty {
        connection.dirty = true;
        dirty.push(slot);
    }
}

//! The connections of a shard and what this turn sends to them: the way out that the rules of
//! messaging are given.
//!
//! Owned by the shard. Refuses to touch sockets: what is queued here leaves in
//! [`flushing`](super::flushing).

use std::sync::Arc;

use tidings_core::telemetry::{Counter, Counters};
use tidings_core::{Batch, Now, Outlet, Slot, SlotKey, Slots, Telling};
use tidings_protocol::{CloseCode, Limits, ServerFrame};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use crate::connection::{Connection, Phase};
use crate::cork::Cork;
use crate::encoding::{self, Encoded, Tools};
use crate::head::{Refused, write_refusal};
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
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    now: Now,
    json: Vec<u8>,
}

impl<S> Connections<S> {
    pub(super) fn new(limits: Arc<Limits>, counters: Arc<Counters>, now: Now) -> Self {
        Self {
            table: Slots::new(),
            cork: Cork::default(),
            timers: Wheel::new(now.monotonic_ms),
            tools: Tools::default(),
            dirty: Vec::new(),
            leaving: Vec::new(),
            dead: Vec::new(),
            limits,
            counters,
            now,
            json: Vec::new(),
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
        self.timers.set(slot, self.now.monotonic_ms + delay_ms);
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

    /// Queues a close frame; the connection then waits for the client's.
    pub(super) fn close(&mut self, slot: Slot, code: u16, reason: &str) {
        if self.begin_closing(slot) {
            self.queue(slot, |out, _| encoder::close(out, code, reason));
        }
    }

    /// The client closed, or broke the protocol: queues the last frame and ends the connection
    /// once it is sent.
    pub(super) fn close_for_good(&mut self, slot: Slot, code: u16, reason: &str) {
        self.close(slot, code, reason);
        self.finish(slot);
    }

    /// Nothing more will be queued: end the outward direction when all is sent.
    pub(super) fn finish(&mut self, slot: Slot) {
        let Some(connection) = self.table.get_mut(slot) else { return };
        connection.finish = true;
        mark_dirty(connection, slot, &mut self.dirty);
    }

    /// Answers a request with an error and ends the connection once it is sent.
    pub(super) fn refuse(&mut self, slot: Slot, refused: &Refused, node: &str) {
        if self.begin_closing(slot) {
            self.queue(slot, |out, _| write_refusal(out, refused, node));
            self.finish(slot);
        }
    }

    fn begin_closing(&mut self, slot: Slot) -> bool {
        let now_ms = self.now_ms();
        let Some(connection) = self.table.get_mut(slot) else { return false };
        if connection.phase == Phase::Closing {
            return false;
        }
        connection.phase = Phase::Closing;
        connection.since_ms = now_ms;
        self.leaving.push(slot);
        self.set_timer(slot, self.limits.close_timeout_ms);
        true
    }
}

fn mark_dirty<S>(connection: &mut Connection<S>, slot: Slot, dirty: &mut Vec<Slot>) {
    if !connection.dirty {
        connection.dirty = true;
        dirty.push(slot);
    }
}

impl<S> Outlet for Connections<S> {
    type Encoded = Encoded;

    fn flows(&self, to: Slot) -> bool {
        self.table.get(to).is_some_and(|connection| !connection.refused && !connection.is_blocked())
    }

    fn room(&self, to: Slot) -> usize {
        let waiting = self.table.get(to).map_or(0, Connection::waiting_bytes);
        self.limits.outbox_bytes_max.saturating_sub(waiting)
    }

    fn deliver(&mut self, to: Slot, batch: &mut Batch<Encoded>, first: usize) -> usize {
        let all = batch.messages().len() - first;
        let Some(connection) = self.table.get_mut(to) else { return all };
        if connection.phase != Phase::Messages || connection.dead {
            return all;
        }
        let frames = encoding::frames(batch, connection.encoding, &mut self.tools);
        let start = frames.start(first);
        let waiting = connection.waiting_bytes();
        let room = self.limits.outbox_bytes_max.saturating_sub(waiting);
        let fits = |end: u32| (end - start) as usize <= room;
        let taken = match frames.ends.last() {
            Some(&end) if fits(end) => all,
            _ => {
                connection.refused = true;
                let fitting = frames.ends[first..].partition_point(|&end| fits(end));
                fitting.max(usize::from(waiting == 0))
            }
        };
        if let Some(last) = taken.checked_sub(1) {
            let end = frames.ends[first + last];
            self.cork.push_shared(&mut connection.list, &frames, start, end);
        }
        mark_dirty(connection, to, &mut self.dirty);
        taken
    }

    fn deliver_marked(&mut self, to: Slot, batch: &mut Batch<Encoded>, index: usize, _: &str) -> bool {
        self.deliver(to, batch, index) > 0
    }

    fn mark(&mut self, _: Slot, _: &str) {}

    fn tell(&mut self, to: Slot, telling: &mut Telling<Encoded>) -> bool {
        let Some(connection) = self.table.get_mut(to) else { return false };
        if connection.phase != Phase::Messages || connection.refused || connection.is_blocked() {
            return false;
        }
        let frames = encoding::event(telling, connection.encoding, &mut self.tools);
        let end = *frames.ends.last().expect("an event is one frame");
        self.cork.push_shared(&mut connection.list, &frames, 0, end);
        mark_dirty(connection, to, &mut self.dirty);
        true
    }

    fn relay(&mut self, _: Slot, _: u16, _: &[u8]) {}

    fn answer(&mut self, to: Slot, frame: &ServerFrame<'_>) {
        let speaks = self.table.get(to).is_some_and(|connection| connection.phase == Phase::Messages);
        if !speaks {
            return;
        }
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        frame.encode(&mut json);
        self.queue(to, |out, _| encoder::frame(out, Opcode::Text, &json));
        self.json = json;
    }

    fn close(&mut self, to: Slot, code: CloseCode, reason: &'static str) {
        Self::close(self, to, code.number(), reason);
    }
}

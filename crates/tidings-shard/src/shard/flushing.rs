//! The end of a turn: one `send` for each connection that has something, many of them in one call to
//! the system where it can do that, and what the kernel refuses goes to its outbox.

use std::io::{self, ErrorKind};

use tidings_core::Slot;
use tidings_core::telemetry::Counter;

use super::Shard;
use crate::cork::{List, Stretch};
use crate::io::Io;

/// What an outbox sends in one call.
const OUTBOX_SEND_BYTES: usize = 256 * 1024;
/// Sends that are handed to the system together: enough that the call costs each of them next to nothing.
const SENDS_TOGETHER_MAX: usize = 256;
/// Bytes that are copied together before they are sent: what the processor's cache keeps.
const GATHERED_BYTES_MAX: usize = 256 * 1024;

/// Sends that leave together, and what became of each.
#[derive(Debug, Default)]
pub(super) struct Departures {
    all: Vec<Departure>,
    told: Vec<io::Result<usize>>,
}

#[derive(Debug)]
struct Departure {
    slot: Slot,
    list: List,
    stretch: Stretch,
}

impl<I: Io> Shard<I> {
    /// Lets out what the turn has corked.
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.connections.dirty);
        for &slot in &dirty {
            self.prepare(slot);
            let is_enough = self.departures.all.len() >= SENDS_TOGETHER_MAX
                || self.connections.cork.gathered_bytes() >= GATHERED_BYTES_MAX;
            if is_enough {
                self.depart();
            }
        }
        self.depart();
        self.connections.cork.clear();
        for slot in dirty.drain(..) {
            self.settle(slot);
        }
        // What was queued while settling leaves with the next turn; its list is already there.
        if self.connections.dirty.is_empty() {
            self.connections.dirty = dirty;
        }
    }

    /// Lets out what has become too much to hold until the turn's end.
    pub(super) fn flush_if_full(&mut self) {
        if self.connections.cork.is_full() && !self.is_holding {
            self.flush();
        }
    }

    /// Readies what a connection has to send, unless something older is in its way.
    fn prepare(&mut self, slot: Slot) {
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.dirty = false;
        let list = std::mem::replace(&mut connection.list, List::EMPTY);
        if list.is_empty() || connection.dead {
            return;
        }
        if connection.is_blocked() {
            return self.keep(slot, list, 0);
        }
        let stretch = self.connections.cork.gather(list);
        self.departures.all.push(Departure { slot, list, stretch });
    }

    /// Sends what is ready.
    fn depart(&mut self) {
        let Departures { mut all, mut told } = std::mem::take(&mut self.departures);
        let (table, cork) = (&self.connections.table, &self.connections.cork);
        let sends = all.iter().map(|departure| {
            let connection = table.get(departure.slot).expect("nobody is removed while a turn ends");
            (&connection.socket, cork.bytes(departure.stretch))
        });
        self.io.send_each(sends, &mut told);
        let mut bytes = 0;
        for (departure, told) in all.iter().zip(told.drain(..)) {
            bytes += self.conclude(departure, told) as u64;
        }
        self.counters.add(Counter::SendCalled, all.len() as u64);
        self.counters.add(Counter::ByteSent, bytes);
        self.connections.cork.forget_gathered();
        all.clear();
        self.departures = Departures { all, told };
    }

    /// Notes what became of a send, and gives the bytes that went.
    fn conclude(&mut self, &Departure { slot, list, .. }: &Departure, told: io::Result<usize>) -> usize {
        let now_ms = self.connections.now_ms();
        let (Some(connection), Some(sent)) = (self.connections.table.get_mut(slot), sent(told)) else {
            self.give_up(slot);
            return 0;
        };
        if sent > 0 && !connection.pinged {
            connection.since_ms = now_ms;
        }
        if sent == list.bytes as usize {
            return sent;
        }
        self.keep(slot, list, sent);
        self.watch_for_space(slot);
        sent
    }

    /// Keeps what was not sent: all but the first `sent` bytes of a list.
    fn keep(&mut self, slot: Slot, list: List, sent: usize) {
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        let outbox = &mut connection.rare.get_or_insert_default().outbox;
        let mut skip = sent;
        for part in self.connections.cork.parts(list) {
            let len = part.bytes().len();
            outbox.push(part, skip.min(len));
            skip = skip.saturating_sub(len);
        }
        // Whoever asks meanwhile whether it flows is told no, and waits to hear that it does again.
        connection.refused = true;
    }

    fn watch_for_space(&mut self, slot: Slot) {
        let Some(key) = self.connections.table.key(slot) else { return };
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        if self.io.watch(&mut connection.socket, key, true, true).is_err() {
            self.give_up(slot);
        }
    }

    /// The peer is gone.
    fn give_up(&mut self, slot: Slot) {
        let Some(key) = self.connections.table.key(slot) else { return };
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.dead = true;
        self.connections.dead.push(key);
    }

    /// The kernel takes data again.
    pub(super) fn on_writable(&mut self, slot: Slot) {
        let now_ms = self.connections.now_ms();
        let Some(key) = self.connections.table.key(slot) else { return };
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        if !connection.is_blocked() {
            return;
        }
        while let Some(rare) = connection.rare.as_mut().filter(|rare| !rare.outbox.is_empty()) {
            self.gathered.clear();
            rare.outbox.gather(OUTBOX_SEND_BYTES, &mut self.gathered);
            let offered = self.gathered.len();
            let told = self.io.send(&connection.socket, &self.gathered);
            let Some(count) = sent(told) else { return self.give_up(slot) };
            rare.outbox.sent(count);
            self.counters.add(Counter::SendCalled, 1);
            self.counters.add(Counter::ByteSent, count as u64);
            if count > 0 && !connection.pinged {
                connection.since_ms = now_ms;
            }
            if count < offered {
                return;
            }
        }
        connection.tidy();
        // Failing to unwatch costs a spurious wake-up, no more.
        let _ = self.io.watch(&mut connection.socket, key, false, true);
        self.settle(slot);
    }

    /// A connection to which everything was sent: ends it if that was all, else lets it go on.
    fn settle(&mut self, slot: Slot) {
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        // What is corked still has to go out before the end of the stream.
        if connection.dead || connection.is_blocked() || !connection.list.is_empty() {
            return;
        }
        if std::mem::take(&mut connection.finish) {
            self.io.finish(&mut connection.socket);
        }
        if std::mem::take(&mut connection.refused) {
            self.messaging.drained(slot, &mut self.connections);
        }
    }
}

/// Bytes that went, be it none, or `None` if the peer is gone.
fn sent(told: io::Result<usize>) -> Option<usize> {
    match told {
        Ok(count) => Some(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Some(0),
        Err(_) => None,
    }
}

//! The end of a turn: one `send` for each connection that has something, and what the kernel
//! refuses goes to its outbox.

use std::io::ErrorKind;

use tidings_core::Slot;
use tidings_core::telemetry::Counter;

use super::Shard;
use crate::cork::List;
use crate::io::Io;

/// What an outbox sends in one call.
const OUTBOX_SEND_BYTES: usize = 256 * 1024;

/// What became of an attempt to send.
enum Sent {
    /// So many bytes went.
    Bytes(usize),
    /// The peer is gone.
    Never,
}

impl<I: Io> Shard<I> {
    /// Lets out what the turn has corked.
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.connections.dirty);
        let (mut sends, mut bytes) = (0, 0);
        for &slot in &dirty {
            if let Some(sent) = self.flush_one(slot) {
                sends += 1;
                bytes += sent as u64;
            }
        }
        self.counters.add(Counter::SendCalled, sends);
        self.counters.add(Counter::ByteSent, bytes);
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

    /// Gives the bytes sent if there was anything to send and nothing in its way.
    fn flush_one(&mut self, slot: Slot) -> Option<usize> {
        let now_ms = self.connections.now_ms();
        let key = self.connections.table.key(slot)?;
        let connection = self.connections.table.get_mut(slot)?;
        connection.dirty = false;
        let list = std::mem::replace(&mut connection.list, List::EMPTY);
        if list.is_empty() || connection.dead {
            return None;
        }
        let was_blocked = connection.is_blocked();
        let mut sent = 0;
        if !was_blocked {
            let bytes = self.connections.cork.gather(list, &mut self.gathered);
            match send(&mut self.io, &mut connection.socket, bytes) {
                Sent::Bytes(count) => sent = count,
                Sent::Never => {
                    connection.dead = true;
                    self.connections.dead.push(key);
                    return Some(0);
                }
            }
            if sent > 0 && !connection.pinged {
                connection.since_ms = now_ms;
            }
            if sent == list.bytes as usize {
                return Some(sent);
            }
        }
        let outbox = &mut connection.rare.get_or_insert_default().outbox;
        let mut skip = sent;
        for part in self.connections.cork.parts(list) {
            let len = part.bytes().len();
            outbox.push(part, skip.min(len));
            skip = skip.saturating_sub(len);
        }
        // Whoever asks meanwhile whether it flows is told no, and waits to hear that it does again.
        connection.refused = true;
        if !was_blocked && self.io.watch(&mut connection.socket, key, true, true).is_err() {
            connection.dead = true;
            self.connections.dead.push(key);
        }
        (!was_blocked).then_some(sent)
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
            match send(&mut self.io, &mut connection.socket, &self.gathered) {
                Sent::Bytes(count) => {
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
                Sent::Never => {
                    connection.dead = true;
                    self.connections.dead.push(key);
                    return;
                }
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

fn send<I: Io>(io: &mut I, socket: &mut I::Socket, bytes: &[u8]) -> Sent {
    loop {
        match io.send(socket, bytes) {
            Ok(count) => return Sent::Bytes(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Bytes(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Sent::Never,
        }
    }
}

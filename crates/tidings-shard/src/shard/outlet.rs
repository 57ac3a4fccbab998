//! The way out that the rules of messaging are given, whatever a connection speaks.

use tidings_core::{Batch, Outlet, Slot, Telling};
use tidings_protocol::server::sse;
use tidings_protocol::{CloseCode, ServerFrame};

use super::connections::{Connections, mark_dirty};
use crate::connection::{Connection, Phase};
use crate::encoding::{self, Encoded, Encoding};
use crate::head::Refused;
use crate::io::Peer;

/// What an `id` line has besides the id.
const ID_LINE_BYTES: usize = "id: \n".len();

impl<S: Peer> Outlet for Connections<S> {
    type Encoded = Encoded;

    fn is_there(&mut self, client: Slot) -> bool {
        let Some(connection) = self.table.get(client) else { return false };
        let has_left = connection.socket.has_left();
        if has_left {
            self.dead.extend(self.table.key(client));
        }
        !has_left
    }

    fn flows(&self, to: Slot) -> bool {
        let Some(connection) = self.table.get(to) else { return false };
        match connection.phase {
            Phase::Poll => connection.gathering().is_some_and(|gathering| !gathering.is_full()),
            // An errand's connection may be in rooms for a moment, but its client hears nothing.
            Phase::Send | Phase::Head | Phase::Body => false,
            _ => !connection.refused && !connection.is_blocked(),
        }
    }

    fn room(&self, to: Slot) -> usize {
        let waiting = self.table.get(to).map_or(0, Connection::waiting_bytes);
        self.limits.outbox_bytes_max.saturating_sub(waiting)
    }

    fn deliver(&mut self, to: Slot, batch: &mut Batch<Encoded>, first: usize) -> usize {
        let all = batch.messages().len() - first;
        match self.table.get(to).map(|connection| connection.phase) {
            Some(Phase::Messages | Phase::Feed) => self.push(to, batch, first),
            Some(Phase::Poll) => self.gather(to, batch, first),
            Some(Phase::Send | Phase::Head | Phase::Body | Phase::Knocking) => 0,
            _ => all,
        }
    }

    fn deliver_marked(&mut self, to: Slot, batch: &mut Batch<Encoded>, index: usize, cursor: &str) -> bool {
        let Some(connection) = self.table.get_mut(to) else { return true };
        if connection.phase != Phase::Feed || connection.dead {
            return connection.phase != Phase::Knocking;
        }
        let frames = encoding::frames(batch, Encoding::FeedWithoutIds, &mut self.tools);
        let (start, end) = (frames.start(index), frames.ends[index]);
        let bytes = (end - start) as usize + ID_LINE_BYTES + cursor.len();
        let waiting = connection.waiting_bytes();
        mark_dirty(connection, to, &mut self.dirty);
        if waiting > 0 && waiting + bytes > self.limits.outbox_bytes_max {
            connection.refused = true;
            return false;
        }
        if !cursor.is_empty() {
            self.cork.push_own(&mut connection.list, |out| sse::id(out, cursor));
        }
        self.cork.push_shared(&mut connection.list, &frames, start, end);
        true
    }

    fn mark(&mut self, to: Slot, cursor: &str) {
        if self.table.get(to).is_some_and(|connection| connection.phase == Phase::Feed) {
            self.queue(to, |out, _| sse::id_only(out, cursor));
        }
    }

    fn tell(&mut self, to: Slot, telling: &mut Telling<Encoded>) -> bool {
        let Some(connection) = self.table.get_mut(to) else { return false };
        match connection.phase {
            Phase::Messages | Phase::Feed if !connection.refused && !connection.is_blocked() => {
                let frames = encoding::event(telling, connection.encoding, &mut self.tools);
                let end = *frames.ends.last().expect("an event is one frame");
                self.cork.push_shared(&mut connection.list, &frames, 0, end);
                mark_dirty(connection, to, &mut self.dirty);
                true
            }
            Phase::Poll => {
                let frames = encoding::event(telling, Encoding::Bare, &mut self.tools);
                let taken =
                    connection.gathering_mut().is_some_and(|gathering| gathering.offer(&frames.bytes));
                self.ripe.extend(taken.then_some(to));
                taken
            }
            _ => false,
        }
    }

    fn relay(&mut self, to: Slot, status: u16, json: &[u8]) {
        if self.table.get(to).is_some_and(|connection| connection.phase == Phase::Send) {
            self.answer_json(to, status, json);
        }
    }

    fn answer(&mut self, to: Slot, frame: &ServerFrame<'_>) {
        let Some(connection) = self.table.get(to) else { return };
        let (phase, encoding) = (connection.phase, connection.encoding);
        match phase {
            Phase::Messages => self.queue(to, |out, tools| encoding::answer(frame, encoding, tools, out)),
            Phase::Feed => self.queue(to, |out, _| sse::frame_event(frame, out)),
            Phase::Knocking => match frame {
                ServerFrame::Error { code, message, .. } => {
                    self.refuse(to, &Refused::because(*code, *message));
                }
                _ => {
                    self.begin_feed(to);
                    self.queue(to, |out, _| sse::frame_event(frame, out));
                }
            },
            Phase::Poll => self.gather_answer(to, frame),
            _ => {}
        }
    }

    fn rehearse_restart(&mut self, to: Slot) {
        self.rehearsing.extend(self.table.key(to));
    }

    fn close(&mut self, to: Slot, code: CloseCode, reason: &'static str) {
        // An errand is never too slow: its own answer is under way.
        if self.table.get(to).is_some_and(|connection| connection.phase != Phase::Send) {
            self.send_away(to, code, reason);
        }
    }
}

impl<S> Connections<S> {
    /// Queues a batch's messages from one on, as far as the outbox takes them.
    fn push(&mut self, to: Slot, batch: &mut Batch<Encoded>, first: usize) -> usize {
        let all = batch.messages().len() - first;
        let Some(connection) = self.table.get_mut(to).filter(|connection| !connection.dead) else {
            return all;
        };
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

    /// Lets a poll take what it has asked for.
    fn gather(&mut self, to: Slot, batch: &mut Batch<Encoded>, first: usize) -> usize {
        let frames = encoding::frames(batch, Encoding::Bare, &mut self.tools);
        let gathering = self.table.get_mut(to).and_then(Connection::gathering_mut);
        let Some(gathering) = gathering else { return 0 };
        let offers = first..batch.messages().len();
        let taken = offers.take_while(|&index| gathering.offer_message(&frames, index)).count();
        self.ripe.extend((taken > 0).then_some(to));
        taken
    }

    fn gather_answer(&mut self, to: Slot, frame: &ServerFrame<'_>) {
        let Some(gathering) = self.table.get_mut(to).and_then(Connection::gathering_mut) else { return };
        self.json.clear();
        frame.encode(&mut self.json);
        match frame {
            ServerFrame::Error { code, .. } => gathering.add_error(code.http_status(), &self.json),
            _ => gathering.add(&self.json),
        }
        self.ripe.push(to);
    }
}

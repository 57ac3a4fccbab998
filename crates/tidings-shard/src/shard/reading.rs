//! From readable sockets to commands: bytes go to whatever their connection is doing; frames of a
//! WebSocket become messages.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidings_core::telemetry::Counter;
use tidings_core::{Slot, SlotKey, Wish};
use tidings_protocol::{CloseCode, ErrorCode};
use tidings_websocket::frame::Opcode;
use tidings_websocket::{Decoder, Event};

use super::Shard;
use crate::capacity::Seat;
use crate::connection::Phase;
use crate::context::Visitor;
use crate::encoding::Encoding;
use crate::gate::{Arrival, Handshake, Purpose};
use crate::head::{self, Refused, Rules, Target};
use crate::io::{Io, Ready};

impl<I: Io> Shard<I> {
    /// Serves every socket that is ready, and those that were left with something to read.
    pub(super) fn read_sockets(&mut self) {
        for key in std::mem::take(&mut self.to_read) {
            self.guarded(key, Self::read_more);
            self.flush_if_full();
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.append(&mut self.overlooked);
        for ready in ready.drain(..) {
            match ready {
                Ready::Listener => self.accepting = true,
                Ready::Connection { key, readable, writable, ended } => {
                    self.guarded(key, |shard, slot| {
                        if writable {
                            shard.on_writable(slot);
                        }
                        if readable {
                            shard.on_readable(slot, ended);
                        }
                    });
                    self.flush_if_full();
                }
            }
        }
        self.ready = ready;
        self.let_leave();
    }

    /// Runs one connection's handling so that a fault in it costs that connection and no other.
    fn guarded(&mut self, key: SlotKey, handle: impl FnOnce(&mut Self, Slot)) {
        if !self.connections.table.holds(key) {
            return;
        }
        let handled = catch_unwind(AssertUnwindSafe(|| handle(self, key.slot)));
        if handled.is_err() {
            tracing::error!(
                slot = key.slot,
                "PanicCaught: a connection was closed because of a fault of ours"
            );
            self.counters.add(Counter::PanicCaught, 1);
            if self.reader.buffer.is_empty() {
                self.reader.buffer = vec![0; super::RECEIVE_BYTES];
            }
            self.connections.send_away(key.slot, CloseCode::InternalError, "internal error");
            self.connections.finish_if_closing(key.slot);
        }
        self.let_leave();
    }

    fn on_readable(&mut self, slot: Slot, ended: bool) {
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        if connection.paused {
            return;
        }
        let mut buffer = std::mem::take(&mut self.reader.buffer);
        let received = self.io.receive(&mut connection.socket, &mut buffer);
        let again = match received {
            Ok(0) => {
                self.remove(slot);
                false
            }
            Ok(count) => {
                let full = count == buffer.len();
                self.received(slot, &mut buffer[..count]);
                full || ended
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(_) => {
                self.remove(slot);
                false
            }
        };
        self.reader.buffer = buffer;
        if again && let Some(key) = self.connections.table.key(slot) {
            self.to_read.push(key);
        }
    }

    /// Goes on with a connection that was paused or had more to read than one buffer.
    fn read_more(&mut self, slot: Slot) {
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        match connection.phase {
            // Set aside until what it waits for is there.
            Phase::Body | Phase::Send | Phase::Poll | Phase::Knocking | Phase::Feed => {}
            Phase::Head => self.heads(slot, &mut []),
            Phase::Messages | Phase::Echo | Phase::Closing => {
                let mut stash = connection.take_stash();
                connection.tidy();
                if !stash.is_empty() {
                    self.frames(slot, &mut stash);
                }
            }
        }
        // An end of stream that was told before is not told again, so read until nothing is left.
        self.on_readable(slot, true);
    }

    fn received(&mut self, slot: Slot, bytes: &mut [u8]) {
        self.counters.add(Counter::ByteReceived, bytes.len() as u64);
        let now_ms = self.connections.now_ms();
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        match connection.phase {
            Phase::Head if connection.rare.is_none() && !connection.kept => self.request(slot, bytes),
            Phase::Head => self.heads(slot, bytes),
            Phase::Body => self.body(slot, bytes),
            Phase::Send | Phase::Poll | Phase::Knocking | Phase::Feed => self.behind(slot, bytes),
            Phase::Messages | Phase::Echo => {
                connection.since_ms = now_ms;
                connection.pinged = false;
                self.frames(slot, bytes);
            }
            Phase::Closing => self.frames(slot, bytes),
        }
    }

    /// The control plane brings a connection.
    pub(super) fn arrived(&mut self, arrival: Arrival<I::Arriving>) {
        let Arrival { socket, seat, purpose } = arrival;
        let Ok(socket) = self.io.adopt(socket) else { return };
        let Some(slot) = self.admit(socket, seat) else { return };
        let Some(key) = self.connections.table.key(slot) else { return };
        if let Purpose::WebSocket(handshake) = purpose {
            self.guarded(key, |shard, slot| shard.come_home(slot, handshake));
        }
        self.to_read.push(key);
    }

    fn come_home(&mut self, slot: Slot, handshake: Handshake) {
        let Handshake { target, deflate_window_bits, is_protobuf, mut unread } = handshake;
        let encoding = Encoding::agreed(is_protobuf, deflate_window_bits);
        match head::target(&target, self.rules()) {
            Ok(target) => self.open(slot, target, encoding, &[]),
            // Too late for a status: the handshake is answered.
            Err(refused) => {
                self.counters.add(Counter::HandshakeRefused, 1);
                let code = CloseCode::PolicyViolation.number();
                self.connections.close(slot, code, &refused.message);
            }
        }
        self.frames(slot, &mut unread);
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            limits: &self.context.limits,
            node: &self.context.node,
            echo: self.context.echo,
            compression: self.context.compression,
            origins: &self.context.origins,
        }
    }

    pub(super) fn refuse(&mut self, slot: Slot, refused: &Refused, counter: Counter) {
        self.counters.add(counter, 1);
        self.connections.refuse(slot, refused);
    }

    /// Gives the connection, with its bytes intact, to the control plane.
    pub(super) fn hand_over(&mut self, slot: Slot, prefix: &[u8]) {
        if self.connections.table.get(slot).is_none_or(|connection| connection.surplus) {
            return self.refuse(slot, &Refused::new(ErrorCode::AtCapacity), Counter::ConnectionRefused);
        }
        let Some(connection) = self.connections.remove(slot) else { return };
        let socket = match self.io.release(connection.socket) {
            Ok(socket) => socket,
            // The control plane brought it here: it would come back for ever.
            Err(socket) => {
                let refused = Refused::new(ErrorCode::NotFound);
                return self.turn_away(socket, connection.seat, &refused, Counter::HeadRefused);
            }
        };
        let visitor = Visitor { socket, prefix: prefix.to_vec(), seat: connection.seat };
        match self.context.reception.receive(visitor) {
            Ok(()) => self.counters.add(Counter::RequestHandedOver, 1),
            Err(Visitor { socket, seat, .. }) => {
                let Ok(socket) = self.io.adopt(socket.into()) else { return };
                let refused = Refused::new(ErrorCode::AtCapacity);
                self.turn_away(socket, seat, &refused, Counter::ConnectionRefused);
            }
        }
    }

    /// Refuses a connection that was already let go.
    fn turn_away(&mut self, socket: I::Socket, seat: Seat, refused: &Refused, counter: Counter) {
        if let Some(slot) = self.admit(socket, seat) {
            self.refuse(slot, refused, counter);
        }
    }

    /// Lets a WebSocket's client in, behind the answer to its handshake, if there is room.
    pub(super) fn open(&mut self, slot: Slot, target: Target, encoding: Encoding, response: &[u8]) {
        let now_ms = self.connections.now_ms();
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.since_ms = now_ms;
        connection.encoding = encoding;
        connection.decoder = Decoder::new(encoding.deflate_window_bits().is_some());
        connection.phase = match target {
            Target::Messages(_) => Phase::Messages,
            Target::Echo => Phase::Echo,
        };
        let surplus = connection.surplus;
        self.connections.queue(slot, |out, _| out.extend_from_slice(response));
        self.connections.set_timer(slot, self.context.limits.ping_interval_ms);
        self.counters.add(Counter::WebSocketOpened, 1);
        if surplus {
            self.counters.add(Counter::ConnectionRefused, 1);
            self.connections.close(slot, CloseCode::TryAgainLater.number(), "Server at capacity");
        } else if let Target::Messages(entrance) = target {
            self.enter(slot, entrance);
        }
    }

    /// Frames of a connection, as far as it may be read from.
    pub(super) fn frames(&mut self, slot: Slot, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.must_pause(slot) {
                return self.pause(slot, rest);
            }
            let consumed = self.frame(slot, rest);
            rest = &mut rest[consumed..];
        }
        if self.must_pause(slot) {
            self.pause(slot, &[]);
        }
    }

    /// One frame, or what there is of it. Gives the bytes it took.
    fn frame(&mut self, slot: Slot, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        let Some(connection) = self.connections.table.get_mut(slot) else { return all };
        let (phase, is_protobuf) = (connection.phase, connection.encoding.is_protobuf());
        let reader = &mut self.reader;
        let step = match connection.decoder.decode(&reader.config, &mut reader.scratch, bytes) {
            Ok(step) => step,
            // Who was sent away may say what it likes, be it the rest of a refused request.
            Err(_) if phase == Phase::Closing => {
                self.connections.finish(slot);
                return all;
            }
            Err(error) => {
                self.counters.add(Counter::FrameRefused, 1);
                self.connections.close_for_good(slot, error.close_code(), &error.to_string());
                return all;
            }
        };
        let consumed = step.consumed;
        match (phase, step.event) {
            (_, None) => {}
            (Phase::Closing, Some(Event::Close(_))) => self.connections.finish(slot),
            (Phase::Closing, Some(_)) => {}
            (_, Some(Event::Ping(payload))) => self.connections.pong(slot, payload),
            (_, Some(Event::Pong(_))) => {}
            (_, Some(Event::Close(close))) => {
                let code = close.map_or(CloseCode::Normal.number(), |close| close.code);
                self.connections.close_for_good(slot, code, "");
            }
            (Phase::Echo, Some(Event::Text(text))) => {
                self.connections.echo(slot, Opcode::Text, text.as_bytes());
            }
            (Phase::Echo, Some(Event::Binary(payload))) => {
                self.connections.echo(slot, Opcode::Binary, payload);
            }
            (Phase::Messages, Some(Event::Text(_))) if is_protobuf => {
                self.counters.add(Counter::FrameRefused, 1);
                let code = CloseCode::UnsupportedData.number();
                self.connections.close(slot, code, "text where protobuf was agreed on");
            }
            (Phase::Messages, Some(Event::Text(text))) => {
                let wish = self.messaging.text(slot, text, &mut self.connections);
                self.grant(slot, wish);
            }
            (Phase::Messages, Some(Event::Binary(payload))) if is_protobuf => {
                let wish = self.messaging.protobuf(slot, payload, &mut self.connections);
                self.grant(slot, wish);
            }
            (Phase::Messages, Some(Event::Binary(payload))) => {
                self.messaging.binary(slot, payload, &mut self.connections);
            }
            // What speaks plain HTTP has no frames.
            (_, Some(Event::Text(_) | Event::Binary(_))) => {}
        }
        consumed
    }

    fn grant(&mut self, slot: Slot, wish: Wish) {
        match wish {
            Wish::Stay => {}
            Wish::Restart => {
                self.connections.close(slot, CloseCode::ServiceRestart.number(), "restarting");
            }
        }
    }

    /// A client that does not read its answers, or has too many requests under way, is not read
    /// from either.
    pub(super) fn must_pause(&self, slot: Slot) -> bool {
        let Some(connection) = self.connections.table.get(slot) else { return false };
        match connection.phase {
            Phase::Messages | Phase::Echo => {
                connection.waiting_bytes() > self.context.limits.outbox_bytes_max / 2
                    || !self.messaging.may_read(slot)
            }
            // Its next request has to wait until the last answer is out.
            Phase::Head => connection.is_blocked() || !connection.list.is_empty(),
            Phase::Send | Phase::Poll => connection.stashed_bytes() > self.context.limits.head_bytes_max,
            Phase::Body | Phase::Knocking | Phase::Feed | Phase::Closing => false,
        }
    }

    pub(super) fn pause(&mut self, slot: Slot, rest: &[u8]) {
        let Some(key) = self.connections.table.key(slot) else { return };
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.stash(rest);
        if !std::mem::replace(&mut connection.paused, true) {
            self.paused.push(key);
        }
    }

    /// Lets those go on that nothing holds any more.
    pub(super) fn resume_paused(&mut self) {
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|&key| {
            if !self.connections.table.holds(key) {
                return false;
            }
            if self.must_pause(key.slot) {
                return true;
            }
            if let Some(connection) = self.connections.table.get_mut(key.slot) {
                connection.paused = false;
            }
            self.to_read.push(key);
            false
        });
        self.paused = paused;
    }
}

//! From heads to what they ask for: WebSockets, event streams, long polls, frames for a session
//! elsewhere, visitors of the control plane.

use std::sync::Arc;

use tidings_core::telemetry::Counter;
use tidings_core::{Entrance, Introduction, Slot, SlotKey};
use tidings_protocol::{ErrorCode, SessionId};

use super::Shard;
use crate::connection::Phase;
use crate::head::{self, Allow, Call, Head, Opening, Polling, Refused, Request, Sending};
use crate::http::{Answer, Body, Terms};
use crate::io::Io;
use crate::pending::{Gathering, Matter, Pending};

/// So many answers to polls are sent before more are written: what one needs is still in the
/// processor's cache then, and nothing more would be added to them in this turn.
const ANSWERS_PER_FLUSH: usize = 32;

impl<I: Io> Shard<I> {
    /// What has arrived on a connection behind what was set aside, or behind another request.
    pub(super) fn heads(&mut self, slot: Slot, bytes: &mut [u8]) {
        if self.must_pause(slot) {
            return self.pause(slot, bytes);
        }
        let now_ms = self.connections.now_ms();
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        let mut all = connection.take_stash();
        connection.tidy();
        if connection.kept && all.is_empty() {
            connection.since_ms = now_ms;
        }
        if all.is_empty() {
            if !bytes.is_empty() {
                self.request(slot, bytes);
            }
            return;
        }
        all.extend_from_slice(bytes);
        self.request(slot, &mut all);
    }

    /// What has arrived of a request.
    pub(super) fn request(&mut self, slot: Slot, bytes: &mut [u8]) {
        let head = head::read(bytes, self.rules());
        match &head {
            Head::Incomplete => {}
            Head::Request(request) if matches!(request.call, Call::Poll(_)) => {}
            // Whose polls came here until now has gone on to something else.
            _ => self.messaging.stop_resting(slot),
        }
        match head {
            Head::Incomplete => {
                if let Some(connection) = self.connections.table.get_mut(slot) {
                    connection.stash(bytes);
                }
            }
            Head::Elsewhere => self.hand_over(slot, bytes),
            Head::WebSocket(opening) => {
                let Opening { head_bytes, target, response, encoding } = *opening;
                if self.stopping.has_begun() {
                    let refused = Refused::new(ErrorCode::Restarting);
                    return self.refuse(slot, &refused, Counter::ConnectionRefused);
                }
                self.open(slot, target, encoding, &response);
                self.frames(slot, &mut bytes[head_bytes..]);
            }
            Head::Request(request) => self.serve(slot, *request, bytes),
            Head::Refused(refused, counter) => self.refuse(slot, &refused, counter),
        }
    }

    /// Serves a request over plain HTTP; what came behind its head is set aside.
    fn serve(&mut self, slot: Slot, request: Request, bytes: &[u8]) {
        let Request { head_bytes, terms, call } = request;
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.stash(&bytes[head_bytes..]);
        let code = match connection.surplus {
            true => Some(ErrorCode::AtCapacity),
            false => self.stopping.has_begun().then_some(ErrorCode::Restarting),
        };
        if let Some(code) = code {
            let refused = Refused { origin: terms.origin, ..Refused::new(code) };
            return self.refuse(slot, &refused, Counter::ConnectionRefused);
        }
        match call {
            Call::Feed(introduction) => self.let_knock(slot, introduction, terms),
            Call::Poll(polling) => self.begin_poll(slot, polling, terms),
            Call::Send(sending) => self.begin_send(slot, sending, terms),
            Call::Options { allow, is_preflight } => self.tell_options(slot, allow, is_preflight, terms),
        }
    }

    fn let_knock(&mut self, slot: Slot, introduction: Introduction, terms: Terms) {
        // Deciding on a session takes no longer than reading one from the engine.
        let patience_ms = self.context.limits.engine_timeout_ms;
        self.wait_for(slot, Phase::Knocking, Pending { terms, matter: Matter::Feed }, patience_ms);
        self.enter(slot, Entrance::Session(Box::new(introduction)));
    }

    fn begin_poll(&mut self, slot: Slot, polling: Polling, terms: Terms) {
        self.counters.add(Counter::PollOpened, 1);
        let gathering = Gathering::new(&polling, self.context.limits.outbox_bytes_max);
        let pending = Pending { terms, matter: Matter::Poll(gathering) };
        self.wait_for(slot, Phase::Poll, pending, polling.timeout_ms);
        let key = self.next_entrance(slot);
        if !self.messaging.poll_again(key, &polling.introduction, &mut self.connections) {
            let entrance = Entrance::Session(Box::new(polling.introduction));
            self.messaging.opened(key, entrance, &mut self.connections);
        }
    }

    fn begin_send(&mut self, slot: Slot, sending: Sending, terms: Terms) {
        let pending = Pending { terms, matter: Matter::Body(sending) };
        self.wait_for(slot, Phase::Body, pending, self.context.limits.body_timeout_ms);
        self.body(slot, &[]);
        let Some(connection) = self.connections.table.get(slot) else { return };
        if sending.expects_continue && connection.phase == Phase::Body && connection.stashed_bytes() == 0 {
            self.connections.queue(slot, |out, _| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
    }

    /// What has arrived of a request's body.
    pub(super) fn body(&mut self, slot: Slot, bytes: &[u8]) {
        let Some(Sending { session, body_bytes, .. }) = self.connections.awaited_body(slot) else { return };
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.stash(bytes);
        if connection.stashed_bytes() < body_bytes {
            return;
        }
        let mut body = connection.take_stash();
        let behind = body.split_off(body_bytes);
        connection.stash(&behind);
        match String::from_utf8(body) {
            Ok(frame) => self.send(slot, session, frame.into()),
            Err(_) => {
                let message = "The body is not UTF-8: send JSON.";
                self.connections.answer_refused(slot, &Refused::because(ErrorCode::BadFrame, message));
            }
        }
    }

    fn send(&mut self, slot: Slot, session: SessionId, frame: Arc<str>) {
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        let Some(Pending { terms, .. }) = connection.take_pending() else { return };
        let patience_ms = self.context.limits.engine_timeout_ms;
        self.wait_for(slot, Phase::Send, Pending { terms, matter: Matter::Send }, patience_ms);
        self.enter(slot, Entrance::Errand { session, frame });
    }

    fn tell_options(&mut self, slot: Slot, allow: Allow, is_preflight: bool, terms: Terms) {
        let mut headers = allow.to_vec();
        if is_preflight && terms.origin.is_some() {
            headers.extend(allow.iter().map(|(_, methods)| ("Access-Control-Allow-Methods", *methods)));
            headers.push((
                "Access-Control-Allow-Headers",
                "Content-Type, Cache-Control, Last-Event-ID, Authorization",
            ));
            headers.push(("Access-Control-Max-Age", "7200"));
        }
        let answer = Answer { status: 204, headers: &headers, body: Body::Absent };
        self.connections.answer_at_once(slot, &answer, terms);
    }

    /// Remembers a request until it is answered, at the latest after some time.
    fn wait_for(&mut self, slot: Slot, phase: Phase, pending: Pending, patience_ms: u64) {
        let now_ms = self.connections.now_ms();
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.phase = phase;
        connection.since_ms = now_ms;
        connection.remember(pending);
        self.connections.set_timer(slot, patience_ms);
    }

    /// Lets a client in.
    pub(super) fn enter(&mut self, slot: Slot, entrance: Entrance) {
        let key = self.next_entrance(slot);
        self.messaging.opened(key, entrance, &mut self.connections);
    }

    /// A connection may come in several times, one request after the other, and an answer to an
    /// earlier one must not find a later one: so it is known by another key each time.
    fn next_entrance(&mut self, slot: Slot) -> SlotKey {
        self.let_leave();
        self.entrances = self.entrances.wrapping_add(1);
        SlotKey { slot, generation: self.entrances }
    }

    /// Answers the polls that have something to answer.
    pub(super) fn answer_polls(&mut self) {
        let mut ripe = std::mem::take(&mut self.connections.ripe);
        for slots in ripe.chunks(ANSWERS_PER_FLUSH) {
            for &slot in slots {
                if self.connections.has_ripe_poll(slot) {
                    self.end_poll(slot);
                }
            }
            self.flush();
        }
        ripe.clear();
        if self.connections.ripe.is_empty() {
            self.connections.ripe = ripe;
        }
    }

    /// Ends a poll with what it has gathered, be it nothing.
    pub(super) fn end_poll(&mut self, slot: Slot) {
        let Some(connection) = self.connections.table.get(slot) else { return };
        let is_dismissed = connection.gathering().is_some_and(|gathering| gathering.dismissed().is_some());
        // Whoever was sent away has no place any more.
        let kept = self.connections.keeps(slot);
        let end = (!is_dismissed).then(|| self.messaging.finish_poll(slot, kept));
        self.connections.answer_poll(slot, end.as_ref());
    }

    /// Bytes behind a request that is not answered yet: the next one, by a client in a hurry. The
    /// reader of an event stream has nothing to say.
    pub(super) fn behind(&mut self, slot: Slot, bytes: &[u8]) {
        let bytes_max = self.context.limits.head_bytes_max;
        let Some(connection) = self.connections.table.get_mut(slot) else { return };
        connection.stash(bytes);
        if matches!(connection.phase, Phase::Feed | Phase::Knocking) && connection.stashed_bytes() > bytes_max
        {
            return self.remove(slot);
        }
        if self.must_pause(slot) {
            self.pause(slot, &[]);
        }
    }
}

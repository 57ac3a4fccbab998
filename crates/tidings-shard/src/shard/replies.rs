//! How requests over plain HTTP are answered, and what becomes of their connections.

use std::sync::Arc;

use tidings_core::telemetry::Counter;
use tidings_core::{PollEnd, Slot};
use tidings_protocol::CloseCode;
use tidings_protocol::server::sse;

use super::connections::Connections;
use crate::connection::{Connection, Phase};
use crate::encoding::Encoding;
use crate::head::{Refused, write_refusal};
use crate::http::{self, Answer, Body, Terms};
use crate::pending::{Matter, Pending};

impl<S> Connections<S> {
    /// Answers a request that was not remembered.
    pub(super) fn answer_at_once(&mut self, slot: Slot, answer: &Answer<'_>, mut terms: Terms) {
        terms.keeps &= !self.stopping;
        let node = Arc::clone(&self.node);
        self.queue(slot, |out, _| http::write(out, answer, &terms, &node));
        self.go_on(slot, terms.keeps);
    }

    /// Answers the request that waits; without JSON if there is nothing to say.
    pub(super) fn answer_json(&mut self, slot: Slot, status: u16, json: &[u8]) {
        let pending = self.table.get_mut(slot).and_then(Connection::take_pending);
        let Some(pending) = pending else { return };
        let body = if json.is_empty() { Body::Absent } else { Body::Json(json) };
        self.answer_at_once(slot, &Answer { status, headers: retry_after(status), body }, pending.terms);
    }

    /// Answers a poll with what it has gathered.
    pub(super) fn answer_poll(&mut self, slot: Slot, end: Option<&PollEnd>) {
        let Some(gathering) = self.table.get(slot).and_then(Connection::gathering) else { return };
        if let Some(code) = gathering.dismissed().filter(|_| gathering.is_empty()) {
            return self.answer_refused(slot, &code.into());
        }
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        let status = gathering.write(end, &mut json);
        match end {
            Some(PollEnd { rests: true, .. }) => self.answer_resting(slot, status, &json),
            _ => self.answer_json(slot, status, &json),
        }
        self.json = json;
    }

    /// Answers a poll whose session stays where it is, for a while.
    fn answer_resting(&mut self, slot: Slot, status: u16, json: &[u8]) {
        let pending = self.table.get_mut(slot).and_then(Connection::take_pending);
        let Some(Pending { terms, .. }) = pending else { return };
        let node = Arc::clone(&self.node);
        let answer = Answer { status, headers: retry_after(status), body: Body::Json(json) };
        self.queue(slot, |out, _| http::write(out, &answer, &terms, &node));
        self.await_next(slot, self.limits.poll_rest_ms.min(self.limits.http_idle_timeout_ms));
    }

    /// Whether the connection of a request that waits is kept when that is answered.
    pub(super) fn keeps(&self, slot: Slot) -> bool {
        let pending = self.table.get(slot).and_then(|connection| connection.rare.as_ref()?.pending.as_ref());
        !self.stopping && pending.is_some_and(|pending| pending.terms.keeps)
    }

    /// Answers the request that waits with an error, after which the connection may go on.
    pub(super) fn answer_refused(&mut self, slot: Slot, refused: &Refused) {
        let pending = self.table.get_mut(slot).and_then(Connection::take_pending);
        let Some(pending) = pending else { return };
        let terms = Terms { keeps: pending.terms.keeps && !self.stopping, ..pending.terms };
        let node = Arc::clone(&self.node);
        self.queue(slot, |out, _| write_refusal(out, refused, &terms, &node));
        self.go_on(slot, terms.keeps);
    }

    /// Answers a request with an error and ends the connection once it is sent.
    pub(super) fn refuse(&mut self, slot: Slot, refused: &Refused) {
        if !self.begin_closing(slot) {
            return;
        }
        let pending = self.table.get_mut(slot).and_then(Connection::take_pending);
        let origin = pending.map_or_else(|| refused.origin.clone(), |pending| pending.terms.origin);
        let terms = Terms { origin, ..Terms::default() };
        let node = Arc::clone(&self.node);
        self.queue(slot, |out, _| write_refusal(out, refused, &terms, &node));
        self.finish(slot);
    }

    /// Begins an event stream.
    pub(super) fn begin_feed(&mut self, slot: Slot) {
        let now_ms = self.now_ms();
        let Some(connection) = self.table.get_mut(slot) else { return };
        connection.phase = Phase::Feed;
        connection.encoding = Encoding::Feed;
        connection.since_ms = now_ms;
        let Some(pending) = connection.take_pending() else { return };
        let terms = Terms { keeps: false, ..pending.terms };
        let (node, retry_ms) = (Arc::clone(&self.node), self.limits.feed_retry_ms);
        self.counters.add(Counter::FeedOpened, 1);
        self.set_timer(slot, self.limits.ping_interval_ms);
        self.queue(slot, |out, _| {
            http::write(out, &Answer { status: 200, headers: &[], body: Body::Events }, &terms, &node);
            sse::retry(out, retry_ms);
        });
    }

    /// Ends what a connection is doing, in the words of what it speaks.
    pub(super) fn send_away(&mut self, slot: Slot, code: CloseCode, reason: &str) {
        let Some(connection) = self.table.get_mut(slot) else { return };
        match connection.phase {
            Phase::Messages | Phase::Echo => self.close(slot, code.number(), reason),
            Phase::Feed => {
                if self.begin_closing(slot) {
                    self.queue(slot, |out, _| close_event(out, code, reason));
                    self.finish(slot);
                }
            }
            Phase::Poll => {
                // A fault may have left more behind than the next request should meet.
                connection.keep_if(code != CloseCode::InternalError);
                if let Some(gathering) = connection.gathering_mut() {
                    gathering.dismiss(code);
                    self.ripe.push(slot);
                }
            }
            Phase::Head | Phase::Body | Phase::Send | Phase::Knocking => self.refuse(slot, &code.into()),
            Phase::Closing => {}
        }
    }

    /// Ends an event stream whose client knows why.
    pub(super) fn end_feed(&mut self, slot: Slot) {
        if self.begin_closing(slot) {
            self.finish(slot);
        }
    }

    /// A request is answered: the connection brings another, or ends.
    fn go_on(&mut self, slot: Slot, keeps: bool) {
        if !keeps {
            self.begin_closing(slot);
            return self.finish(slot);
        }
        // Its slot is about to come in anew, so the rules of messaging forget it first.
        self.leaving.push(slot);
        self.await_next(slot, self.limits.http_idle_timeout_ms);
    }

    /// A connection may bring another request: it is looked at again after some time.
    fn await_next(&mut self, slot: Slot, delay_ms: u64) {
        let now_ms = self.now_ms();
        let Some(connection) = self.table.get_mut(slot) else { return };
        connection.phase = Phase::Head;
        connection.kept = true;
        connection.since_ms = now_ms;
        let is_pipelined = connection.stashed_bytes() > 0;
        self.set_timer(slot, delay_ms);
        if is_pipelined {
            self.pipelined.extend(self.table.key(slot));
        }
    }

    /// Whether a poll has something to answer.
    pub(super) fn has_ripe_poll(&self, slot: Slot) -> bool {
        let gathering = self.table.get(slot).and_then(Connection::gathering);
        gathering.is_some_and(|gathering| gathering.is_ripe())
    }

    /// The body that a connection is sending.
    pub(super) fn awaited_body(&self, slot: Slot) -> Option<crate::head::Sending> {
        match &self.table.get(slot)?.rare.as_ref()?.pending.as_ref()?.matter {
            Matter::Body(sending) => Some(*sending),
            _ => None,
        }
    }
}

/// What is worth another try is said in seconds, as everywhere.
const fn retry_after(status: u16) -> &'static [(&'static str, &'static str)] {
    match status {
        429 | 503 => &[("Retry-After", "1")],
        _ => &[],
    }
}

/// What a WebSocket is told by a close frame. There is no server frame for it, as on a WebSocket it
/// is none.
fn close_event(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let data = serde_json::json!({
        "type": "close",
        "code": code.number(),
        "reason": reason,
        "reconnect": code.reconnect(),
    });
    sse::event(out, "close", None, data.to_string().as_bytes());
}

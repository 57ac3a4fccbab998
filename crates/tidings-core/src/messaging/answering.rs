//! Answers to clients: on their own connection, or to the connection that came with an errand.

use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{FrameError, ServerFrame};

use super::Messaging;
use crate::mailbox::Post;
use crate::outlet::Outlet;
use crate::slots::{Slot, SlotKey};
use crate::telemetry::Counter;

/// What an answer is labelled with, and where it goes.
#[derive(Debug, Clone, Default)]
pub struct Ticket {
    /// The client's name for the request.
    pub reference: Option<Box<str>>,
    /// The errand that brought the request; `None` is the client's own connection.
    pub errand: Option<ErrandKey>,
}

/// The connection that came with an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrandKey {
    /// Its shard.
    pub shard: u32,
    /// The connection.
    pub client: SlotKey,
}

/// What became of an errand.
#[derive(Debug)]
pub enum ErrandAnswer {
    /// The session is not where it was asked for.
    NotHere,
    /// It was done.
    Done {
        /// The HTTP status that the answer has.
        status: u16,
        /// The answering frame; empty if the request has no answer.
        json: Vec<u8>,
    },
}

impl ErrandAnswer {
    /// The session has gone to another connection.
    pub(super) fn superseded() -> Self {
        let code = ErrorCode::Superseded;
        let message = &format!("{} What to do: {}.", code.meaning(), code.remedy());
        let mut json = Vec::new();
        ServerFrame::Error { code, message, reference: None }.encode(&mut json);
        Self::Done { status: code.http_status(), json }
    }
}

impl Ticket {
    pub(super) fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether an `ack` is wanted. Who comes with an errand waits for an answer in any case.
    pub(super) const fn wants_ack(&self) -> bool {
        self.reference.is_some() || self.errand.is_some()
    }
}

impl<E: Default> Messaging<E> {
    pub(super) fn answer(
        &self,
        slot: Slot,
        ticket: &Ticket,
        frame: &ServerFrame<'_>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Some(errand) = ticket.errand else { return outlet.answer(slot, frame) };
        let status = match frame {
            ServerFrame::Error { code, .. } => code.http_status(),
            _ => 200,
        };
        let mut json = Vec::new();
        frame.encode(&mut json);
        self.finish_errand(errand, ErrandAnswer::Done { status, json });
    }

    /// A request that has no answer is dealt with.
    pub(super) fn done(&self, ticket: &Ticket) {
        if let Some(errand) = ticket.errand {
            self.finish_errand(errand, ErrandAnswer::Done { status: 204, json: Vec::new() });
        }
    }

    pub(super) fn finish_errand(&self, errand: ErrandKey, answer: ErrandAnswer) {
        let post = Post::ErrandDone { errand: errand.client, answer };
        self.wiring.people.sessions.post(errand.shard, post);
    }

    pub(super) fn refuse(
        &self,
        slot: Slot,
        code: ErrorCode,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let message = &format!("{} What to do: {}.", code.meaning(), code.remedy());
        self.count(Counter::CommandRefused);
        let reference = ticket.reference();
        self.answer(slot, ticket, &ServerFrame::Error { code, message, reference }, outlet);
    }

    pub(super) fn refuse_frame(
        &self,
        slot: Slot,
        error: &FrameError,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let FrameError { code, message, reference } = error;
        self.count(Counter::CommandRefused);
        let reference = reference.as_deref();
        self.answer(slot, ticket, &ServerFrame::Error { code: *code, message, reference }, outlet);
    }
}

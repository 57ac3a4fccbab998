//! A connection's record: small and plain, because most connections are idle most of the time.
//!
//! Owned by the shard. What only a busy or a troubled connection needs is boxed in [`Rare`].
//! Refuses to know rooms.

use tidings_websocket::Decoder;

use crate::capacity::Seat;
use crate::cork::List;
use crate::encoding::Encoding;
use crate::outbox::Outbox;
use crate::pending::{Gathering, Matter, Pending};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A request's head has not arrived as a whole.
    Head,
    /// A request's body has not.
    Body,
    /// Its frame was passed on; the answer is on its way.
    Send,
    /// It waits for messages, to be answered with what comes first.
    Poll,
    /// It asked for an event stream, and nothing was answered yet.
    Knocking,
    /// It reads an event stream.
    Feed,
    /// It speaks messages.
    Messages,
    /// It gets back what it sends.
    Echo,
    /// A close frame or a refusal was queued; what comes in now is thrown away.
    Closing,
}

/// One connection.
#[derive(Debug)]
pub struct Connection<S> {
    /// The socket.
    pub socket: S,
    /// What it is doing.
    pub phase: Phase,
    /// How it is spoken to.
    pub encoding: Encoding,
    /// Whether it is in the shard's list of those with something to send.
    pub dirty: bool,
    /// It blocked, or a message was refused: `drained` is owed to it.
    pub refused: bool,
    /// A ping is out; the next thing that comes in is the sign of life.
    pub pinged: bool,
    /// Bytes wait, in `rare.stash` or in the kernel, until what stops it is gone.
    pub paused: bool,
    /// The outward direction is to be ended once everything is sent.
    pub finish: bool,
    /// Nothing can be sent to it any more.
    pub dead: bool,
    /// It has served a request and may bring another.
    pub kept: bool,
    /// The node was full when it came: it is told so and sent away.
    pub surplus: bool,
    /// When data last moved, in the shard's milliseconds; where it waits for something, since when.
    pub since_ms: u32,
    /// What this turn sends to it.
    pub list: List,
    /// The inward direction.
    pub decoder: Decoder,
    /// Its place in the node's count.
    pub seat: Seat,
    /// What it rarely needs.
    pub rare: Option<Box<Rare>>,
}

/// What a connection needs while a request is incomplete or not answered, while it is blocked, or
/// while it is paused.
#[derive(Debug, Default)]
pub struct Rare {
    /// What the kernel did not take.
    pub outbox: Outbox,
    /// What was read and not yet looked at: part of a request, what came behind it, or frames of a
    /// paused connection.
    pub stash: Vec<u8>,
    /// The request that is not answered yet.
    pub pending: Option<Pending>,
    /// It was told of a restart that is none: when it is waited for no longer.
    pub rehearsal_end_ms: Option<u64>,
}

impl<S> Connection<S> {
    /// A connection that was just accepted.
    pub fn new(socket: S, seat: Seat, now_ms: u32) -> Self {
        Self {
            socket,
            phase: Phase::Head,
            encoding: Encoding::Json,
            dirty: false,
            refused: false,
            pinged: false,
            paused: false,
            finish: false,
            dead: false,
            kept: false,
            surplus: false,
            since_ms: now_ms,
            list: List::EMPTY,
            decoder: Decoder::new(false),
            seat,
            rare: None,
        }
    }

    /// Whether the kernel refused something that still waits.
    pub fn is_blocked(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.outbox.is_empty())
    }

    /// Bytes that wait for this client, corked or refused.
    pub fn waiting_bytes(&self) -> usize {
        self.list.bytes as usize
            + self.rare.as_ref().map_or(0, |rare| rare.outbox.len())
            + self.gathering().map_or(0, Gathering::len)
    }

    /// What its poll has gathered.
    pub fn gathering(&self) -> Option<&Gathering> {
        match &self.rare.as_ref()?.pending.as_ref()?.matter {
            Matter::Poll(gathering) => Some(gathering),
            _ => None,
        }
    }

    /// The same, to gather more.
    pub fn gathering_mut(&mut self) -> Option<&mut Gathering> {
        match &mut self.rare.as_mut()?.pending.as_mut()?.matter {
            Matter::Poll(gathering) => Some(gathering),
            _ => None,
        }
    }

    /// Remembers a request until it is answered.
    pub fn remember(&mut self, pending: Pending) {
        self.rare.get_or_insert_default().pending = Some(pending);
    }

    /// Lets the connection end with the answer unless there is a reason to keep it.
    pub fn keep_if(&mut self, keeps: bool) {
        if let Some(pending) = self.rare.as_mut().and_then(|rare| rare.pending.as_mut()) {
            pending.terms.keeps &= keeps;
        }
    }

    /// Takes the request that is to be answered.
    pub fn take_pending(&mut self) -> Option<Pending> {
        let pending = self.rare.as_mut()?.pending.take();
        self.tidy();
        pending
    }

    /// When its rehearsal of a restart ends, if it is in one.
    pub fn rehearsal_end_ms(&self) -> Option<u64> {
        self.rare.as_ref()?.rehearsal_end_ms
    }

    /// Whether it has served a request, and nothing of another one has come.
    pub fn is_idle(&self) -> bool {
        self.kept && self.phase == Phase::Head && self.rare.is_none() && self.list.is_empty()
    }

    /// Bytes that were set aside.
    pub fn stashed_bytes(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.stash.len())
    }

    /// Takes what was set aside.
    pub fn take_stash(&mut self) -> Vec<u8> {
        self.rare.as_mut().map_or_else(Vec::new, |rare| std::mem::take(&mut rare.stash))
    }

    /// Sets bytes aside, before any that come later.
    pub fn stash(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.rare.get_or_insert_default().stash.extend_from_slice(bytes);
        }
    }

    /// Gives back what is not needed at the moment.
    pub fn tidy(&mut self) {
        let unused = |rare: &Rare| {
            rare.outbox.is_empty()
                && rare.stash.is_empty()
                && rare.pending.is_none()
                && rare.rehearsal_end_ms.is_none()
        };
        if self.rare.as_deref().is_some_and(unused) {
            self.rare = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_costs_at_most_80_bytes() {
        let size = size_of::<Connection<crate::tcp::Socket>>();
        assert!(size <= 80, "{size} bytes");
    }
}

//! What the rules of messaging remember of a connection.

use std::sync::Arc;

use tidings_protocol::{Attempt, MessageId, RoomName, SessionId};

use crate::rights::Identity;
use crate::slots::SlotKey;

/// How a connection comes in.
#[derive(Debug, Clone)]
pub enum Entrance {
    /// `/ws`: silent, a guest in the room `lobby` until a `hello` says otherwise.
    Lobby,
    /// `/ws/{room}`, `/ws/{room}/{user}`, `/events`, `/poll/{client_id}`: a session at once.
    Session(Box<Introduction>),
    /// `POST /sessions/{session_id}/send`: says one thing for a session.
    Errand {
        /// The session.
        session: SessionId,
        /// A client's frame, as JSON.
        frame: Arc<str>,
    },
}

/// What a client that comes in says about itself, in a `hello`, a path or a query.
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// The session that it resumes.
    pub session: Option<SessionId>,
    /// Which of the client's connections it comes by.
    pub attempt: Attempt,
    /// Who it says it is.
    pub identity: Identity,
    /// Rooms it wants to be in, each once, with its position where it has one.
    pub rooms: Vec<(RoomName, Option<MessageId>)>,
    /// Its position in the one room that its session is in.
    pub last_message_id: Option<MessageId>,
    /// Its positions in one word, see [`Cursor`](tidings_protocol::Cursor): of the rooms that it
    /// names and of those that its session is in.
    pub cursor: Option<Box<str>>,
    /// How it is spoken to.
    pub manner: Manner,
}

impl Introduction {
    /// Whether it may be that of a session that is there already.
    pub(super) fn may_resume(&self) -> bool {
        self.session.is_some() || matches!(self.manner, Manner::Poll { .. })
    }
}

/// How a client is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Manner {
    /// It speaks and listens by one connection: what it missed comes in one `restore` a room.
    #[default]
    Conversation,
    /// It only listens: what it missed comes as messages, with cursors to come back by.
    Feed,
    /// It asks again and again, and gets what there is.
    Poll {
        /// What it calls itself, so that its place can be remembered.
        client: Box<str>,
    },
}

impl Manner {
    /// Whether it polls by this name.
    pub(super) fn is_poll_of(&self, name: &str) -> bool {
        matches!(self, Self::Poll { client } if **client == *name)
    }
}

/// How a long poll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollEnd {
    /// Where the client stands; `None` until the end of each of its rooms is known.
    pub cursor: Option<String>,
    /// Its session.
    pub session: SessionId,
    /// Whether the session rests on the poll's connection.
    pub rests: bool,
}

/// What a connection has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// The slot is free.
    #[default]
    Absent,
    /// On `/ws`, before its first frame.
    Newcomer,
    /// On `/ws`, spoke without a `hello`: no session.
    Guest,
    /// Waits for the session that it claims.
    Claiming,
    /// Has a session.
    Session,
    /// Has a session whose last poll was answered.
    Resting,
    /// Came to say one thing for a session, which it may have meanwhile.
    Errand,
}

/// One connection. Small, because most of them are idle most of the time.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) key: SlotKey,
    pub(super) standing: Standing,
    /// Engine calls on behalf of this client that are not answered yet.
    pub(super) pending_requests: u16,
    /// One of them is a `history`, or a `presence` that other nodes have to be asked for, whose answer
    /// may be as large as half an outbox: no more than one at a time, and the next only when there is
    /// room for it.
    pub(super) reads_history: bool,
    /// It reads a feed: the memberships of one in several rooms are marked.
    pub(super) feed: bool,
    /// It is told nothing of its rooms until it can be told where it stands in all of them.
    pub(super) placing: bool,
    /// It was typing lately: what it says or its leaving ends that.
    pub(super) typed: bool,
    pub(super) rate: Bucket,
    /// Which of the session's connections this is.
    pub(super) attempt: Attempt,
    pub(super) session: SessionId,
    pub(super) identity: Identity,
}

impl Client {
    pub(super) fn absent() -> Self {
        Self::new(SlotKey { slot: 0, generation: 0 }, Standing::Absent, 0, 0)
    }

    pub(super) fn new(key: SlotKey, standing: Standing, frames_per_second: u32, now_ms: u64) -> Self {
        Self {
            key,
            standing,
            pending_requests: 0,
            reads_history: false,
            feed: false,
            placing: false,
            typed: false,
            rate: Bucket::full(frames_per_second, now_ms),
            attempt: Attempt::UNKNOWN,
            session: SessionId::from_bytes([0; 16]),
            identity: Identity::default(),
        }
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        matches!(self.standing, Standing::Session | Standing::Resting | Standing::Errand)
            .then_some(self.session)
    }
}

/// A token bucket: as many frames a second as its size, and as many at once.
///
/// Counts in thousandths of a frame and in milliseconds, so that slow rates lose nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    thousandths: u32,
    filled_at_ms: u32,
}

impl Bucket {
    pub(super) fn full(per_second: u32, now_ms: u64) -> Self {
        Self { thousandths: capacity(per_second), filled_at_ms: low_bits(now_ms) }
    }

    /// Takes one frame's worth, if there is.
    pub(super) fn take(&mut self, per_second: u32, now_ms: u64) -> bool {
        if per_second == 0 {
            return true;
        }
        let elapsed_ms = low_bits(now_ms).wrapping_sub(self.filled_at_ms);
        self.filled_at_ms = low_bits(now_ms);
        let gained = elapsed_ms.saturating_mul(per_second);
        self.thousandths = self.thousandths.saturating_add(gained).min(capacity(per_second));
        match self.thousandths.checked_sub(1_000) {
            Some(left) => {
                self.thousandths = left;
                true
            }
            None => false,
        }
    }
}

const fn capacity(per_second: u32) -> u32 {
    per_second.saturating_mul(1_000)
}

/// Time differences of up to 49 days come out right, and a longer silence fills any bucket.
const fn low_bits(ms: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "meant")]
    let low = ms as u32;
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_send_its_rate_at_once_and_then_its_rate() {
        let mut bucket = Bucket::full(10, 0);
        assert_eq!((0..20).filter(|_| bucket.take(10, 0)).count(), 10);
        assert!(!bucket.take(10, 99));
        assert!(bucket.take(10, 100));
        assert!(!bucket.take(10, 100));
        assert_eq!((0..50).filter(|_| bucket.take(10, 60_000)).count(), 10);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut bucket = Bucket::full(0, 0);
        assert!((0..10_000).all(|_| bucket.take(0, 0)));
    }

    #[test]
    fn an_idle_client_costs_at_most_64_bytes() {
        assert!(size_of::<Client>() <= 64, "{} bytes", size_of::<Client>());
    }
}

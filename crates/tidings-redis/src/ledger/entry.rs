//! What the ledger knows of one room.
//!
//! Owned by the ledger. Refuses to know other rooms, and which connection an answer belongs to.

use std::collections::VecDeque;
use std::sync::Arc;

use tidings_core::{Completion, Doubt, EngineError, Hole, Hub};
use tidings_protocol::{Message, MessageId, RoomName};

use super::proofs::Proof;
use crate::routes::LineNumber;
use crate::slots::Slot;

/// Announcements kept of one room while its log is read. Beyond: the oldest is dropped, and the log
/// is read once more.
pub(super) const HELD_MAX: usize = 256;

/// A room that this node listens to, or is about to.
pub(super) struct Entry {
    pub(super) ear: Ear,
    /// The newest message announced to the hub; `None` before the first answer.
    pub(super) seen: Option<MessageId>,
    /// What the server must not contradict. Not before `seen`, and not forgotten with it.
    pub(super) proof: Proof,
    /// Heard while the log is read.
    pub(super) held: VecDeque<Arc<Message>>,
    /// Where the stretch begins that is being read.
    pub(super) reading: Option<MessageId>,
    /// What was heard last that did not continue although the log had just been read.
    pub(super) strange: Option<MessageId>,
    /// Who wants to know where the log ends, by the number of their watch.
    waiting: VecDeque<(u64, Completion<MessageId>)>,
    pub(super) lease: Lease,
    /// It is in `work`.
    pub(super) is_queued: bool,
    /// It is in `left`.
    pub(super) is_timed: bool,
    /// The newest hole that members were told of.
    pub(super) hole: Option<Hole>,
    /// Tells it from an earlier entry of the same room.
    pub(super) life: u64,
    pub(super) slot: Slot,
    /// By which line it is heard, if it is not deaf.
    pub(super) line: Option<LineNumber>,
    /// Tells what is heard from now on from what an earlier subscription could hear.
    pub(super) connection: u64,
}

/// Whether the room is still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    /// The node has members in it.
    Held,
    /// It has none, but may have again in a moment.
    Left,
    /// It is to be given up.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ear {
    /// Not subscribed.
    Deaf,
    /// Subscribed; what lies between `seen` and the head is being asked for.
    Catching,
    /// Whatever continues at `seen` is announced at once.
    Live,
}

impl Entry {
    pub(super) const fn new(life: u64, slot: Slot, connection: u64, proof: Proof) -> Self {
        Self {
            ear: Ear::Deaf,
            seen: None,
            proof,
            held: VecDeque::new(),
            reading: None,
            strange: None,
            waiting: VecDeque::new(),
            lease: Lease::Held,
            is_queued: false,
            is_timed: false,
            hole: None,
            life,
            slot,
            line: None,
            connection,
        }
    }

    /// The node has members in the room again, who are told where its log ends: nothing before that
    /// may be announced any more.
    pub(super) fn begin_anew(&mut self) {
        (self.seen, self.reading) = (None, None);
        if self.ear == Ear::Live {
            self.ear = Ear::Catching;
        }
    }

    /// Nothing is heard any more, and no answer is to come. What was heard last the next server may
    /// not know.
    pub(super) fn go_deaf(&mut self, connection: u64) {
        (self.line, self.connection) = (None, connection);
        (self.ear, self.reading, self.strange) = (Ear::Deaf, None, None);
        self.held.drain(..).for_each(|message| self.proof.raise(message.id));
        self.proof.doubt();
    }

    pub(super) fn wait(&mut self, watch: u64, done: Completion<MessageId>) {
        self.waiting.push_back((watch, done));
    }

    /// Tells the head to who waited when it was asked for: later ones are told a later one.
    pub(super) fn answer(&mut self, watches: u64, head: Result<MessageId, EngineError>) {
        while self.waiting.front().is_some_and(|(number, _)| *number <= watches)
            && let Some((_, done)) = self.waiting.pop_front()
        {
            done.complete(head);
        }
    }

    pub(super) fn hold(&mut self, message: Arc<Message>) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(message);
    }

    /// Something lies behind `seen` and is to be read, unless that is under way. Gives from where.
    pub(super) fn read_on(&mut self) -> Option<MessageId> {
        self.ear = Ear::Catching;
        if self.reading.is_some() {
            return None;
        }
        self.reading = self.seen;
        self.reading
    }

    pub(super) fn advance(&mut self, id: MessageId) {
        self.seen = Some(id);
        self.proof.raise(id);
    }

    /// The log was read up to `head`: what was heard meanwhile follows, as far as it continues. Says
    /// whether the log has to be looked at again.
    pub(super) fn settle(&mut self, hub: &Hub, head: MessageId) -> bool {
        self.ear = Ear::Live;
        self.advance(self.seen.unwrap_or_default().max(head));
        while let Some(message) = self.held.pop_front() {
            if Some(message.prev) == self.seen {
                self.advance(message.id);
                hub.announce(&message);
            } else if self.seen.is_some_and(|seen| message.id > seen) {
                // Either something between was dropped, and the log has it; or the log was read
                // since and has neither, because the message is from no log of ours.
                if self.strange.replace(message.id) == Some(message.id) {
                    continue;
                }
                self.held.push_front(message);
                self.ear = Ear::Catching;
                return true;
            }
        }
        self.strange = None;
        false
    }

    /// The server has lost messages. The log goes on behind them.
    pub(super) fn torn(&mut self, hub: &Hub, room: &RoomName, hole: Hole) {
        if !self.learn(hole) {
            return;
        }
        hub.doubt(&Arc::new(Doubt { room: room.clone(), head: hole.before, hole: Some(hole) }));
        self.proof.raise(hole.before);
        self.seen = self.seen.map(|seen| if hole.after <= seen { seen.max(hole.before) } else { seen });
    }

    /// Takes notice of a hole. Says whether it is news, so that members are told once.
    pub(super) fn learn(&mut self, hole: Hole) -> bool {
        let is_news = self.hole.is_none_or(|known| known.before < hole.before);
        if is_news {
            self.hole = Some(hole);
        }
        is_news
    }
}

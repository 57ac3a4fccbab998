//! A room as one shard sees it: who of its connections is a member, and how far each has read.
//!
//! Owned by [`Rooms`](super::Rooms). Refuses to keep history: that is the engine's.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;
use tidings_protocol::{Message, MessageId, RoomName};

use super::batch::Batch;
use crate::options::SlowConsumerPolicy;
use crate::slots::Slot;

/// Fan-outs that are kept for the rooms that speak next, so that a message allocates none.
const FAN_OUTS_KEPT: usize = 64;
/// Those that held more were of a room in a burst.
const FAN_OUT_BATCHES_KEPT: usize = 8;

/// How a subscription gets its messages at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The room's head is not known yet.
    Waiting,
    /// From announcements, as they come.
    Live,
    /// Behind; reads the log when its connection flows again.
    Lagging,
    /// Behind; a page of the log is on its way.
    Reading,
}

/// A subscription: its connection and its cursor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) slot: Slot,
    pub(crate) pace: Pace,
    /// Whether anything was sent since the client last said where it stands.
    pub(crate) delivered: bool,
    /// Whether its client reads a feed of several rooms, and is told where it stands in all of them.
    pub(crate) marked: bool,
    /// Whether presence counts it.
    pub(crate) seen: bool,
    /// The last message delivered.
    pub(crate) cursor: MessageId,
}

#[derive(Debug)]
pub(crate) struct Room<E> {
    pub(crate) name: RoomName,
    /// Inline while there is one: every user has a room of its own.
    pub(crate) members: SmallVec<[Member; 1]>,
    /// The newest message this shard knows of. Meaningless until `watched`.
    pub(crate) head: MessageId,
    pub(crate) watched: bool,
    pub(crate) policy: SlowConsumerPolicy,
    /// Boxed because most rooms are silent most of the time.
    pub(crate) fan_out: Option<Box<FanOut<E>>>,
}

/// Batches on their way to the members. Only the first is in progress; later ones grow meanwhile.
#[derive(Debug)]
pub(crate) struct FanOut<E> {
    pub(crate) batches: VecDeque<Batch<E>>,
    /// The first batch has reached the members before this place, and none from it on.
    pub(crate) next_member: usize,
    /// The first batch is encoded: it must not grow any more.
    pub(crate) begun: bool,
}

/// Fan-outs that rooms have done with.
pub(crate) type IdleFanOuts<E> = Vec<Box<FanOut<E>>>;

/// Members whose place has changed, and where they are now.
pub(crate) type Moved = [Option<(Slot, usize)>; 2];

impl<E: Default> Room<E> {
    pub(crate) fn new(name: RoomName, policy: SlowConsumerPolicy) -> Self {
        Self { name, members: SmallVec::new(), head: MessageId::ZERO, watched: false, policy, fan_out: None }
    }

    /// Queues an announced message, as one of at most `batches_max` batches. Says whether the room
    /// had nothing to do before. `idle` are those that other rooms have done with.
    pub(crate) fn queue(
        &mut self,
        message: Arc<Message>,
        batches_max: usize,
        idle: &mut IdleFanOuts<E>,
    ) -> bool {
        if message.id <= self.head {
            return false;
        }
        self.head = message.id;
        match &mut self.fan_out {
            Some(fan_out) => {
                fan_out.queue(message, batches_max);
                false
            }
            None => {
                let mut fan_out = idle.pop().unwrap_or_else(|| Box::new(FanOut::new()));
                fan_out.batches.push_back(Batch::new(message));
                self.fan_out = Some(fan_out);
                true
            }
        }
    }

    /// The room has nothing to do any more: what it used may serve the next room.
    pub(crate) fn rest(&mut self, idle: &mut IdleFanOuts<E>) {
        let small = |fan_out: &FanOut<E>| fan_out.batches.capacity() <= FAN_OUT_BATCHES_KEPT;
        if idle.len() < FAN_OUTS_KEPT {
            idle.extend(self.fan_out.take().filter(|fan_out| small(fan_out)));
        }
        self.fan_out = None;
    }

    /// Takes a member out; others fill its place. Nobody moves past the point that a fan-out in
    /// progress has reached: one who did would miss the batch.
    pub(crate) fn remove(&mut self, place: usize) -> Moved {
        let mut hole = place;
        if let Some(fan_out) = self.fan_out.as_mut().filter(|fan_out| place < fan_out.next_member) {
            fan_out.next_member -= 1;
            hole = fan_out.next_member;
            self.members.swap(place, hole);
        }
        self.members.swap_remove(hole);
        let now_at = |place| self.members.get(place).map(|member: &Member| (member.slot, place));
        [now_at(place), now_at(hole).filter(|_| hole != place)]
    }
}

impl<E: Default> FanOut<E> {
    fn new() -> Self {
        Self { batches: VecDeque::new(), next_member: 0, begun: false }
    }

    fn queue(&mut self, message: Arc<Message>, batches_max: usize) {
        let only_one_and_begun = self.batches.len() == 1 && self.begun;
        let refused = match self.batches.back_mut() {
            Some(last) if !only_one_and_begun => last.push(message),
            _ => Err(message),
        };
        if let Err(message) = refused {
            // The newest alone fits no cursor, so whoever gets to it reads the log.
            if self.batches.len() >= batches_max.max(2) {
                self.batches.pop_back();
            }
            self.batches.push_back(Batch::new(message));
        }
    }

    /// The first batch reached the last member. Says whether anything is left to do.
    pub(crate) fn finish_batch(&mut self) -> bool {
        self.next_member = 0;
        self.begun = false;
        self.batches.pop_front();
        !self.batches.is_empty()
    }
}

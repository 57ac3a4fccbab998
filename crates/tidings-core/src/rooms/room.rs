//! A room as one shard sees it: who of its connections is a member, and how far each has read.
//!
//! Owned by [`Rooms`](super::Rooms). Refuses to keep history: that is the engine's.

use std::collections::VecDeque;
use std::sync::Arc;

use tidings_protocol::{Message, MessageId, RoomName};

use super::batch::Batch;
use crate::options::SlowConsumerPolicy;
use crate::slots::Slot;

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
    /// The last message delivered.
    pub(crate) cursor: MessageId,
}

#[derive(Debug)]
pub(crate) struct Room<E> {
    pub(crate) name: RoomName,
    pub(crate) members: Vec<Member>,
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
    pub(crate) next_member: usize,
    /// A leaving member's place was filled by one that the first batch had not reached yet: go
    /// through the members again, the cursors tell who has it.
    pub(crate) again: bool,
}

impl<E: Default> Room<E> {
    pub(crate) fn new(name: RoomName, policy: SlowConsumerPolicy) -> Self {
        Self { name, members: Vec::new(), head: MessageId::ZERO, watched: false, policy, fan_out: None }
    }

    /// Queues an announced message. Says whether the room had nothing to do before.
    pub(crate) fn queue(&mut self, message: Arc<Message>) -> bool {
        if message.id <= self.head {
            return false;
        }
        self.head = message.id;
        match &mut self.fan_out {
            Some(fan_out) => {
                fan_out.queue(message);
                false
            }
            None => {
                let batches = VecDeque::from([Batch::new(message)]);
                self.fan_out = Some(Box::new(FanOut { batches, next_member: 0, again: false }));
                true
            }
        }
    }

    /// Takes a member out; the last one fills its place. Gives the slot of the one that moved.
    pub(crate) fn remove(&mut self, place: usize) -> Option<Slot> {
        let last = self.members.len() - 1;
        self.members.swap_remove(place);
        if let Some(fan_out) = &mut self.fan_out {
            fan_out.again |= place < fan_out.next_member && last >= fan_out.next_member;
        }
        self.members.get(place).map(|moved| moved.slot)
    }
}

impl<E: Default> FanOut<E> {
    fn queue(&mut self, message: Arc<Message>) {
        let only_one_and_begun = self.batches.len() == 1 && (self.next_member > 0 || self.again);
        let refused = match self.batches.back_mut() {
            Some(last) if !only_one_and_begun => last.push(message),
            _ => Err(message),
        };
        if let Err(message) = refused {
            self.batches.push_back(Batch::new(message));
        }
    }

    /// The first batch reached the last member. Says whether anything is left to do.
    pub(crate) fn finish_batch(&mut self) -> bool {
        self.next_member = 0;
        if !std::mem::take(&mut self.again) {
            self.batches.pop_front();
        }
        !self.batches.is_empty()
    }
}

//! One room's log: a queue of messages, bounded by count, bytes and age.
//!
//! Owned by a stripe. Refuses to read the clock, and to know its options: they are looked up by
//! whoever calls, so that a million records need not hold them.

use std::collections::VecDeque;
use std::sync::Arc;

use tidings_protocol::{Message, MessageId};

use crate::RoomOptions;
use crate::engine::Timestamp;
use crate::memory::totals::Trimmed;

pub(crate) struct Log {
    head: MessageId,
    bytes: usize,
    messages: VecDeque<Arc<Message>>,
    /// Whether the stripe's order of age has an entry for it.
    pub(crate) ranked: bool,
}

impl Log {
    /// A log that continues after an id, without any message.
    pub(crate) const fn new(head: MessageId) -> Self {
        Self { head, bytes: 0, messages: VecDeque::new(), ranked: false }
    }

    /// Its newest id.
    pub(crate) const fn head(&self) -> MessageId {
        self.head
    }

    /// How many messages it keeps.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Their payload bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The id of the oldest message it keeps.
    pub(crate) fn oldest(&self) -> Option<MessageId> {
        self.messages.front().map(|message| message.id)
    }

    /// Puts a message at its end; whether it is kept. What it displaces is trimmed by
    /// [`Log::trim`].
    pub(crate) fn append(&mut self, message: &Arc<Message>, options: &RoomOptions) -> bool {
        assert!(message.id > self.head, "ids increase within a room");
        self.head = message.id;
        let kept = options.keeps_history();
        if kept {
            self.bytes += message.payload.len();
            self.messages.push_back(Arc::clone(message));
        }
        kept
    }

    /// Drops what is too much or too old.
    pub(crate) fn trim(&mut self, options: &RoomOptions, now: Timestamp) -> Trimmed {
        let mut trimmed = self.expire(options, now);
        while self.messages.len() > options.history_messages || self.bytes > options.history_bytes {
            trimmed.bytes += self.drop_oldest();
            trimmed.messages += 1;
        }
        trimmed
    }

    /// Drops what is too old.
    pub(crate) fn expire(&mut self, options: &RoomOptions, now: Timestamp) -> Trimmed {
        let mut trimmed = Trimmed::default();
        let expired = |message: &Arc<Message>| {
            message.stored_at_ms.saturating_add(options.history_age_ms) <= now.as_ms()
        };
        while self.messages.front().is_some_and(expired) {
            trimmed.bytes += self.drop_oldest();
            trimmed.messages += 1;
        }
        trimmed
    }

    /// Drops the oldest message, if there is one; its bytes.
    pub(crate) fn drop_oldest(&mut self) -> usize {
        let Some(message) = self.messages.pop_front() else { return 0 };
        let bytes = message.payload.len();
        self.bytes -= bytes;
        if self.messages.is_empty() {
            // A silent room keeps no buffer.
            self.messages = VecDeque::new();
        }
        bytes
    }

    /// The messages after an id, oldest first.
    pub(crate) fn after(&self, id: MessageId, messages_max: usize) -> Vec<Arc<Message>> {
        let start = self.messages.partition_point(|message| message.id <= id);
        self.messages.range(start..).take(messages_max).cloned().collect()
    }
}

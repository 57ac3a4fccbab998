//! A batch: consecutive messages of one room that a shard delivers in one go.
//!
//! Owned by the room while it is fanned out. Encoded once per encoding, in `encoded`, by whoever
//! delivers it. It refuses messages that do not follow its last one.

use std::sync::Arc;

use smallvec::SmallVec;
use tidings_protocol::{Message, MessageId};

/// Enough to put many messages into one system call, small enough for any outbox.
const BATCH_MESSAGES_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// See the module. `E` is where an [`Outlet`](crate::Outlet) keeps what it encoded.
#[derive(Debug)]
pub struct Batch<E> {
    /// Inline while it is one: in a calm room each is.
    messages: SmallVec<[Arc<Message>; 1]>,
    bytes: usize,
    /// The batch's bytes on the wire, by encoding.
    pub encoded: E,
}

/// Where a cursor stands in relation to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The message at this index is the next one.
    Next(usize),
    /// The cursor is at or beyond the last message.
    Beyond,
    /// The batch does not continue where the cursor stands.
    Broken,
}

impl<E: Default> Batch<E> {
    pub(crate) fn new(message: Arc<Message>) -> Self {
        let bytes = message.payload.len();
        Self { messages: SmallVec::from_buf([message]), bytes, encoded: E::default() }
    }

    /// A batch of messages read from a log.
    pub(crate) fn from_log(messages: Vec<Arc<Message>>) -> Self {
        Self { messages: messages.into(), bytes: 0, encoded: E::default() }
    }

    /// Takes a message that follows the last one, while there is room.
    pub(crate) fn push(&mut self, message: Arc<Message>) -> Result<(), Arc<Message>> {
        let follows = self.messages.last().is_some_and(|last| last.id == message.prev);
        let bytes = self.bytes + message.payload.len();
        if !follows || bytes > BATCH_BYTES_MAX || self.messages.len() == BATCH_MESSAGES_MAX {
            return Err(message);
        }
        self.bytes = bytes;
        self.messages.push(message);
        Ok(())
    }

    pub(crate) fn standing(&self, cursor: MessageId) -> Standing {
        let (first, last) = match self.messages.as_slice() {
            [] => return Standing::Beyond,
            [only] => (only, only),
            [first, .., last] => (first, last),
        };
        if cursor == first.prev {
            Standing::Next(0)
        } else if cursor >= last.id {
            Standing::Beyond
        } else {
            let found = self.messages.binary_search_by_key(&cursor, |message| message.id);
            found.map_or(Standing::Broken, |index| Standing::Next(index + 1))
        }
    }
}

impl<E> Batch<E> {
    /// The messages, oldest first; each one's `prev` is the id of the one before it.
    pub fn messages(&self) -> &[Arc<Message>] {
        &self.messages
    }
}

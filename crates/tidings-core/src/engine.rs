//! What an engine is: the keeper of the rooms' logs, in memory or in Redis.
//!
//! A call is a command whose answer is a [`Completion`], called inline by an engine that knows the
//! answer and later, from any thread, by one that has to ask. No call blocks. An engine refuses to
//! know who is subscribed: it announces each stored message once to the [`Hub`](crate::Hub).

use std::sync::Arc;
use std::time::SystemTime;

use tidings_protocol::{ErrorCode, Limits, Message, MessageId, Payload, RoomName, SessionId, UserId};

use crate::RoomOptions;

/// Keeper of the rooms' logs. Every implementation passes the suite in [`crate::contract`].
pub trait Engine: Send + Sync + 'static {
    /// Stores a message and announces it, in one atomic step per room: assigns `id` and `prev`,
    /// appends, trims, announces. `id` is `max(previous id + 1, now in microseconds since 1970)`.
    /// The same idempotency key in the same room within the window gives the same id again and
    /// stores nothing.
    fn publish(&self, now: Timestamp, publication: Publication, done: Completion<Published>);

    /// Reads a room's log from a position on, oldest first, at most `messages_max` messages.
    fn history(
        &self,
        now: Timestamp,
        room: &RoomName,
        from: Position,
        messages_max: usize,
        done: Completion<Page>,
    );

    /// This node gained its first member of a room. Completes with the room's newest id (the
    /// origin if it has none, see [`Page::origin`]): every message after that one is announced, until [`Engine::unwatch`].
    /// Watching again is harmless and answers the same way.
    fn watch(&self, now: Timestamp, room: &RoomName, done: Completion<MessageId>);

    /// This node lost its last member of a room. Another shard may have entered it since: an
    /// engine that has something to undo asks [`Hub::has_members`](crate::Hub::has_members), under
    /// the same lock as `watch`.
    fn unwatch(&self, room: &RoomName);

    /// Rooms that have history or a member on this node, in the order of their names, after a name
    /// (for paging), at most `rooms_max`.
    fn rooms(
        &self,
        now: Timestamp,
        after: Option<&RoomName>,
        rooms_max: usize,
        done: Completion<Vec<RoomSummary>>,
    );

    /// Called about once a second: forgets what is too old. Does a bounded amount of work a call.
    fn tick(&self, now: Timestamp);

    /// What `/metrics` tells about the engine.
    fn gauges(&self) -> EngineGauges;

    /// The stores behind the engine, if it has any; `/metrics` tells.
    fn stores(&self) -> Vec<StoreState> {
        Vec::new()
    }

    /// About once a second: what this node has to say of itself to others around the same stores.
    fn report(&self, _report: &NodeReport) {}

    /// What the other nodes around the same stores last said of themselves, as far as they live.
    fn other_nodes(&self) -> Vec<NodeReport> {
        Vec::new()
    }

    /// Whether what is published now would reach everybody in time; `/ready` tells.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Wall-clock time in microseconds since 1970, read once per turn by whoever owns a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// In milliseconds since 1970.
    pub const fn as_ms(self) -> u64 {
        self.0 / 1_000
    }
}

/// A clock set before 1970 counts as 1970; ids stay in order whatever the clock does.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX))
    }
}

/// A message on its way into a room.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Where to.
    pub room: RoomName,
    /// Who says it.
    pub user: Option<UserId>,
    /// Conflation key, see [`Message::key`].
    pub key: Option<Box<str>>,
    /// What is said.
    pub payload: Payload,
    /// Makes a repeat of the same call harmless.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl Publication {
    /// Refuses a payload that is larger than a message or than the room's whole log may be.
    pub fn check_size(&self, options: &RoomOptions, limits: &Limits) -> Result<(), EngineError> {
        let bytes = self.payload.len();
        let fits_room = !options.keeps_history() || bytes <= options.history_bytes;
        if bytes <= limits.message_bytes_max && fits_room {
            Ok(())
        } else {
            Err(EngineError::MessageTooLarge)
        }
    }
}

/// Two publications with equal keys in one room are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// The session whose `ref` it is; `None` for the HTTP header `Idempotency-Key`.
    pub session: Option<SessionId>,
    /// The client's own string.
    pub reference: Box<str>,
}

/// Answer to [`Engine::publish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The id the message has.
    pub id: MessageId,
    /// Whether an earlier publication with the same idempotency key had stored it already.
    pub repeated: bool,
}

/// Where to read a log from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// Nothing of the past: only where the log ends now.
    Head,
    /// Everything after this id.
    After(MessageId),
}

/// A stretch of a room's log.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the order of their ids; each one's `prev` is the id of the one before it. Only the first may
    /// lead over a hole, so that each page has one gap at most, before its first message.
    pub messages: Vec<Arc<Message>>,
    /// The room's newest id when the page was read; the origin if the engine knows of none.
    pub head: MessageId,
    /// Where the engine's knowledge begins: the `prev` of a room's first message. Whoever stands
    /// here has missed nothing since; whoever stands before it may have.
    pub origin: MessageId,
    /// What the store behind the engine gave ids to and lost, if it is known to have.
    pub hole: Option<Hole>,
}

/// A stretch of a log that was lost after its ids were given out, as when a replica takes over that
/// lagged. The log goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The last id before it.
    pub after: MessageId,
    /// The last id in it.
    pub before: MessageId,
}

impl Hole {
    /// Whether a message with this id was lost.
    pub fn holds(self, id: MessageId) -> bool {
        self.after < id && id <= self.before
    }

    /// Whether a message follows one from before the loss, because the log went on before the loss was
    /// noticed.
    pub fn is_led_over_by(self, message: &Message) -> bool {
        message.prev <= self.after && self.before < message.id
    }
}

/// A room in the answer to [`Engine::rooms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    /// Its name.
    pub room: RoomName,
    /// Its newest message's id.
    pub head: MessageId,
    /// Messages its history holds.
    pub messages: usize,
    /// Their payload bytes.
    pub bytes: usize,
}

/// What an engine holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineGauges {
    /// Rooms known.
    pub rooms: usize,
    /// Messages kept.
    pub messages: usize,
    /// Their payload bytes.
    pub bytes: usize,
}

/// How one of the stores behind an engine fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreState {
    /// Its address, without secrets.
    pub name: String,
    /// It answers, and what it announces arrives.
    pub is_up: bool,
    /// Rooms that this node listens to there.
    pub rooms: usize,
    /// Requests since the start.
    pub requests: u64,
    /// Requests refused because it was away or had too many already.
    pub refused: u64,
    /// Messages that were not heard and had to be read.
    pub repaired: u64,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Its name, which another node may have by mistake.
    pub name: String,
    /// Connections it holds, of every transport.
    pub connections: usize,
    /// Rooms it has use for.
    pub rooms: usize,
    /// How long ago it said so.
    pub age_ms: u64,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The node's limit of rooms is reached and none could be forgotten.
    #[error("the node knows as many rooms as it may (rooms_max): use fewer rooms, or raise the limit")]
    TooManyRooms,
    /// The message is larger than a room's whole history may be, or than the message limit.
    #[error("the message is larger than message_bytes_max: send a smaller one, or raise the limit")]
    MessageTooLarge,
    /// The store behind the engine does not answer.
    #[error("the engine's store does not answer: try again in a moment")]
    Unavailable,
}

impl EngineError {
    /// What the client is told.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::TooManyRooms => ErrorCode::TooManyRooms,
            Self::MessageTooLarge => ErrorCode::MessageTooLarge,
            Self::Unavailable => ErrorCode::Unavailable,
        }
    }
}

/// The answer to an engine call, on its way back to whoever asked. Called exactly once; one that
/// is dropped uncalled answers [`EngineError::Unavailable`], so that no caller waits for ever.
pub struct Completion<T>(Option<Answer<T>>);

type Answer<T> = Box<dyn FnOnce(Result<T, EngineError>) + Send>;

impl<T> Completion<T> {
    /// Runs `answer` when the engine has done its part. It may run inside the call, on the
    /// caller's thread, and must not call the engine.
    pub fn new(answer: impl FnOnce(Result<T, EngineError>) + Send + 'static) -> Self {
        Self(Some(Box::new(answer)))
    }

    /// For a caller who has nothing to learn from the answer.
    pub const fn ignore() -> Self {
        Self(None)
    }

    /// Answers.
    pub fn complete(mut self, result: Result<T, EngineError>) {
        if let Some(answer) = self.0.take() {
            answer(result);
        }
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Err(EngineError::Unavailable));
        }
    }
}

impl<T> std::fmt::Debug for Completion<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Completion")
    }
}

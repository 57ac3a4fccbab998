//! An engine under test, with a clock to turn, one shard that writes down what is announced, and
//! calls that wait for their answers.
//!
//! Owned by one test. Refuses to wait for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tidings_protocol::{Limits, Message, MessageId, Payload, RoomName};

use crate::{
    Completion, Engine, EngineError, Hub, Inbox, Page, Position, Publication, Published, RoomRules,
    RoomSummary, Timestamp,
};

/// Makes an empty engine in a harness.
pub type Make = dyn Fn(RoomRules, Limits) -> Harness;

/// Longest wait for something that must happen; only a broken engine takes as long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where the clock stands when a test begins, in microseconds since 1970: a day of 2027.
const START_US: u64 = 1_800_000_000_000_000;

/// See the module.
pub struct Harness {
    /// The engine under test.
    pub engine: Arc<dyn Engine>,
    /// Its hub.
    pub hub: Arc<Hub>,
    /// What it announced to the only shard.
    pub announced: Arc<Recorder>,
    now_us: AtomicU64,
}

impl Harness {
    /// Around an empty engine and the hub it announces to, which has no shards yet.
    pub fn new(engine: Arc<dyn Engine>, hub: Arc<Hub>) -> Self {
        let announced = Arc::new(Recorder::default());
        hub.connect(vec![Arc::clone(&announced) as Arc<dyn Inbox>]);
        Self { engine, hub, announced, now_us: AtomicU64::new(START_US) }
    }

    /// What the clock says.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::Relaxed))
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.now_us.store(now.0, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        self.now_us.fetch_add(ms * 1_000, Ordering::Relaxed);
    }

    /// Publishes, and waits for the answer.
    pub fn publish(&self, publication: Publication) -> Result<Published, EngineError> {
        answer(|done| self.engine.publish(self.now(), publication, done))
    }

    /// Publishes a text that must be taken; its id.
    pub fn say(&self, room: &str, text: &str) -> MessageId {
        self.publish(text_to(room, text)).expect("the message is taken").id
    }

    /// Everything the room keeps after a position.
    pub fn history(&self, room: &str, after: MessageId) -> Page {
        self.page(room, Position::After(after), usize::MAX)
    }

    /// One page of a room's log.
    pub fn page(&self, room: &str, from: Position, messages_max: usize) -> Page {
        answer(|done| self.engine.history(self.now(), &name(room), from, messages_max, done))
            .expect("the log is read")
    }

    /// The ids that a room keeps.
    pub fn ids(&self, room: &str) -> Vec<MessageId> {
        ids(&self.history(room, MessageId::ZERO).messages)
    }

    /// The shard gains its first member of a room; where the log ends.
    pub fn enter(&self, room: &str) -> MessageId {
        self.hub.enter(&name(room), 0);
        answer(|done| self.engine.watch(self.now(), &name(room), done)).expect("the room is watched")
    }

    /// The shard loses its last member of a room.
    pub fn exit(&self, room: &str) {
        if self.hub.exit(&name(room), 0) {
            self.engine.unwatch(&name(room));
        }
    }

    /// Rooms after a name.
    pub fn rooms(&self, after: Option<&str>, rooms_max: usize) -> Vec<RoomSummary> {
        let after = after.map(name);
        answer(|done| self.engine.rooms(self.now(), after.as_ref(), rooms_max, done))
            .expect("the rooms are listed")
    }

    /// Ticks as often as it may take to look at everything.
    pub fn tick(&self) {
        (0..100).for_each(|_| self.engine.tick(self.now()));
    }
}

/// Makes a call and waits for its answer, which must come once.
fn answer<T: Send + 'static>(call: impl FnOnce(Completion<T>)) -> Result<T, EngineError> {
    let (sender, receiver) = channel();
    call(Completion::new(move |result| {
        // Nobody listens any more if the deadline has passed; the test has failed then.
        let _ = sender.send(result);
    }));
    let result = receiver.recv_timeout(DEADLINE).expect("every call is answered");
    let rest = receiver.recv_timeout(DEADLINE);
    assert!(matches!(rest, Err(RecvTimeoutError::Disconnected)), "a call is answered once");
    result
}

/// A room's name.
pub(super) fn name(room: &str) -> RoomName {
    RoomName::new(room, &Limits::default()).expect("the suite uses valid names")
}

/// A text of no one's.
pub(super) fn text_to(room: &str, text: &str) -> Publication {
    Publication {
        room: name(room),
        user: None,
        key: None,
        payload: Payload::Text(text.into()),
        idempotency_key: None,
    }
}

/// The ids of messages.
pub(super) fn ids(messages: &[Arc<Message>]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

/// Fails unless each message names the one before it.
pub(super) fn assert_chained(messages: &[Arc<Message>]) {
    for pair in messages.windows(2) {
        assert_eq!(pair[1].prev, pair[0].id, "message {} names the one before it", pair[1].id);
    }
}

/// The inbox of the only shard: writes down what it is told.
#[derive(Debug, Default)]
pub struct Recorder {
    messages: Mutex<Vec<Arc<Message>>>,
    changed: Condvar,
}

impl Recorder {
    /// The first `count` announcements, once there are as many.
    pub fn wait_for(&self, count: usize) -> Vec<Arc<Message>> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let (messages, _) = self
            .changed
            .wait_timeout_while(messages, DEADLINE, |messages| messages.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(messages.len() >= count, "{count} messages are announced, not {}", messages.len());
        messages[..count].to_vec()
    }
}

impl Inbox for Recorder {
    fn announce(&self, message: &Arc<Message>) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(message));
        self.changed.notify_all();
    }

    /// What is missing, the suite reads from the log.
    fn doubt(&self, _: &Arc<crate::Doubt>) {}

    /// Engines store messages; they tell of nothing else.
    fn tell(&self, _: &Arc<crate::Event>) {}
}

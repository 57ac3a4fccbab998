//! One Redis server as this node knows it: a voice to ask with, an ear to hear with, and the ledger
//! that makes sure that nothing falls between the two.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::{RedisError, Value};
use tidings_core::engine::{NodeReport, StoreState};
use tidings_core::{Completion, EngineError, Hole, Hub, Page, Position, RoomRules, Timestamp};
use tidings_protocol::{Limits, MessageId, RoomName};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::ear::{self, Ear};
use crate::engine::{Beginning, Config};
use crate::keys::Keys;
use crate::ledger::{Ledger, REPAIR_MESSAGES, Sight};
use crate::nodes::{Census, Nodes};
use crate::scripts::Script;
use crate::source::Source;
use crate::voice::Voice;
use crate::wire;

/// Who reads what nodes tell each other apart from messages. Called in the connection's own task: must
/// not wait.
pub(crate) trait Correspondent: Send + Sync {
    /// Another node wrote to this one.
    fn letter(&self, server: &Arc<Server>, letter: &[u8]);

    /// Something other than a message was said in a room that this node listens to.
    fn event(&self, room: &RoomName, event: &[u8]);

    /// The server answered again after it was away, or this node's lease there had ended: what it
    /// keeps of this node may be gone.
    fn returned(&self, server: &Server);
}

/// See the module.
pub(crate) struct Server {
    /// The address without the password, for logs and metrics.
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) keys: Keys,
    /// The channel on which this node is written to.
    pub(crate) letters: String,
    pub(crate) patience: Duration,
    pub(crate) voice: Voice,
    pub(crate) ear: Ear,
    ledger: Mutex<Ledger>,
    nodes: Mutex<Nodes>,
    pub(crate) correspondent: OnceLock<Arc<dyn Correspondent>>,
    limits: Arc<Limits>,
    rules: Arc<RoomRules>,
    beginning: Beginning,
    /// The newest `now` anybody came with, for what happens by itself.
    clock: AtomicU64,
}

impl Server {
    /// Connects in the background, on the runtime, until the process ends.
    pub(crate) fn start(
        source: Source,
        config: &Config,
        hub: &Arc<Hub>,
        rules: &Arc<RoomRules>,
        limits: &Arc<Limits>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let (voice, requests) = Voice::new(limits.engine_requests_max, config.replicas_min);
        let keys = Keys::new(&config.prefix);
        let server = Arc::new(Self {
            name: source.name(),
            letters: keys.letters(&config.node),
            keys,
            patience: config.patience,
            voice,
            ear: Ear::new(),
            ledger: Mutex::new(Ledger::new(Arc::clone(hub), limits)),
            nodes: Mutex::new(Nodes::new(&config.node, limits.node_lease_ms)),
            correspondent: OnceLock::new(),
            limits: Arc::clone(limits),
            rules: Arc::clone(rules),
            beginning: config.beginning,
            clock: AtomicU64::new(0),
            source,
        });
        let speaking = Arc::clone(&server);
        runtime.spawn(async move {
            let changed = |state: Result<(), &RedisError>| match state {
                Ok(()) => {
                    tracing::info!(redis = speaking.name, "RedisConnected");
                    speaking.ear.bell.notify_one();
                    // Before others take this node for dead.
                    speaking.renew_lease();
                    if let Some(correspondent) = speaking.correspondent.get() {
                        correspondent.returned(&speaking);
                    }
                }
                Err(error) => {
                    speaking.ledger().went_away();
                    tracing::warn!(redis = speaking.name, %error, "RedisUnavailable");
                }
            };
            speaking.voice.serve(&speaking.source, requests, speaking.patience, changed).await;
        });
        runtime.spawn(ear::listen(Arc::clone(&server)));
        server
    }

    /// Whether both directions work.
    pub(crate) fn is_ready(&self) -> bool {
        self.voice.is_up() && self.ear.is_up()
    }

    /// For the metrics.
    pub(crate) fn state(&self) -> StoreState {
        let (requests, refused) = self.voice.figures();
        let (rooms, repaired) = self.ledger().figures();
        StoreState { name: self.name.clone(), is_up: self.is_ready(), rooms, requests, refused, repaired }
    }

    /// A panic while the lock is held leaves the ledger usable: every room that is in doubt is read.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the ledger take notice of something, and the ear do what follows from it.
    fn note<T>(&self, notice: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger();
        let result = notice(&mut ledger);
        let has_work = ledger.has_work();
        drop(ledger);
        if has_work {
            self.ear.bell.notify_one();
        }
        result
    }

    /// Time passes.
    pub(crate) fn saw(&self, now: Timestamp) {
        self.clock.store(now.0, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::Relaxed))
    }

    /// This node has members in a room from now on.
    pub(crate) fn watch(&self, now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        self.saw(now);
        if !self.voice.is_up() {
            return done.complete(Err(EngineError::Unavailable));
        }
        self.note(|ledger| ledger.watch(now, room, done));
    }

    pub(crate) fn unwatch(&self, room: &RoomName) {
        self.ledger().unwatch(self.now(), room);
    }

    pub(crate) fn tick(self: &Arc<Self>, now: Timestamp) {
        self.saw(now);
        self.note(|ledger| ledger.tick(now, self.limits.examined_per_tick));
        if self.nodes().is_due(now, self.limits.node_lease_ms / 3) {
            self.renew_lease();
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes that this server knows and whose lease has ended.
    pub(crate) fn dead_nodes(&self) -> Vec<String> {
        self.nodes().dead().to_vec()
    }

    /// The nodes that live, without this one.
    pub(crate) fn other_nodes(&self) -> Vec<String> {
        self.nodes().others()
    }

    /// From now on this is what this node says of itself, when it says that it lives.
    pub(crate) fn report(&self, report: &NodeReport) {
        self.nodes().report(report);
    }

    /// What the others said of themselves, by what they are known by.
    pub(crate) fn reports(&self) -> Vec<(String, NodeReport)> {
        self.nodes().reports(self.now()).map(|(node, report)| (node.to_owned(), report)).collect()
    }

    /// Writes to another node; `unheard` is called if it does not listen, or the server does not
    /// answer. Letters follow each other, and the requests before them, in order.
    pub(crate) fn write(&self, node: &str, letter: &[u8], unheard: impl FnOnce() + Send + 'static) {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.keys.letters(node)).arg(letter);
        let answer = move |listeners| {
            if !matches!(listeners, Ok(Value::Int(1..))) {
                unheard();
            }
        };
        self.voice.ask(command, Box::new(answer));
    }

    /// Says that this node lives, unless it said goodbye.
    fn renew_lease(self: &Arc<Self>) {
        // Held until it is asked: a goodbye that came in between would be taken back by it. An answer
        // that comes at once is a refusal, which takes no lock.
        let nodes = self.nodes();
        let Some(said) = nodes.said() else { return };
        let mut command = Script::Lease.call(&[self.keys.nodes(), self.keys.lease(nodes.own())]);
        command.arg(nodes.own()).arg(self.limits.node_lease_ms).arg(self.keys.lease("")).arg(said);
        let server = Arc::clone(self);
        let answer = move |value: Result<Value, EngineError>| {
            let Ok(Some(census)) = value.map(|value| Census::read(&value, server.now())) else { return };
            let had_lived = census.had_lived;
            server.nodes().count(census);
            if !had_lived && let Some(correspondent) = server.correspondent.get() {
                correspondent.returned(&server);
            }
        };
        self.voice.ask(command, Box::new(answer));
    }

    /// Says that this node lives no more, and never again that it does. The answer comes when all before
    /// it is done.
    pub(crate) fn end_lease(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut command = redis::cmd("DEL");
        let mut nodes = self.nodes();
        nodes.go();
        command.arg(self.keys.lease(nodes.own()));
        drop(nodes);
        self.voice.ask(
            command,
            Box::new(move |_| {
                // Nobody waits any more.
                let _ = sender.send(());
            }),
        );
        receiver
    }

    /// Asks where a room's log ends, for the ledger.
    pub(crate) fn look(self: &Arc<Self>, room: &RoomName) {
        let look = self.ledger().look(room);
        let mut command = Script::Watch.call(&[self.keys.log(room), self.keys.meta(room)]);
        command
            .arg(look.proof.0)
            .arg(self.keys.channel(room))
            .arg(self.beginning.of_watched(self.now()).0)
            .arg(self.limits.room_forgotten_after_ms.max(1));
        let (server, room) = (Arc::clone(self), room.clone());
        self.voice.ask(
            command,
            Box::new(move |value| {
                let sight = value.and_then(|value| sight(&value));
                let missing = server.note(|ledger| ledger.looked(&room, look, sight));
                if let Some(missing) = missing {
                    server.fill(room, look.connection, missing.after);
                }
            }),
        );
    }

    /// Reads what was not heard, for the ledger.
    fn fill(self: &Arc<Self>, room: RoomName, connection: u64, after: MessageId) {
        let now = self.now();
        let server = Arc::clone(self);
        let done = Completion::new({
            let room = room.clone();
            move |page| {
                let missing = server.note(|ledger| ledger.filled(now, &room, connection, after, page));
                if let Some(missing) = missing {
                    server.fill(room, connection, missing.after);
                }
            }
        });
        self.read(now, &room, Position::After(after), REPAIR_MESSAGES, done);
    }

    /// Reads a stretch of a room's log.
    pub(crate) fn read(
        &self,
        now: Timestamp,
        room: &RoomName,
        from: Position,
        messages_max: usize,
        done: Completion<Page>,
    ) {
        let (after, messages_max) = match from {
            Position::Head => (MessageId::ZERO, 0),
            Position::After(after) => (after, messages_max.min(self.limits.history_page_messages_max)),
        };
        let mut command = Script::Read.call(&[self.keys.log(room), self.keys.meta(room)]);
        command
            .arg(after.0)
            .arg(messages_max)
            .arg(expired_up_to(&self.rules, room, now).0)
            .arg(self.beginning.of_watched(now).0);
        let (room, limits) = (room.clone(), Arc::clone(&self.limits));
        self.voice.ask(
            command,
            Box::new(move |value| done.complete(value.and_then(|value| page(&room, &value, &limits)))),
        );
    }

    /// Something came from a channel.
    pub(crate) fn heard(&self, channel: &str, payload: &[u8]) {
        let Some(room) = self.keys.room_of(channel) else { return };
        let Ok(room) = RoomName::new(room, &self.limits) else { return };
        if let Some(event) = payload.strip_prefix(b"e ") {
            if let Some(correspondent) = self.correspondent.get() {
                correspondent.event(&room, event);
            }
            return;
        }
        match wire::heard(&room, payload, &self.limits) {
            Some(heard) => self.note(|ledger| ledger.heard(&room, heard)),
            None => tracing::warn!(redis = self.name, %room, "RedisStrangeAnnouncement"),
        }
    }

    /// Another node wrote.
    pub(crate) fn letter(self: &Arc<Self>, letter: &[u8]) {
        if let Some(correspondent) = self.correspondent.get() {
            correspondent.letter(self, letter);
        }
    }

    /// The ear hears.
    pub(crate) fn hears(&self) {
        tracing::info!(redis = self.name, "RedisHeard");
    }

    /// The ear hears no more. Who waits to come in waits for the next connection, unless this one was
    /// no good from the beginning.
    pub(crate) fn deaf(&self, error: &RedisError, has_heard: bool) {
        let mut ledger = self.ledger();
        ledger.disconnected();
        if !has_heard {
            ledger.refuse_waiting();
        }
        drop(ledger);
        tracing::warn!(redis = self.name, %error, "RedisNotHeard");
    }
}

/// Ids up to this one are older than the room keeps messages.
pub(crate) fn expired_up_to(rules: &RoomRules, room: &RoomName, now: Timestamp) -> MessageId {
    let kept_us = rules.of(room).history_age_ms.saturating_mul(1_000);
    MessageId(now.0.saturating_sub(kept_us))
}

fn sight(value: &Value) -> Result<Sight, EngineError> {
    let [head, after, before] = numbers(value)?;
    Ok(Sight { head: MessageId(head), hole: hole(after, before) })
}

fn page(room: &RoomName, value: &Value, limits: &Limits) -> Result<Page, EngineError> {
    let Value::Array(parts) = value else { return Err(EngineError::Unavailable) };
    let [numbers @ .., Value::Array(entries)] = parts.as_slice() else {
        return Err(EngineError::Unavailable);
    };
    let [head, origin, after, before] = integers(numbers)?;
    let mut page = Page {
        messages: Vec::with_capacity(entries.len()),
        head: MessageId(head),
        origin: MessageId(origin),
        hole: hole(after, before),
    };
    for entry in entries {
        let Some(message) = wire::entry(room, entry, limits) else { break };
        // A page is a stretch without a break: what follows one is read by itself.
        let is_torn = page.hole.is_some_and(|hole| hole.is_led_over_by(&message));
        if page.messages.last().is_some_and(|last| last.id != message.prev || is_torn) {
            break;
        }
        page.messages.push(message);
    }
    Ok(page)
}

fn hole(after: u64, before: u64) -> Option<Hole> {
    (before > 0).then_some(Hole { after: MessageId(after), before: MessageId(before) })
}

/// An answer of so many integers.
pub(crate) fn numbers<const COUNT: usize>(value: &Value) -> Result<[u64; COUNT], EngineError> {
    let Value::Array(values) = value else { return Err(EngineError::Unavailable) };
    integers(values)
}

fn integers<const COUNT: usize>(values: &[Value]) -> Result<[u64; COUNT], EngineError> {
    let mut numbers = [0; COUNT];
    if values.len() != COUNT {
        return Err(EngineError::Unavailable);
    }
    for (number, value) in numbers.iter_mut().zip(values) {
        let Value::Int(value) = value else { return Err(EngineError::Unavailable) };
        *number = u64::try_from(*value).map_err(|_| EngineError::Unavailable)?;
    }
    Ok(numbers)
}

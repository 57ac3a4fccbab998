//! One Redis server, or one Cluster, as this node knows it: lines to ask and hear by, and the ledger that
//! makes sure that nothing falls between the two.
//!
//! Refuses to know who has which slot: see `lines.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::{Cmd, RedisError, Value};
use tidings_core::engine::NodeReport;
use tidings_core::{Completion, EngineError, Hole, Hub, Page, Position, RoomRules, Timestamp};
use tidings_protocol::{Limits, MessageId, RoomName};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::engine::{Beginning, Config};
use crate::keys::Keys;
use crate::ledger::{Ledger, REPAIR_MESSAGES, Sight, Ways};
use crate::line::Line;
use crate::lines::Lines;
use crate::nodes::{Census, Nodes};
use crate::scripts::Script;
use crate::source::Source;
use crate::standing::{Doubt, Renewal, Standing};
use crate::voice::{Answer, Request};
use crate::wire;

/// Who reads what nodes tell each other apart from messages. Called in the connection's own task: must
/// not wait.
pub(crate) trait Correspondent: Send + Sync {
    /// Another node wrote to this one.
    fn letter(&self, server: &Arc<Server>, letter: &[u8]);

    /// Something other than a message was said in a room that this node listens to.
    fn event(&self, room: &RoomName, event: &[u8]);

    /// The server answered again after it was away, or this node's lease there had ended: what it
    /// keeps of this node may be gone. In doubt, others may have taken this node for dead without its noticing.
    fn returned(&self, server: &Arc<Server>, doubt: Option<Doubt>);

    /// What other nodes write is heard, and may not have been before.
    fn heard_again(&self);
}

/// See the module.
pub(crate) struct Server {
    /// What its share of the rooms is chosen by, without secrets.
    pub(crate) name: String,
    pub(crate) keys: Keys,
    /// The channel on which this node is written to.
    pub(crate) letters: String,
    pub(crate) patience: Duration,
    pub(crate) replicas_min: usize,
    pub(crate) lines: Lines,
    ledger: Mutex<Ledger>,
    nodes: Mutex<Nodes>,
    last_word: Mutex<()>,
    pub(crate) standing: Standing,
    /// Since when it can be trusted to know who lives.
    returned: Mutex<Instant>,
    pub(crate) correspondent: OnceLock<Arc<dyn Correspondent>>,
    limits: Arc<Limits>,
    rules: Arc<RoomRules>,
    beginning: Beginning,
    /// The newest `now` anybody came with, for what happens by itself.
    clock: AtomicU64,
}

/// Where a server is.
pub(crate) enum Whereabouts {
    /// One process, whatever replicas it has.
    Independent(Box<Source>),
    /// A Cluster that these belong to.
    Cluster(Vec<Arc<Source>>),
}

impl Server {
    /// Connects in the background, on the runtime, until the process ends.
    pub(crate) fn start(
        whereabouts: Whereabouts,
        config: &Config,
        hub: &Arc<Hub>,
        rules: &Arc<RoomRules>,
        limits: &Arc<Limits>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let keys = Keys::new(&config.prefix);
        let (name, lines) = match &whereabouts {
            Whereabouts::Independent(source) => (source.name(), Lines::one(runtime)),
            Whereabouts::Cluster(seeds) => ("cluster".to_owned(), Lines::of_cluster(seeds.clone(), runtime)),
        };
        let ways = Ways { keys: keys.clone(), routes: Arc::clone(lines.routes()) };
        let server = Arc::new(Self {
            name,
            letters: keys.letters(&config.node),
            keys,
            patience: config.patience,
            replicas_min: config.replicas_min,
            lines,
            ledger: Mutex::new(Ledger::new(Arc::clone(hub), limits, ways)),
            last_word: Mutex::default(),
            nodes: Mutex::new(Nodes::new(&config.node, limits.node_lease_ms)),
            standing: Standing::new(limits.node_lease_ms, limits.redis_timeout_ms.saturating_mul(2)),
            returned: Mutex::new(Instant::now()),
            correspondent: OnceLock::new(),
            limits: Arc::clone(limits),
            rules: Arc::clone(rules),
            beginning: config.beginning,
            clock: AtomicU64::new(0),
        });
        server.connect(whereabouts);
        server
    }

    /// Requests that may wait for one master.
    pub(crate) fn requests_max(&self) -> usize {
        self.limits.engine_requests_max
    }

    /// Lines to masters of a Cluster that there may be.
    pub(crate) fn masters_max(&self) -> usize {
        self.limits.redis_masters_max
    }

    /// How often a Cluster without trouble is asked who has which slots.
    pub(crate) fn topology_interval(&self) -> Duration {
        Duration::from_millis(self.limits.redis_topology_ms)
    }

    /// Before something is asked once more that a Cluster could not do yet.
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_millis(self.limits.redis_again_ms)
    }

    /// A line's voice came or went.
    pub(crate) fn line_changed(self: &Arc<Self>, line: &Line, state: Result<(), &RedisError>) {
        match state {
            Ok(()) => {
                tracing::info!(redis = line.name, "RedisConnected");
                line.ear.bell.notify_one();
                if self.leads_to(line, &self.keys.nodes()) {
                    self.forget_trust();
                    // Before others take this node for dead.
                    self.renew_lease(|_| ());
                }
                self.tell_returned(None);
            }
            Err(error) => {
                if self.leads_to(line, &self.keys.nodes()) {
                    self.standing.went_away();
                }
                self.note(|ledger| ledger.went_away(line.number));
                self.lines.doubt();
                tracing::warn!(redis = line.name, %error, "RedisUnavailable");
            }
        }
    }

    fn tell_returned(self: &Arc<Self>, doubt: Option<Doubt>) {
        if let Some(correspondent) = self.correspondent.get() {
            correspondent.returned(self, doubt);
        }
    }

    /// Somebody hears what is written to this node, for the first time or again. What was written meanwhile was not
    /// heard, and its writer took that for a sign that this node does not live.
    pub(crate) fn hears_letters(&self) {
        if let Some(correspondent) = self.correspondent.get() {
            correspondent.heard_again();
        }
    }

    /// A panic while the lock is held leaves the ledger usable: every room that is in doubt is read.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the ledger take notice of something, and the ear do what follows from it.
    pub(crate) fn note<T>(&self, notice: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger();
        let result = notice(&mut ledger);
        let calls = ledger.calls();
        drop(ledger);
        self.lines.call(&calls);
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
        if !self.is_up_for(room) {
            return done.complete(Err(EngineError::Unavailable));
        }
        self.note(|ledger| ledger.watch(now, room, done));
    }

    pub(crate) fn unwatch(&self, room: &RoomName) {
        self.ledger().unwatch(self.now(), room);
    }

    /// Whether the server of a room can be asked.
    pub(crate) fn is_up_for(&self, room: &RoomName) -> bool {
        self.lines.leading_to(self.keys.slot(room)).is_some_and(|line| line.voice.is_up())
    }

    /// Asks whoever has the keys that the command names. The answer may come before this returns.
    pub(crate) fn ask(&self, command: Cmd, answer: Answer) {
        self.send(Request::new(command, answer, false, self.patience));
    }

    /// The same, but what was done counts only once enough replicas have it.
    pub(crate) fn ask_durably(&self, command: Cmd, answer: Answer) {
        self.send(Request::new(command, answer, self.replicas_min > 0, self.patience));
    }

    /// Nobody is asked who is not known.
    fn send(&self, request: Request) {
        if let Some(line) = self.lines.leading_to(request.slot) {
            line.voice.ask(request);
        }
    }

    pub(crate) fn tick(self: &Arc<Self>, now: Timestamp) {
        self.saw(now);
        let has_to_show = self.note(|ledger| {
            ledger.tick(now, self.limits.examined_per_tick);
            ledger.has_to_show()
        });
        if has_to_show {
            self.lines.call_all();
        }
        if self.nodes().is_due(now, self.limits.node_lease_ms / 3) {
            self.renew_lease(|_| ());
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held from looking whether the node has said goodbye until the lease is asked for: a goodbye that came in between
    /// would be taken back by it. Apart from `nodes`, which an answer that comes at once, a refusal, may look at.
    fn last_word(&self) -> MutexGuard<'_, ()> {
        self.last_word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this node is known by.
    pub(crate) fn own(&self) -> String {
        self.nodes().own().to_owned()
    }

    /// Whether all nodes that live have had time to say so since the server answers. Before that, a node
    /// that could not renew its lease must not be taken for dead.
    fn is_settled(&self) -> bool {
        let returned = *self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.elapsed() > Duration::from_millis(self.limits.node_lease_ms / 2)
    }

    fn forget_trust(&self) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The nodes that this server knows and that do not live.
    pub(crate) fn dead_nodes(&self) -> Vec<String> {
        if self.is_settled() { self.nodes().dead().map(str::to_owned).collect() } else { Vec::new() }
    }

    /// Those of them whose users do not count any more.
    pub(crate) fn gone_nodes(&self) -> Vec<String> {
        let now = self.now();
        if self.is_settled() { self.nodes().gone(now).map(str::to_owned).collect() } else { Vec::new() }
    }

    /// Whether a node lived when this server was last asked, or its users count all the same.
    pub(crate) fn counts(&self, node: &str) -> bool {
        let now = self.now();
        let nodes = self.nodes();
        nodes.lives(node) || !(nodes.is_stranger(node) || nodes.gone(now).any(|gone| gone == node))
    }

    /// Nodes were met that have users somewhere. Those that are not among all nodes, as after their server
    /// lost what it knew, are entered there, so that it is found out whether they live.
    pub(crate) fn met<'a>(&self, nodes: impl Iterator<Item = &'a str>) {
        let known = self.nodes();
        let strangers: Vec<_> = nodes.filter(|node| known.is_stranger(node)).collect();
        drop(known);
        if !strangers.is_empty() {
            let mut enter = redis::cmd("SADD");
            enter.arg(self.keys.nodes()).arg(strangers);
            self.ask(enter, Box::new(|_| ()));
        }
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
        let mut command = redis::cmd("SPUBLISH");
        command.arg(self.keys.letters(node)).arg(letter);
        let answer = move |listeners| {
            if !matches!(listeners, Ok(Value::Int(1..))) {
                unheard();
            }
        };
        self.ask(command, Box::new(answer));
    }

    /// Whether a node did not live when last asked, or was not known: only its lease can tell.
    pub(crate) fn may_be_dead(&self, node: &str) -> bool {
        self.is_settled() && !self.nodes().lives(node)
    }

    /// Asks whether a node lives now; `None` if that cannot be known.
    pub(crate) fn ask_whether_lives(&self, node: &str, then: impl FnOnce(Option<bool>) + Send + 'static) {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.keys.lease(node));
        self.ask(
            command,
            Box::new(move |value| {
                then(match value {
                    Ok(Value::Int(found)) => Some(found == 1),
                    _ => None,
                });
            }),
        );
    }

    /// Says that this node lives, unless it said goodbye, and asks who else does; then the rest is done, with whether
    /// there was an answer.
    pub(crate) fn renew_lease(self: &Arc<Self>, then: impl FnOnce(bool) + Send + 'static) {
        let word = self.last_word();
        let (node, said) = {
            let nodes = self.nodes();
            (nodes.own().to_owned(), nodes.said())
        };
        let Some(said) = said else {
            drop(word);
            return then(false);
        };
        let mut command = Script::Lease.call(&[self.keys.nodes(), self.keys.lease(&node)]);
        command.arg(node).arg(self.limits.node_lease_ms).arg(self.keys.lease("")).arg(said);
        let (server, asked_ms) = (Arc::clone(self), self.standing.now_ms());
        let answer = move |value: Result<Value, EngineError>| {
            let Ok(Some(census)) = value.map(|value| Census::read(&value, server.now())) else {
                return then(false);
            };
            let had_lived = census.had_lived;
            server.nodes().count(census);
            let is_doubtful = server.standing.renewed(asked_ms) == Renewal::Doubtful;
            if !had_lived {
                server.forget_trust();
            }
            if !had_lived || is_doubtful {
                let doubt = is_doubtful.then(|| Doubt::of(&server, asked_ms));
                server.tell_returned(doubt);
            }
            then(true);
        };
        self.ask(command, Box::new(answer));
    }

    /// Says that this node lives no more, and never again that it does. The answer comes when all before
    /// it is done.
    pub(crate) fn end_lease(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut command = redis::cmd("DEL");
        let _word = self.last_word();
        self.nodes().go();
        command.arg(self.keys.lease(self.nodes().own()));
        self.ask(
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
        self.ask(
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
        self.ask(
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

    /// A line's ear hears.
    pub(crate) fn hears(&self, line: &Line) {
        tracing::info!(redis = line.name, "RedisHeard");
    }

    /// A line's ear hears no more. Who waits to come in waits for the next connection, unless this one was
    /// no good from the beginning.
    pub(crate) fn deaf(&self, line: &Line, error: &RedisError, has_heard: bool) {
        self.note(|ledger| {
            ledger.disconnected(line.number);
            if !has_heard {
                ledger.refuse_waiting(line.number);
            }
        });
        self.lines.doubt();
        tracing::warn!(redis = line.name, %error, "RedisNotHeard");
    }

    /// A channel is not heard any more by a line.
    pub(crate) fn unsubscribed(&self, line: &Line, channel: &str) {
        let Some(room) = self.keys.room_of(channel) else { return };
        let Ok(room) = RoomName::new(room, &self.limits) else { return };
        if self.note(|ledger| ledger.unsubscribed(line.number, &room)) {
            self.lines.doubt();
        }
    }

    /// A room was to be heard by a line, and is not, or not for certain.
    pub(crate) fn not_subscribed(&self, line: &Line, room: &RoomName) {
        self.note(|ledger| ledger.not_subscribed(line.number, room));
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

//! A node's shards around a memory engine, with clients, driven until all is quiet.

use std::sync::{Arc, Mutex};

use tidings_core::memory::MemoryEngine;
use tidings_core::options::Pattern;
use tidings_core::telemetry::{Counter, Counters};
use tidings_core::{
    Completion, Engine, EngineError, Hub, Inbox, Mailbox, Page, People, Position, Publication, RoomOptions,
    RoomRules, Timestamp,
};
use tidings_protocol::server::{MessageBody, Received};
use tidings_protocol::{Limits, Message, MessageId, Origins, Payload, RoomName, SessionId};
use tidings_shard::gate::Gate;
use tidings_shard::io::Io;
use tidings_shard::{Arrival, Capacity, Context, Handshake, Purpose, Reception, Shard, Visitor};

use crate::client::{self, Client, Seen};
use crate::network::{ASLEEP, Network, Simulated, Socket};
use crate::random::Random;

/// What a client that reads lets the network hold.
pub const ROOMY: usize = 1 << 20;

/// How often whoever runs a node tells its tables that time passes.
const TICK_MS: u64 = 1_000;

/// Puts something around an engine.
pub type Wrap = Box<dyn Fn(Arc<dyn Engine>) -> Arc<dyn Engine>>;

/// What a world is made of.
pub struct Setup {
    /// How many shards the node has.
    pub shards: usize,
    /// All maxima.
    pub limits: Limits,
    /// Options of rooms by their names.
    pub rules: Vec<(Pattern, RoomOptions)>,
    /// Whether compression is agreed to.
    pub compression: bool,
    /// Pages that may read what the node answers.
    pub origins: Vec<&'static str>,
    /// How many of a hundred reads and writes are cut short.
    pub chopped_percent: usize,
    /// Whether WebSockets that are opened as usual speak protobuf.
    pub protobuf: bool,
    /// What all that is random follows from.
    pub seed: u64,
    /// When the engine began: where its knowledge of rooms does.
    pub started: Timestamp,
    /// Puts something around the engine.
    pub engine: Wrap,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shards: 1,
            limits: Limits::default(),
            rules: Vec::new(),
            compression: true,
            origins: Vec::new(),
            chopped_percent: 0,
            protobuf: false,
            seed: 1,
            started: Timestamp(0),
            engine: Box::new(|engine| engine),
        }
    }
}

/// A client of the world, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub usize);

/// See the module.
pub struct World {
    /// What lies below shards and clients, and the clock.
    pub network: Network,
    /// All maxima.
    pub limits: Arc<Limits>,
    /// The memory engine itself, whatever was put around it.
    pub engine: Arc<dyn Engine>,
    /// Sessions, presence and typing.
    pub people: Arc<People>,
    /// The seats.
    pub capacity: Arc<Capacity>,
    /// The control plane, or what is here in its place.
    pub reception: Arc<Desk>,
    /// Which shards have members in which room.
    pub hub: Arc<Hub>,
    /// `None` once it has ended.
    pub shards: Vec<Option<Shard<Simulated>>>,
    plan: Plan,
    /// Nodes that died.
    lives: u64,
    gates: Vec<Arc<Gate<Socket>>>,
    counters: Vec<Arc<Counters>>,
    clients: Vec<Client>,
    protobuf: bool,
}

/// Keeps visitors that are no WebSocket.
#[derive(Default)]
pub struct Desk {
    /// Who has come.
    pub visitors: Mutex<Vec<Visitor<Socket>>>,
    /// Whether it takes nobody more.
    pub is_full: Mutex<bool>,
}

impl Reception<Socket> for Desk {
    fn receive(&self, visitor: Visitor<Socket>) -> Result<(), Visitor<Socket>> {
        if *self.is_full.lock().unwrap() {
            return Err(visitor);
        }
        self.visitors.lock().unwrap().push(visitor);
        Ok(())
    }
}

impl Setup {
    /// Calm and rough: one shard, three, and three whose reads and writes are cut to pieces.
    pub fn each(mut change: impl FnMut(&mut Setup)) -> impl Iterator<Item = World> {
        [(1, 0), (3, 0), (3, 60)]
            .map(|(shards, chopped_percent)| {
                let mut setup = Setup { shards, chopped_percent, ..Setup::default() };
                change(&mut setup);
                setup.build()
            })
            .into_iter()
    }

    /// The same, once more with everybody speaking protobuf: for what does not depend on the bytes.
    pub fn each_tongue(mut change: impl FnMut(&mut Setup)) -> impl Iterator<Item = World> {
        let mut setup = Setup { shards: 3, chopped_percent: 60, protobuf: true, ..Setup::default() };
        change(&mut setup);
        Self::each(change).chain([setup.build()])
    }

    /// Starts it.
    pub fn build(self) -> World {
        let limits = Arc::new(self.limits);
        let rules = Arc::new(RoomRules::new(self.rules, RoomOptions::from_limits(&limits)));
        let network = Network::new(self.shards, self.seed);
        network.chop(self.chopped_percent);
        let plan = Plan {
            shards: self.shards,
            rules,
            compression: self.compression,
            origins: Arc::new(Origins::new(self.origins).expect("origins")),
            seed: self.seed,
            engine: self.engine,
        };
        let node = Node::new(&plan, &limits, self.started);
        let mut world = World {
            network,
            limits,
            engine: node.engine,
            people: node.people,
            hub: node.hub,
            capacity: node.capacity,
            reception: Arc::default(),
            shards: Vec::new(),
            plan,
            lives: 0,
            gates: Vec::new(),
            counters: Vec::new(),
            clients: Vec::new(),
            protobuf: self.protobuf,
        };
        world.start_shards();
        world
    }
}

/// What remains of a [`Setup`]: each node of a world is made of it.
struct Plan {
    shards: usize,
    rules: Arc<RoomRules>,
    compression: bool,
    origins: Arc<Origins>,
    seed: u64,
    engine: Wrap,
}

/// What the shards of a node share.
struct Node {
    engine: Arc<dyn Engine>,
    people: Arc<People>,
    hub: Arc<Hub>,
    capacity: Arc<Capacity>,
}

impl Node {
    fn new(plan: &Plan, limits: &Arc<Limits>, started: Timestamp) -> Self {
        let hub = Arc::new(Hub::new());
        let memory =
            MemoryEngine::new(Arc::clone(&hub), Arc::clone(&plan.rules), Arc::clone(limits), started);
        let people = People::new(&hub, limits, &plan.rules);
        Self { engine: Arc::new(memory), people, hub, capacity: Capacity::new(limits) }
    }
}

fn mailbox(network: &Network, limits: &Limits, shard: usize) -> Arc<Mailbox> {
    let network = network.clone();
    Arc::new(Mailbox::new(limits.inbox_messages_max, move || network.wake(shard)))
}

fn session_ids(mut random: Random) -> Box<dyn FnMut() -> SessionId> {
    Box::new(move || {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random.next().to_le_bytes());
        bytes[8..].copy_from_slice(&random.next().to_le_bytes());
        SessionId::from_bytes(bytes)
    })
}

impl World {
    fn start_shards(&mut self) {
        let context = Context {
            node: "n1".into(),
            limits: Arc::clone(&self.limits),
            rules: Arc::clone(&self.plan.rules),
            engine: (self.plan.engine)(Arc::clone(&self.engine)),
            hub: Arc::clone(&self.hub),
            people: Arc::clone(&self.people),
            capacity: Arc::clone(&self.capacity),
            reception: Arc::clone(&self.reception) as Arc<dyn Reception<Socket>>,
            echo: true,
            compression: self.plan.compression,
            origins: Arc::clone(&self.plan.origins),
        };
        let mailboxes: Vec<_> =
            (0..self.plan.shards).map(|shard| mailbox(&self.network, &self.limits, shard)).collect();
        self.people.sessions.connect(mailboxes.clone());
        self.hub.connect(mailboxes.iter().map(|mailbox| Arc::clone(mailbox) as Arc<dyn Inbox>).collect());
        for (number, mailbox) in mailboxes.into_iter().enumerate() {
            self.add_shard(number, &context, mailbox);
        }
    }

    fn add_shard(&mut self, number: usize, context: &Context<Socket>, mailbox: Arc<Mailbox>) {
        let gate = Arc::<Gate<Socket>>::default();
        let counters = Arc::<Counters>::default();
        let below = self.network.below(number);
        // No two nodes give out the same session ids.
        let ids = session_ids(Random::new(self.plan.seed ^ (number as u64) << 32 ^ self.lives << 48));
        let (for_shard, counted) = (Arc::clone(&gate), Arc::clone(&counters));
        self.shards.push(Some(Shard::new(number, below, context.clone(), mailbox, for_shard, counted, ids)));
        self.gates.push(gate);
        self.counters.push(counters);
    }

    /// The node dies with all that it knew, and another one begins in its place with an empty
    /// engine. Every connection breaks.
    pub fn crash(&mut self) {
        // First of all: a socket that is dropped would end its connection in good order.
        self.network.crash();
        self.shards.clear();
        self.gates.clear();
        let node = Node::new(&self.plan, &self.limits, self.network.wall());
        (self.engine, self.people) = (node.engine, node.people);
        (self.hub, self.capacity) = (node.hub, node.capacity);
        self.lives += 1;
        self.start_shards();
    }

    // Clients.

    /// A client connects, spread over the shards in turn, and says nothing.
    pub fn dial(&mut self) -> ClientId {
        self.dial_with(ROOMY)
    }

    /// The same, where the network holds so much for the client.
    pub fn dial_with(&mut self, capacity: usize) -> ClientId {
        let shard = self.clients.len() % self.shards.len();
        self.dial_shard(shard, capacity)
    }

    /// The same, to a certain shard.
    pub fn dial_shard(&mut self, shard: usize, capacity: usize) -> ClientId {
        let pipe = self.network.connect(shard, capacity);
        self.clients.push(Client::new(pipe));
        ClientId(self.clients.len() - 1)
    }

    /// A client opens a WebSocket.
    pub fn connect(&mut self, path: &str) -> ClientId {
        let id = self.dial();
        self.raw(id, &self.handshake(path));
        self.pump();
        id
    }

    /// A handshake as everybody here offers it.
    pub fn handshake(&self, path: &str) -> Vec<u8> {
        match self.protobuf {
            true => client::handshake_for_protobuf(path, false),
            false => client::handshake(path, false),
        }
    }

    /// A client opens a WebSocket and is told its session.
    pub fn enter(&mut self, path: &str) -> ClientId {
        let id = self.connect(path);
        self.greeted(id);
        id
    }

    /// A client opens an event stream.
    pub fn listen(&mut self, path: &str) -> ClientId {
        let id = self.dial();
        self.ask(id, &client::http("GET", path, &[]));
        id
    }

    /// The same, as a browser comes back.
    pub fn listen_from(&mut self, path: &str, last_event_id: &str) -> ClientId {
        let id = self.dial();
        self.ask(id, &client::http("GET", path, &[("Last-Event-ID", last_event_id)]));
        id
    }

    /// What an event stream's client would come back with.
    pub fn last_event_id(&mut self, id: ClientId) -> String {
        self.client(id).stream.last_event_id.clone()
    }

    /// A client sends a request, and everything that follows from it happens.
    pub fn ask(&mut self, id: ClientId, request: &[u8]) {
        self.raw(id, request);
        self.pump();
    }

    /// A client sends a GET, on the connection it has.
    pub fn get(&mut self, id: ClientId, path: &str) {
        self.ask(id, &client::http("GET", path, &[]));
    }

    /// The answer to a client's request, where only one may have come.
    pub fn answer(&mut self, id: ClientId) -> client::Answer {
        let seen = self.take(id);
        let [Seen::Http(answer)] = &seen[..] else { panic!("not an answer: {seen:?}") };
        answer.clone()
    }

    /// The answer to a request after which the connection ends.
    pub fn last_answer(&mut self, id: ClientId) -> client::Answer {
        let seen = self.take(id);
        let [Seen::Http(answer), Seen::End] = &seen[..] else { panic!("not a last answer: {seen:?}") };
        answer.clone()
    }

    /// A client's connection breaks.
    pub fn cut(&mut self, id: ClientId) {
        self.client(id).pipe.reset();
        self.pump();
        self.take(id);
    }

    /// A client that was just let in takes note of its session.
    pub fn greeted(&mut self, id: ClientId) {
        let seen = self.take(id);
        assert!(matches!(seen.first(), Some(Seen::Frame(Received::Session(_)))), "{seen:?}");
    }

    /// Every client's connection breaks.
    pub fn break_all(&mut self) {
        self.clients.iter().for_each(|client| client.pipe.reset());
    }

    /// A client comes home from the control plane, to the first shard.
    pub fn arrive(&mut self, target: &str, unread: &[u8]) -> ClientId {
        let pipe = self.network.connect(0, ROOMY);
        let socket = self.network.below(0).accept().unwrap().expect("it has just connected");
        self.clients.push(Client::new(pipe).upgraded());
        let (seat, _) = self.capacity.seat();
        let (target, unread) = (target.to_owned(), unread.to_vec());
        let purpose =
            Purpose::WebSocket(Handshake { target, deflate_window_bits: None, is_protobuf: false, unread });
        self.gates[0].arrive(Arrival { socket, seat, purpose });
        self.network.wake(0);
        ClientId(self.clients.len() - 1)
    }

    /// A client, for what only it can do.
    pub fn client(&mut self, id: ClientId) -> &mut Client {
        &mut self.clients[id.0]
    }

    /// A client sends bytes as they are.
    pub fn raw(&mut self, id: ClientId, bytes: &[u8]) {
        self.clients[id.0].pipe.write(bytes);
    }

    /// A client sends a text frame.
    pub fn send(&mut self, id: ClientId, text: &str) {
        self.clients[id.0].text(text);
    }

    /// A client sends a text frame and everything that follows from it happens.
    pub fn say(&mut self, id: ClientId, text: &str) {
        self.send(id, text);
        self.pump();
    }

    /// A client stops reading.
    pub fn stall(&mut self, id: ClientId) {
        self.clients[id.0].reads = false;
    }

    /// A client reads again.
    pub fn unstall(&mut self, id: ClientId) {
        self.clients[id.0].reads = true;
        self.pump();
    }

    /// What a client has seen since it was last asked.
    pub fn take(&mut self, id: ClientId) -> Vec<Seen> {
        std::mem::take(&mut self.clients[id.0].seen)
    }

    /// The same, where only frames of the contract may have come.
    pub fn frames(&mut self, id: ClientId) -> Vec<Received> {
        let frame = |seen| match seen {
            Seen::Frame(frame) => frame,
            other => panic!("not a frame: {other:?}"),
        };
        self.take(id).into_iter().map(frame).collect()
    }

    /// The same, where only one may have come.
    pub fn frame(&mut self, id: ClientId) -> Received {
        let mut frames = self.frames(id);
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0)
    }

    /// The messages that a client has seen, restored ones too, whatever else it saw.
    pub fn messages(&mut self, id: ClientId) -> Vec<MessageBody> {
        let messages = |seen| match seen {
            Seen::Frame(Received::Message(message)) => vec![message],
            Seen::Frame(Received::Restore(restore)) => restore.messages,
            _ => Vec::new(),
        };
        self.take(id).into_iter().flat_map(messages).collect()
    }

    /// Their texts.
    pub fn texts(&mut self, id: ClientId) -> Vec<String> {
        self.messages(id).iter().map(text).collect()
    }

    // Time.

    /// Lets every shard work until it would sleep.
    pub fn settle(&mut self) {
        loop {
            let mut worked = false;
            for shard in &mut self.shards {
                worked |= work(shard);
            }
            if !worked {
                return;
            }
        }
    }

    /// Gives each shard so many turns, if it has something to do.
    pub fn turns(&mut self, count: usize) {
        for _ in 0..count {
            for shard in self.shards.iter_mut().flatten() {
                match shard.turn() {
                    Err(error) if error.kind() != ASLEEP => panic!("{error}"),
                    _ => {}
                }
            }
        }
    }

    /// Lets shards work and clients read and answer until nothing happens any more.
    pub fn pump(&mut self) {
        loop {
            self.settle();
            let mut news = false;
            for client in self.clients.iter_mut().filter(|client| client.reads) {
                news |= client.look(usize::MAX);
            }
            if !news {
                return;
            }
        }
    }

    /// Lets time pass, everything happening when it is due.
    pub fn advance(&mut self, ms: u64) {
        self.pump();
        let end_ms = self.network.now_ms() + ms;
        loop {
            let now_ms = self.network.now_ms();
            let tick_ms = (now_ms / TICK_MS + 1) * TICK_MS;
            let next_ms = self.network.next_deadline_ms().unwrap_or(u64::MAX).max(now_ms).min(tick_ms);
            if next_ms > end_ms {
                break;
            }
            self.network.set_now_ms(next_ms);
            if next_ms == tick_ms {
                self.tick();
            }
            self.pump();
        }
        self.network.set_now_ms(end_ms);
        self.pump();
    }

    /// What whoever runs a node does once a second.
    pub fn tick(&mut self) {
        self.people.tick(self.network.wall());
        self.engine.tick(self.network.wall());
    }

    /// A backend publishes.
    pub fn publish(&mut self, room: &str, text: &str) {
        let publication = Publication {
            room: RoomName::new(room, &self.limits).unwrap(),
            user: None,
            key: None,
            payload: Payload::Text(text.into()),
            idempotency_key: None,
        };
        self.engine.publish(self.network.wall(), publication, Completion::ignore());
        self.pump();
    }

    /// Asks every shard to stop.
    pub fn drain(&mut self) {
        for (shard, gate) in self.gates.iter().enumerate() {
            gate.drain();
            self.network.wake(shard);
        }
    }

    // What the operator sees.

    /// A counter, of all shards.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters.iter().map(|counters| counters.get(counter)).sum()
    }

    /// What a room's log holds behind an id.
    pub fn log(&self, room: &str, after: u64) -> Vec<Arc<Message>> {
        let (answer, page) = std::sync::mpsc::channel();
        let done = Completion::new(move |page: Result<Page, EngineError>| answer.send(page).unwrap());
        let room = RoomName::new(room, &self.limits).unwrap();
        let position = Position::After(MessageId(after));
        self.engine.history(self.network.wall(), &room, position, usize::MAX, done);
        page.recv().unwrap().unwrap().messages
    }

    /// Connections of all shards.
    pub fn connections(&self) -> usize {
        self.shards.iter().flatten().map(Shard::connections_len).sum()
    }

    /// Bytes that wait in all shards for clients.
    pub fn waiting_bytes(&self) -> usize {
        self.shards.iter().flatten().map(Shard::waiting_bytes).sum()
    }

    /// Bytes that wait for the one client for whom most do.
    pub fn most_waiting_bytes(&self) -> usize {
        self.shards.iter().flatten().map(Shard::most_waiting_bytes).max().unwrap_or(0)
    }

    /// Whether every shard has ended.
    pub fn is_over(&self) -> bool {
        self.shards.iter().all(Option::is_none)
    }
}

/// Runs a shard until it would sleep. Says whether it had anything to do.
fn work(shard: &mut Option<Shard<Simulated>>) -> bool {
    let Some(running) = shard else { return false };
    let mut turns = 0_usize;
    loop {
        match running.turn() {
            Ok(()) => turns += 1,
            Err(error) if error.kind() == ASLEEP => return turns > 0,
            Err(error) => panic!("{error}"),
        }
        if running.is_drained() {
            *shard = None;
            return true;
        }
    }
}

/// A message's text; for binary ones and JSON, something like it.
pub fn text(message: &MessageBody) -> String {
    match &message.payload {
        Payload::Text(text) => text.to_string(),
        Payload::Data(json) => json.get().to_owned(),
        Payload::Binary(bytes) => format!("{bytes:?}"),
    }
}

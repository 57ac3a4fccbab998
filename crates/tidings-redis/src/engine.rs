//! The engine over Redis: each room on one of the servers, all nodes around them.
//!
//! Owned by the node, shared by shards and control plane; answers come from the servers' tasks.
//! Refuses to know members: which rooms the node has use for, it is told by `watch`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidings_core::engine::{EngineGauges, NodeReport, StoreState};
use tidings_core::{
    Completion, Engine, EngineError, Hub, Page, Position, Publication, Published, RoomRules, RoomSummary,
    Timestamp,
};
use tidings_protocol::{Limits, MessageId, RoomName};
use tokio::runtime::Handle;

use crate::listing::{self, Listing};
use crate::placement::Placement;
use crate::registry::Registry;
use crate::scripts::Script;
use crate::server::{Server, numbers};
use crate::source::Source;
use crate::survey::survey;
use crate::wire;

/// How to reach the servers.
#[derive(Debug, Clone)]
pub struct Config {
    /// One independent server each: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or
    /// `redis+sentinel://[user:password@]host:port[,host:port…]/name[/db]` for the master of that name.
    /// The same list on every node: a room's place follows from it. Or members of one Cluster, any of them.
    pub addresses: Vec<String>,
    /// The certificate, in PEM, that servers with TLS must have theirs from, if it is not one that the
    /// machine knows.
    pub root_certificate: Option<Vec<u8>>,
    /// Replicas that must have a message before it counts as stored; 0 does not wait for any.
    pub replicas_min: usize,
    /// What all keys and channels begin with.
    pub prefix: String,
    /// A name no other node has.
    pub node: String,
    /// Where a room that no server knows begins.
    pub beginning: Beginning,
    /// How long a server may take to answer. Reached: it counts as away, and is connected to anew.
    pub patience: Duration,
}

/// Where a room that its server does not know begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// When somebody first looks: whoever comes with an earlier position may have missed what the
    /// server has forgotten.
    Now,
    /// Here, in a store that never forgot anything.
    At(MessageId),
}

/// Why there can be no engine.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No server was named.
    #[error("no address of a Redis server: name at least one")]
    NoAddress,
    /// An address is none.
    #[error("{address:?} is no address of a Redis server ({error}): write redis://host:6379")]
    BadAddress {
        /// As it was written, without what may be a password.
        address: String,
        /// What is wrong with it.
        error: String,
    },
    /// Some addresses lead to a Cluster, others do not.
    #[error(
        "{member} is a member of a Cluster, {independent} is not: name members of one Cluster, or independent servers"
    )]
    Mixed {
        /// A member of a Cluster.
        member: String,
        /// A server that is none, or the name of a master that Sentinels know.
        independent: String,
    },
    /// The addresses lead to more than one Cluster.
    #[error("{one} and {other} belong to two Clusters: name members of one")]
    TwoClusters {
        /// A member of one.
        one: String,
        /// A member of the other.
        other: String,
    },
}

/// See the module.
pub struct RedisEngine {
    hub: Arc<Hub>,
    servers: Vec<Arc<Server>>,
    placement: Arc<Placement>,
    rules: Arc<RoomRules>,
    limits: Arc<Limits>,
    beginning: Beginning,
    reads: Arc<Reads>,
    runtime: Handle,
    registry: Arc<Registry>,
}

impl RedisEngine {
    /// Finds out what the servers are, within the patience, and connects in the background, until the process
    /// ends. Until a server is connected, what concerns its rooms is refused.
    ///
    /// # Panics
    ///
    /// Inside of the runtime, where nothing may wait.
    pub fn start(
        config: &Config,
        hub: &Arc<Hub>,
        rules: &Arc<RoomRules>,
        limits: &Arc<Limits>,
        runtime: &Handle,
    ) -> Result<Self, ConfigError> {
        if config.addresses.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        choose_cryptography();
        let root = config.root_certificate.as_deref();
        let sources = config
            .addresses
            .iter()
            .map(|address| Source::read(address, root))
            .collect::<Result<Vec<_>, _>>()?;
        let servers: Vec<_> = runtime
            .block_on(survey(sources, config.patience))?
            .into_iter()
            .map(|whereabouts| Server::start(whereabouts, config, hub, rules, limits, runtime))
            .collect();
        let placement = Arc::new(Placement::new(servers.iter().map(|server| &*server.name)));
        Ok(Self {
            registry: Registry::start(&config.node, &servers, &placement, rules, limits, runtime),
            placement,
            runtime: runtime.clone(),
            servers,
            hub: Arc::clone(hub),
            rules: Arc::clone(rules),
            limits: Arc::clone(limits),
            beginning: config.beginning,
            reads: Arc::default(),
        })
    }

    /// What the nodes know together of people.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    fn server(&self, room: &RoomName) -> &Arc<Server> {
        &self.servers[self.placement.of(room.as_str())]
    }
}

/// For TLS, unless the program has chosen one already.
pub(crate) fn choose_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Beginning {
    /// For a room that is listened to: its first message names this as the one before it.
    pub(crate) const fn of_watched(self, now: Timestamp) -> MessageId {
        match self {
            Self::Now => MessageId(now.0),
            Self::At(id) => id,
        }
    }

    /// For a room that is published to, so that the message itself can have the time as its id.
    const fn of_published(self, now: Timestamp) -> MessageId {
        match self {
            Self::Now => MessageId(now.0.saturating_sub(1)),
            Self::At(id) => id,
        }
    }
}

impl Engine for RedisEngine {
    fn publish(&self, now: Timestamp, publication: Publication, done: Completion<Published>) {
        let options = self.rules.of(&publication.room);
        if let Err(error) = publication.check_size(options, &self.limits) {
            return done.complete(Err(error));
        }
        let server = self.server(&publication.room);
        let (room, keys) = (&publication.room, &server.keys);
        let mut names = vec![keys.log(room), keys.meta(room)];
        names.extend(publication.idempotency_key.as_ref().map(|key| keys.idempotency(room, key)));
        let kept = if options.keeps_history() { options.history_messages } else { 0 };
        let mut command = Script::Publish.call(&names);
        command
            .arg(now.0)
            .arg(server.ledger().newest(room).0)
            .arg(self.beginning.of_published(now).0)
            .arg(kept)
            .arg(options.history_bytes)
            .arg(options.history_age_ms.saturating_mul(1_000))
            .arg(self.limits.room_forgotten_after_ms.max(1))
            .arg(keys.channel(room))
            .arg(publication.user.as_ref().map_or("", |user| user.as_str()))
            .arg(publication.key.as_deref().unwrap_or_default())
            .arg(wire::kind(&publication.payload))
            .arg(wire::bytes(&publication.payload))
            .arg(self.limits.idempotency_window_ms.saturating_mul(1_000));
        let (asked, room) = (Arc::clone(server), room.clone());
        server.ask_durably(
            command,
            Box::new(move |value| {
                let published = value.and_then(|value| {
                    let [id, repeated, list] = numbers(&value)?;
                    if list == 1 {
                        listing::enter(&asked, &room);
                    }
                    Ok(Published { id: MessageId(id), repeated: repeated == 1 })
                });
                // Before anybody is told that the message is stored: who says so must remember it.
                if let Ok(published) = published {
                    asked.ledger().stored(&room, published.id);
                }
                done.complete(published);
            }),
        );
    }

    /// Many members who come back at once to one place of a log are one question.
    fn history(
        &self,
        now: Timestamp,
        room: &RoomName,
        from: Position,
        messages_max: usize,
        done: Completion<Page>,
    ) {
        let question = Question { room: room.clone(), from, messages_max };
        if self.reads.join(&question, done) {
            let reads = Arc::clone(&self.reads);
            let answer = Completion::new(move |page| reads.answer(&question, &page));
            self.server(room).read(now, room, from, messages_max, answer);
        }
    }

    fn watch(&self, now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        self.server(room).watch(now, room, done);
    }

    fn unwatch(&self, room: &RoomName) {
        self.server(room).unwatch(room);
    }

    fn rooms(
        &self,
        now: Timestamp,
        after: Option<&RoomName>,
        rooms_max: usize,
        done: Completion<Vec<RoomSummary>>,
    ) {
        let listing = Listing {
            hub: Arc::clone(&self.hub),
            servers: self.servers.clone(),
            placement: Arc::clone(&self.placement),
            rules: Arc::clone(&self.rules),
            now,
        };
        let after = after.cloned();
        let limits = Arc::clone(&self.limits);
        self.runtime.spawn(async move { done.complete(listing.read(after, rooms_max, &limits).await) });
    }

    fn tick(&self, now: Timestamp) {
        self.servers.iter().for_each(|server| server.tick(now));
        self.registry.tick(now);
    }

    /// Messages and bytes are the servers', who count them for all nodes.
    fn gauges(&self) -> EngineGauges {
        let rooms = self.servers.iter().map(|server| server.ledger().rooms()).sum();
        EngineGauges { rooms, ..EngineGauges::default() }
    }

    fn stores(&self) -> Vec<StoreState> {
        self.servers.iter().flat_map(|server| server.states()).collect()
    }

    fn report(&self, report: &NodeReport) {
        self.servers.iter().for_each(|server| server.report(report));
    }

    /// A node that one of the servers does not see may have been heard of by another.
    fn other_nodes(&self) -> Vec<NodeReport> {
        let mut newest = HashMap::<String, NodeReport>::new();
        for (node, report) in self.servers.iter().flat_map(|server| server.reports()) {
            match newest.get(&node) {
                Some(known) if known.age_ms <= report.age_ms => {}
                _ => drop(newest.insert(node, report)),
            }
        }
        newest.into_values().collect()
    }

    fn is_ready(&self) -> bool {
        self.servers.iter().all(|server| server.lines.are_ready())
    }
}

/// A stretch of a log that somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    room: RoomName,
    from: Position,
    messages_max: usize,
}

/// Questions under way, each with everybody who asked it. Bounded by what connections may ask.
#[derive(Default)]
struct Reads(Mutex<HashMap<Question, Vec<Completion<Page>>>>);

impl Reads {
    /// Waits for a question's answer. Says whether it has to be asked.
    fn join(&self, question: &Question, done: Completion<Page>) -> bool {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reads.get_mut(question) {
            Some(waiting) => {
                waiting.push(done);
                false
            }
            None => {
                reads.insert(question.clone(), vec![done]);
                true
            }
        }
    }

    fn answer(&self, question: &Question, page: &Result<Page, EngineError>) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
        for done in waiting.into_iter().flatten() {
            done.complete(page.clone());
        }
    }
}

//! What every request may need: the engine, the limits, and what is known about the node.
//!
//! Made by the binary, shared by all tasks of the control plane. Refuses to change after start,
//! except that the node becomes ready, and drains.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use tidings_core::engine::{NodeReport, Timestamp};
use tidings_core::telemetry::Counters;
use tidings_core::{Engine, People};
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{Limits, Origins};
use tokio::sync::watch;

use crate::answer::Problem;
use crate::passage::Passage;
use crate::upgrade::Upgraded;

/// What the control plane is built from.
#[derive(Clone)]
pub struct Setup {
    /// The node's name: visible ASCII, it goes into a header of every answer.
    pub node: Arc<str>,
    /// Every limit.
    pub limits: Arc<Limits>,
    /// Keeper of the rooms' logs.
    pub engine: Arc<dyn Engine>,
    /// Sessions, presence and typing.
    pub people: Arc<People>,
    /// Pages of which other origins may read answers.
    pub origins: Arc<Origins>,
    /// Whether `/echo` is served.
    pub echo: bool,
    /// Whether WebSocket compression is agreed to.
    pub compression: bool,
}

/// The shards, as the control plane sees them.
pub struct Shards {
    /// One set of counters per shard, in the order of their numbers.
    pub counters: Vec<Arc<Counters>>,
    /// Connections the node holds now.
    pub connections: Box<dyn Fn() -> usize + Send + Sync>,
    /// Takes a seat for one more client, if there is one.
    pub seat: Box<dyn Fn() -> Option<Box<dyn Any + Send>> + Send + Sync>,
    /// Takes what became a WebSocket here.
    pub attach: Box<dyn Fn(Upgraded) + Send + Sync>,
    /// Takes a request that shards serve.
    pub pass: Box<dyn Fn(Passage) + Send + Sync>,
}

/// A place among the node's connections, kept for as long as the connection lives. What it is, is
/// the business of whoever counts connections.
pub(crate) type Seat = Box<dyn Any + Send>;

/// Whether the node takes traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Not yet.
    Starting,
    /// It does.
    Ready,
    /// Who is here stays, but the engine's store does not answer: new traffic does better elsewhere.
    Cut,
    /// Never again.
    Draining,
}

/// See the module.
pub(crate) struct State {
    pub(crate) setup: Setup,
    pub(crate) shards: OnceLock<Shards>,
    readiness: watch::Sender<Readiness>,
    pub(crate) requests: RequestCounts,
}

impl State {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            shards: OnceLock::new(),
            readiness: watch::Sender::new(Readiness::Starting),
            requests: RequestCounts::default(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.setup.limits
    }

    /// A seat for a client that comes over a stream of its own within a connection.
    pub(crate) fn seat(&self) -> Result<Seat, Problem> {
        let seat = self.shards.get().and_then(|shards| (shards.seat)());
        seat.ok_or_else(|| {
            let advice = "this node holds as many clients as it may: connect again later, or to another node";
            Problem::new(ErrorCode::AtCapacity, advice)
        })
    }

    /// The shards are there, the store is or is not, or the node begins to stop, which nothing takes
    /// back.
    pub(crate) fn turn(&self, readiness: Readiness) {
        self.readiness.send_if_modified(|now| {
            let changes = *now != Readiness::Draining && *now != readiness;
            if changes {
                *now = readiness;
            }
            changes
        });
    }

    /// Whether the node takes traffic, and why not.
    pub(crate) fn readiness(&self) -> Readiness {
        *self.readiness.borrow()
    }

    /// The same, and its changes.
    pub(crate) fn watch_readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// Whether the node serves who comes nevertheless.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.readiness(), Readiness::Ready | Readiness::Cut)
    }

    /// What this node says of itself.
    pub(crate) fn report(&self) -> NodeReport {
        NodeReport {
            name: self.setup.node.to_string(),
            connections: self.shards.get().map_or(0, |shards| (shards.connections)()),
            rooms: self.setup.engine.gauges().rooms,
            age_ms: 0,
        }
    }

    /// The control plane owns its clock; the engine is told the time.
    pub(crate) fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// Answers given so far, by class of status.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts([AtomicU64; 5]);

impl RequestCounts {
    const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// Counts one answer.
    pub(crate) fn count(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.0[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Each class with its count.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::CLASSES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

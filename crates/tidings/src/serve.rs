//! `tidings serve`: the one place that wires everything: engine, hub, shards, control plane.
//!
//! Owns the node from the first listener to the exit code. Refuses to start half a node: what
//! cannot be had is said, with the remedy, before the first client is accepted.

mod engine;
mod listening;
mod reception;
mod signals;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::{Engine, Hub, People, Timestamp};
use tidings_protocol::Limits;
use tidings_redis::Registry;
use tidings_server::{Server, Setup};
use tidings_shard::{Capacity, Context, Listeners, Running, Shards};
use tokio::runtime::Runtime;
use tokio::time::{interval, sleep};

use engine::Started;

use crate::exit::{self, Failure};
use crate::settings::{Flags, Settings};
use crate::{log, machine};

/// How often the engine forgets what is too old, and the shards are looked after.
const TICK: Duration = Duration::from_secs(1);

/// Time the control plane has beyond the shards to end; they share one deadline, this is for the
/// threads to notice.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until a signal.
pub(crate) fn run(flags: &Flags) -> Result<u8, Failure> {
    let settings = Settings::read(flags)?;
    log::start();
    take_open_files(&settings.limits);
    let runtime = control_plane_runtime()?;
    let node = Node::start(&settings, &runtime)?;
    // Whoever reads the announcement may send a signal at once, and means a drain.
    let signals = runtime.block_on(async { signals::Signals::listen() })?;
    announce(&node.addresses);
    tracing::info!(node = settings.node, shards = settings.shards, "NodeStarted");
    runtime.block_on(node.serve(signals))?;
    runtime.block_on(node.drain())?;
    tracing::info!("NodeStopped");
    Ok(exit::DONE)
}

/// A node that accepts clients.
struct Node {
    addresses: Vec<std::net::SocketAddr>,
    limits: Arc<Limits>,
    engine: Arc<dyn Engine>,
    people: Arc<People>,
    registry: Option<Arc<Registry>>,
    server: Server,
    shards: Shards,
}

impl Node {
    fn start(settings: &Settings, runtime: &Runtime) -> Result<Self, Failure> {
        let listeners = listening::bind(settings)?;
        let addresses = listeners.iter().map(Listeners::address).collect();
        let limits = Arc::new(settings.limits.clone());
        let rules = Arc::new(settings.rules.clone());
        let origins = Arc::new(settings.origins.clone());
        let hub = Arc::new(Hub::new());
        let people = People::new(&hub, &limits, &rules);
        let Started { engine, registry } = engine::start(settings, &hub, &rules, &limits, runtime)?;
        if let Some(registry) = &registry {
            registry.connect(&people);
        }
        let setup = Setup {
            node: settings.node.as_str().into(),
            limits: Arc::clone(&limits),
            engine: Arc::clone(&engine),
            people: Arc::clone(&people),
            origins: Arc::clone(&origins),
            echo: settings.echo,
            compression: settings.compression,
        };
        let server = Server::new(setup, runtime.handle().clone());
        let context = Context {
            node: settings.node.as_str().into(),
            limits: Arc::clone(&limits),
            rules,
            engine: Arc::clone(&engine),
            hub,
            people: Arc::clone(&people),
            capacity: Capacity::new(&limits),
            reception: Arc::new(reception::Desk(server.clone())),
            echo: settings.echo,
            compression: settings.compression,
            origins: Arc::clone(&origins),
        };
        let running = Running { shards: settings.shards, io_uring: settings.io_uring };
        let shards = tidings_shard::start(&context, listeners, running)
            .map_err(|error| Failure::fault(format!("the shards could not be started: {error}")))?;
        server.connect(reception::shards(&shards, context.capacity));
        Ok(Self { addresses, limits, engine, people, registry, server, shards })
    }

    /// Runs until the first signal; ends with a fault if a shard does.
    async fn serve(&self, mut signals: signals::Signals) -> Result<(), Failure> {
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                signal = signals.next() => {
                    tracing::info!(signal, "DrainBegan");
                    tokio::spawn(signals.exit_on_next());
                    return Ok(());
                }
                _ = ticks.tick() => self.tick()?,
            }
        }
    }

    fn tick(&self) -> Result<(), Failure> {
        let now = now();
        self.engine.tick(now);
        self.people.tick(now);
        self.server.tick();
        if self.shards.any_ended() {
            return Err(Failure::fault("a shard ended by itself: report it, with the log above"));
        }
        Ok(())
    }

    /// Sends everybody away and waits for them, at most until the deadline.
    async fn drain(self) -> Result<(), Failure> {
        let timeout = Duration::from_millis(self.limits.drain_timeout_ms);
        self.server.announce_stop();
        self.shards.handle().drain();
        let shards = tokio::task::spawn_blocking(|| self.shards.join());
        let both = async {
            let (shards, _) = tokio::join!(shards, self.server.drain(timeout));
            if let Some(registry) = &self.registry {
                registry.farewell().await;
            }
            shards
        };
        // Others must not take this node for dead while it says goodbye.
        let ticks = async {
            let mut ticks = interval(TICK);
            loop {
                ticks.tick().await;
                self.engine.tick(now());
                self.people.tick(now());
            }
        };
        tokio::select! {
            () = ticks => Ok(()),
            shards = both => {
                let ended = shards.unwrap_or_else(|error| Err(error.to_string()));
                ended.map_err(|fault| Failure::fault(format!("{fault}: report it, with the log above")))
            }
            () = sleep(timeout + GRACE) => Err(Failure::fault("the shards did not end in time: report it")),
        }
    }
}

fn take_open_files(limits: &Limits) {
    let (found, needed) = (machine::raise_open_files(limits), machine::open_files_needed(limits));
    if found < needed {
        tracing::warn!(found, needed, "OpenFilesTooFew: `tidings doctor` says what to do");
    }
}

fn control_plane_runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("control-plane")
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("the control plane's threads cannot be had: {error}")))
}

/// Tells those who started us where to connect. They may have stopped listening; clients may not
/// have, so that this is no reason to stop.
fn announce(addresses: &[std::net::SocketAddr]) {
    let mut stdout = std::io::stdout().lock();
    for address in addresses {
        let _ = writeln!(stdout, "listening on http://{address}");
    }
    let _ = stdout.flush();
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

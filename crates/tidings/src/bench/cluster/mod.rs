//! The scenario in which several nodes share Redis servers: the same messages as in `rooms`, in rooms whose members are
//! spread over the nodes, next to one node that keeps its rooms to itself.
//!
//! What is compared is CPU time per message, because all processes share this machine. How much two servers carry where one
//! is the bottleneck can be seen on a small machine only if the servers are held back, so that is what `--saturate` does.

pub(crate) mod leash;
pub(crate) mod redis;
pub(crate) mod stand;

use std::io;
use std::thread;
use std::time::Duration;

use stand::{Effort, Stand};

use super::arguments::Cluster;
use super::crew::{Crew, Measured};
use super::figures::{self as figure, Outcome};
use super::ground::{Contestant, Ground};
use super::plan::{Seating, Traffic};
use super::traffic::{GENTLY, WARM_UP, interval_ns};

/// How long it is watched what nothing costs.
const IDLE: Duration = Duration::from_secs(2);

/// A way to set nodes up: a column of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    /// None: the node's memory.
    pub(crate) redis: usize,
}

impl Contestant for Setup {
    fn name(self) -> String {
        let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        match self.redis {
            0 => format!("{}, memory", plural(self.nodes, "node")),
            redis => format!("{}, {redis} Redis", plural(self.nodes, "node")),
        }
    }
}

/// Runs `cluster`.
pub(crate) fn cluster(args: &Cluster) -> io::Result<bool> {
    args.common.without_url()?;
    let mut setups: Vec<_> =
        args.redis.iter().map(|redis| Setup { nodes: args.nodes as usize, redis: *redis as usize }).collect();
    // Each is divided by the next: more servers by fewer, and those by none.
    setups.sort_unstable_by_key(|setup| std::cmp::Reverse(setup.redis));
    setups.dedup_by_key(|setup| setup.redis);
    let size = args.size as usize;
    let connections = args.common.scaled(args.connections) / size * size;
    if connections == 0 {
        return Err(io::Error::other(
            "there are fewer connections than a room has members; raise --connections",
        ));
    }
    let (seating, traffic, what) = match args.saturate {
        Some(percent) => {
            let what = format!("alone in their rooms, as fast as Redis with {percent} % of a core each");
            (Seating::Own, Traffic::PingPong, what)
        }
        None => {
            setups.push(Setup { nodes: 1, redis: 0 });
            let what = format!("in rooms of {size}, {} messages per second", args.rate);
            (Seating::RoomsOf(size), Traffic::Everyone { interval_ns: interval_ns(args.rate) }, what)
        }
    };
    let scenario = format!("cluster: {connections} connections {what}, {} B", args.bytes);
    Ground::contest(&args.common, scenario, &setups, |ground, setup| {
        let mut stand = Stand::start(ground, setup, connections)?;
        let mut crew = ground.crew_of(&stand.addresses(), seating)?;
        let opened = crew.open(connections, GENTLY)?;
        stand.settle()?;
        let mut outcome = Outcome::new(setup.name());
        outcome.broken = opened.failed;
        outcome.set(&figure::CONNECTIONS, opened.open as f64);
        if !args.common.quick {
            watch_idle(&mut stand, &mut outcome)?;
        }
        if let Some(percent) = args.saturate {
            stand.hold_back(percent)?;
        }
        let mut run = Run { stand, crew, outcome, bytes: args.bytes };
        run.measure(traffic, args.common.duration())?;
        Ok(run.outcome)
    })
}

/// What nodes and servers do for each other while no message is published.
fn watch_idle(stand: &mut Stand, outcome: &mut Outcome) -> io::Result<()> {
    let before = stand.effort()?;
    thread::sleep(IDLE);
    let spent = stand.effort()?.since(&before);
    let per_second = |ns: u64| ns as f64 / 1_000.0 / IDLE.as_secs_f64();
    outcome.set(&figure::NODES_IDLE, per_second(spent.nodes_ns()));
    if !spent.redis.is_empty() {
        outcome.set(&figure::REDIS_IDLE, per_second(spent.redis_ns()));
    }
    Ok(())
}

/// Nodes with their connections open.
struct Run {
    stand: Stand,
    crew: Crew,
    outcome: Outcome,
    bytes: usize,
}

impl Run {
    fn measure(&mut self, traffic: Traffic, duration: Duration) -> io::Result<()> {
        // Nobody is measured on its first message.
        self.crew.begin(traffic, self.bytes, 0.0)?;
        self.crew.watch(WARM_UP, false)?;
        let warm_up = self.crew.end()?;
        self.note_faults(&warm_up);

        let workers_before = self.crew.cpu()?;
        let before = self.stand.effort()?;
        self.crew.begin(traffic, self.bytes, 0.0)?;
        self.crew.watch(duration, true)?;
        let measured = self.crew.end()?;
        let spent = self.stand.effort()?.since(&before);
        let workers_after = self.crew.cpu()?;

        self.note_faults(&measured);
        let took_ns = measured.took.as_nanos().max(1) as f64;
        let outcome = &mut self.outcome;
        outcome.set(&figure::PUBLISHED, measured.published as f64);
        outcome.set(&figure::PUBLISHED_PER_SECOND, measured.published as f64 / took_ns * 1e9);
        outcome.set(&figure::DELIVERIES, measured.received as f64);
        outcome.set(&figure::DELIVERIES_PER_SECOND, measured.received as f64 / took_ns * 1e9);
        outcome.set_latency(measured.latency.percentiles());
        if measured.held_back > 0 {
            outcome.set(&figure::HELD_BACK, measured.held_back as f64);
        }
        set_efforts(outcome, &spent, measured.published, took_ns);
        let workers = workers_before.iter().zip(&workers_after);
        let busiest = workers.map(|(before, after)| after.total_ns - before.total_ns).max().unwrap_or(0);
        outcome.set(&figure::WORKER_BUSY, busiest as f64 / took_ns);
        Ok(())
    }

    fn note_faults(&mut self, measured: &Measured) {
        self.outcome.faults = self.outcome.faults.plus(measured.faults);
        self.outcome.broken += measured.broken;
    }
}

fn set_efforts(outcome: &mut Outcome, spent: &Effort, published: u64, took_ns: f64) {
    let per_message = 1.0 / published.max(1) as f64;
    let busiest = |all: &mut dyn Iterator<Item = u64>| all.max().unwrap_or(0) as f64 / took_ns;
    outcome.set(&figure::NODES_CPU_PER_MESSAGE_US, spent.nodes_ns() as f64 / 1_000.0 * per_message);
    outcome.set(&figure::NODE_BUSY, busiest(&mut spent.nodes.iter().copied()));
    if spent.redis.is_empty() {
        return;
    }
    outcome.set(&figure::REDIS_CPU_PER_MESSAGE_US, spent.redis_ns() as f64 / 1_000.0 * per_message);
    outcome.set(&figure::REDIS_BUSY, busiest(&mut spent.redis.iter().map(|redis| redis.cpu_ns)));
    let scripts: u64 = spent.redis.iter().map(|redis| redis.scripts).sum();
    let most = spent.redis.iter().map(|redis| redis.scripts).max().unwrap_or(0);
    outcome.set(&figure::REDIS_SCRIPTS, scripts as f64 * per_message);
    outcome.set(&figure::REDIS_LARGEST_PART, 100.0 * most as f64 / scripts.max(1) as f64);
}

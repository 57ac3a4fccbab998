//! The scenario in which a node is killed: what its clients need to be whole again at the other nodes, and whether anything was
//! lost on the way.
//!
//! Clients and publisher run in the parent, in one loop: where it was busy, the times are its own as well.

mod field;
mod returning;

use std::io;
use std::time::Duration;

use field::{Field, Habits, Recovery};

use super::arguments::{Failover, Seats};
use super::cluster::Setup;
use super::cluster::stand::{Effort, Stand};
use super::figures::{self as figure, Outcome};
use super::ground::{Contestant, Ground};
use super::machine::{cpu_time, resident_bytes};

/// Before the node is killed, and after the last client is whole.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(2);
/// The same where it is only to be seen that it works.
const QUICK: Duration = Duration::from_millis(300);
/// The first pause of a client where it is only to be seen that it works.
const QUICK_PAUSE: Duration = Duration::from_millis(200);

impl Contestant for Seats {
    fn name(self) -> String {
        match self {
            Self::One => "all on the node that is killed",
            Self::Spread => "spread over all nodes",
        }
        .to_owned()
    }
}

/// Memory of the processes that go on: the most of any node, and of all Redis servers.
#[derive(Debug, Clone, Copy)]
struct Memory {
    node_bytes: u64,
    redis_bytes: u64,
}

/// Runs `failover`.
pub(crate) fn failover(args: &Failover) -> io::Result<bool> {
    args.common.without_url()?;
    let (clients, size) = (args.common.scaled(args.clients), args.size as usize);
    let setup = Setup { nodes: args.nodes as usize, redis: args.redis as usize };
    let quick = args.common.quick;
    let pause = Duration::from_millis(args.pause_ms.into());
    let habits = Habits {
        room_size: size,
        publish_every: Duration::from_secs_f64(1.0 / args.rate),
        pause: if quick { pause.min(QUICK_PAUSE) } else { pause },
    };
    let scenario = format!(
        "failover: {clients} clients of {} nodes in rooms of {size}, {} messages per second, first pause up to {:?}",
        setup.nodes, args.rate, habits.pause
    );
    let (before, after) = if quick { (QUICK, QUICK) } else { (BEFORE, AFTER) };
    let mut seats = args.seats.clone();
    seats.dedup();
    Ground::contest(&args.common, scenario, &seats, |ground, seats| {
        let mut stand = Stand::start(ground, setup, clients)?;
        let mut field = Field::new(&stand.addresses(), seats, clients, habits)?;
        field.connect()?;
        stand.settle()?;
        field.flow(before)?;

        let memory_before = memory(&stand, false)?;
        let (effort_before, own_before) = (stand.effort()?, cpu_time(std::process::id())?);
        let mut killed = stand.nodes[0].take();
        let began_ns = field.lose_node(0, || killed.as_mut().map_or(Ok(()), |node| node.kill()))?;
        field.flow_until_whole()?;
        let own = cpu_time(std::process::id())?.total_ns - own_before.total_ns;
        let spent = stand.effort()?.since(&effort_before);
        let memory_after = memory(&stand, true)?;
        field.flow(after)?;
        let recovery = field.settle(began_ns)?;

        let mut outcome = Outcome::new(seats.name());
        outcome.set(&figure::CONNECTIONS, clients as f64);
        note(&mut outcome, &recovery);
        note_effort(&mut outcome, &recovery, &spent, own);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        outcome.set(&figure::NODE_RESIDENT_BEFORE, megabytes(memory_before.node_bytes));
        outcome.set(&figure::NODE_RESIDENT_MOST, megabytes(memory_after.node_bytes));
        outcome.set(&figure::REDIS_RESIDENT_BEFORE, megabytes(memory_before.redis_bytes));
        outcome.set(&figure::REDIS_RESIDENT_MOST, megabytes(memory_after.redis_bytes));
        Ok(outcome)
    })
}

fn note(outcome: &mut Outcome, recovery: &Recovery) {
    let missing = recovery.faults.lost + recovery.faults.told;
    outcome.set(&figure::CUTS, recovery.cut as f64);
    outcome.set(&figure::PUBLISHED, recovery.published as f64);
    outcome.set(&figure::DELIVERIES, recovery.expected.saturating_sub(missing) as f64);
    outcome.set(&figure::DELIVERED_PERCENT, 100.0 * (1.0 - missing as f64 / recovery.expected.max(1) as f64));
    outcome.set(&figure::TOLD_GAPS, recovery.gaps as f64);
    outcome.set(&figure::RESUMED, recovery.resumed as f64);
    outcome.set(&figure::NOT_WHOLE, recovery.not_whole as f64);
    outcome.set(&figure::ATTEMPTS_FAILED, recovery.failed as f64);
    outcome.set(&figure::MISSED, recovery.missed as f64);
    if let Some(whole) = recovery.whole.percentiles() {
        outcome.set(&figure::WHOLE_P50_MS, whole.p50_us / 1_000.0);
        outcome.set(&figure::WHOLE_P99_MS, whole.p99_us / 1_000.0);
        outcome.set(&figure::WHOLE_LAST_MS, whole.max_us / 1_000.0);
    }
    if let Some(attempt) = recovery.attempt.percentiles() {
        outcome.set(&figure::ATTEMPT_P50_MS, attempt.p50_us / 1_000.0);
        outcome.set(&figure::ATTEMPT_P99_MS, attempt.p99_us / 1_000.0);
        outcome.set(&figure::ATTEMPT_MAX_MS, attempt.max_us / 1_000.0);
    }
    outcome.faults = recovery.faults;
    outcome.broken = recovery.broken + recovery.not_whole;
}

fn note_effort(outcome: &mut Outcome, recovery: &Recovery, spent: &Effort, own_ns: u64) {
    let per_client = 1.0 / recovery.cut.max(1) as f64;
    let took_ns = recovery.took_ns.max(1) as f64;
    let most = |all: &mut dyn Iterator<Item = u64>| all.max().unwrap_or(0) as f64;
    let scripts: u64 = spent.redis.iter().map(|redis| redis.scripts).sum();
    // The node that was killed counts for nothing: its time before is not of its afterlife.
    let survivors_ns: u64 = spent.nodes.iter().skip(1).sum();
    outcome.set(&figure::NODES_CPU_PER_CLIENT_US, survivors_ns as f64 / 1_000.0 * per_client);
    outcome.set(&figure::REDIS_CPU_PER_CLIENT_US, spent.redis_ns() as f64 / 1_000.0 * per_client);
    outcome.set(&figure::REDIS_SCRIPTS_PER_CLIENT, scripts as f64 * per_client);
    outcome.set(&figure::NODE_BUSY, most(&mut spent.nodes.iter().skip(1).copied()) / took_ns);
    outcome.set(&figure::REDIS_BUSY, most(&mut spent.redis.iter().map(|redis| redis.cpu_ns)) / took_ns);
    outcome.set(&figure::WORKER_BUSY, own_ns as f64 / took_ns);
}

fn memory(stand: &Stand, most: bool) -> io::Result<Memory> {
    let mut memory = Memory { node_bytes: 0, redis_bytes: 0 };
    for node in stand.nodes.iter().skip(1).flatten().filter_map(|node| node.process()) {
        memory.node_bytes = memory.node_bytes.max(resident_bytes(node, most)?);
    }
    for redis in &stand.redis {
        memory.redis_bytes += resident_bytes(redis.process(), most)?;
    }
    Ok(memory)
}

//! The scenarios in which nothing flows: connections that only stand, and connections that all come at once. They tell
//! what a connection costs in CPU and memory.

use std::io;

use super::arguments::{Idle, IdleRooms, Storm};
use super::figures::{self as figure, Outcome};
use super::ground::{Contestant as _, Ground, Server};
use super::payload::STAMP_BYTES;
use super::plan::{Seating, Transport};
use super::target::Target;
use super::traffic::GENTLY;

/// New connections after all others left.
const NEWCOMERS: usize = 1_000;

/// Runs `idle`.
pub(crate) fn idle(args: &Idle) -> io::Result<bool> {
    let connections = args.common.scaled(args.connections);
    let (seating, rooms) = match args.rooms {
        IdleRooms::Shared => (Seating::Shared, "all in one room"),
        IdleRooms::Own => (Seating::Own, "each in its own room"),
    };
    let scenario = format!("idle: {connections} connections over {}, {rooms}", args.transport.name());
    Ground::contest(&args.common, scenario, &Server::all(&args.comparison, false), |ground, server| {
        let target = ground.target(server, seating, STAMP_BYTES, connections)?;
        let mut crew = ground.crew(&target, seating, args.transport)?;
        let mut outcome = Outcome::new(server.name());
        target.settle()?;
        let before = (target.work()?, target.anonymous_bytes()?);

        let half = connections / 2;
        let mut opened = crew.open(half, GENTLY)?;
        target.settle()?;
        let halfway_bytes = target.anonymous_bytes()?;
        let further = crew.open(connections - half, GENTLY)?;
        target.settle()?;
        let after = (target.work()?, target.anonymous_bytes()?);
        ground.look(server, &mut crew)?;

        outcome.broken = opened.failed + further.failed;
        opened.took = further.took;
        outcome.set(&figure::CONNECTIONS, further.open as f64);
        if target.is_measured() {
            let per_connection = |bytes: u64, count: usize| bytes as f64 / count as f64;
            let grown = after.1.saturating_sub(before.1);
            outcome.set(&figure::MEMORY_PER_CONNECTION, per_connection(grown, connections));
            let grown = after.1.saturating_sub(halfway_bytes);
            outcome.set(&figure::MEMORY_PER_FURTHER, per_connection(grown, connections - half));
            set_connect_cpu(&mut outcome, after.0.cpu.total_ns - before.0.cpu.total_ns, connections);
        }
        if let Some(took) = opened.took.percentiles() {
            outcome.set(&figure::CONNECT_P50_US, took.p50_us);
            outcome.set(&figure::CONNECT_P99_US, took.p99_us);
            outcome.set(&figure::CONNECT_MAX_US, took.max_us);
        }
        Ok(outcome)
    })
}

/// Runs `storm`.
pub(crate) fn storm(args: &Storm) -> io::Result<bool> {
    let connections = args.common.scaled(args.connections);
    let scenario = format!("storm: {connections} connections at once");
    Ground::contest(&args.common, scenario, &Server::all(&args.comparison, false), |ground, server| {
        let gentle_bytes = opened_gently(ground, server, connections)?;
        let target = ground.target(server, Seating::Shared, STAMP_BYTES, connections)?;
        let mut crew = ground.crew(&target, Seating::Shared, Transport::Websocket)?;
        let mut outcome = Outcome::new(server.name());
        target.settle()?;
        let before = (target.work()?, target.anonymous_bytes()?);
        let opened = crew.open(connections, connections)?;
        target.settle()?;
        let after = (target.work()?, target.anonymous_bytes()?);

        crew.leave()?;
        let newcomers = crew.open(NEWCOMERS, NEWCOMERS)?;

        outcome.broken = opened.failed + newcomers.failed;
        outcome.set(&figure::CONNECTIONS, opened.open as f64);
        outcome.set(&figure::CONNECT_ALL_MS, opened.all_took.as_secs_f64() * 1_000.0);
        if let Some(took) = opened.took.percentiles() {
            outcome.set(&figure::CONNECT_P50_US, took.p50_us);
            outcome.set(&figure::CONNECT_P99_US, took.p99_us);
            outcome.set(&figure::CONNECT_MAX_US, took.max_us);
        }
        if target.is_measured() {
            set_connect_cpu(&mut outcome, after.0.cpu.total_ns - before.0.cpu.total_ns, connections);
            let grown = after.1.saturating_sub(before.1) as f64 / connections as f64;
            outcome.set(&figure::MEMORY_PER_CONNECTION, grown);
            outcome.set(&figure::MEMORY_AFTER_IDLE, gentle_bytes);
        }
        outcome.set(&figure::REOPEN_ALL_MS, newcomers.all_took.as_secs_f64() * 1_000.0);
        Ok(outcome)
    })
}

/// Memory per connection of a server on which as many were opened a few at a time: what a storm is compared with.
fn opened_gently(ground: &mut Ground<'_>, server: Server, connections: usize) -> io::Result<f64> {
    let target: Target = ground.target(server, Seating::Shared, STAMP_BYTES, connections)?;
    let mut crew = ground.crew(&target, Seating::Shared, Transport::Websocket)?;
    target.settle()?;
    let before = target.anonymous_bytes()?;
    crew.open(connections, GENTLY)?;
    target.settle()?;
    ground.look(server, &mut crew)?;
    Ok(target.anonymous_bytes()?.saturating_sub(before) as f64 / connections as f64)
}

fn set_connect_cpu(outcome: &mut Outcome, cpu_ns: u64, connections: usize) {
    outcome.set(&figure::CONNECT_CPU_US, cpu_ns as f64 / 1_000.0 / connections as f64);
}

//! The scenarios in which messages flow: fan-out, rooms, echo. Each is a seating and a traffic; measuring is the same.

use std::io;
use std::time::Duration;

use super::arguments::{Echo, Fanout, Rooms};
use super::crew::{Crew, Measured};
use super::figures::{self as figure, Outcome};
use super::ground::{Contestant as _, Ground, Server};
use super::plan::{Seating, Traffic, Transport};
use super::target::Target;

/// Connections on their way at once while a run is set up.
pub(crate) const GENTLY: usize = 128;
/// Before measuring, traffic flows so long unmeasured: buffers grow, caches fill.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);
/// How long each window is tried.
const TRIAL: Duration = Duration::from_millis(700);
/// What `fanout --flood` must keep to.
const P99_US_MAX: f64 = 100_000.0;
/// A trial's p99 must stay below this, so that the run itself keeps to the other.
const TRIAL_P99_US: f64 = 80_000.0;
const WINDOW_MAX: u32 = 1 << 16;
/// Messages that fill the buffers of who does not read, and how long that may take.
const FILL_BYTES: usize = 16 * 1024;
const FILL_WINDOW: u32 = 8;
const FILL_STEP: Duration = Duration::from_millis(200);
const FILL_STEPS: usize = 30;
/// What `fanout` aims at when no rate is given: a server that is neither idle nor overrun.
const DELIVERIES_PER_SECOND: f64 = 50_000.0;
/// The same for long polls: few enough that everyone waits again when the next message comes, because who does not gets
/// several in one answer, and those are cheaper.
const POLLS_PER_SECOND: f64 = 5_000.0;

/// Runs `fanout`.
pub(crate) fn fanout(args: &Fanout) -> io::Result<bool> {
    let members = args.common.scaled(args.members);
    let burst = args.burst as usize;
    let deliveries = if args.transport == Transport::Poll { POLLS_PER_SECOND } else { DELIVERIES_PER_SECOND };
    let rate = args.rate.unwrap_or(deliveries / (members * burst) as f64);
    let what = match args.flood {
        true => "as fast as p99 < 100 ms allows".to_owned(),
        false => format!("bursts of {burst}, {rate:.1} per second"),
    };
    if args.stalled.is_some() && args.transport == Transport::Poll {
        return Err(io::Error::other(
            "who does not poll is no slow reader; --stalled wants another --transport",
        ));
    }
    let over = args.transport.name();
    let scenario = format!("fanout: {members} members over {over}, {} B, {what}", args.bytes);
    let steady = Traffic::Bursts { burst, interval_ns: interval_ns(rate) };
    let servers = Server::all(&args.comparison, args.stalled.is_some());
    let mut windows: Vec<(Server, u32)> = Vec::new();
    Ground::contest(&args.common, scenario, &servers, |ground, server| {
        let mut run = Run::prepare(ground, server, (Seating::Shared, args.transport), members, args.bytes)?;
        if let Some(percent) = args.stalled {
            run.stalled_percent = if server == Server::TidingsWithStalled { percent } else { 0.0 };
            run.fills_first = true;
        }
        if !args.flood {
            return run.measure(ground, steady);
        }
        let known = windows.iter().find(|(other, _)| *other == server).map(|(_, window)| *window);
        let messages = known.map_or_else(|| widest_window(&mut run.crew, args.bytes), Ok)?;
        let (messages, outcome) = run.measure_within(ground, messages)?;
        windows.retain(|(other, _)| *other != server);
        windows.push((server, messages));
        Ok(outcome)
    })
}

/// Runs `rooms`.
pub(crate) fn rooms(args: &Rooms) -> io::Result<bool> {
    let size = args.size as usize;
    let connections = args.common.scaled(args.connections) / size * size;
    if connections == 0 {
        return Err(io::Error::other(
            "there are fewer connections than a room has members; raise --connections",
        ));
    }
    let scenario = format!(
        "rooms: {connections} connections in rooms of {size}, {} B, {} messages per second",
        args.bytes, args.rate
    );
    let traffic = Traffic::Everyone { interval_ns: interval_ns(args.rate) };
    Ground::contest(&args.common, scenario, &Server::all(&args.comparison, false), |ground, server| {
        let mut run = Run::prepare(
            ground,
            server,
            (Seating::RoomsOf(size), Transport::Websocket),
            connections,
            args.bytes,
        )?;
        run.measure(ground, traffic)
    })
}

/// Runs `echo`.
pub(crate) fn echo(args: &Echo) -> io::Result<bool> {
    let connections = args.connections as usize;
    let scenario = format!("echo: {connections} connections, {} B", args.bytes);
    Ground::contest(&args.common, scenario, &Server::all(&args.comparison, false), |ground, server| {
        let mut run =
            Run::prepare(ground, server, (Seating::Echo, Transport::Websocket), connections, args.bytes)?;
        run.measure(ground, Traffic::PingPong)
    })
}

/// A server with its connections open.
struct Run {
    server: Server,
    target: Target,
    crew: Crew,
    payload_bytes: usize,
    stalled_percent: f64,
    /// Whether members who do not read are to be behind before measuring begins.
    fills_first: bool,
    outcome: Outcome,
}

impl Run {
    fn prepare(
        ground: &mut Ground<'_>,
        server: Server,
        (seating, transport): (Seating, Transport),
        connections: usize,
        payload_bytes: usize,
    ) -> io::Result<Self> {
        let target = ground.target(server, seating, payload_bytes, connections)?;
        let mut crew = ground.crew(&target, seating, transport)?;
        let opened = crew.open(connections, GENTLY)?;
        target.settle()?;
        let mut outcome = Outcome::new(server.name());
        outcome.broken = opened.failed;
        outcome.set(&figure::CONNECTIONS, opened.open as f64);
        Ok(Self { server, target, crew, payload_bytes, stalled_percent: 0.0, fills_first: false, outcome })
    }

    fn measure(&mut self, ground: &mut Ground<'_>, traffic: Traffic) -> io::Result<Outcome> {
        // Nobody is measured on its first message.
        self.crew.begin(traffic, self.payload_bytes, 0.0)?;
        self.crew.watch(WARM_UP, false)?;
        let warm_up = self.crew.end()?;
        self.note_faults(&warm_up);
        ground.look(self.server, &mut self.crew)?;
        if self.fills_first {
            self.fill()?;
        }

        let workers_before = self.crew.cpu()?;
        let before = self.target.work_with_counters(true)?;
        self.crew.begin(traffic, self.payload_bytes, self.stalled_percent)?;
        self.crew.watch(ground.common.duration(), true)?;
        let measured = self.crew.end()?;
        let after = self.target.work_with_counters(false)?;
        let workers_after = self.crew.cpu()?;

        let took_ns = measured.took.as_nanos().max(1) as f64;
        let per_delivery = 1.0 / measured.received.max(1) as f64;
        self.note_faults(&measured);
        let mut outcome = self.outcome.clone();
        outcome.set(&figure::PUBLISHED, measured.published as f64);
        outcome.set(&figure::DELIVERIES, measured.received as f64);
        outcome.set(&figure::DELIVERIES_PER_SECOND, measured.received as f64 / took_ns * 1e9);
        outcome.set_latency(measured.latency.percentiles());
        if let Traffic::Window { messages } = traffic {
            outcome.set(&figure::WINDOW, messages.into());
        }
        if measured.held_back > 0 {
            outcome.set(&figure::HELD_BACK, measured.held_back as f64);
        }
        let sends = before.sends.zip(after.sends).map(|(before, after)| after.saturating_sub(before));
        if let Some(sends) = sends {
            outcome.set(&figure::SENDS_PER_DELIVERY, sends as f64 * per_delivery);
        }
        if self.target.is_measured() {
            let cpu_ns = (after.cpu.total_ns - before.cpu.total_ns) as f64;
            let busiest_ns = after.cpu.busiest_thread_ns.saturating_sub(before.cpu.busiest_thread_ns) as f64;
            outcome.set(&figure::CPU_PER_DELIVERY_US, cpu_ns / 1_000.0 * per_delivery);
            outcome.set(&figure::SERVER_BUSY, busiest_ns / took_ns);
        }
        let workers = workers_before.iter().zip(&workers_after);
        let busiest = workers.map(|(before, after)| after.total_ns - before.total_ns).max().unwrap_or(0);
        outcome.set(&figure::WORKER_BUSY, busiest as f64 / took_ns);
        Ok(outcome)
    }

    /// Measures with the widest window, up to `messages`, that keeps the p99 where it has to be.
    fn measure_within(&mut self, ground: &mut Ground<'_>, mut messages: u32) -> io::Result<(u32, Outcome)> {
        loop {
            let outcome = self.measure(ground, Traffic::Window { messages })?;
            let p99_us = outcome.get(&figure::P99_US).unwrap_or(0.0);
            if p99_us < P99_US_MAX || messages == 1 {
                return Ok((messages, outcome));
            }
            eprintln!("p99 was {:.0} ms; once more with half as many messages under way", p99_us / 1_000.0);
            messages /= 2;
        }
    }

    /// Publishes large messages until the server has noticed those who do not read: the kernel takes some megabytes for
    /// each of them first. Who is compared with that gets as many bytes, and reads them.
    fn fill(&mut self) -> io::Result<()> {
        let stalled =
            (self.outcome.get(&figure::CONNECTIONS).unwrap_or(0.0) * self.stalled_percent / 100.0) as u64;
        self.crew.begin(Traffic::Window { messages: FILL_WINDOW }, FILL_BYTES, self.stalled_percent)?;
        let mut fallen = 0;
        for _ in 0..FILL_STEPS {
            self.crew.watch(FILL_STEP, false)?;
            fallen = self.target.counter("tidings_slow_consumers_fell_behind_total").unwrap_or(0);
            if stalled > 0 && fallen + 1 >= stalled {
                break;
            }
        }
        self.outcome.set(&figure::FELL_BEHIND, fallen as f64);
        // Who does read has everything before measuring begins.
        self.crew.begin(Traffic::Listen, FILL_BYTES, self.stalled_percent)?;
        self.crew.watch(WARM_UP, false)
    }

    fn note_faults(&mut self, measured: &Measured) {
        self.outcome.faults = self.outcome.faults.plus(measured.faults);
        self.outcome.broken += measured.broken;
    }
}

/// The window with the most deliveries per second whose p99 stays low. Windows double until they do not pay.
fn widest_window(crew: &mut Crew, payload_bytes: usize) -> io::Result<u32> {
    let (mut best, mut best_rate, mut worse) = (1, 0.0, 0);
    let mut messages = 1;
    while messages <= WINDOW_MAX && worse < 2 {
        crew.begin(Traffic::Window { messages }, payload_bytes, 0.0)?;
        crew.watch(TRIAL, false)?;
        let measured = crew.end()?;
        let rate = measured.received as f64 / measured.took.as_secs_f64();
        let p99_us = measured.latency.percentiles().map_or(f64::MAX, |percentiles| percentiles.p99_us);
        eprintln!(
            "trying {messages} messages under way: {rate:.0} deliveries/s, p99 {:.2} ms",
            p99_us / 1_000.0
        );
        if p99_us > TRIAL_P99_US {
            break;
        }
        if rate > best_rate {
            (best, best_rate, worse) = (messages, rate, 0);
        } else {
            worse += 1;
        }
        messages *= 2;
    }
    Ok(best)
}

pub(crate) fn interval_ns(per_second: f64) -> u64 {
    (1e9 / per_second).max(1.0) as u64
}

//! A worker: a process with thousands of client connections in one loop, told what to do line by line.
//!
//! Owned by the parent that started it; ends when the parent's pipe does. Its way from the socket to the count is kept
//! short on purpose (one `recv`, a few comparisons per frame), so that the server is what gets measured.

mod connection;
mod receive;
mod scan;
mod traffic;

use std::io::{self, BufReader};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use connection::{Connection, Stage};
use scan::Recogniser;
use traffic::{Due, Schedule, speaker};

use super::clock::now_ns;
use super::latency::Latency;
use super::order::Order;
use super::payload::Stamp;
use super::plan::{Command, Ended, Report, Seating, Traffic, WorkerPlan, hear, say};

/// Wakes the loop for a command.
const COMMAND: Token = Token(usize::MAX);
/// Received at once: what a member of a flooded room has waiting.
const SCRATCH_BYTES: usize = 1 << 20;
/// Any mask does; the server has to undo it all the same.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Members whose slowest decides whether the window has room.
const SAMPLED_MEMBERS: usize = 32;
/// No message for so long after the end: what is missing will not come.
const QUIET_NS: u64 = 3_000_000_000;
const PROGRESS_NS: u64 = 1_000_000_000;
/// A publisher with so much unsent holds back: the server does not read.
const PENDING_BYTES_MAX: usize = 4 << 20;

/// The state of the process.
struct Worker {
    plan: WorkerPlan,
    poll: Poll,
    scratch: Vec<u8>,
    connections: Vec<Connection>,
    recogniser: Recogniser,
    order: Order,
    latency: Latency,
    opening: Option<Opening>,
    schedule: Option<Schedule>,
    ending: Option<Ending>,
    /// Messages published by each connection since it opened.
    published: Vec<u32>,
    published_before: u32,
    counts: Ended,
    began_ns: u64,
    last_received_ns: u64,
    progress_ns: u64,
    /// One message in this many has its latency recorded; a power of two.
    record_every: usize,
    greeting: Vec<u8>,
    message: Vec<u8>,
    complained: bool,
}

struct Opening {
    left: usize,
    at_once: usize,
    under_way: usize,
    failed: usize,
    began_ns: u64,
}

struct Ending {
    expected: u64,
}

/// Runs until the parent is gone.
pub(crate) fn run() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidings bench worker: {error}");
            ExitCode::from(70)
        }
    }
}

fn work() -> io::Result<()> {
    super::machine::raise_descriptors(super::DESCRIPTORS_WANTED);
    let mut input = BufReader::new(io::stdin());
    let Some(plan) = hear(&mut input)? else { return Ok(()) };
    let mut worker = Worker::new(plan)?;
    let waker = Arc::new(Waker::new(worker.poll.registry(), COMMAND)?);
    let (sender, commands) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(Some(command)) = hear::<Command>(&mut input) {
            if sender.send(command).is_err() || waker.wake().is_err() {
                return;
            }
        }
        drop(sender);
        // The loop finds the channel closed and ends; if it cannot be woken it is gone already.
        let _ = waker.wake();
    });
    worker.run(&commands)
}

impl Worker {
    fn new(plan: WorkerPlan) -> io::Result<Self> {
        let publishers = if let Seating::RoomsOf(size) = plan.seating { size } else { 1 };
        Ok(Self {
            poll: Poll::new()?,
            scratch: vec![0; SCRATCH_BYTES],
            connections: Vec::new(),
            recogniser: Recogniser::default(),
            order: Order::new(publishers),
            latency: Latency::new(),
            opening: None,
            schedule: None,
            ending: None,
            published: Vec::new(),
            published_before: 0,
            counts: Ended::default(),
            began_ns: 0,
            last_received_ns: 0,
            progress_ns: 0,
            record_every: 1,
            greeting: Vec::new(),
            message: Vec::new(),
            complained: false,
            plan,
        })
    }

    fn run(&mut self, commands: &Receiver<Command>) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() == COMMAND {
                    loop {
                        match commands.try_recv() {
                            Ok(command) => self.obey(command)?,
                            Err(mpsc::TryRecvError::Empty) => break,
                            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                        }
                    }
                } else {
                    self.ready(event.token().0, event.is_readable(), event.is_writable());
                }
            }
            self.open_more()?;
            self.publish_due();
            self.report_progress()?;
            self.finish_ending()?;
        }
    }

    fn patience(&self) -> Option<Duration> {
        let due = self.schedule.as_ref().and_then(Schedule::next_ns);
        let tick = (self.schedule.is_some() || self.ending.is_some()).then(|| now_ns() + 20_000_000);
        let next = [due, tick].into_iter().flatten().min()?;
        Some(Duration::from_nanos(next.saturating_sub(now_ns())))
    }

    fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Open { count, at_once } => {
                let began_ns = now_ns();
                self.opening = Some(Opening { left: count, at_once, under_way: 0, failed: 0, began_ns });
            }
            Command::Begin(traffic) => {
                self.begin(traffic);
                report(&Report::Begun)?;
            }
            Command::End { published } => self.end(published),
            Command::Sample => {
                let (greeting, message) = (self.greeting.clone(), self.message.clone());
                report(&Report::Sample { greeting, message })?;
            }
            Command::Leave => {
                self.connections.clear();
                self.published.clear();
                self.order =
                    Order::new(if let Seating::RoomsOf(size) = self.plan.seating { size } else { 1 });
                report(&Report::Left)?;
            }
        }
        Ok(())
    }

    /// Keeps as many connections on their way as asked for, and reports when all are there.
    fn open_more(&mut self) -> io::Result<()> {
        let Some(opening) = &mut self.opening else { return Ok(()) };
        while opening.left > 0 && opening.under_way < opening.at_once {
            opening.left -= 1;
            let index = self.connections.len();
            let number = self.plan.first + index;
            let began_ns = now_ns();
            let Ok(mut connection) = Connection::start(self.plan.server, number, began_ns) else {
                opening.failed += 1;
                continue;
            };
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut connection.stream, Token(index), interest)?;
            opening.under_way += 1;
            self.connections.push(connection);
            self.published.push(0);
            let heard = if self.plan.seating == Seating::Shared { self.published[0] } else { 0 };
            let publishers = if let Seating::RoomsOf(size) = self.plan.seating { size } else { 1 };
            self.order.add_connection(std::iter::repeat_n(heard, publishers));
        }
        if opening.left == 0 && opening.under_way == 0 {
            let (failed, all_took_ns) = (opening.failed, now_ns() - opening.began_ns);
            self.opening = None;
            let open = self.open_count();
            report(&Report::Opened { open, failed, took: self.latency.take(), all_took_ns })?;
        }
        Ok(())
    }

    fn open_count(&self) -> usize {
        self.connections.iter().filter(|connection| connection.stage == Stage::Open).count()
    }

    fn ready(&mut self, index: usize, readable: bool, writable: bool) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let outcome = match connection.stage {
            Stage::Connecting if writable || readable => {
                let path = connection::path(self.plan.seating, self.plan.first + index);
                connection.ask(self.plan.server, &path)
            }
            Stage::Closed => return,
            _ if writable => connection.send_pending(),
            _ => Ok(()),
        };
        let stalled = connection.stalled;
        let outcome = outcome.and_then(|()| if readable && !stalled { self.read(index) } else { Ok(()) });
        if outcome.is_err() {
            self.lose(index);
        }
    }

    /// A connection is gone.
    fn lose(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        match (connection.stage, &mut self.opening) {
            (Stage::Open, _) | (_, None) => self.counts.broken += 1,
            (_, Some(opening)) => {
                opening.under_way -= 1;
                opening.failed += 1;
            }
        }
        connection.stage = Stage::Closed;
        // It stays in the list, or the numbers of the others would change; its descriptor must go all the same.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        let _ = connection.stream.shutdown(std::net::Shutdown::Both);
    }

    fn begin(&mut self, traffic: Traffic) {
        let now = now_ns();
        let percent = self.plan.stalled_percent;
        if percent > 0.0 {
            let every = (100.0 / percent).round() as usize;
            for (index, connection) in self.connections.iter_mut().enumerate() {
                let number = self.plan.first + index;
                connection.stalled = number != 0 && number.is_multiple_of(every);
            }
        }
        self.counts = Ended { broken: self.counts.broken, ..Ended::default() };
        self.published_before = self.published.first().copied().unwrap_or(0);
        self.latency = Latency::new();
        self.began_ns = now;
        self.last_received_ns = now;
        self.progress_ns = now + PROGRESS_NS;
        self.record_every = match traffic {
            Traffic::Window { .. } => 8,
            Traffic::Bursts { burst, .. } if burst >= 4 => 8,
            _ => 1,
        };
        self.schedule = Some(Schedule::new(traffic, now));
        if let Traffic::PingPong = traffic {
            (0..self.connections.len()).for_each(|index| self.publish(index, 1));
        }
    }

    /// Publishes what the schedule has due.
    fn publish_due(&mut self) {
        loop {
            let under_way = self.under_way();
            let Some(schedule) = &mut self.schedule else { return };
            match schedule.due(now_ns(), under_way) {
                Due::Nothing => return,
                Due::Burst(messages) => {
                    self.publish(0, messages);
                    if matches!(self.schedule.as_ref().map(Schedule::traffic), Some(Traffic::Window { .. })) {
                        return;
                    }
                }
                Due::One(turn) => self.publish(speaker(self.plan.seating, turn, self.connections.len()), 1),
            }
        }
    }

    /// Messages of connection 0 that the slowest of a few members has not received.
    fn under_way(&self) -> u32 {
        if !matches!(self.schedule.as_ref().map(Schedule::traffic), Some(Traffic::Window { .. })) {
            return 0;
        }
        let step = (self.connections.len() / SAMPLED_MEMBERS).max(1);
        let sampled = (0..self.connections.len()).step_by(step);
        let reading = sampled.filter(|index| {
            self.connections[*index].stage == Stage::Open && !self.connections[*index].stalled
        });
        let slowest = reading.map(|index| self.order.reached(index, 0)).min().unwrap_or(0);
        self.published[0].saturating_sub(slowest)
    }

    /// Writes messages of one connection, back to back in one call.
    fn publish(&mut self, index: usize, messages: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.stage != Stage::Open || connection.pending_bytes() > PENDING_BYTES_MAX {
            self.counts.held_back += messages as u64;
            return;
        }
        let at_ns = now_ns();
        let (mut text, mut bytes) = (Vec::new(), Vec::new());
        for _ in 0..messages {
            let publisher = (self.plan.first + index) as u32;
            text.clear();
            Stamp { at_ns, sequence: self.published[index], publisher }
                .write(&mut text, self.plan.payload_bytes);
            encoder::masked(&mut bytes, MASK, Opcode::Text, &text);
            self.published[index] += 1;
        }
        self.counts.published += messages as u64;
        if connection.send(&bytes).is_err() {
            self.lose(index);
        }
    }

    fn report_progress(&mut self) -> io::Result<()> {
        let now = now_ns();
        if self.schedule.is_none() || now < self.progress_ns {
            return Ok(());
        }
        self.progress_ns = now + PROGRESS_NS;
        report(&Report::Progress {
            published: self.counts.published,
            received: self.counts.received,
            p99_us: self.latency.percentiles().map_or(0.0, |percentiles| percentiles.p99_us),
        })
    }

    /// Stops publishing; who had stopped reading reads again.
    fn end(&mut self, published: Option<u32>) {
        self.schedule = None;
        let mut expected = self.counts.published;
        match self.plan.seating {
            Seating::Shared => {
                if let (Some(published), Some(mine)) = (published, self.published.first_mut()) {
                    *mine = published;
                }
                let published = self.published.first().map_or(0, |now| now - self.published_before);
                expected = u64::from(published) * self.open_count() as u64;
            }
            Seating::RoomsOf(size) => expected *= size as u64,
            Seating::Own | Seating::Echo => {}
        }
        for index in 0..self.connections.len() {
            if std::mem::take(&mut self.connections[index].stalled)
                && self.connections[index].stage == Stage::Open
                && self.read(index).is_err()
            {
                self.lose(index);
            }
        }
        self.last_received_ns = self.last_received_ns.max(self.began_ns);
        self.ending = Some(Ending { expected });
    }

    /// Reports when everything has come, or nothing more will.
    fn finish_ending(&mut self) -> io::Result<()> {
        let Some(ending) = &self.ending else { return Ok(()) };
        let quiet = now_ns().saturating_sub(self.last_received_ns) > QUIET_NS;
        if self.counts.received < ending.expected && !quiet {
            return Ok(());
        }
        self.ending = None;
        let (seating, published, connections) = (self.plan.seating, &self.published, &self.connections);
        let faults = self.order.settle(|connection, publisher| match seating {
            // A connection that is gone is counted as such.
            _ if connections[connection].stage != Stage::Open => 0,
            Seating::Shared => published[0],
            Seating::Own | Seating::Echo => published[connection],
            Seating::RoomsOf(size) => {
                published.get(connection / size * size + publisher).copied().unwrap_or(0)
            }
        });
        let ended = Ended {
            faults,
            published_ever: self.published.first().copied().unwrap_or(0),
            took_ns: self.last_received_ns - self.began_ns,
            latency: self.latency.take(),
            ..std::mem::take(&mut self.counts)
        };
        report(&Report::Ended(ended))
    }
}

fn report(what: &Report) -> io::Result<()> {
    say(&mut io::stdout().lock(), what)
}

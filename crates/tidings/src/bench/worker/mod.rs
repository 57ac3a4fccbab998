//! A worker: a process with thousands of client connections in one loop, told what to do line by line.
//!
//! Owned by the parent that started it; ends when the parent's pipe does. Its way from the socket to the count is kept
//! short on purpose (one `recv`, a few comparisons per frame), so that the server is what gets measured.

mod phase;
mod receive;
mod traffic;

use std::io::{self, BufReader};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use phase::Ending;
use traffic::Schedule;

use super::clock::now_ns;
use super::latency::Latency;
use super::order::Order;
use super::plan::{Command, Ended, Report, Seating, Seen, WorkerPlan, hear, say};
use super::wire::connection::{Connection, Stage};
use super::wire::recogniser::Recogniser;
use super::wire::request;

/// Wakes the loop for a command.
const COMMAND: Token = Token(usize::MAX);
/// Received at once: what a member of a flooded room has waiting.
const SCRATCH_BYTES: usize = 1 << 20;
/// Any mask does; the server has to undo it all the same.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

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
    payload_bytes: usize,
    counts: Ended,
    began_ns: u64,
    last_received_ns: u64,
    progress_ns: u64,
    /// One message in this many has its latency recorded; a power of two.
    record_every: usize,
    /// The server's name in requests.
    host: String,
    seen: Seen,
    /// Events about who came and went.
    told: u64,
    complained: bool,
}

struct Opening {
    left: usize,
    at_once: usize,
    under_way: usize,
    failed: usize,
    began_ns: u64,
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
        Ok(Self {
            poll: Poll::new()?,
            scratch: vec![0; SCRATCH_BYTES],
            connections: Vec::new(),
            recogniser: Recogniser::default(),
            order: Order::new(plan.seating.publishers()),
            latency: Latency::new(),
            opening: None,
            schedule: None,
            ending: None,
            published: Vec::new(),
            published_before: 0,
            payload_bytes: 0,
            counts: Ended::default(),
            began_ns: 0,
            last_received_ns: 0,
            progress_ns: 0,
            record_every: 1,
            host: plan.nodes[0].to_string(),
            seen: Seen::default(),
            told: 0,
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
            Command::Begin { traffic, payload_bytes, stalled_percent } => {
                self.payload_bytes = payload_bytes;
                self.begin(traffic, stalled_percent);
                report(&Report::Begun)?;
            }
            Command::End { published } => self.end(published),
            Command::Sample => report(&Report::Sample(self.seen.clone()))?,
            Command::Told => report(&Report::Told { events: self.told })?,
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
            let speaks = request::transport(self.plan.seating, self.plan.transport, number);
            let node = self.plan.nodes[number % self.plan.nodes.len()];
            let Ok(mut connection) = Connection::start(node, speaks, number, began_ns) else {
                opening.failed += 1;
                continue;
            };
            // The first of each transport; the second connection is the first of its own if the publisher's differs.
            connection.is_sample = index == 0 || (index == 1 && self.connections[0].speaks != speaks);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut connection.stream, Token(index), interest)?;
            opening.under_way += 1;
            self.connections.push(connection);
            self.published.push(0);
            let heard = if self.plan.seating == Seating::Shared { self.published[0] } else { 0 };
            self.order.add_connection(std::iter::repeat_n(heard, self.plan.seating.publishers()));
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
                let number = self.plan.first + index;
                connection.ask(request::first(self.plan.seating, connection.speaks, &self.host, number))
            }
            Stage::Closed => return,
            _ if writable => connection.send_pending(),
            _ => Ok(()),
        };
        let stalled = connection.stalled;
        let outcome = outcome.and_then(|()| if readable && !stalled { self.read(index) } else { Ok(()) });
        if let Err(error) = outcome {
            if error.kind() == io::ErrorKind::InvalidData && !std::mem::replace(&mut self.complained, true) {
                eprintln!("a connection is given up: {error}");
            }
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
}

fn report(what: &Report) -> io::Result<()> {
    say(&mut io::stdout().lock(), what)
}

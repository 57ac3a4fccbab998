//! The field: all clients of all nodes and the one publisher, who is at a node that stays, in one loop with one clock.
//!
//! Owned by the scenario. A client is whole when it is in its room again and has all that was published there until then. Refuses
//! to cut anybody off: that is what becomes of them when their node is killed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::returning::{Returning, Stage};
use crate::bench::arguments::Seats;
use crate::bench::clock::now_ns;
use crate::bench::drops::publisher::{PUBLISHER, Publisher};
use crate::bench::drops::tally::Tally;
use crate::bench::drops::told::Told;
use crate::bench::latency::Latency;
use crate::bench::order::Faults;
use crate::bench::plan::Transport;
use crate::bench::traffic::GENTLY;
use crate::bench::wire::connection::{self, Connection};

const SCRATCH_BYTES: usize = 1 << 20;
/// Until everybody is in a room for the first time, and until everybody is whole again.
const PATIENCE_NS: u64 = 120_000_000_000;
/// Nothing new for so long after the end: what is missing will not come.
const QUIET_NS: u64 = 5_000_000_000;
const TICK: Duration = Duration::from_millis(2);
/// Complaints that are printed; more say nothing new.
const COMPLAINTS_MAX: usize = 5;

/// How clients and publisher behave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    pub(super) room_size: usize,
    pub(super) publish_every: Duration,
    /// The longest first pause of a client that was cut off.
    pub(super) pause: Duration,
}

/// What the clients went through.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) cut: usize,
    pub(super) published: u64,
    pub(super) expected: u64,
    pub(super) gaps: u64,
    pub(super) resumed: u64,
    /// Connections that ended unasked at nodes that go on.
    pub(super) broken: usize,
    /// Attempts to come back that came to nothing.
    pub(super) failed: u64,
    /// Messages that had been published while their readers were away.
    pub(super) missed: u64,
    pub(super) not_whole: usize,
    /// From the death of the node until a client was whole.
    pub(super) whole: Latency,
    /// From a client's last attempt until it was whole.
    pub(super) attempt: Latency,
    /// From the death of the node until the last client was whole.
    pub(super) took_ns: u64,
    pub(super) faults: Faults,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Field {
    poll: Poll,
    nodes: Vec<SocketAddr>,
    /// The place of the node that was killed.
    dead: Option<usize>,
    host: String,
    habits: Habits,
    clients: Vec<Returning>,
    /// When which client tries again.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    /// Clients on their way for the first time, and the next one to come.
    coming: usize,
    next: usize,
    /// Clients that were cut off and are not whole.
    away: usize,
    publisher: Publisher,
    publish_ns: u64,
    scratch: Vec<u8>,
    tally: Tally,
    killed_ns: u64,
    last_whole_ns: u64,
    cut: usize,
    failed: u64,
    missed: u64,
    complaints: usize,
    whole: Latency,
    attempt: Latency,
}

impl Field {
    /// Places everybody, the publisher at the last node.
    pub(super) fn new(
        nodes: &[SocketAddr],
        seats: Seats,
        clients: usize,
        habits: Habits,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let last = nodes.last().copied().ok_or_else(|| io::Error::other("there are no nodes"))?;
        let publisher = Publisher::start(last, clients.div_ceil(habits.room_size), poll.registry())?;
        let client = |number| {
            let node = if seats == Seats::One { 0 } else { number % nodes.len() };
            Returning::new(number, number / habits.room_size, node, habits.pause)
        };
        Ok(Self {
            poll,
            nodes: nodes.to_vec(),
            dead: None,
            host: last.to_string(),
            habits,
            clients: (0..clients).map(client).collect(),
            due: BinaryHeap::new(),
            coming: 0,
            next: 0,
            away: 0,
            publisher,
            publish_ns: 0,
            scratch: vec![0; SCRATCH_BYTES],
            tally: Tally::new(clients),
            killed_ns: 0,
            last_whole_ns: 0,
            cut: 0,
            failed: 0,
            missed: 0,
            complaints: 0,
            whole: Latency::new(),
            attempt: Latency::new(),
        })
    }

    /// Brings everybody into its room, a few at a time.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        let deadline_ns = now_ns() + PATIENCE_NS;
        while self.next < self.clients.len() || self.coming > 0 || !self.publisher.is_open() {
            if now_ns() > deadline_ns || self.tally.broken > 0 {
                return Err(io::Error::other("not every client got into its room"));
            }
            while self.next < self.clients.len() && self.coming < GENTLY {
                self.start(self.next)?;
                self.next += 1;
                self.coming += 1;
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Lets messages flow.
    pub(super) fn flow(&mut self, duration: Duration) -> io::Result<()> {
        let end_ns = now_ns() + nanoseconds(duration);
        self.publish_ns = self.publish_ns.max(now_ns());
        while now_ns() < end_ns {
            self.flow_on()?;
        }
        Ok(())
    }

    /// A node dies by this. Returns when.
    pub(super) fn lose_node(
        &mut self,
        node: usize,
        kill: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<u64> {
        self.dead = Some(node);
        self.killed_ns = now_ns();
        self.last_whole_ns = self.killed_ns;
        self.cut = self.clients.iter().filter(|client| client.node == node).count();
        self.away = self.cut;
        kill()?;
        Ok(self.killed_ns)
    }

    /// Lets messages flow until everybody who was cut off is whole, or it takes too long.
    pub(super) fn flow_until_whole(&mut self) -> io::Result<()> {
        let (mut said_ns, began_ns) = (self.killed_ns, self.killed_ns);
        while self.away > 0 && now_ns() < began_ns + PATIENCE_NS {
            self.flow_on()?;
            if now_ns() > said_ns + 1_000_000_000 {
                said_ns = now_ns();
                let seconds = (said_ns - began_ns) as f64 / 1e9;
                eprintln!("{seconds:.1} s after the kill: {} of {} are not whole", self.away, self.cut);
            }
        }
        Ok(())
    }

    /// Waits for what is missing, and adds up.
    pub(super) fn settle(&mut self, began_ns: u64) -> io::Result<Recovery> {
        self.tally.last_heard_ns = now_ns();
        let have_all = |field: &Self| {
            let mut clients = field.clients.iter().enumerate();
            clients.all(|(index, client)| {
                field.tally.order.reached(index, 0) >= field.publisher.published(client.client.room)
            })
        };
        while !have_all(self) && now_ns() < self.tally.last_heard_ns + QUIET_NS {
            self.turn()?;
        }
        let published = |client: usize| self.publisher.published(self.clients[client].client.room);
        let faults = self.tally.order.settle(|client, _| published(client));
        Ok(Recovery {
            cut: self.cut,
            published: self.publisher.published_to_all(),
            expected: (0..self.clients.len()).map(|client| u64::from(published(client))).sum(),
            gaps: self.tally.gaps,
            resumed: self.tally.resumed,
            broken: self.tally.broken,
            failed: self.failed,
            missed: self.missed,
            not_whole: self.away,
            whole: std::mem::replace(&mut self.whole, Latency::new()),
            attempt: std::mem::replace(&mut self.attempt, Latency::new()),
            took_ns: self.last_whole_ns - began_ns,
            faults,
        })
    }

    fn flow_on(&mut self) -> io::Result<()> {
        while self.publish_ns < now_ns() {
            self.publish_ns += nanoseconds(self.habits.publish_every);
            self.publisher.publish()?;
        }
        self.turn()
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        match self.poll.poll(&mut events, Some(TICK)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            if event.token() == PUBLISHER {
                self.publisher.ready(&mut self.scratch)?;
            } else if let Err(error) = self.ready(event.token().0) {
                self.cut_off(event.token().0, &error);
            }
        }
        let now = now_ns();
        while let Some(&Reverse((due_ns, index))) = self.due.peek() {
            if due_ns > now {
                break;
            }
            self.due.pop();
            let survivors = self.nodes.len() - 1;
            let client = &mut self.clients[index];
            if let (Some(dead), true) = (self.dead, survivors > 0) {
                let chosen = (index / self.nodes.len() + client.attempts as usize) % survivors;
                client.node = if chosen < dead { chosen } else { chosen + 1 };
            }
            if let Stage::Pausing { since_ns, .. } = client.stage {
                client.stage = Stage::Trying { since_ns, began_ns: now };
            }
            if let Err(error) = self.start(index) {
                self.cut_off(index, &error);
            }
        }
        Ok(())
    }

    fn start(&mut self, index: usize) -> io::Result<()> {
        let returning = &mut self.clients[index];
        returning.attempts += 1;
        let mut line = Connection::start(self.nodes[returning.node], Transport::Websocket, index, now_ns())?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut line.stream, Token(index), interest)?;
        returning.client.line = Some(line);
        Ok(())
    }

    /// A connection ended. Whose node was killed expects it; everybody tries again.
    fn cut_off(&mut self, index: usize, error: &io::Error) {
        let returning = &mut self.clients[index];
        if let Some(mut line) = returning.client.line.take() {
            // It is dropped at once.
            let _ = self.poll.registry().deregister(&mut line.stream);
        }
        returning.client.cuts += 1;
        let is_killed = self.dead == Some(returning.node);
        if !is_killed {
            self.complaints += 1;
            if self.complaints <= COMPLAINTS_MAX {
                eprintln!("client {index} at node {}: {error}", returning.node);
            }
        }
        let now = now_ns();
        let since_ns = match returning.stage {
            // Nobody was in the way of those, so this is what the run is about, or a fault.
            Stage::Coming | Stage::Whole if is_killed => self.killed_ns,
            Stage::Coming | Stage::Whole => {
                self.tally.broken += 1;
                self.cut += 1;
                self.away += 1;
                now
            }
            Stage::Pausing { since_ns, .. } => since_ns,
            Stage::Trying { since_ns, .. } | Stage::Back { since_ns, .. } => {
                self.failed += 1;
                since_ns
            }
        };
        let until_ns = returning.pause(since_ns, now);
        self.due.push(Reverse((until_ns, index)));
    }

    fn ready(&mut self, index: usize) -> io::Result<()> {
        let returning = &mut self.clients[index];
        match returning.client.line.as_mut() {
            None => return Ok(()),
            Some(line) if line.stage == connection::Stage::Connecting => returning.client.ask(&self.host)?,
            Some(line) => line.send_pending()?,
        }
        loop {
            let returning = &mut self.clients[index];
            let Some(line) = returning.client.line.as_mut() else { return Ok(()) };
            let Some(count) = line.receive(&mut self.scratch)? else { return Ok(()) };
            let (tally, room) = (&mut self.tally, returning.client.room);
            let mut is_in_its_room = false;
            let mut hear = |told: Told<'_>| {
                is_in_its_room |= matches!(told, Told::Session { .. });
                tally.hear(index, room, told)
            };
            let consumed = returning.client.take(&self.host, &self.scratch[..count], &mut hear)?;
            if let (true, Some(line)) = (consumed < count, returning.client.line.as_mut()) {
                line.carry.extend_from_slice(&self.scratch[consumed..count]);
            }
            // Until there is nothing: the end of a connection may have come together with its last bytes.
            self.follow(index, is_in_its_room);
        }
    }

    /// Notes how far a client has come by what it has just heard.
    fn follow(&mut self, index: usize, is_in_its_room: bool) {
        let returning = &mut self.clients[index];
        let reached = self.tally.order.reached(index, 0);
        if let (true, Stage::Trying { since_ns, began_ns }) = (is_in_its_room, returning.stage) {
            let needs = self.publisher.published(returning.client.room);
            self.missed += u64::from(needs.saturating_sub(reached));
            returning.stage = Stage::Back { since_ns, began_ns, needs };
        }
        match returning.stage {
            Stage::Coming if returning.client.is_placed() => {
                returning.stage = Stage::Whole;
                self.coming -= 1;
            }
            Stage::Back { began_ns, needs, .. } if reached >= needs => {
                let now = now_ns();
                self.whole.record(now - returning.since_ns().unwrap_or(now));
                self.attempt.record(now - began_ns);
                self.last_whole_ns = now;
                self.away -= 1;
                returning.stage = Stage::Whole;
            }
            _ => {}
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! The field: all clients of a run and the one publisher, in one loop with one clock.
//!
//! Owned by the scenario. Half of the cuts close the socket without a word; in the other half the client merely hears
//! nothing any more, and the server learns of it only when the client comes back over another connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::client::{Client, room_name};
use super::publisher::{PUBLISHER, Publisher};
use super::tally::Tally;
use super::told::Told;
use super::{ROOM_SIZE, Way};
use crate::bench::clock::now_ns;
use crate::bench::latency::Latency;
use crate::bench::order::Faults;
use crate::bench::wire::connection::{Connection, Stage};

const SCRATCH_BYTES: usize = 1 << 20;
/// Until everybody is in its room.
const CONNECT_TIMEOUT_NS: u64 = 20_000_000_000;
/// Nothing new for so long after the end: what is missing will not come.
const QUIET_NS: u64 = 5_000_000_000;
const TICK: Duration = Duration::from_millis(5);

/// How long clients are on the line and off it, and how often a message is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    pub(super) up: Duration,
    pub(super) down: Duration,
    pub(super) publish_every: Duration,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Result {
    pub(super) published: u64,
    pub(super) expected: u64,
    pub(super) cuts: u64,
    pub(super) gaps: u64,
    pub(super) resumed: u64,
    pub(super) broken: usize,
    pub(super) back: Latency,
    pub(super) faults: Faults,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Field {
    poll: Poll,
    server: SocketAddr,
    host: String,
    way: Way,
    habits: Habits,
    clients: Vec<Client>,
    publisher: Publisher,
    scratch: Vec<u8>,
    tally: Tally,
}

impl Field {
    pub(super) fn new(server: SocketAddr, way: Way, clients: usize, habits: Habits) -> io::Result<Self> {
        let poll = Poll::new()?;
        let publisher = Publisher::start(server, clients.div_ceil(ROOM_SIZE), poll.registry())?;
        Ok(Self {
            poll,
            server,
            host: server.to_string(),
            way,
            habits,
            clients: (0..clients).map(|number| Client::new(number, number / ROOM_SIZE, way)).collect(),
            publisher,
            scratch: vec![0; SCRATCH_BYTES],
            tally: Tally::new(clients),
        })
    }

    /// Brings everybody into its room.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        let deadline_ns = now_ns() + CONNECT_TIMEOUT_NS;
        (0..self.clients.len()).try_for_each(|index| self.come_back(index))?;
        let is_ready =
            |field: &Self| field.publisher.is_open() && field.clients.iter().all(Client::is_placed);
        while !is_ready(self) {
            if now_ns() > deadline_ns || self.tally.broken > 0 {
                return Err(io::Error::other("not every client got into its room"));
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Lets messages flow and cuts connections.
    pub(super) fn flow(&mut self, duration: Duration) -> io::Result<()> {
        let began_ns = now_ns();
        let end_ns = began_ns + nanoseconds(duration);
        let mut publish_ns = began_ns;
        for index in 0..self.clients.len() {
            self.clients[index].turns_ns = began_ns + self.time_up(index);
        }
        while now_ns() < end_ns {
            while publish_ns < now_ns() {
                publish_ns += nanoseconds(self.habits.publish_every);
                self.publisher.publish()?;
            }
            self.turn()?;
            for index in 0..self.clients.len() {
                if now_ns() < self.clients[index].turns_ns {
                    continue;
                }
                if self.clients[index].line.is_some() {
                    self.cut(index);
                } else {
                    self.come_back(index)?;
                    self.clients[index].turns_ns = now_ns() + self.time_up(index);
                }
            }
        }
        Ok(())
    }

    /// Brings back who is away, waits for what is missing, and adds up.
    pub(super) fn settle(&mut self) -> io::Result<Result> {
        self.tally.last_heard_ns = now_ns();
        loop {
            for index in 0..self.clients.len() {
                if self.clients[index].line.is_none() {
                    self.come_back(index)?;
                }
            }
            self.turn()?;
            let order = &self.tally.order;
            let mut clients = self.clients.iter().enumerate();
            let have_all = clients
                .all(|(index, client)| order.reached(index, 0) >= self.publisher.published(client.room));
            if have_all || now_ns() > self.tally.last_heard_ns + QUIET_NS {
                break;
            }
        }
        let published = |client: usize| self.publisher.published(self.clients[client].room);
        let faults = self.tally.order.settle(|client, _| published(client));
        Ok(Result {
            published: self.publisher.published_to_all(),
            expected: (0..self.clients.len()).map(|client| u64::from(published(client))).sum(),
            cuts: self.clients.iter().map(|client| client.cuts).sum(),
            gaps: self.tally.gaps,
            resumed: self.tally.resumed,
            broken: self.tally.broken,
            back: std::mem::replace(&mut self.tally.back, Latency::new()),
            faults,
        })
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
                // The server ended it, which it has no reason to: the client comes back, and it is counted.
                eprintln!("{}: {error}", room_name(self.clients[event.token().0].room));
                self.tally.broken += 1;
                self.cut(event.token().0);
            }
        }
        Ok(())
    }

    /// How long a client is on the line this time: between half and one and a half of the usual, so that cuts spread.
    fn time_up(&self, index: usize) -> u64 {
        let mut mixed = (index as u64) << 32 | self.clients[index].cuts;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = (mixed >> 40) as f64 / (1_u64 << 24) as f64;
        (nanoseconds(self.habits.up) as f64 * (0.5 + share)) as u64
    }

    fn cut(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.turns_ns = now_ns() + nanoseconds(self.habits.down);
        client.cuts += 1;
        let Some(mut line) = client.line.take() else { return };
        // It is dropped at once or later; either way nothing is read from it any more.
        let _ = self.poll.registry().deregister(&mut line.stream);
        if client.cuts.is_multiple_of(2) {
            client.dead_line = Some(line);
        }
    }

    fn come_back(&mut self, index: usize) -> io::Result<()> {
        let now = now_ns();
        let mut line = Connection::start(self.server, self.way.speaks(), index, now)?;
        self.poll.registry().register(
            &mut line.stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let client = &mut self.clients[index];
        client.line = Some(line);
        client.listening_since_ns = (client.cuts > 0).then_some(now);
        Ok(())
    }

    fn ready(&mut self, index: usize) -> io::Result<()> {
        let client = &mut self.clients[index];
        match client.line.as_mut() {
            None => return Ok(()),
            Some(line) if line.stage == Stage::Connecting => client.ask(&self.host)?,
            Some(line) => line.send_pending()?,
        }
        loop {
            let Some(line) = client.line.as_mut() else { return Ok(()) };
            let Some(count) = line.receive(&mut self.scratch)? else { return Ok(()) };
            let (tally, room) = (&mut self.tally, client.room);
            let mut heard = false;
            let mut hear = |told: Told<'_>| {
                heard = true;
                tally.hear(index, room, told)
            };
            let consumed = client.take(&self.host, &self.scratch[..count], &mut hear)?;
            if heard {
                client.dead_line = None;
                if let Some(since_ns) = client.listening_since_ns.take() {
                    self.tally.back.record(now_ns() - since_ns);
                }
            }
            if let (true, Some(line)) = (consumed < count, client.line.as_mut()) {
                line.carry.extend_from_slice(&self.scratch[consumed..count]);
            }
            // Until there is nothing: the end of a connection may have come together with its last bytes.
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

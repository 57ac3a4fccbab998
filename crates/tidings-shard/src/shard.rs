//! A shard: one thread's connections and the turn that serves them.
//!
//! A turn sleeps until something is ready, reads from sockets, takes what the mailbox holds, fans
//! messages out, and sends to each connection once. Owned by its thread. It refuses to wait for
//! anything but readiness.

mod accepting;
mod connections;
mod flushing;
mod holding;
mod outlet;
mod reading;
mod replies;
mod requests;
mod stopping;
mod timing;

use std::sync::Arc;
use std::time::Duration;

use tidings_core::telemetry::{Counter, Counters};
use tidings_core::{Collected, Mailbox, Messaging, Now, Slot, SlotKey, Wiring};
use tidings_websocket::{Config, Role, Scratch};

use crate::connection::Connection;
use crate::context::Context;
use crate::encoding::Encoded;
use crate::gate::Gate;
use crate::io::{Io, Ready};
use crate::shard::flushing::Departures;
use crate::shard::stopping::Stopping;

pub(crate) use connections::Connections;

/// What one read may bring. Shared by all connections of the shard.
const RECEIVE_BYTES: usize = 64 * 1024;
/// The mailbox is emptied so often in a turn, because answers lead to questions; then others have
/// their turn.
const COLLECTIONS_PER_TURN: usize = 8;
/// How often the rules of messaging are told that time passes.
const MESSAGING_TICK_MS: u64 = 1_000;

/// See the module.
pub struct Shard<I: Io> {
    io: I,
    context: Context<I::Released>,
    messaging: Messaging<Encoded>,
    connections: Connections<I::Socket>,
    mailbox: Arc<Mailbox>,
    collected: Collected,
    gate: Arc<Gate<I::Arriving>>,
    counters: Arc<Counters>,
    reader: Reader,
    now: Now,
    ready: Vec<Ready>,
    expired: Vec<Slot>,
    /// Connections that may have more to read although the system will not say so again.
    to_read: Vec<SlotKey>,
    /// Connections that are not read from until what they wait for is gone.
    paused: Vec<SlotKey>,
    /// Somebody may wait to be accepted.
    accepting: bool,
    /// Accepting failed for want of descriptors; not tried again before.
    accept_again_ms: u64,
    messaging_tick_ms: u64,
    stopping: Stopping,
    /// What leaves with the turn's end.
    departures: Departures,
    /// Scratch for what an outbox sends in one call.
    gathered: Vec<u8>,
    unfinished: bool,
    /// Others may have taken sessions of connections here.
    is_holding: bool,
    /// What may have become ready while nobody was served.
    overlooked: Vec<Ready>,
    /// Clients that have come in, of whatever kind.
    entrances: u32,
}

/// What reading needs, one for all connections.
struct Reader {
    buffer: Vec<u8>,
    scratch: Scratch,
    config: Config,
}

impl<I: Io> Shard<I> {
    /// A shard without connections. `number` is its place in the hub.
    pub fn new(
        number: usize,
        io: I,
        context: Context<I::Released>,
        mailbox: Arc<Mailbox>,
        gate: Arc<Gate<I::Arriving>>,
        counters: Arc<Counters>,
        new_session: Box<dyn FnMut() -> tidings_protocol::SessionId>,
    ) -> Self {
        let now = io.now();
        let limits = &context.limits;
        let messaging = Messaging::new(Wiring {
            shard: number,
            node: Arc::clone(&context.node),
            limits: Arc::clone(limits),
            rules: Arc::clone(&context.rules),
            engine: Arc::clone(&context.engine),
            hub: Arc::clone(&context.hub),
            people: Arc::clone(&context.people),
            mailbox: Arc::clone(&mailbox),
            counters: Arc::clone(&counters),
            new_session,
        });
        let config = Config {
            role: Role::Server,
            message_bytes_max: limits.message_bytes_max,
            fragments_max: limits.fragments_max,
        };
        Self {
            connections: Connections::new(
                Arc::clone(&context.node),
                Arc::clone(limits),
                Arc::clone(&counters),
                now,
            ),
            reader: Reader { buffer: vec![0; RECEIVE_BYTES], scratch: Scratch::new(), config },
            io,
            context,
            messaging,
            mailbox,
            collected: Collected::default(),
            gate,
            counters,
            now,
            ready: Vec::new(),
            expired: Vec::new(),
            to_read: Vec::new(),
            paused: Vec::new(),
            accepting: true,
            accept_again_ms: 0,
            messaging_tick_ms: 0,
            stopping: Stopping::default(),
            departures: Departures::default(),
            gathered: Vec::new(),
            unfinished: false,
            is_holding: false,
            overlooked: Vec::new(),
            entrances: 0,
        }
    }

    /// Serves until the shard is drained.
    ///
    /// # Errors
    /// If the system cannot tell readiness any more.
    pub fn run(&mut self) -> std::io::Result<()> {
        while !self.is_drained() {
            self.turn()?;
        }
        Ok(())
    }

    /// One turn.
    ///
    /// # Errors
    /// As [`Shard::run`].
    pub fn turn(&mut self) -> std::io::Result<()> {
        self.sleep()?;
        if self.holds_still() {
            return Ok(());
        }
        self.look_at_gate();
        self.read_sockets();
        self.accept_waiting();
        self.expire_timers();
        self.collect_mail();
        self.unfinished =
            self.messaging.fan_out(self.context.limits.deliveries_per_turn, &mut self.connections);
        self.rehearse_restarts();
        self.answer_polls();
        self.flush();
        self.bury_dead();
        self.resume_paused();
        self.to_read.append(&mut self.connections.pipelined);
        Ok(())
    }

    /// Connections of this shard.
    pub fn connections_len(&self) -> usize {
        self.connections.table.len()
    }

    /// Bytes that wait for this shard's clients: sent to the system as soon as it takes them.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes_of_each().sum()
    }

    /// Bytes that wait for the one client for whom most do.
    pub fn most_waiting_bytes(&self) -> usize {
        self.waiting_bytes_of_each().max().unwrap_or(0)
    }

    fn waiting_bytes_of_each(&self) -> impl Iterator<Item = usize> {
        let table = &self.connections.table;
        table.taken().filter_map(|slot| table.get(slot)).map(Connection::waiting_bytes)
    }

    fn sleep(&mut self) -> std::io::Result<()> {
        let timeout = self.timeout();
        self.ready.clear();
        self.io.wait(timeout, &mut self.ready)?;
        self.mailbox.woken();
        self.now = self.io.now();
        self.messaging.begin_turn(self.now);
        self.connections.begin_turn(self.now);
        Ok(())
    }

    fn timeout(&mut self) -> Option<Duration> {
        if let Some(timeout) = self.holding_timeout() {
            return Some(timeout);
        }
        let busy = self.unfinished
            || !self.overlooked.is_empty()
            || !self.to_read.is_empty()
            || !self.connections.dirty.is_empty()
            || !self.connections.ripe.is_empty()
            || !self.mailbox.may_sleep();
        if busy {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.connections.timers.next_ms(),
            self.accepting.then_some(self.accept_again_ms),
            self.stopping.next_ms(&self.context.limits),
            (!self.connections.table.is_empty()).then_some(self.messaging_tick_ms),
        ];
        let next_ms = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_millis(next_ms.saturating_sub(self.now.monotonic_ms)))
    }

    fn collect_mail(&mut self) {
        if self.now.monotonic_ms >= self.messaging_tick_ms {
            self.messaging.tick(&mut self.connections);
            self.messaging_tick_ms = self.now.monotonic_ms + MESSAGING_TICK_MS;
        }
        for _ in 0..COLLECTIONS_PER_TURN {
            self.mailbox.collect(&mut self.collected);
            if self.collected.overflowed {
                self.counters.add(Counter::InboxOverflowed, 1);
            }
            if self.collected.posts.is_empty() {
                break;
            }
            let mut posts = std::mem::take(&mut self.collected.posts);
            for post in posts.drain(..) {
                self.messaging.receive(post, &mut self.connections);
                self.flush_if_full();
            }
            self.collected.posts = posts;
        }
        self.let_leave();
    }

    /// Those whom the rules of messaging have closed cease to be members.
    fn let_leave(&mut self) {
        while let Some(slot) = self.connections.leaving.pop() {
            self.messaging.closed(slot);
        }
    }

    /// Ends a connection at once.
    fn remove(&mut self, slot: Slot) {
        self.messaging.closed(slot);
        if self.connections.remove(slot).is_some() {
            self.counters.add(Counter::ConnectionClosed, 1);
        }
    }

    fn bury_dead(&mut self) {
        self.let_leave();
        while let Some(key) = self.connections.dead.pop() {
            if self.connections.table.holds(key) {
                self.remove(key.slot);
            }
        }
    }
}

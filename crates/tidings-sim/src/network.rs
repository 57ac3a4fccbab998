//! A simulated network below the shards: pairs of byte pipes, a clock that stands still, readiness
//! told once per change.
//!
//! Stricter than epoll: an event names only what has changed since it was last told, and a shard
//! that would sleep is told so by [`ASLEEP`] instead of being given a turn for nothing. So a shard
//! that forgets to read again, to look at its mailbox, or to set a timer hangs for good.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tidings_core::{Now, SlotKey, Timestamp};
use tidings_shard::io::{Io, Peer, Ready};

use crate::random::Random;

/// What `wait` fails with when the shard would sleep.
pub const ASLEEP: ErrorKind = ErrorKind::WouldBlock;

/// Where the wall clock stands at the beginning: a day of 2027, in milliseconds since 1970.
const START_MS: u64 = 1_800_000_000_000;

/// What the clock of a new network says.
const BEGINNING_MS: u64 = 1_000;

/// How long a wake that is lost may keep anybody waiting.
const SOON_MS: u64 = 1_000;

/// Turns without sleep in which a shard that is well has finished whatever there was to do.
const BUSY_TURNS_MAX: u32 = 200_000;

/// Shared by shards and clients.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    now_ms: u64,
    lines: Vec<Line>,
    shards: Vec<Below>,
    random: Random,
    /// How many of a hundred reads and writes are cut short.
    chopped_percent: usize,
    /// How many of a hundred wakes are late.
    late_wakes_percent: usize,
    /// How many of a hundred wakes never come.
    lost_wakes_percent: usize,
    faults: Faults,
}

/// What went wrong so far, each as often as it was noticed by somebody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Reads and writes that were cut short.
    pub short: u64,
    /// Connections that broke.
    pub reset: u64,
    /// Wakes that came late.
    pub late_wakes: u64,
    /// Wakes that never came.
    pub lost_wakes: u64,
    /// Nodes that died.
    pub crashes: u64,
}

/// What the system knows of a shard.
#[derive(Default)]
struct Below {
    waiting: VecDeque<usize>,
    listening: bool,
    listener_edge: bool,
    woken: bool,
    /// Somebody has woken it, and the news is still on its way.
    late_wake: bool,
    looked_ms: u64,
    sleeps_until_ms: Option<u64>,
    busy_turns: u32,
}

/// A connection, seen from the server.
#[derive(Default)]
struct Line {
    inward: VecDeque<u8>,
    inward_ended: bool,
    outward: VecDeque<u8>,
    outward_ended: bool,
    /// Bytes the network holds for a client that does not read.
    capacity: usize,
    reset: bool,
    /// Its reads and writes are never cut short.
    smooth: bool,
    watch: Option<Watch>,
    readable_edge: bool,
    writable_edge: bool,
    /// A send was refused or cut, so space that becomes free is news.
    starved: bool,
}

#[derive(Clone, Copy)]
struct Watch {
    shard: usize,
    key: SlotKey,
    writable: bool,
}

/// The client's end of a connection.
#[derive(Clone)]
pub struct Pipe {
    network: Network,
    line: usize,
}

/// The server's end. Dropping it closes the connection.
pub struct Socket {
    network: Network,
    line: usize,
}

/// The system below one shard.
pub struct Simulated {
    network: Network,
    shard: usize,
}

impl Network {
    /// A network for so many shards.
    pub fn new(shards: usize, seed: u64) -> Self {
        let below = || Below { listening: true, ..Below::default() };
        Self(Arc::new(Mutex::new(State {
            now_ms: BEGINNING_MS,
            lines: Vec::new(),
            shards: (0..shards).map(|_| below()).collect(),
            random: Random::new(seed),
            chopped_percent: 0,
            late_wakes_percent: 0,
            lost_wakes_percent: 0,
            faults: Faults::default(),
        })))
    }

    /// What the wall clock of a new network says.
    pub const fn beginning() -> Timestamp {
        Timestamp::from_ms(START_MS + BEGINNING_MS)
    }

    /// The system below a shard.
    pub fn below(&self, shard: usize) -> Simulated {
        Simulated { network: self.clone(), shard }
    }

    /// Cuts so many of a hundred reads and writes short.
    pub fn chop(&self, percent: usize) {
        self.state().chopped_percent = percent;
    }

    /// Lets so many of a hundred wakes be late: until [`Network::deliver_wakes`].
    pub fn delay_wakes(&self, percent: usize) {
        self.state().late_wakes_percent = percent;
    }

    /// Lets so many of a hundred wakes never come, where the clock wakes the shard soon: one that has
    /// no connections has nobody to keep waiting, and sleeps until it is woken.
    pub fn lose_wakes(&self, percent: usize) {
        self.state().lost_wakes_percent = percent;
    }

    /// Ends a shard's sleep, now, late, or not at all.
    pub fn wake(&self, shard: usize) {
        let mut state = self.state();
        let (late_percent, lost_percent) = (state.late_wakes_percent, state.lost_wakes_percent);
        let is_late = late_percent > 0 && state.random.chance(late_percent);
        let is_lost = lost_percent > 0 && state.random.chance(lost_percent);
        let soon_ms = state.now_ms + SOON_MS;
        let State { shards, faults, .. } = &mut *state;
        let below = &mut shards[shard];
        if is_lost && below.sleeps_until_ms.is_some_and(|until_ms| until_ms <= soon_ms) {
            faults.lost_wakes += 1;
            return;
        }
        faults.late_wakes += u64::from(is_late);
        *(if is_late { &mut below.late_wake } else { &mut below.woken }) = true;
    }

    /// Wakes that were late arrive.
    pub fn deliver_wakes(&self) {
        for below in &mut self.state().shards {
            below.woken |= std::mem::take(&mut below.late_wake);
        }
    }

    /// The node dies: every connection breaks, also those that were not accepted yet. The next
    /// node listens in its place.
    pub fn crash(&self) {
        let mut state = self.state();
        for below in &mut state.shards {
            *below = Below { listening: true, ..Below::default() };
        }
        state.faults.crashes += 1;
        for line in state.lines.iter_mut().filter(|line| !line.outward_ended) {
            line.reset();
        }
    }

    /// When the next shard that sleeps is to be woken by the clock.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.state().shards.iter().filter_map(|shard| shard.sleeps_until_ms).min()
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Faults {
        self.state().faults
    }

    /// What the clock says.
    pub fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    /// Turns the clock.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.state().now_ms = now_ms;
    }

    /// The wall clock.
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_ms(START_MS + self.now_ms())
    }

    /// A client connects to a shard's listener; the network holds `capacity` bytes for it.
    pub fn connect(&self, shard: usize, capacity: usize) -> Pipe {
        let mut state = self.state();
        let line = state.lines.len();
        state.lines.push(Line { capacity, ..Line::default() });
        if state.shards[shard].listening {
            state.shards[shard].waiting.push_back(line);
            state.shards[shard].listener_edge = true;
        } else {
            state.lines[line].reset = true;
        }
        Pipe { network: self.clone(), line }
    }

    /// What a connection's client has sent and the server has not read.
    pub fn unread(&self, line: usize) -> Vec<u8> {
        self.state().lines[line].inward.iter().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding the network")
    }
}

impl Pipe {
    /// The client sends.
    pub fn write(&self, bytes: &[u8]) {
        let mut state = self.network.state();
        let line = &mut state.lines[self.line];
        line.inward.extend(bytes);
        line.readable_edge = true;
    }

    /// The client reads at most so much of what waits for it.
    pub fn read(&self, bytes_max: usize) -> Vec<u8> {
        let mut state = self.network.state();
        let line = &mut state.lines[self.line];
        let count = line.outward.len().min(bytes_max);
        let bytes = line.outward.drain(..count).collect();
        line.writable_edge |= line.starved && count > 0;
        bytes
    }

    /// The client ends its direction.
    pub fn finish(&self) {
        let mut state = self.network.state();
        let line = &mut state.lines[self.line];
        line.inward_ended = true;
        line.readable_edge = true;
    }

    /// The connection breaks; what was under way is lost.
    pub fn reset(&self) {
        let mut state = self.network.state();
        state.faults.reset += 1;
        state.lines[self.line].reset();
    }

    /// From now on, nothing on this connection is cut short.
    pub fn smooth(&self) {
        self.network.state().lines[self.line].smooth = true;
    }

    /// Whether the server has ended its direction and everything was read.
    pub fn is_ended(&self) -> bool {
        let line = &self.network.state().lines[self.line];
        line.outward_ended && line.outward.is_empty()
    }

    /// Whether the connection broke.
    pub fn is_reset(&self) -> bool {
        self.network.state().lines[self.line].reset
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A test that panics may hold the lock.
        let Ok(mut state) = self.network.0.lock() else { return };
        let line = &mut state.lines[self.line];
        line.outward_ended = true;
        line.watch = None;
    }
}

impl State {
    fn cut(&mut self, line: usize, count: usize) -> usize {
        if count > 1 && !self.lines[line].smooth && self.random.chance(self.chopped_percent) {
            self.faults.short += 1;
            1 + self.random.below(count - 1)
        } else {
            count
        }
    }

    fn tell(&mut self, shard: usize, ready: &mut Vec<Ready>) {
        if std::mem::take(&mut self.shards[shard].listener_edge) {
            ready.push(Ready::Listener);
        }
        for line in &mut self.lines {
            let Some(watch) = line.watch.filter(|watch| watch.shard == shard) else { continue };
            let readable = line.readable_edge && line.is_readable();
            let writable = line.writable_edge && watch.writable && line.is_writable();
            if !readable && !writable {
                continue;
            }
            line.readable_edge &= !readable;
            line.writable_edge &= !writable;
            let ended = readable && (line.inward_ended || line.reset);
            ready.push(Ready::Connection { key: watch.key, readable, writable, ended });
        }
    }
}

impl Line {
    fn reset(&mut self) {
        self.reset = true;
        self.inward.clear();
        self.outward.clear();
        self.readable_edge = true;
        self.writable_edge = true;
    }

    fn is_readable(&self) -> bool {
        !self.inward.is_empty() || self.inward_ended || self.reset
    }

    fn is_writable(&self) -> bool {
        self.outward.len() < self.capacity || self.reset
    }
}

impl Peer for Socket {
    fn has_left(&self) -> bool {
        let state = self.network.state();
        let line = &state.lines[self.line];
        line.inward_ended || line.reset
    }
}

impl Io for Simulated {
    type Socket = Socket;
    type Released = Socket;
    type Arriving = Socket;

    fn now(&self) -> Now {
        let mut state = self.network.state();
        state.shards[self.shard].looked_ms = state.now_ms;
        let monotonic_ms = state.now_ms;
        Now { monotonic_ms, wall: Timestamp::from_ms(START_MS + monotonic_ms) }
    }

    fn accept(&mut self) -> Result<Option<Socket>> {
        let line = self.network.state().shards[self.shard].waiting.pop_front();
        Ok(line.map(|line| Socket { network: self.network.clone(), line }))
    }

    fn stop_listening(&mut self) {
        let mut state = self.network.state();
        state.shards[self.shard].listening = false;
        for line in std::mem::take(&mut state.shards[self.shard].waiting) {
            state.lines[line].reset = true;
        }
    }

    fn receive(&mut self, socket: &mut Socket, into: &mut [u8]) -> Result<usize> {
        let mut state = self.network.state();
        let line = &state.lines[socket.line];
        if line.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if line.inward.is_empty() {
            return if line.inward_ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let all = line.inward.len().min(into.len());
        let count = state.cut(socket.line, all);
        let line = &mut state.lines[socket.line];
        for (place, byte) in into.iter_mut().zip(line.inward.drain(..count)) {
            *place = byte;
        }
        // What a short read leaves behind is as if it came later.
        line.readable_edge |= count < into.len() && !line.inward.is_empty();
        Ok(count)
    }

    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> Result<usize> {
        let mut state = self.network.state();
        let line = &mut state.lines[socket.line];
        if line.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if line.outward_ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let space = line.capacity.saturating_sub(line.outward.len());
        let all = space.min(bytes.len());
        let count = state.cut(socket.line, all);
        let line = &mut state.lines[socket.line];
        line.outward.extend(&bytes[..count]);
        line.starved = count < bytes.len();
        line.writable_edge = line.starved && count < space;
        if count == 0 && !bytes.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn finish(&mut self, socket: &mut Socket) {
        self.network.state().lines[socket.line].outward_ended = true;
    }

    fn watch(&mut self, socket: &mut Socket, key: SlotKey, writable: bool, again: bool) -> Result<()> {
        let mut state = self.network.state();
        let line = &mut state.lines[socket.line];
        assert_eq!(line.watch.is_some(), again, "a socket is registered once, then changed");
        line.watch = Some(Watch { shard: self.shard, key, writable });
        // As epoll does: whatever is ready at this moment is told.
        line.readable_edge |= line.is_readable();
        line.writable_edge |= writable && line.is_writable();
        Ok(())
    }

    fn release(&mut self, socket: Socket) -> std::result::Result<Socket, Socket> {
        self.network.state().lines[socket.line].watch = None;
        Ok(socket)
    }

    fn adopt(&mut self, arriving: Socket) -> Result<Socket> {
        Ok(arriving)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<()> {
        let mut state = self.network.state();
        state.tell(self.shard, ready);
        let now_ms = state.now_ms;
        let below = &mut state.shards[self.shard];
        let timeout_ms =
            timeout.map(|timeout| u64::try_from(timeout.as_millis()).expect("some years at most"));
        below.sleeps_until_ms = timeout_ms.map(|timeout_ms| below.looked_ms + timeout_ms);
        let due = below.sleeps_until_ms.is_some_and(|until_ms| until_ms <= now_ms);
        if ready.is_empty() && !std::mem::take(&mut below.woken) && !due {
            below.busy_turns = 0;
            return Err(Error::new(ASLEEP, "asleep"));
        }
        below.woken = false;
        below.busy_turns += 1;
        assert!(below.busy_turns < BUSY_TURNS_MAX, "a shard that never sleeps");
        Ok(())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        if let Ok(mut state) = self.network.0.lock() {
            state.shards[self.shard].sleeps_until_ms = None;
        }
    }
}

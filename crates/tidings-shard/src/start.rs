//! Starts a node's shards, one thread each, and talks to them from outside.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use mio::Waker;
use tidings_core::telemetry::Counters;
use tidings_core::{Inbox, Mailbox};
use tidings_protocol::SessionId;

use crate::context::Context;
use crate::gate::{Arrival, Gate};
use crate::ring::Ring;
use crate::shard::Shard;
use crate::tcp::{Arriving, Listeners, Tcp};

/// The running shards. Dropping it does not stop them.
pub struct Shards {
    threads: Vec<JoinHandle<io::Result<()>>>,
    counters: Vec<Arc<Counters>>,
    handle: ShardsHandle,
}

/// Reaches the shards from any thread. Cheap to clone.
#[derive(Clone)]
pub struct ShardsHandle {
    doors: Arc<[Door]>,
    next: Arc<AtomicUsize>,
}

struct Door {
    gate: Arc<Gate<Arriving>>,
    waker: Arc<Waker>,
}

/// How the shards are to be run.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    /// Threads.
    pub shards: usize,
    /// Whether a turn's sends go to the system in one call where it can take them so.
    pub io_uring: bool,
}

/// Whether the system lets this process send by io_uring.
///
/// # Errors
/// Why it does not.
pub fn check_io_uring() -> io::Result<()> {
    Ring::new().map(drop)
}

/// Starts threads, each with its share of every listener, and connects the hub to them.
///
/// # Errors
/// If the system refuses a thread or an event queue.
pub fn start(context: &Context, listeners: Vec<Listeners>, running: Running) -> io::Result<Shards> {
    let Running { shards, io_uring } = running;
    let io_uring = io_uring
        && check_io_uring()
            .inspect_err(|error| tracing::info!(%error, "IoUringUnavailable: each send is a call of its own"))
            .is_ok();
    let mut shares: Vec<Vec<std::net::TcpListener>> = (0..shards).map(|_| Vec::new()).collect();
    for listener in listeners {
        for (share, socket) in shares.iter_mut().zip(listener.into_sockets()) {
            share.push(socket);
        }
    }
    let prepared =
        shares.into_iter().map(|share| prepare(share, context, io_uring)).collect::<io::Result<Vec<_>>>()?;
    context.hub.connect(prepared.iter().map(|shard| Arc::clone(&shard.mailbox) as Arc<dyn Inbox>).collect());
    let mailboxes = prepared.iter().map(|shard| Arc::clone(&shard.mailbox)).collect();
    context.people.sessions.connect(mailboxes);
    let doors = prepared.iter().map(|shard| Door { gate: Arc::clone(&shard.gate), waker: shard.tcp.waker() });
    let handle = ShardsHandle { doors: doors.collect(), next: Arc::default() };
    let counters = prepared.iter().map(|shard| Arc::clone(&shard.counters)).collect();
    let threads = prepared
        .into_iter()
        .enumerate()
        .map(|(number, shard)| spawn(number, shard, context.clone()))
        .collect::<io::Result<_>>()?;
    Ok(Shards { threads, counters, handle })
}

/// What a shard's thread and the outside share.
struct Prepared {
    tcp: Tcp,
    mailbox: Arc<Mailbox>,
    gate: Arc<Gate<Arriving>>,
    counters: Arc<Counters>,
}

fn prepare(listeners: Vec<std::net::TcpListener>, context: &Context, io_uring: bool) -> io::Result<Prepared> {
    let ring = io_uring.then(Ring::new).transpose()?;
    let tcp = Tcp::new(listeners, ring)?;
    let waker = tcp.waker();
    let wake = move || {
        // It fails only when the shard is gone, and then nobody is left to be woken.
        let _ = waker.wake();
    };
    Ok(Prepared {
        tcp,
        mailbox: Arc::new(Mailbox::new(context.limits.inbox_messages_max, wake)),
        gate: Arc::default(),
        counters: Arc::default(),
    })
}

fn spawn(number: usize, shard: Prepared, context: Context) -> io::Result<JoinHandle<io::Result<()>>> {
    thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
        let Prepared { tcp, mailbox, gate, counters } = shard;
        let ended =
            Shard::new(number, tcp, context, mailbox, Arc::clone(&gate), counters, session_ids()).run();
        gate.close();
        ended
    })
}

/// Random session ids, drawn from the system 256 at a time.
fn session_ids() -> Box<dyn FnMut() -> SessionId> {
    let mut pool: Vec<[u8; 16]> = Vec::new();
    Box::new(move || {
        if pool.is_empty() {
            let mut bytes = [0; 4_096];
            getrandom::fill(&mut bytes).expect("the system has randomness");
            pool.extend(bytes.as_chunks().0);
        }
        SessionId::from_bytes(pool.pop().expect("the pool was filled"))
    })
}

impl Shards {
    /// What each shard counts.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// A way to reach them.
    pub fn handle(&self) -> ShardsHandle {
        self.handle.clone()
    }

    /// Waits until every shard has ended.
    ///
    /// # Errors
    /// If one ended by a fault of ours: a panic, or an event queue that broke.
    pub fn join(self) -> Result<(), String> {
        let mut fault = None;
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => fault = Some(format!("a shard's event queue broke: {error}")),
                Err(_) => fault = Some("a shard panicked; the log has the place".to_owned()),
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Whether some shard has ended, which is a fault unless they were drained.
    pub fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

impl ShardsHandle {
    /// Tells clients that the server restarts, lets them go, and ends the shards.
    pub fn drain(&self) {
        for door in self.doors.iter() {
            door.gate.drain();
            let _ = door.waker.wake();
        }
    }

    /// Brings a connection from the control plane to one of them.
    pub fn attach(&self, arrival: Arrival) {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.doors.len();
        let door = &self.doors[number];
        door.gate.arrive(arrival);
        let _ = door.waker.wake();
    }
}

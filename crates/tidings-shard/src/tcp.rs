//! The shard's system in production: TCP sockets and epoll, by `mio`, and beside them the streams
//! that the control plane brings ([`foreign`](crate::foreign)).
//!
//! Each shard listens by a socket of its own on the same address (`SO_REUSEPORT`), so the kernel
//! spreads connections and no thread hands any to another.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{self, RecvFlags, SendFlags};
use socket2::{Domain, Protocol, Type};
use tidings_core::{Now, SlotKey};
use tidings_protocol::Limits;

use crate::foreign::{Bell, ByteStream, Foreign};
use crate::io::{Io, Peer, Ready};
use crate::ring::Ring;

const EVENTS_PER_WAIT: usize = 1_024;
/// Tokens of connections are a generation and a slot; the last slots are never given out.
const WAKER: Token = Token(usize::MAX);
const LISTENERS: usize = u32::MAX as usize - 64;

/// One address, listened to once per shard.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    sockets: Vec<std::net::TcpListener>,
}

impl Listeners {
    /// Where clients connect to; a port of 0 has become the one that was found.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn into_sockets(self) -> Vec<std::net::TcpListener> {
        self.sockets
    }
}

/// Listens at an address, once per shard. Fails if anybody listens there already.
pub fn bind(address: SocketAddr, shards: usize, limits: &Limits) -> io::Result<Listeners> {
    // Another server that also shares its port would not be noticed below, so ask first without
    // sharing.
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().ok_or(ErrorKind::Unsupported)?;
    drop(probe);
    let sockets = (0..shards).map(|_| listen(address, limits)).collect::<io::Result<_>>()?;
    Ok(Listeners { address, sockets })
}

fn socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// What is set on the listener holds for every socket it accepts, and saves a call for each.
fn listen(address: SocketAddr, limits: &Limits) -> io::Result<std::net::TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    // A peer whose cable was cut while messages flow to it gets no ping; the kernel gives up on it
    // after the same time.
    let silence_ms = limits.ping_interval_ms.saturating_add(limits.pong_timeout_ms);
    socket.set_tcp_user_timeout(Some(Duration::from_millis(silence_ms)))?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(limits.listen_backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A connection as the shard holds it. The foreign kind is boxed, because most are of the other.
pub enum Socket {
    /// Of the system's.
    Tcp(TcpStream),
    /// Brought by the control plane.
    Foreign(Box<RefCell<Foreign>>),
}

impl Peer for Socket {
    fn has_left(&self) -> bool {
        match self {
            Self::Tcp(socket) => {
                let mut asked = [PollFd::new(socket, PollFlags::RDHUP)];
                poll(&mut asked, Some(&Timespec::default())).is_ok_and(|told| told > 0)
            }
            Self::Foreign(stream) => stream.borrow().has_ended(),
        }
    }
}

/// A connection that the control plane brings.
pub enum Arriving {
    /// A socket of the system's.
    Tcp(std::net::TcpStream),
    /// A stream that is none.
    Stream(Box<dyn ByteStream>),
}

impl From<std::net::TcpStream> for Arriving {
    fn from(socket: std::net::TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

/// See the module.
pub struct Tcp {
    poll: Poll,
    waker: Arc<Waker>,
    bell: Arc<Bell>,
    events: Events,
    listeners: Vec<TcpListener>,
    started: Instant,
    ring: Option<Ring>,
}

impl Tcp {
    /// Watches the listeners of one shard, and sends by the ring, if there is one.
    pub(crate) fn new(listeners: Vec<std::net::TcpListener>, ring: Option<Ring>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut listeners: Vec<_> = listeners.into_iter().map(TcpListener::from_std).collect();
        for (number, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(listener, Token(LISTENERS + number), Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            bell: Bell::new(Arc::clone(&waker)),
            waker,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            listeners,
            started: Instant::now(),
            ring,
        })
    }

    /// Ends the shard's sleep, from any thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }
}

impl Io for Tcp {
    type Socket = Socket;
    type Released = std::net::TcpStream;
    type Arriving = Arriving;

    fn now(&self) -> Now {
        let monotonic_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { monotonic_ms, wall: SystemTime::now().into() }
    }

    fn accept(&mut self) -> io::Result<Option<Socket>> {
        for listener in &self.listeners {
            match listener.accept() {
                Ok((socket, _)) => return Ok(Some(Socket::Tcp(socket))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn stop_listening(&mut self) {
        self.listeners.clear();
    }

    fn receive(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        match socket {
            Socket::Tcp(socket) => Ok(net::recv(socket, into, RecvFlags::empty())?.0),
            Socket::Foreign(stream) => stream.get_mut().receive(into),
        }
    }

    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        match socket {
            // Not by libc, whose `send` is a point of cancellation: that costs one part in a hundred of a
            // small message's delivery.
            Socket::Tcp(socket) => Ok(net::send(socket, bytes, SendFlags::NOSIGNAL)?),
            Socket::Foreign(stream) => stream.borrow_mut().send(bytes),
        }
    }

    fn send_each<'a>(
        &mut self,
        sends: impl Iterator<Item = (&'a Socket, &'a [u8])>,
        told: &mut Vec<io::Result<usize>>,
    ) {
        let Some(ring) = &mut self.ring else {
            told.extend(sends.map(|(socket, bytes)| self.send(socket, bytes)));
            return;
        };
        let loaded = ring.load(sends.enumerate().filter_map(|(number, (socket, bytes))| match socket {
            Socket::Tcp(socket) => {
                // What the ring does not get to is as if the kernel had refused it, and is sent again.
                told.push(Err(ErrorKind::WouldBlock.into()));
                Some((number, socket.as_fd(), bytes))
            }
            Socket::Foreign(stream) => {
                told.push(stream.borrow_mut().send(bytes));
                None
            }
        }));
        if let Err(error) = loaded.send(told) {
            tracing::warn!(%error, "IoUringBroke: from now on each send is a call of its own");
            self.ring = None;
        }
    }

    fn finish(&mut self, socket: &mut Socket) {
        match socket {
            // It fails only when the peer is gone, which is as good.
            Socket::Tcp(socket) => drop(socket.shutdown(Shutdown::Write)),
            Socket::Foreign(stream) => stream.get_mut().finish(),
        }
    }

    fn watch(&mut self, socket: &mut Socket, key: SlotKey, writable: bool, again: bool) -> io::Result<()> {
        let socket = match socket {
            Socket::Tcp(socket) => socket,
            Socket::Foreign(stream) => {
                stream.get_mut().watch(key, &self.bell);
                return Ok(());
            }
        };
        let interest = match writable {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        match again {
            true => self.poll.registry().reregister(socket, token(key), interest),
            false => self.poll.registry().register(socket, token(key), interest),
        }
    }

    fn release(&mut self, socket: Socket) -> Result<std::net::TcpStream, Socket> {
        let Socket::Tcp(mut socket) = socket else { return Err(socket) };
        // It may not have been watched yet, which is the state that is wanted.
        let _ = self.poll.registry().deregister(&mut socket);
        Ok(socket.into())
    }

    fn adopt(&mut self, arriving: Arriving) -> io::Result<Socket> {
        match arriving {
            Arriving::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Socket::Tcp(TcpStream::from_std(socket)))
            }
            Arriving::Stream(stream) => Ok(Socket::Foreign(Box::new(Foreign::new(stream).into()))),
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            if event.token() == WAKER {
                continue;
            }
            if event.token().0 >> 32 == 0 && event.token().0 >= LISTENERS {
                ready.push(Ready::Listener);
                continue;
            }
            let failed = event.is_error();
            ready.push(Ready::Connection {
                key: key(event.token()),
                readable: event.is_readable() || event.is_read_closed() || failed,
                writable: event.is_writable() || failed,
                ended: event.is_read_closed() || failed,
            });
        }
        self.bell.answer(ready);
        Ok(())
    }
}

const fn token(key: SlotKey) -> Token {
    Token((key.generation as usize) << 32 | key.slot as usize)
}

fn key(token: Token) -> SlotKey {
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    let (generation, slot) = ((token.0 >> 32) as u32, token.0 as u32);
    SlotKey { slot, generation }
}

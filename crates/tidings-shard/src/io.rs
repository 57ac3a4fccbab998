//! What a shard calls the system for. Under it lies epoll in production and a simulated network
//! in tests, which may give little, late, or an error, as a real one does.

use std::io;
use std::time::Duration;

use tidings_core::{Now, SlotKey};

/// The system below a shard. Sockets are non-blocking; readiness is told once per change, so
/// whoever is told reads until a short read or `WouldBlock`.
pub trait Io {
    /// A connection.
    type Socket: Peer;
    /// A connection that goes to another thread.
    type Released: Send + 'static;
    /// A connection that comes from another thread.
    type Arriving: From<Self::Released> + Send + 'static;

    /// The time.
    fn now(&self) -> Now;

    /// Accepts a waiting connection; `None` when none waits.
    fn accept(&mut self) -> io::Result<Option<Self::Socket>>;

    /// Stops listening. Connections that wait to be accepted are lost, so accept them before.
    fn stop_listening(&mut self);

    /// Reads. `Ok(0)` is the end of the stream.
    fn receive(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;

    /// Sends what fits into the system's buffer.
    fn send(&mut self, socket: &Self::Socket, bytes: &[u8]) -> io::Result<usize>;

    /// Sends to several sockets, to each as [`Io::send`] does, and appends to `told` what became of each, in
    /// order: with one call for all, where the system can do that.
    fn send_each<'a>(
        &mut self,
        sends: impl Iterator<Item = (&'a Self::Socket, &'a [u8])>,
        told: &mut Vec<io::Result<usize>>,
    ) where
        Self::Socket: 'a,
    {
        told.extend(sends.map(|(socket, bytes)| self.send(socket, bytes)));
    }

    /// Ends the outward direction.
    fn finish(&mut self, socket: &mut Self::Socket);

    /// Asks to be told when the socket is readable, and writable if `writable`; `again` if it was
    /// watched before.
    fn watch(
        &mut self,
        socket: &mut Self::Socket,
        key: SlotKey,
        writable: bool,
        again: bool,
    ) -> io::Result<()>;

    /// Lets a socket go to another thread, or gives it back if it is of a kind that only comes
    /// from there.
    fn release(&mut self, socket: Self::Socket) -> Result<Self::Released, Self::Socket>;

    /// Takes a socket from another thread.
    fn adopt(&mut self, arriving: Self::Arriving) -> io::Result<Self::Socket>;

    /// Sleeps until something is ready, the mailbox wakes the shard, or the time is up; `None`
    /// sleeps for as long as it takes.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
}

/// Who is at the other end of a connection.
pub trait Peer {
    /// Whether it has ended its direction, or the connection is broken. What it said before may still
    /// wait to be read.
    fn has_left(&self) -> bool;
}

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Somebody wants to connect.
    Listener,
    /// A connection.
    Connection {
        /// Which.
        key: SlotKey,
        /// There is something to read, or the end of the stream.
        readable: bool,
        /// What was refused before may be sent now.
        writable: bool,
        /// The peer has ended its direction: what is readable is the last there is.
        ended: bool,
    },
}

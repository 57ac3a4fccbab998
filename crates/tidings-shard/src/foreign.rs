//! Streams of bytes that are no socket of the system's: one stream of an HTTP/2 connection, or the
//! end of a pipe within the process. Here they get a socket's manners: calls that never wait, and
//! readiness that is told once per change.
//!
//! Each is owned by its connection's record; the [`Bell`] belongs to the shard's system
//! ([`tcp`](crate::tcp)) and is rung from any thread. Refuses to know what the bytes mean.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tidings_core::SlotKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::Ready;

/// A stream copies what it is given before it says that it is full, so it is given little at a
/// time: what it holds then adds little to the outbox, which is bounded.
const SEND_BYTES: usize = 16 * 1024;

/// What can be served as if it were a socket.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A stream as the shard holds it.
pub struct Foreign {
    stream: Box<dyn ByteStream>,
    alarm: Option<Arc<Alarm>>,
    waker: Waker,
    /// The stream has taken bytes that it may not have passed on.
    unflushed: bool,
    /// The outward direction is being ended.
    finishing: bool,
    /// How the inward direction ended, once it has.
    end: Option<Result<(), ErrorKind>>,
}

impl Foreign {
    /// A stream that nobody watches yet.
    pub(crate) fn new(stream: Box<dyn ByteStream>) -> Self {
        let waker = Waker::noop().clone();
        Self { stream, alarm: None, waker, unflushed: false, finishing: false, end: None }
    }

    /// From now on changes ring the bell under this key; whatever is ready now does so at once.
    pub(crate) fn watch(&mut self, key: SlotKey, bell: &Arc<Bell>) {
        if self.alarm.as_ref().is_none_or(|alarm| alarm.key != key) {
            let alarm = Arc::new(Alarm { key, is_rung: AtomicBool::new(false), bell: Arc::clone(bell) });
            self.waker = Arc::clone(&alarm).into();
            self.alarm = Some(alarm);
        }
        self.waker.wake_by_ref();
    }

    /// Reads until the stream has no more or the buffer is full: only a stream that was asked in
    /// vain rings when more comes.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.push_on();
        let mut buffer = ReadBuf::new(into);
        while self.end.is_none() && buffer.remaining() > 0 {
            let before = buffer.filled().len();
            let read =
                Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(&self.waker), &mut buffer);
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {}
                Poll::Ready(Ok(())) => self.end = Some(Ok(())),
                Poll::Ready(Err(error)) => self.end = Some(Err(broken(&error).kind())),
            }
        }
        match (buffer.filled().len(), self.end) {
            (0, None) => Err(ErrorKind::WouldBlock.into()),
            (0, Some(Ok(()))) => Ok(0),
            (0, Some(Err(kind))) => Err(kind.into()),
            (count, None) => Ok(count),
            (count, Some(_)) => {
                // A short read says that nothing more is there, but there is still the end.
                self.waker.wake_by_ref();
                Ok(count)
            }
        }
    }

    /// Sends what the stream takes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            let piece = &bytes[sent..bytes.len().min(sent + SEND_BYTES)];
            match Pin::new(&mut self.stream).poll_write(&mut Context::from_waker(&self.waker), piece) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => return Err(broken(&error)),
            }
        }
        self.unflushed |= sent > 0;
        self.push_on();
        if sent == 0 && !bytes.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(sent) }
    }

    /// Ends the outward direction, behind what was sent.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
        self.push_on();
    }

    /// Goes on with what may take several attempts. If it fails, reading or sending does too.
    fn push_on(&mut self) {
        let mut context = Context::from_waker(&self.waker);
        if self.unflushed {
            self.unflushed = Pin::new(&mut self.stream).poll_flush(&mut context).is_pending();
        }
        if self.finishing && !self.unflushed {
            self.finishing = Pin::new(&mut self.stream).poll_shutdown(&mut context).is_pending();
        }
    }
}

/// The shard takes these two kinds for a request to try again, which no stream means by them.
fn broken(error: &io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => ErrorKind::Other.into(),
        kind => kind.into(),
    }
}

/// Where streams report that something has changed, until the shard looks. Each is in it once at
/// most.
pub(crate) struct Bell {
    rung: Mutex<Vec<Arc<Alarm>>>,
    sleeper: Arc<mio::Waker>,
}

impl Bell {
    /// A bell that ends the sleep of a shard.
    pub(crate) fn new(sleeper: Arc<mio::Waker>) -> Arc<Self> {
        Arc::new(Self { rung: Mutex::default(), sleeper })
    }

    /// Who rang since the last look. The streams do not tell what has changed, so all may have.
    pub(crate) fn answer(&self, ready: &mut Vec<Ready>) {
        let rung = std::mem::take(&mut *self.lock());
        for alarm in rung {
            // Before the stream is asked: what happens from here on rings again.
            alarm.is_rung.swap(false, Ordering::AcqRel);
            ready.push(Ready::Connection { key: alarm.key, readable: true, writable: true, ended: false });
        }
    }

    fn ring(&self, alarm: Arc<Alarm>) {
        let mut rung = self.lock();
        let first = rung.is_empty();
        rung.push(alarm);
        drop(rung);
        if first {
            // It fails only when the shard is gone, and then nobody is left to be woken.
            let _ = self.sleeper.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Alarm>>> {
        // Each step under the lock is one call, so a panic leaves the list whole.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a stream is given to be woken by. It outlives the connection where somebody keeps it: the
/// key's generation then names nobody.
struct Alarm {
    key: SlotKey,
    is_rung: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.bell.ring(Arc::clone(self));
        }
    }
}

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

    /// Whether the inward direction had ended when the stream was last read from.
    pub(crate) const fn has_ended(&self) -> bool {
        self.end.is_some()
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    const KEY: SlotKey = SlotKey { slot: 3, generation: 1 };

    fn bell() -> Arc<Bell> {
        let poll = mio::Poll::new().unwrap();
        Bell::new(Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap()))
    }

    fn rung(bell: &Bell) -> Vec<SlotKey> {
        let mut ready = Vec::new();
        bell.answer(&mut ready);
        let key = |ready| match ready {
            Ready::Connection { key, .. } => key,
            Ready::Listener => panic!("there is none"),
        };
        ready.into_iter().map(key).collect()
    }

    /// A watched stream that was found empty, and its other end.
    fn idle(bell: &Arc<Bell>) -> (Foreign, DuplexStream) {
        let (peer, stream) = duplex(8);
        let mut foreign = Foreign::new(Box::new(stream));
        foreign.watch(KEY, bell);
        assert_eq!(rung(bell), [KEY], "what is ready at the beginning is told");
        assert_eq!(foreign.receive(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
        (foreign, peer)
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it has to wait"),
        }
    }

    #[test]
    fn a_change_is_told_once_and_the_next_one_again() {
        let bell = bell();
        let (mut foreign, mut peer) = idle(&bell);
        for _ in 0..3 {
            now(peer.write_all(b"ab")).unwrap();
            now(peer.write_all(b"cd")).unwrap();
            assert_eq!(rung(&bell), [KEY]);
            assert_eq!(rung(&bell), []);
            assert_eq!(foreign.receive(&mut [0; 64]).unwrap(), 4);
            assert_eq!(rung(&bell), [], "the read found the end of what there was");
        }
    }

    #[test]
    fn what_happens_between_the_look_and_the_read_is_not_lost() {
        let bell = bell();
        let (mut foreign, mut peer) = idle(&bell);
        now(peer.write_all(b"a")).unwrap();
        assert_eq!(rung(&bell), [KEY]);
        foreign.waker.wake_by_ref();
        assert_eq!(foreign.receive(&mut [0; 64]).unwrap(), 1);
        assert_eq!(rung(&bell), [KEY]);
    }

    #[test]
    fn the_end_behind_the_last_bytes_is_told_too() {
        let bell = bell();
        let (mut foreign, mut peer) = idle(&bell);
        now(peer.write_all(b"last")).unwrap();
        drop(peer);
        assert_eq!(rung(&bell), [KEY]);
        assert_eq!(foreign.receive(&mut [0; 64]).unwrap(), 4);
        assert_eq!(rung(&bell), [KEY]);
        assert_eq!(foreign.receive(&mut [0; 64]).unwrap(), 0);
        assert_eq!(foreign.receive(&mut [0; 64]).unwrap(), 0);
    }

    #[test]
    fn space_for_what_was_refused_is_told() {
        let bell = bell();
        let (mut foreign, mut peer) = idle(&bell);
        assert_eq!(foreign.send(b"0123456789").unwrap(), 8);
        assert_eq!(foreign.send(b"89").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(rung(&bell), []);
        now(tokio::io::AsyncReadExt::read_exact(&mut peer, &mut [0; 5])).unwrap();
        assert_eq!(rung(&bell), [KEY]);
        assert_eq!(foreign.send(b"89").unwrap(), 2);
        drop(peer);
        assert_eq!(foreign.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_late_wake_names_the_tenant_that_is_gone() {
        let bell = bell();
        let (foreign, peer) = idle(&bell);
        let kept = foreign.waker.clone();
        drop((foreign, peer));
        let next = SlotKey { generation: KEY.generation + 1, ..KEY };
        let mut foreign = Foreign::new(Box::new(duplex(8).0));
        foreign.watch(next, &bell);
        rung(&bell);
        kept.wake();
        assert_eq!(rung(&bell), [KEY]);
        foreign.waker.wake_by_ref();
        assert_eq!(rung(&bell), [next]);
    }

    /// Holds back what it is given until it has been asked to flush, and to end, twice.
    #[derive(Default)]
    struct Reluctant {
        flushes: usize,
        shutdowns: usize,
    }

    impl AsyncRead for Reluctant {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            match self.shutdowns {
                0..2 => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            }
        }
    }

    impl AsyncWrite for Reluctant {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            second(self.flushes, context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            assert_eq!(self.flushes, 2, "it is not ended before it is flushed");
            self.shutdowns += 1;
            second(self.shutdowns, context)
        }
    }

    fn second(attempt: usize, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        context.waker().wake_by_ref();
        if attempt < 2 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    #[test]
    fn a_stream_that_needs_several_attempts_is_pushed_on_when_it_rings() {
        let bell = bell();
        let mut foreign = Foreign::new(Box::new(Reluctant::default()));
        foreign.watch(KEY, &bell);
        assert_eq!(foreign.send(b"x").unwrap(), 1);
        foreign.finish();
        let mut rings = 0;
        while rung(&bell) == [KEY] {
            rings += 1;
            assert!(rings < 10, "it rings for ever");
            if foreign.receive(&mut [0; 8]).is_ok_and(|count| count == 0) {
                return;
            }
        }
        panic!("it was not pushed on");
    }
}

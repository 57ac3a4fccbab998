//! A socket whose first bytes were read by somebody else: they are read again from here.
//!
//! Owned by the connection's task. Notes when bytes move, so that a connection on which nothing
//! moves can be told from a slow one. Refuses gathered writes, see [`refusal`].

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::activity::Activity;
use crate::refusal;

/// See the module.
pub(crate) struct Stream {
    prefix: Vec<u8>,
    /// Bytes of the prefix that were read again.
    replayed: usize,
    socket: Arc<TcpStream>,
    activity: Arc<Activity>,
    node: Arc<str>,
    /// Sent in place of a refusal of hyper's, and how much of it was sent.
    refusal: Option<(Vec<u8>, usize)>,
}

impl Stream {
    /// A non-blocking socket and what was read from it.
    pub(crate) fn new(
        socket: std::net::TcpStream,
        prefix: Vec<u8>,
        activity: Arc<Activity>,
        node: Arc<str>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = Arc::new(TcpStream::from_std(socket)?);
        Ok(Self { prefix, replayed: 0, socket, activity, node, refusal: None })
    }

    /// Takes the socket out, and what of the prefix nobody has read.
    pub(crate) fn into_parts(mut self) -> io::Result<(std::net::TcpStream, Vec<u8>)> {
        self.prefix.drain(..self.replayed);
        let socket = match Arc::try_unwrap(self.socket) {
            Ok(socket) => socket.into_std()?,
            // Its watcher is about to let go of it.
            Err(watched) => watched.as_fd().try_clone_to_owned()?.into(),
        };
        Ok((socket, self.prefix))
    }

    /// Tells when the client goes.
    pub(crate) fn watcher(&self) -> Watcher {
        Watcher { socket: Arc::downgrade(&self.socket), activity: Arc::clone(&self.activity) }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(cx))?;
            match self.socket.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return self.note(Poll::Ready(sent)),
            }
        }
    }

    /// Sends our words for a refusal of hyper's. hyper offers the same bytes until they are taken.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, status: u16) -> Poll<io::Result<()>> {
        let (answer, mut sent) =
            self.refusal.take().unwrap_or_else(|| (refusal::answer(status, &self.node), 0));
        while sent < answer.len() {
            match self.poll_send(cx, &answer[sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.refusal = Some((answer, sent));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn note<T>(&self, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Ok(_)) = &progress {
            self.activity.note();
        }
        progress
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unread = &self.prefix[self.replayed..];
        if unread.is_empty() {
            loop {
                ready!(self.socket.poll_read_ready(cx))?;
                match self.socket.try_read(buf.initialize_unfilled()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                    Ok(count) => {
                        buf.advance(count);
                        return self.note(Poll::Ready(Ok(())));
                    }
                }
            }
        }
        let count = unread.len().min(buf.remaining());
        buf.put_slice(&unread[..count]);
        self.replayed += count;
        if self.replayed == self.prefix.len() {
            // A connection may live long after its first request.
            (self.prefix, self.replayed) = (Vec::new(), 0);
        }
        self.activity.note();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match refusal::find(buf) {
            Some((0, status)) => self.poll_refuse(cx, status).map_ok(|()| buf.len()),
            Some((begin, _)) => self.poll_send(cx, &buf[..begin]),
            None => self.poll_send(cx, buf),
        }
    }

    /// A socket keeps nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.socket).shutdown(Shutdown::Write))
    }
}

/// Notices that a client goes while a shard serves something of its connection. hyper does not: a
/// client that has sent all it has to say may close its direction and still get its answer. A stream
/// has no end to wait for, and a poll for nobody would take a message with it.
pub(crate) struct Watcher {
    /// The connection may leave for a shard meanwhile.
    socket: Weak<TcpStream>,
    activity: Arc<Activity>,
}

impl Watcher {
    /// Returns when the client has gone.
    pub(crate) async fn client_left(self) {
        loop {
            self.activity.is_held(true).await;
            let Some(socket) = self.socket.upgrade() else { return std::future::pending().await };
            let mut first = [0];
            tokio::select! {
                peeked = socket.peek(&mut first) => match peeked {
                    Ok(0) | Err(_) => return,
                    // The next request, or a frame of HTTP/2: hyper gets to what is behind it.
                    Ok(_) => self.activity.is_held(false).await,
                },
                () = self.activity.is_held(false) => {}
            }
        }
    }
}

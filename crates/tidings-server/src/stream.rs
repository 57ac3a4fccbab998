//! A socket whose first bytes were read by somebody else: they are read again from here.
//!
//! Owned by the connection's task. Notes when bytes move, so that a connection on which nothing
//! moves can be told from a slow one. Refuses gathered writes, see [`refusal`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::activity::Activity;
use crate::refusal;

/// See the module.
pub(crate) struct Stream {
    prefix: Vec<u8>,
    /// Bytes of the prefix that were read again.
    replayed: usize,
    socket: TcpStream,
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
        let socket = TcpStream::from_std(socket)?;
        Ok(Self { prefix, replayed: 0, socket, activity, node, refusal: None })
    }

    /// Takes the socket out, and what of the prefix nobody has read.
    pub(crate) fn into_parts(mut self) -> io::Result<(std::net::TcpStream, Vec<u8>)> {
        self.prefix.drain(..self.replayed);
        Ok((self.socket.into_std()?, self.prefix))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note(progress)
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
            let progress = Pin::new(&mut self.socket).poll_read(cx, buf);
            return self.note(progress);
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

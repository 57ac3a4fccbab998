//! A socket whose first bytes were read by somebody else: they are read again from here.
//!
//! Owned by the connection's task. Notes each byte that moves, so that a connection on which
//! nothing moves can be told from a slow one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::activity::Activity;

/// See the module.
pub(crate) struct Stream {
    prefix: Vec<u8>,
    /// Bytes of the prefix that were read again.
    replayed: usize,
    socket: TcpStream,
    activity: Arc<Activity>,
}

impl Stream {
    /// A non-blocking socket and what was read from it.
    pub(crate) fn new(
        socket: std::net::TcpStream,
        prefix: Vec<u8>,
        activity: Arc<Activity>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { prefix, replayed: 0, socket: TcpStream::from_std(socket)?, activity })
    }

    /// Takes the socket out, and what of the prefix nobody has read.
    pub(crate) fn into_parts(mut self) -> io::Result<(std::net::TcpStream, Vec<u8>)> {
        self.prefix.drain(..self.replayed);
        Ok((self.socket.into_std()?, self.prefix))
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
        let progress = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.note(progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.note(progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

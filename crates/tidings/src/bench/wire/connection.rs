//! One client connection: its socket, how far it is, and the bytes that wait on either side.
//! Owned by a loop. Refuses to interpret what comes, but for the head of an answer.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

use super::answers::{head_end, status};
use super::wrong;
use crate::bench::plan::Transport;

/// The only right answer to the key of every handshake here, as in RFC 6455 §1.3.
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Connections from one source address. The kernel has about 28,000 ports for each pair of addresses.
const CONNECTIONS_PER_SOURCE: usize = 20_000;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Answering,
    Open,
    Closed,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) stage: Stage,
    pub(crate) speaks: Transport,
    /// When connecting began.
    pub(crate) began_ns: u64,
    /// Received bytes of a head or frame that is not complete.
    pub(crate) carry: Vec<u8>,
    /// Bytes the kernel did not take.
    pending: Vec<u8>,
    /// Digits of the last message's id.
    pub(crate) last_id: u128,
    /// Does not read at the moment.
    pub(crate) stalled: bool,
    /// Whether its latencies count: those of who stopped reading say nothing about the server.
    pub(crate) timed: bool,
    /// What the server sends it is kept, to be imitated.
    pub(crate) is_sample: bool,
}

impl Connection {
    /// Starts connecting; the socket becomes writable when it is done.
    pub(crate) fn start(
        server: SocketAddr,
        speaks: Transport,
        number: usize,
        began_ns: u64,
    ) -> io::Result<Self> {
        let stream = match source(server, number) {
            None => TcpStream::connect(server)?,
            Some(source) => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                socket.bind(&source.into())?;
                match socket.connect(&server.into()) {
                    Err(error)
                        if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
                    {
                        return Err(error);
                    }
                    _ => TcpStream::from_std(socket.into()),
                }
            }
        };
        Ok(Self {
            stream,
            stage: Stage::Connecting,
            speaks,
            began_ns,
            carry: Vec::new(),
            pending: Vec::new(),
            last_id: 0,
            stalled: false,
            timed: true,
            is_sample: false,
        })
    }

    /// Asks for what it came for once the connection stands.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> io::Result<()> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        self.stream.set_nodelay(true)?;
        self.stage = Stage::Answering;
        self.send(request.as_ref())
    }

    /// Sends, or keeps what the kernel does not take.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = if self.pending.is_empty() { write_some(&mut self.stream, bytes)? } else { 0 };
        self.pending.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends what was kept, now that the socket is writable.
    pub(crate) fn send_pending(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            let sent = write_some(&mut self.stream, &self.pending)?;
            self.pending.drain(..sent);
        }
        Ok(())
    }

    /// Bytes kept.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Receives behind what was carried over; `None` when nothing is there. What lies in `scratch` then is the
    /// caller's to interpret.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        let carried = self.carry.len();
        match self.stream.read(&mut scratch[carried..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                scratch[..carried].copy_from_slice(&self.carry);
                self.carry.clear();
                Ok(Some(carried + count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Looks for the end of the head that opens a WebSocket or an event stream: `Ok(None)` while it is not there, an error if
/// it is a refusal.
pub(crate) fn opening_end(speaks: Transport, bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = head_end(bytes) else { return Ok(None) };
    let head = &bytes[..end];
    let (wanted, proof) = match speaks {
        Transport::Websocket => (101, ACCEPT),
        Transport::Sse | Transport::Poll => (200, b"text/event-stream".as_slice()),
    };
    if status(head)? == wanted && head.windows(proof.len()).any(|window| window == proof) {
        return Ok(Some(end));
    }
    Err(wrong("the server refused what a connection came for"))
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// On loopback, further sources for connections beyond what one has ports for.
fn source(server: SocketAddr, number: usize) -> Option<SocketAddr> {
    let block = number / CONNECTIONS_PER_SOURCE;
    if block == 0 || !server.ip().is_loopback() || !server.is_ipv4() {
        return None;
    }
    let last = u8::try_from(1 + block)
        .expect("five million connections are more than a machine has descriptors for");
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0))
}

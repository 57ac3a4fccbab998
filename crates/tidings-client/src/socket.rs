//! One WebSocket connection over a blocking `TcpStream`: frames in, frames out, with deadlines.
//!
//! Owned by one thread. Answers pings and close frames by itself; refuses to reconnect, that is
//! [`Client`](crate::Client)'s.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use tidings_websocket::frame::Opcode;
use tidings_websocket::handshake::{ClientKey, ClientRequest, Response};
use tidings_websocket::{Config, Decoder, Event, Role, Scratch, encoder};

use crate::address::Address;
use crate::error::{Error, Result};
use crate::http::read_head;
use crate::options::Options;

/// Bytes taken from the kernel at once.
const READ_BYTES: usize = 64 * 1024;
/// A message in more pieces than this is given up; servers send whole frames.
const FRAGMENTS_MAX: usize = 65_536;

/// Something the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping; its pong has been sent already.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
}

/// An open connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    config: Config,
    decoder: Decoder,
    scratch: Scratch,
    buffer: Vec<u8>,
    unread: Range<usize>,
    closing: bool,
    last_received: Instant,
}

impl Socket {
    /// Connects to `address` with default options.
    pub fn connect(address: &Address) -> Result<Self> {
        Self::connect_with(address, &Options::new(&address.to_string())?)
    }

    /// Connects to `address`; of the options, the compression offer, the timeout, the token and the size limit count.
    pub fn connect_with(address: &Address, options: &Options) -> Result<Self> {
        let mut stream = address.open(options.connect_timeout)?;
        stream.set_read_timeout(Some(options.connect_timeout))?;
        stream.set_write_timeout(Some(options.connect_timeout))?;

        let mut key = [0; 16];
        fill_random(&mut key);
        let authority = address.authority();
        let bearer = options.token.as_ref().map(|token| format!("Bearer {token}"));
        let authorization = bearer.as_deref().map(|value| [("Authorization", value)]);
        let request = ClientRequest {
            host: &authority,
            path: address.path(),
            key: ClientKey::from_bytes(key),
            subprotocols: &[],
            deflate: options.deflate,
            extra: authorization.as_ref().map_or(&[], |headers| headers.as_slice()),
        };
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        stream.write_all(&bytes)?;

        let (head, rest) = read_head(&mut stream)?;
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let established = request.verify(&Response { status: head.status, headers })?;

        let mut buffer = vec![0; READ_BYTES.max(rest.len())];
        buffer[..rest.len()].copy_from_slice(&rest);
        Ok(Self {
            stream,
            config: Config {
                role: Role::Client,
                message_bytes_max: options.message_bytes_max,
                fragments_max: FRAGMENTS_MAX,
            },
            decoder: Decoder::new(established.deflate.is_some()),
            scratch: Scratch::new(),
            buffer,
            unread: 0..rest.len(),
            closing: false,
            last_received: Instant::now(),
        })
    }

    /// The next frame; `None` when none came within `timeout`.
    ///
    /// A close frame of the server is answered and returned as [`Error::Closed`]; a connection that ends without one
    /// is [`Error::Broken`].
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Frame>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(frame) = self.take_buffered()? {
                return Ok(Some(frame));
            }
            // One attempt is made even with no time left, so that what has arrived is seen.
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(left.max(Duration::from_micros(100))))?;
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => {
                    self.unread = 0..count;
                    self.last_received = Instant::now();
                }
                Err(error) if is_timeout(&error) && left.is_zero() => return Ok(None),
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// When the server last sent anything.
    pub fn last_received(&self) -> Instant {
        self.last_received
    }

    /// Sends a text message.
    pub fn send_text(&mut self, text: &str) -> Result<()> {
        self.send(Opcode::Text, text.as_bytes())
    }

    /// Sends a binary message.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(Opcode::Binary, bytes)
    }

    /// Asks for a pong. At most 125 bytes of `payload` are sent.
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<()> {
        self.send(Opcode::Ping, payload)
    }

    /// Sends a close frame; take frames until [`Error::Closed`] comes back. Sends one only.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<()> {
        if self.closing {
            return Ok(());
        }
        self.closing = true;
        let mut frame = Vec::new();
        encoder::close_masked(&mut frame, fresh_mask(), code, reason);
        Ok(self.stream.write_all(&frame)?)
    }

    /// The stream underneath, for what has to break the rules: half-closes, raw bytes.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        encoder::masked(&mut frame, fresh_mask(), opcode, payload);
        // A partial write leaves the stream in the middle of a frame: any error here is the connection's end.
        Ok(self.stream.write_all(&frame)?)
    }

    fn take_buffered(&mut self) -> Result<Option<Frame>> {
        while !self.unread.is_empty() {
            let input = &mut self.buffer[self.unread.clone()];
            let step = self.decoder.decode(&self.config, &mut self.scratch, input)?;
            self.unread.start += step.consumed;
            let frame = match step.event {
                None => continue,
                Some(Event::Text(text)) => Frame::Text(text.to_owned()),
                Some(Event::Binary(bytes)) => Frame::Binary(bytes.to_vec()),
                Some(Event::Pong(payload)) => Frame::Pong(payload.to_vec()),
                Some(Event::Ping(payload)) => Frame::Ping(payload.to_vec()),
                Some(Event::Close(close)) => {
                    let (code, reason) =
                        close.map_or((1005, String::new()), |close| (close.code, close.reason.to_owned()));
                    // The server is about to close either way; whether our answer reaches it changes nothing.
                    let _ = self.close(if code == 1005 { 1000 } else { code }, "");
                    return Err(Error::Closed { code, reason });
                }
            };
            if let Frame::Ping(payload) = &frame {
                self.send(Opcode::Pong, &payload.clone())?;
            }
            return Ok(Some(frame));
        }
        Ok(None)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn fresh_mask() -> [u8; 4] {
    let mut mask = [0; 4];
    fill_random(&mut mask);
    mask
}

pub(crate) fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has randomness");
}

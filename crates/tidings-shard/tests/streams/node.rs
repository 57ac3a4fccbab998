//! One running shard without a listener, and clients at the other ends of in-process pipes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::memory::MemoryEngine;
use tidings_core::{Hub, People, RoomOptions, RoomRules, Timestamp};
use tidings_protocol::Limits;
use tidings_shard::{
    Arrival, Arriving, ByteStream, Capacity, Context, Handshake, Purpose, Reception, Running, Shards,
    Visitor, start,
};
use tidings_websocket::frame::Opcode;
use tidings_websocket::handshake::{ClientKey, ClientRequest};
use tidings_websocket::{Config, Decoder, Event, Role, Scratch, encoder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

const CONFIG: Config = Config { role: Role::Client, message_bytes_max: 1 << 24, fragments_max: 1 };
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test's story to its end, at most for as long as anybody would wait.
pub(crate) fn story<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("something did not come") })
}

pub(crate) struct Node {
    pub(crate) shards: Shards,
    pub(crate) capacity: Arc<Capacity>,
}

/// The control plane, which must not be asked here.
struct Nobody;

impl Reception for Nobody {
    fn receive(&self, _: Visitor) -> Result<(), Visitor> {
        panic!("a stream came from the control plane and was sent back to it");
    }
}

impl Node {
    pub(crate) fn start(limits: Limits) -> Self {
        let limits = Arc::new(limits);
        let rules = Arc::new(RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits)));
        let hub = Arc::new(Hub::new());
        let people = People::new(&hub, &limits, &rules);
        let engine =
            MemoryEngine::new(Arc::clone(&hub), Arc::clone(&rules), Arc::clone(&limits), Timestamp(0));
        let context = Context {
            node: "n1".into(),
            limits: Arc::clone(&limits),
            rules,
            engine: Arc::new(engine),
            hub,
            people,
            capacity: Capacity::new(&limits),
            reception: Arc::new(Nobody),
            origins: Arc::default(),
            echo: true,
            compression: false,
        };
        let shards = start(&context, Vec::new(), Running { shards: 1, io_uring: true }).unwrap();
        Self { shards, capacity: context.capacity }
    }

    pub(crate) fn bring(&self, stream: impl ByteStream, purpose: Purpose) {
        let (seat, _) = self.capacity.seat();
        self.shards.handle().attach(Arrival { socket: Arriving::Stream(Box::new(stream)), seat, purpose });
    }

    /// A pipe that holds so many bytes, whose first ones are to be a request.
    pub(crate) fn request(&self, pipe_bytes: usize) -> DuplexStream {
        let (client, stream) = duplex(pipe_bytes);
        self.bring(stream, Purpose::Request);
        client
    }

    /// A WebSocket whose handshake is over.
    pub(crate) fn websocket(&self, target: &str, pipe_bytes: usize) -> Client<DuplexStream> {
        let (client, stream) = duplex(pipe_bytes);
        self.bring(stream, opened(target));
        Client::new(client)
    }

    /// Waits until so many connections are left.
    pub(crate) async fn has_connections(&self, count: usize) {
        while self.capacity.connections() != count {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn opened(target: &str) -> Purpose {
    let target = target.to_owned();
    Purpose::WebSocket(Handshake {
        target,
        deflate_window_bits: None,
        is_protobuf: false,
        unread: Vec::new(),
    })
}

/// The bytes of a handshake's request.
pub(crate) fn handshake(path: &str) -> Vec<u8> {
    let key = ClientKey::from_bytes(*b"sixteen bytes!!!");
    let mut bytes = Vec::new();
    ClientRequest { host: "t", path, key, subprotocols: &[], deflate: None, extra: &[] }.write(&mut bytes);
    bytes
}

/// Reads an HTTP answer's head, byte by byte so that nothing behind it is taken.
pub(crate) async fn head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the head goes on"));
    }
    String::from_utf8(head).unwrap()
}

/// A frame's bytes as a client sends them.
pub(crate) fn binary(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder::masked(&mut bytes, MASK, Opcode::Binary, payload);
    bytes
}

/// What a client saw.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
    Other,
    End,
}

/// Speaks WebSocket over any stream, in the codec's client role.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    decoder: Decoder,
    scratch: Scratch,
    unread: Vec<u8>,
}

impl<S> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, decoder: Decoder::new(false), scratch: Scratch::new(), unread: Vec::new() }
    }
}

impl<S: AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn close(&mut self) {
        let mut bytes = Vec::new();
        encoder::close_masked(&mut bytes, MASK, 1_000, "");
        self.say(&bytes).await;
    }
}

impl<S: AsyncRead + Unpin> Client<S> {
    pub(crate) async fn see(&mut self) -> Seen {
        loop {
            while !self.unread.is_empty() {
                let step = self.decoder.decode(&CONFIG, &mut self.scratch, &mut self.unread).unwrap();
                let seen = step.event.map(|event| match event {
                    Event::Text(text) => Seen::Text(text.to_owned()),
                    Event::Binary(payload) => Seen::Binary(payload.to_vec()),
                    Event::Close(close) => Seen::Close(close.map_or(1_005, |close| close.code)),
                    Event::Ping(_) | Event::Pong(_) => Seen::Other,
                });
                let consumed = step.consumed;
                self.unread.drain(..consumed);
                if let Some(seen) = seen {
                    return seen;
                }
            }
            if self.stream.read_buf(&mut self.unread).await.unwrap() == 0 {
                return Seen::End;
            }
        }
    }
}

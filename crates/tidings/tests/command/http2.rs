//! A node over HTTP/2: WebSockets on streams of one connection (RFC 8441), spoken by hyper's client
//! and the codec's client role, and requests that pass through to a shard.

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use tidings_client::{Address, http};
use tidings_websocket::deflate::{Deflaters, Offer};
use tidings_websocket::frame::Opcode;
use tidings_websocket::{Config, Decoder, Event, Role, Scratch, encoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};

use crate::process::Process;

const CONFIG: Config = Config { role: Role::Client, message_bytes_max: 1 << 24, fragments_max: 1 };
const MASK: [u8; 4] = [1, 2, 3, 4];

/// Runs a test's story to its end, at most for as long as anybody would wait.
pub(crate) fn story<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let patience = Duration::from_secs(30);
    runtime.block_on(async { tokio::time::timeout(patience, story).await.expect("something did not come") })
}

pub(crate) struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    pub(crate) async fn to(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut client = Self(sender);
        // Until an answer has come, the client does not know that the server can.
        assert_eq!(client.get("/health").await.0, 200);
        client
    }

    /// Status and content type.
    async fn get(&mut self, path: &str) -> (u16, Option<String>) {
        let request = Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind)
    }

    /// Opens a WebSocket, or says with which status it was refused.
    pub(crate) async fn websocket(&mut self, path: &str) -> Result<Socket, u16> {
        let offer = Offer::default();
        let request = Request::connect(format!("http://x{path}"))
            .header("sec-websocket-version", "13")
            .header("sec-websocket-extensions", offer.header_value())
            .extension(Protocol::from_static("websocket"))
            .body(Empty::new())
            .unwrap();
        let response = self.0.send_request(request).await.unwrap();
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        let answers = response.headers().get_all("sec-websocket-extensions");
        let agreed = offer.check_answer(answers.iter().map(|value| value.as_bytes())).unwrap();
        let (from, to) = split(TokioIo::new(hyper::upgrade::on(response).await.unwrap()));
        Ok(Socket { to, from: Reader::new(from, agreed.is_some()) })
    }
}

pub(crate) struct Socket {
    to: WriteHalf<TokioIo<Upgraded>>,
    from: Reader,
}

struct Reader {
    stream: ReadHalf<TokioIo<Upgraded>>,
    decoder: Decoder,
    scratch: Scratch,
    unread: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
    End,
}

impl Socket {
    pub(crate) async fn text(&mut self, text: &str) {
        let mut frame = Vec::new();
        encoder::masked(&mut frame, MASK, Opcode::Text, text.as_bytes());
        self.to.write_all(&frame).await.unwrap();
    }

    /// Reads until a text contains this.
    pub(crate) async fn text_with(&mut self, part: &str) {
        loop {
            match self.from.see().await {
                Seen::Text(text) if text.contains(part) => return,
                Seen::Text(_) => {}
                other => panic!("{part:?} does not come before {other:?}"),
            }
        }
    }
}

impl Reader {
    fn new(stream: ReadHalf<TokioIo<Upgraded>>, deflate: bool) -> Self {
        Self { stream, decoder: Decoder::new(deflate), scratch: Scratch::new(), unread: Vec::new() }
    }

    async fn see(&mut self) -> Seen {
        loop {
            while !self.unread.is_empty() {
                let step = self.decoder.decode(&CONFIG, &mut self.scratch, &mut self.unread).unwrap();
                let seen = match step.event {
                    Some(Event::Text(text)) => Some(Seen::Text(text.to_owned())),
                    Some(Event::Binary(payload)) => Some(Seen::Binary(payload.to_vec())),
                    Some(Event::Close(close)) => Some(Seen::Close(close.map_or(1_005, |close| close.code))),
                    Some(Event::Ping(_) | Event::Pong(_)) | None => None,
                };
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

#[test]
fn websockets_over_http_2_are_in_their_rooms_with_everybody_else() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let mut connection = Connection::to(&url).await;
        let mut ana = connection.websocket("/ws/news/ana").await.unwrap();
        ana.text_with("\"type\":\"session\"").await;
        let mut ben = connection.websocket("/ws/news/ben").await.unwrap();
        ben.text_with("\"rooms\":[\"news\"").await;
        ben.text("from ben").await;
        ana.text_with("from ben").await;
        let news = Address::parse(&url).unwrap().with_path("/rooms/news/messages");
        tokio::task::spawn_blocking(move || {
            http::post(&news, "application/json", br#"{"text":"from afar"}"#)
        })
        .await
        .unwrap()
        .unwrap();
        ana.text_with("from afar").await;
        ben.text_with("from afar").await;
        ana.text("after all").await;
        ben.text_with("after all").await;
    });
}

#[test]
fn everything_comes_back_compressed_or_not_while_reader_and_writer_run_apart() {
    const MESSAGES: usize = 200;
    let (_node, url) = Process::node(&["--echo"]);
    let payload = |number: usize| -> Vec<u8> {
        // Every other one is noise, which compression makes no smaller.
        let noise = |at: usize| (at.wrapping_mul(at + number) >> 3).to_le_bytes()[0];
        let len = number * 251;
        (0..len).map(|at| if number.is_multiple_of(2) { noise(at) } else { b'a' }).collect()
    };
    story(async {
        let mut connection = Connection::to(&url).await;
        let Socket { mut to, mut from } = connection.websocket("/echo").await.unwrap();
        let writer = tokio::spawn(async move {
            let mut deflaters = Deflaters::new();
            for number in 0..MESSAGES {
                let mut frame = Vec::new();
                let (mask, payload) = (Some(MASK), payload(number));
                encoder::compressed(&mut frame, &mut deflaters, 15, mask, Opcode::Binary, &payload);
                to.write_all(&frame).await.unwrap();
            }
            let mut close = Vec::new();
            encoder::close_masked(&mut close, MASK, 1_000, "");
            to.write_all(&close).await.unwrap();
        });
        for number in 0..MESSAGES {
            assert_eq!(from.see().await, Seen::Binary(payload(number)), "message {number}");
        }
        assert_eq!([from.see().await, from.see().await], [Seen::Close(1_000), Seen::End]);
        writer.await.unwrap();
    });
}

#[test]
fn a_stream_takes_a_seat_and_gives_it_back_when_it_is_reset() {
    let (_node, url) = Process::node(&["--connections-max", "2"]);
    story(async {
        let mut connection = Connection::to(&url).await;
        let first = connection.websocket("/ws/news/ana").await.unwrap();
        assert_eq!(connection.websocket("/ws/news/ben").await.err(), Some(503));
        drop(first);
        loop {
            match connection.websocket("/ws/news/ben").await {
                Ok(mut ben) => break ben.text_with("\"type\":\"session\"").await,
                Err(status) => assert_eq!(status, 503),
            }
        }
    });
}

#[test]
fn a_node_that_stops_lets_its_streams_go_when_they_are_ready() {
    let (node, url) =
        Process::node(&["--restart-ack-timeout-ms", "3600000", "--drain-timeout-ms", "3600000"]);
    story(async {
        let mut connection = Connection::to(&url).await;
        let mut ana = connection.websocket("/ws/news/ana").await.unwrap();
        ana.text_with("\"type\":\"session\"").await;
        node.signal(Signal::TERM);
        ana.text_with("\"type\":\"server_restart\"").await;
        ana.text(r#"{"type":"restart_ack"}"#).await;
        assert_eq!(ana.from.see().await, Seen::Close(1_012));
        let mut close = Vec::new();
        encoder::close_masked(&mut close, MASK, 1_012, "");
        ana.to.write_all(&close).await.unwrap();
        assert_eq!(ana.from.see().await, Seen::End);
    });
    let (code, log) = node.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn what_shards_serve_is_answered_alike_on_every_kind_of_connection() {
    let (_node, url) = Process::node(&[]);
    let connect = || TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    for path in ["/events?room=news", "/poll/p1?room=news&timeout_s=0"] {
        let fresh = answer(&mut connect(), path);
        let mut kept_alive = connect();
        answer(&mut kept_alive, "/health");
        assert_eq!(answer(&mut kept_alive, path), fresh, "{path} on a connection that was kept alive");
        let over_http_2 = story(async { Connection::to(&url).await.get(path).await });
        assert_eq!(over_http_2, fresh, "{path} over HTTP/2");
    }
}

/// Status and content type of what is answered; of the body, only what an answer has to announce is
/// read.
fn answer(stream: &mut TcpStream, path: &str) -> (u16, Option<String>) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    let body_bytes = header("content-length").map_or(0, |count| count.parse().unwrap());
    stream.read_exact(&mut vec![0; body_bytes]).unwrap();
    (head[9..12].parse().unwrap(), header("content-type").map(str::to_owned))
}

//! A client on the simulated network: speaks WebSocket by the codec's client role, reads event
//! streams and HTTP answers, writes down what it sees.

use tidings_protocol::proto::SUBPROTOCOL;
use tidings_protocol::server::{Received, decode};
use tidings_websocket::frame::Opcode;
use tidings_websocket::handshake::{ClientKey, ClientRequest, Response};
use tidings_websocket::{Config, Decoder, Event, Role, Scratch, encoder};

use crate::network::Pipe;
use crate::protobuf;
use crate::stream::Stream;

/// What a client saw, in its order.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A frame of the contract.
    Frame(Received),
    /// Text that is none.
    Text(String),
    /// A binary frame.
    Binary(Vec<u8>),
    /// A ping. It is answered unless the client is told to be rude.
    Ping,
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame. It is answered unless the client is told to be rude.
    Close(u16, String),
    /// A comment in an event stream.
    Comment(String),
    /// An HTTP answer that is not 101 and no event stream's.
    Http(Answer),
    /// The server ended its direction.
    End,
    /// The connection broke.
    Reset,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Names and values, as they came.
    pub headers: Vec<(String, String)>,
    /// All of the body.
    pub body: String,
}

impl Answer {
    /// The `code` of the JSON body.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("an error body is JSON");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        body["code"].as_str().expect("an error body has a code").to_owned()
    }

    /// The JSON body.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a body that is JSON")
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// See the module.
pub struct Client {
    /// Its end of the connection.
    pub pipe: Pipe,
    /// What it saw and the test has not taken.
    pub seen: Vec<Seen>,
    /// Whether it reads at all.
    pub reads: bool,
    /// Whether it leaves pings and closes unanswered.
    pub rude: bool,
    /// How an event stream's answer began.
    pub opened: Option<Answer>,
    /// The event stream it reads.
    pub stream: Stream,
    upgraded: bool,
    /// Whether protobuf was agreed on.
    is_protobuf: bool,
    head: Vec<u8>,
    decoder: Decoder,
    scratch: Scratch,
    ended: bool,
}

const KEY: [u8; 16] = *b"sixteen bytes!!!";
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const CONFIG: Config = Config { role: Role::Client, message_bytes_max: 1 << 26, fragments_max: 1 };

/// A handshake's bytes.
pub fn handshake(path: &str, offers_compression: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    request(path, offers_compression).write(&mut bytes);
    bytes
}

/// The same of a client that would like protobuf.
pub fn handshake_for_protobuf(path: &str, offers_compression: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let subprotocols = &["other.v1", SUBPROTOCOL];
    ClientRequest { subprotocols, ..request(path, offers_compression) }.write(&mut bytes);
    bytes
}

/// A request without a body.
pub fn http(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: tidings.test\r\n{fields}\r\n").into_bytes()
}

/// A request with a JSON body.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len().to_string();
    let mut bytes = http("POST", path, &[("Content-Type", "application/json"), ("Content-Length", &length)]);
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn request(path: &str, offers_compression: bool) -> ClientRequest<'_> {
    let deflate = offers_compression.then(Default::default);
    ClientRequest {
        host: "tidings.test",
        path,
        key: ClientKey::from_bytes(KEY),
        subprotocols: &[],
        deflate,
        extra: &[],
    }
}

impl Client {
    /// A client that has said nothing yet.
    pub fn new(pipe: Pipe) -> Self {
        Self {
            pipe,
            seen: Vec::new(),
            reads: true,
            rude: false,
            opened: None,
            stream: Stream::default(),
            upgraded: false,
            is_protobuf: false,
            head: Vec::new(),
            decoder: Decoder::new(false),
            scratch: Scratch::new(),
            ended: false,
        }
    }

    /// Takes it that the 101 came by another way.
    pub fn upgraded(mut self) -> Self {
        self.upgraded = true;
        self
    }

    /// A text frame, or what says the same in protobuf.
    pub fn text(&self, text: &str) {
        match self.is_protobuf {
            true => self.frame(Opcode::Binary, &protobuf::client_frame(text)),
            false => self.frame(Opcode::Text, text.as_bytes()),
        }
    }

    /// A binary frame.
    pub fn binary(&self, bytes: &[u8]) {
        self.frame(Opcode::Binary, bytes);
    }

    /// Any whole frame.
    pub fn frame(&self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        encoder::masked(&mut bytes, MASK, opcode, payload);
        self.pipe.write(&bytes);
    }

    /// A close frame.
    pub fn close(&self, code: u16) {
        let mut bytes = Vec::new();
        encoder::close_masked(&mut bytes, MASK, code, "");
        self.pipe.write(&bytes);
    }

    /// Reads at most so many bytes and understands them. Says whether anything came.
    pub fn look(&mut self, bytes_max: usize) -> bool {
        let mut bytes = self.pipe.read(bytes_max);
        let mut news = !bytes.is_empty();
        if self.upgraded {
            self.frames(&mut bytes);
        } else if self.opened.is_some() {
            self.seen.extend(self.stream.read(&bytes));
        } else {
            self.head.append(&mut bytes);
            while self.read_head() {}
        }
        if !self.ended && (self.pipe.is_reset() || self.pipe.is_ended()) {
            self.ended = true;
            self.seen.push(if self.pipe.is_reset() { Seen::Reset } else { Seen::End });
            // A client whose peer has ended ends too.
            self.pipe.finish();
            news = true;
        }
        news
    }

    /// Reads an answer's head, and its body if it has a length. Says whether another may follow.
    fn read_head(&mut self) -> bool {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head_bytes)) = response.parse(&self.head) else { return false };
        let headers = response.headers.iter().map(|header| (header.name, header.value));
        let status = response.code.expect("a whole head has a status");
        if status == 101 {
            let offers_compression = headers.clone().any(|(name, _)| name == "Sec-WebSocket-Extensions");
            let answer = Response { status, headers };
            let asked = ClientRequest { subprotocols: &[SUBPROTOCOL], ..request("/", offers_compression) };
            let agreed = asked.verify(&answer).expect("a correct handshake");
            self.is_protobuf = agreed.subprotocol.is_some();
            self.decoder = Decoder::new(agreed.deflate.is_some());
            self.upgraded = true;
            let mut rest = self.head.split_off(head_bytes);
            self.head.clear();
            self.frames(&mut rest);
            return false;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("answers are text");
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), text(value))).collect();
        let answer = Answer { status, headers, body: String::new() };
        if answer.header("Content-Type") == Some("text/event-stream") {
            let rest = self.head.split_off(head_bytes);
            self.head.clear();
            self.seen.extend(self.stream.read(&rest));
            self.opened = Some(answer);
            return false;
        }
        let body_bytes: usize =
            answer.header("content-length").and_then(|count| count.parse().ok()).unwrap_or(0);
        if self.head.len() < head_bytes + body_bytes {
            return false;
        }
        let body = text(&self.head[head_bytes..head_bytes + body_bytes]);
        self.head.drain(..head_bytes + body_bytes);
        self.seen.push(Seen::Http(Answer { body, ..answer }));
        true
    }

    fn frames(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        let mut answers = Vec::new();
        while !rest.is_empty() {
            let step =
                self.decoder.decode(&CONFIG, &mut self.scratch, rest).expect("a server keeps the rules");
            let consumed = step.consumed;
            let seen = match step.event {
                Some(Event::Text(text)) => {
                    Some(decode(text).map_or_else(|_| Seen::Text(text.to_owned()), Seen::Frame))
                }
                Some(Event::Binary(bytes)) if self.is_protobuf => {
                    Some(Seen::Frame(protobuf::received(bytes)))
                }
                Some(Event::Binary(bytes)) => Some(Seen::Binary(bytes.to_vec())),
                Some(Event::Ping(payload)) => {
                    encoder::masked(&mut answers, MASK, Opcode::Pong, payload);
                    Some(Seen::Ping)
                }
                Some(Event::Pong(payload)) => Some(Seen::Pong(payload.to_vec())),
                Some(Event::Close(close)) => {
                    let (code, reason) = close.map_or((1005, ""), |close| (close.code, close.reason));
                    encoder::close_masked(&mut answers, MASK, code, "");
                    Some(Seen::Close(code, reason.to_owned()))
                }
                None => None,
            };
            self.seen.extend(seen);
            rest = &mut rest[consumed..];
        }
        if !answers.is_empty() && !self.rude {
            self.pipe.write(&answers);
        }
    }
}

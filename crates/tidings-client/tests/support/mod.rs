//! A server of a few lines that does what a script says: for tests of what the client makes of it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tidings_client::{Backoff, Client, Event, Options};
use tidings_websocket::handshake::{self, Request};
use tidings_websocket::{Config, Decoder, Event as Received, Role, Scratch, encoder};

/// Longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `script` on a listener of its own; returns the address and the script's thread.
pub(crate) fn serve(script: impl FnOnce(&TcpListener) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    (url, thread::spawn(move || script(&listener)))
}

/// Options that come back at once.
pub(crate) fn hasty(url: &str) -> Options {
    Options::new(url).unwrap().backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(5)))
}

/// Takes events until one makes `wanted` answer; the others are skipped.
pub(crate) fn wait_for<T>(client: &mut Client, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        let event = client.next(PATIENCE).unwrap().expect("an event within the patience");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

/// One connection, seen from the server.
pub(crate) struct Peer {
    stream: TcpStream,
    decoder: Decoder,
    scratch: Scratch,
    unread: Vec<u8>,
}

impl Peer {
    /// Takes the next connection and answers its handshake.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = read_head(&mut stream);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        assert!(request.parse(&head).unwrap().is_complete());
        let headers = request.headers.iter().map(|header| (header.name, header.value));
        let request = Request { method: "GET", minor_version: 1, headers };
        let mut answer = Vec::new();
        handshake::response(&mut answer, &handshake::accept(&request).unwrap(), None, &[]);
        stream.write_all(&answer).unwrap();
        Self { stream, decoder: Decoder::new(false), scratch: Scratch::new(), unread: Vec::new() }
    }

    /// Sends a JSON frame.
    pub(crate) fn say(&mut self, frame: &Value) {
        let mut bytes = Vec::new();
        encoder::text(&mut bytes, &frame.to_string());
        self.stream.write_all(&bytes).unwrap();
    }

    /// Sends a close frame.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let mut bytes = Vec::new();
        encoder::close(&mut bytes, code, reason);
        self.stream.write_all(&bytes).unwrap();
    }

    /// Sends a ping.
    pub(crate) fn ping(&mut self, payload: &[u8]) {
        let mut bytes = Vec::new();
        encoder::ping(&mut bytes, payload);
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next JSON frame; control frames come back as `{"control": …}`, the end as `null`.
    pub(crate) fn hear(&mut self) -> Value {
        let config = Config { role: Role::Server, message_bytes_max: 1 << 20, fragments_max: 16 };
        loop {
            let step = self.decoder.decode(&config, &mut self.scratch, &mut self.unread).unwrap();
            let heard = match step.event {
                None => None,
                Some(Received::Text(text)) => Some(serde_json::from_str(text).unwrap()),
                Some(Received::Pong(payload)) => Some(control("pong", payload)),
                Some(Received::Ping(payload)) => Some(control("ping", payload)),
                Some(Received::Close(_)) => Some(control("close", b"")),
                Some(Received::Binary(bytes)) => Some(control("binary", bytes)),
            };
            let consumed = step.consumed;
            self.unread.drain(..consumed);
            if let Some(heard) = heard {
                return heard;
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return Value::Null,
                Ok(count) => self.unread.extend_from_slice(&piece[..count]),
                Err(error) => panic!("the client said nothing more: {error}"),
            }
        }
    }
}

fn control(kind: &str, payload: &[u8]) -> Value {
    serde_json::json!({"control": kind, "payload": String::from_utf8_lossy(payload)})
}

fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    head
}

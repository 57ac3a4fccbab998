//! A client that says exactly the bytes it is told to, and waits at most ten seconds for anything.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::node::Node;

pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) fn to(node: &Node) -> Self {
        Self::over(TcpStream::connect(node.address).unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Says nothing more, but listens.
    pub(crate) fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            self.more();
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let bytes = answer.header("content-length").map_or(0, |bytes| bytes.parse().unwrap());
        while self.read.len() < bytes {
            self.more();
        }
        answer.body = self.read.drain(..bytes).collect();
        answer
    }

    /// Waits for the end of the connection, and that nothing comes before it.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        // A reset is an end too: bytes of ours were not read.
        let ended = match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        ended && rest.is_empty() && self.read.is_empty()
    }

    fn more(&mut self) {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece).unwrap();
        assert!(
            count > 0,
            "the connection ended within an answer: {:?}",
            String::from_utf8_lossy(&self.read)
        );
        self.read.extend_from_slice(&piece[..count]);
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The code of an error, whose body is as the contract says and whose answer names the node.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("tidings-node"), Some("north"), "{}", self.head);
        let body = self.json();
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        body["code"].as_str().expect("an error has a code").to_owned()
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(node: &Node, request: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::to(node);
    wire.say(request);
    wire.answer()
}

/// A request with a body.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub(crate) fn delete(path: &str) -> String {
    format!("DELETE {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

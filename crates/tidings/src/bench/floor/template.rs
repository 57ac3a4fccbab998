//! What the floor server sends: the bytes Tidings was seen sending, with the few places filled in that differ from
//! message to message and from handshake to handshake. Pure.

use tidings_websocket::frame::FrameHeader;
use tidings_websocket::handshake::ClientKey;

use crate::bench::payload::MARK;
use crate::bench::plan::Transport;

const ACCEPT_NAME: &[u8] = b"sec-websocket-accept: ";
const ACCEPT_BYTES: usize = 28;
const KEY_NAME: &[u8] = b"sec-websocket-key: ";
const KEY_BYTES: usize = 24;
const ID_KEY: &[u8] = b"\"id\":";
const ID_DIGITS: usize = 16;
/// The id of the messages that stand here for one that was not seen.
const ID: u64 = 1_790_000_000_000_000;

/// How a message is sent over one transport.
#[derive(Debug, Clone)]
pub(crate) struct MessageTemplate {
    bytes: Vec<u8>,
    payload_at: usize,
    payload_bytes: usize,
    /// The id stands in the JSON, and again where the transport says a position.
    ids_at: Vec<usize>,
}

impl MessageTemplate {
    /// Around the payload of what was seen; with nothing seen, as `docs/protocol.md` has it.
    pub(crate) fn new(transport: Transport, seen: &[u8], payload_bytes: usize) -> Self {
        let bytes = if seen.is_empty() { unseen(transport, payload_bytes) } else { seen.to_vec() };
        // The header of a frame is skipped: the length form of 126 looks like the mark.
        let header_bytes = match transport {
            Transport::Websocket => {
                FrameHeader::parse(&bytes).ok().flatten().map_or(0, |parsed| parsed.header_bytes)
            }
            Transport::Sse | Transport::Poll => 0,
        };
        let mark = bytes[header_bytes..].iter().position(|byte| *byte == MARK);
        let payload_at = header_bytes + mark.expect("a message carries a stamp");
        let id =
            find(&bytes, ID_KEY).and_then(|at| bytes.get(at + ID_KEY.len()..at + ID_KEY.len() + ID_DIGITS));
        let ids_at = id.map_or_else(Vec::new, |id| {
            (0..payload_at)
                .chain(payload_at + payload_bytes..bytes.len())
                .filter(|at| bytes[*at..].starts_with(id))
                .collect()
        });
        Self { ids_at, bytes, payload_at, payload_bytes }
    }

    /// The bytes that deliver `payload` as the how-manyth message.
    pub(crate) fn fill(&mut self, payload: &[u8], number: u64) -> &[u8] {
        let count = payload.len().min(self.payload_bytes);
        self.bytes[self.payload_at..self.payload_at + count].copy_from_slice(&payload[..count]);
        for at in &self.ids_at {
            let mut rest = ID + number;
            for digit in self.bytes[*at..*at + ID_DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.bytes
    }
}

/// A message as the protocol has it.
fn unseen(transport: Transport, payload_bytes: usize) -> Vec<u8> {
    let text = format!("{}{}", char::from(MARK), ".".repeat(payload_bytes.saturating_sub(1)));
    let json = format!(r#"{{"type":"message","room":"bench","id":{ID},"text":"{text}"}}"#);
    match transport {
        Transport::Websocket => {
            let mut frame = Vec::new();
            tidings_websocket::encoder::text(&mut frame, &json);
            frame
        }
        Transport::Sse => format!("id: {ID}\nevent: message\ndata: {json}\n\n").into_bytes(),
        Transport::Poll => polled(&json),
    }
}

/// The answer to an event stream's request; with none seen, the least that there can be.
pub(crate) fn stream_greeting(seen: &[u8]) -> Vec<u8> {
    match seen {
        b"" => b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec(),
        seen => seen.to_vec(),
    }
}

/// The answer to a poll that does not wait.
pub(crate) fn poll_greeting(seen: &[u8]) -> Vec<u8> {
    if seen.is_empty() { polled("") } else { seen.to_vec() }
}

fn polled(data: &str) -> Vec<u8> {
    let session = "0".repeat(32);
    let body = format!(r#"{{"data":[{data}],"cursor":"{ID}","session_id":"{session}"}}"#);
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The answer to a handshake.
#[derive(Debug, Clone)]
pub(crate) struct GreetingTemplate {
    greeting: Vec<u8>,
    accept_at: usize,
}

impl GreetingTemplate {
    /// The answer that was seen; with none seen, the least that RFC 6455 asks for.
    pub(crate) fn new(seen: &[u8]) -> Self {
        let mut greeting = seen.to_vec();
        if greeting.is_empty() {
            greeting = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                .to_vec();
        }
        let lower = greeting.to_ascii_lowercase();
        let accept_at = find(&lower, ACCEPT_NAME).expect("a 101 has its answer") + ACCEPT_NAME.len();
        Self { greeting, accept_at }
    }

    /// The answer to a request's head; `None` if the head has no key.
    pub(crate) fn fill(&mut self, head: &[u8]) -> Option<&[u8]> {
        let key_at = find(&head.to_ascii_lowercase(), KEY_NAME)? + KEY_NAME.len();
        let accept = ClientKey::parse(head.get(key_at..key_at + KEY_BYTES)?)?.accept();
        self.greeting[self.accept_at..self.accept_at + ACCEPT_BYTES]
            .copy_from_slice(accept.as_str().as_bytes());
        Some(&self.greeting)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::payload::Stamp;

    #[test]
    fn a_message_keeps_its_length_and_gets_a_new_id_and_payload_wherever_they_stand() {
        for (transport, ids) in [(Transport::Websocket, 1), (Transport::Sse, 2), (Transport::Poll, 2)] {
            let mut template = MessageTemplate::new(transport, b"", 64);
            let mut payload = Vec::new();
            Stamp { at_ns: 1, sequence: 2, publisher: 3 }.write(&mut payload, 64);
            let first = template.fill(&payload, 0).to_vec();
            let second = template.fill(&payload, 1).to_vec();
            assert_eq!(first.len(), second.len());
            assert!(find(&first, &payload).is_some());
            let count =
                |bytes: &[u8], id: &[u8]| bytes.windows(id.len()).filter(|window| *window == id).count();
            assert_eq!(count(&first, b"1790000000000000"), ids);
            assert_eq!(count(&second, b"1790000000000001"), ids);
            assert_eq!(count(&second, b"1790000000000000"), 0);
        }
    }

    #[test]
    fn the_answer_fits_the_key() {
        let mut template = GreetingTemplate::new(b"");
        let answer = template.fill(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n\r\n");
        assert!(answer.is_none(), "those are no 16 bytes");
        let answer =
            template.fill(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n").unwrap();
        assert!(find(answer, b"Sec-WebSocket-Accept: C/0nmHhBztSRGR1CwL6Tf4ZjwpY=\r\n").is_some());
    }
}

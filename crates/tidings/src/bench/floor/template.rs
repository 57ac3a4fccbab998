//! What the floor server sends: the bytes Tidings was seen sending, with the few places filled in that differ from
//! message to message and from handshake to handshake. Pure.

use tidings_websocket::frame::FrameHeader;
use tidings_websocket::handshake::ClientKey;

use crate::bench::payload::MARK;
use crate::bench::plan::FloorPlan;

const ACCEPT_NAME: &[u8] = b"sec-websocket-accept: ";
const ACCEPT_BYTES: usize = 28;
const KEY_NAME: &[u8] = b"sec-websocket-key: ";
const KEY_BYTES: usize = 24;
const ID_KEY: &[u8] = b"\"id\":";
const ID_DIGITS: usize = 16;

/// A message's frame.
#[derive(Debug, Clone)]
pub(crate) struct MessageTemplate {
    frame: Vec<u8>,
    payload_at: usize,
    payload_bytes: usize,
    id_at: Option<usize>,
    next_id: u64,
}

impl MessageTemplate {
    /// Around the payload of the frame that was seen; with none seen, a frame as `docs/protocol.md` has it.
    pub(crate) fn new(plan: &FloorPlan) -> Self {
        let mut frame = plan.message.clone();
        if frame.is_empty() {
            let text = format!("{}{}", char::from(MARK), ".".repeat(plan.payload_bytes.saturating_sub(1)));
            let json =
                format!(r#"{{"type":"message","room":"bench","id":1790000000000000,"text":"{text}"}}"#);
            tidings_websocket::encoder::text(&mut frame, &json);
        }
        // The header is skipped: the length form of 126 looks like the mark.
        let header_bytes = FrameHeader::parse(&frame).ok().flatten().map_or(0, |parsed| parsed.header_bytes);
        let mark = frame[header_bytes..].iter().position(|byte| *byte == MARK);
        let payload_at = header_bytes + mark.expect("a message carries a stamp");
        let id_at = find(&frame, ID_KEY).map(|at| at + ID_KEY.len());
        Self { frame, payload_at, payload_bytes: plan.payload_bytes, id_at, next_id: 1_790_000_000_000_000 }
    }

    /// The frame that delivers `payload` under the next id.
    pub(crate) fn fill(&mut self, payload: &[u8]) -> &[u8] {
        let count = payload.len().min(self.payload_bytes);
        self.frame[self.payload_at..self.payload_at + count].copy_from_slice(&payload[..count]);
        if let Some(at) = self.id_at {
            let mut rest = self.next_id;
            for digit in self.frame[at..at + ID_DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            self.next_id += 1;
        }
        &self.frame
    }
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
    use crate::bench::plan::Seating;

    #[test]
    fn a_message_keeps_its_length_and_gets_a_new_id_and_payload() {
        let plan = FloorPlan {
            seating: Seating::Shared,
            greeting: Vec::new(),
            message: Vec::new(),
            payload_bytes: 64,
        };
        let mut template = MessageTemplate::new(&plan);
        let mut payload = Vec::new();
        Stamp { at_ns: 1, sequence: 2, publisher: 3 }.write(&mut payload, 64);
        let first = template.fill(&payload).to_vec();
        let second = template.fill(&payload).to_vec();
        assert_eq!(first.len(), second.len());
        assert!(find(&first, &payload).is_some());
        assert!(find(&first, b"\"id\":1790000000000000,").is_some());
        assert!(find(&second, b"\"id\":1790000000000001,").is_some());
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

//! What a browser makes of an event stream: the algorithm of the HTML standard, section 9.2.6.

use tidings_protocol::server::decode;

use crate::client::Seen;

/// See the module.
#[derive(Default)]
pub struct Stream {
    unread: Vec<u8>,
    /// What it would come back with.
    pub last_event_id: String,
    /// When it would come back.
    pub retry_ms: Option<u64>,
    id: String,
    kind: String,
    data: String,
}

impl Stream {
    /// Understands what has arrived.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.unread.extend_from_slice(bytes);
        let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.unread.drain(..=end).collect();
        let whole = String::from_utf8(whole).expect("a stream is text");
        whole.lines().filter_map(|line| self.line(line)).collect()
    }

    fn line(&mut self, line: &str) -> Option<Seen> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" => return Some(Seen::Comment(value.to_owned())),
            "id" => value.clone_into(&mut self.id),
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data += value;
                self.data.push('\n');
            }
            "retry" => self.retry_ms = Some(value.parse().expect("a number")),
            _ => panic!("a field that no browser knows: {line}"),
        }
        None
    }

    fn dispatch(&mut self) -> Option<Seen> {
        self.id.clone_into(&mut self.last_event_id);
        let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if data.is_empty() {
            assert!(kind.is_empty(), "an event without data is never told: {kind}");
            return None;
        }
        let json: serde_json::Value = serde_json::from_str(&data).expect("data is JSON");
        assert_eq!(json["type"], kind, "listeners are chosen by the event's name");
        if kind == "close" {
            let code = json["code"].as_u64().and_then(|code| u16::try_from(code).ok()).expect("a code");
            return Some(Seen::Close(code, json["reason"].as_str().expect("a reason").to_owned()));
        }
        Some(Seen::Frame(decode(&data).expect("a frame of the contract")))
    }
}

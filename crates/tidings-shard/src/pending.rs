//! A request over plain HTTP that waits for its answer.
//!
//! Owned by its connection and boxed there, because most connections wait for none. Refuses
//! messages beyond what a poll asked for.

use tidings_core::PollEnd;
use tidings_protocol::CloseCode;

use crate::head::{Polling, Sending};
use crate::http::Terms;

/// See the module.
#[derive(Debug)]
pub struct Pending {
    /// On which terms it is answered.
    pub terms: Terms,
    /// What it is about.
    pub matter: Matter,
}

/// What a request is about.
#[derive(Debug)]
pub enum Matter {
    /// An event stream; how its answer begins depends on what the client is told first.
    Feed,
    /// A frame whose bytes are not all there.
    Body(Sending),
    /// A frame that was passed on.
    Send,
    /// A long poll.
    Poll(Gathering),
}

/// What a long poll has gathered: frames as JSON, a comma between them.
#[derive(Debug)]
pub struct Gathering {
    json: Vec<u8>,
    frames: usize,
    first_bytes: usize,
    /// The first frame is an error, which has this status if nothing else comes.
    error_status: Option<u16>,
    dismissed: Option<CloseCode>,
    is_list: bool,
    frames_max: usize,
    bytes_max: usize,
    /// How long it waits for the first frame.
    pub timeout_ms: u64,
}

impl Gathering {
    /// Nothing yet. An answer is as large as an outbox, or as its one frame.
    pub fn new(polling: &Polling, outbox_bytes_max: usize) -> Self {
        Self {
            json: Vec::new(),
            frames: 0,
            first_bytes: 0,
            error_status: None,
            dismissed: None,
            is_list: polling.batch.is_some(),
            frames_max: polling.batch.unwrap_or(1),
            bytes_max: outbox_bytes_max,
            timeout_ms: polling.timeout_ms,
        }
    }

    /// Bytes gathered.
    pub const fn len(&self) -> usize {
        self.json.len()
    }

    /// Whether nothing was gathered.
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether there is no room for another message.
    pub const fn is_full(&self) -> bool {
        self.frames >= self.frames_max
            || self.json.len() >= self.bytes_max
            || self.error_status.is_some()
            || self.dismissed.is_some()
    }

    /// Whether there is something to answer.
    pub const fn is_ripe(&self) -> bool {
        !self.is_empty() || self.dismissed.is_some()
    }

    /// Takes a frame if there is room for it; the first one always fits.
    pub fn offer(&mut self, json: &[u8]) -> bool {
        let fits = self.is_empty() || self.json.len() + json.len() <= self.bytes_max;
        if self.is_full() || !fits {
            return false;
        }
        self.add(json);
        true
    }

    /// Takes a frame that must not be lost.
    pub fn add(&mut self, json: &[u8]) {
        match self.frames {
            0 => self.first_bytes = json.len(),
            _ => self.json.push(b','),
        }
        self.json.extend_from_slice(json);
        self.frames += 1;
    }

    /// Takes an error. By itself it is the whole answer; else it is one frame of several.
    pub fn add_error(&mut self, status: u16, json: &[u8]) {
        if self.is_empty() {
            self.error_status = Some(status);
        }
        self.add(json);
    }

    /// Ends the poll where a WebSocket would be closed.
    pub const fn dismiss(&mut self, code: CloseCode) {
        self.dismissed = Some(code);
    }

    /// Why it was sent away, if it was.
    pub const fn dismissed(&self) -> Option<CloseCode> {
        self.dismissed
    }

    /// The answer: its status and its JSON. What was gathered before the client was sent away is
    /// told all the same, as the server takes it for delivered.
    pub fn answer(&self, end: Option<&PollEnd>) -> (u16, Vec<u8>) {
        if let Some(status) = self.error_status.filter(|_| self.frames == 1) {
            return (status, self.json.clone());
        }
        let (first, rest) = self.json.split_at(self.first_bytes);
        let mut out = br#"{"data":"#.to_vec();
        match self.frames {
            _ if self.is_list => {
                out.push(b'[');
                out.extend_from_slice(&self.json);
                out.push(b']');
            }
            0 => out.extend_from_slice(b"null"),
            1 => out.extend_from_slice(first),
            // Only what must not be lost comes beside the one frame that was asked for.
            _ => {
                out.extend_from_slice(first);
                out.extend_from_slice(br#","also":["#);
                out.extend_from_slice(&rest[1..]);
                out.push(b']');
            }
        }
        // Cursors and session ids have no character that JSON would escape.
        let quoted = |word: Option<String>| word.map_or_else(|| "null".into(), |word| format!("\"{word}\""));
        let cursor = quoted(end.and_then(|end| end.cursor.clone()));
        let session = quoted(end.map(|end| end.session.to_string()));
        out.extend_from_slice(format!(r#","cursor":{cursor},"session_id":{session}}}"#).as_bytes());
        (200, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::Introduction;

    fn gathering(batch: Option<usize>) -> Gathering {
        let polling = Polling { introduction: Introduction::default(), batch, timeout_ms: 1 };
        Gathering::new(&polling, 10)
    }

    fn told(gathering: &Gathering) -> (u16, String) {
        let (status, json) = gathering.answer(None);
        (status, String::from_utf8(json).unwrap())
    }

    const END: &str = r#","cursor":null,"session_id":null}"#;

    #[test]
    fn a_poll_takes_as_many_messages_as_it_asked_for() {
        let mut one = gathering(None);
        assert!(one.offer(b"1") && !one.offer(b"2"));
        assert_eq!(told(&one), (200, format!(r#"{{"data":1{END}"#)));
        let mut two = gathering(Some(2));
        assert_eq!(told(&two), (200, format!(r#"{{"data":[]{END}"#)));
        assert!(two.offer(b"1") && two.offer(b"2") && !two.offer(b"3"));
        assert_eq!(told(&two), (200, format!(r#"{{"data":[1,2]{END}"#)));
    }

    #[test]
    fn an_answer_has_its_bound_and_one_message_always_fits() {
        let mut many = gathering(Some(100));
        assert!(many.offer(&[b'1'; 50]) && !many.offer(b"2"));
        assert_eq!(many.len(), 50);
    }

    #[test]
    fn what_must_not_be_lost_comes_beside_the_one_frame() {
        let mut poll = gathering(None);
        assert!(poll.offer(b"1"));
        poll.add(b"2");
        poll.add(b"3");
        assert_eq!(told(&poll), (200, format!(r#"{{"data":1,"also":[2,3]{END}"#)));
    }

    #[test]
    fn an_error_is_the_whole_answer_unless_something_else_must_be_told() {
        let mut poll = gathering(Some(5));
        poll.add_error(403, b"{}");
        assert!(!poll.offer(b"1"), "a message beside an error would be overlooked");
        assert_eq!(told(&poll), (403, "{}".into()));
        poll.add(b"2");
        assert_eq!(told(&poll), (200, format!(r#"{{"data":[{{}},2]{END}"#)));
    }
}

//! A request over plain HTTP that waits for its answer.
//!
//! Owned by its connection, in the box for what it rarely needs, because most connections wait for none. Refuses
//! messages beyond what a poll asked for.

use std::rc::Rc;

use tidings_core::PollEnd;
use tidings_protocol::CloseCode;

use crate::encoding::Frames;
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

/// What a long poll has gathered: frames as JSON.
#[derive(Debug)]
pub struct Gathering {
    /// The first frame, if it is a message: nearly always it is the only one, so it stays where it lies
    /// for all who are told of it.
    shared: Option<Stretch>,
    /// The other frames, a comma behind each but the last.
    json: Vec<u8>,
    frames: usize,
    /// Of the first frame in `json`, if nothing is shared.
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

/// A frame in a batch's bytes.
#[derive(Debug)]
struct Stretch {
    frames: Rc<Frames>,
    start: u32,
    end: u32,
}

impl Stretch {
    fn bytes(&self) -> &[u8] {
        &self.frames.bytes[self.start as usize..self.end as usize]
    }
}

impl Gathering {
    /// Nothing yet. An answer is as large as an outbox, or as its one frame.
    pub fn new(polling: &Polling, outbox_bytes_max: usize) -> Self {
        Self {
            shared: None,
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
    pub fn len(&self) -> usize {
        self.json.len() + self.shared.as_ref().map_or(0, |first| first.bytes().len())
    }

    /// Whether nothing was gathered.
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether there is no room for another message.
    pub fn is_full(&self) -> bool {
        self.frames >= self.frames_max
            || self.len() >= self.bytes_max
            || self.error_status.is_some()
            || self.dismissed.is_some()
    }

    /// Whether there is something to answer.
    pub const fn is_ripe(&self) -> bool {
        !self.is_empty() || self.dismissed.is_some()
    }

    /// Takes a frame if there is room for it; the first one always fits.
    pub fn offer(&mut self, json: &[u8]) -> bool {
        let fits = self.fits(json.len());
        if fits {
            self.add(json);
        }
        fits
    }

    /// The same with one of a batch's frames.
    pub fn offer_message(&mut self, frames: &Rc<Frames>, index: usize) -> bool {
        let stretch =
            Stretch { frames: Rc::clone(frames), start: frames.start(index), end: frames.ends[index] };
        if !self.is_empty() {
            return self.offer(stretch.bytes());
        }
        let fits = self.fits(stretch.bytes().len());
        if fits {
            self.shared = Some(stretch);
            self.frames = 1;
        }
        fits
    }

    fn fits(&self, bytes: usize) -> bool {
        !self.is_full() && (self.is_empty() || self.len() + bytes <= self.bytes_max)
    }

    /// Takes a frame that must not be lost.
    pub fn add(&mut self, json: &[u8]) {
        match (self.frames, self.json.is_empty()) {
            (0, _) => self.first_bytes = json.len(),
            (_, true) => {}
            (_, false) => self.json.push(b','),
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

    /// Appends the answer's JSON and gives its status. What was gathered before the client was sent away is
    /// told all the same, as the server takes it for delivered.
    pub fn write(&self, end: Option<&PollEnd>, out: &mut Vec<u8>) -> u16 {
        let (first, rest) = match &self.shared {
            Some(shared) => (shared.bytes(), self.json.as_slice()),
            None => {
                let (first, rest) = self.json.split_at(self.first_bytes);
                (first, rest.strip_prefix(b",").unwrap_or(rest))
            }
        };
        if let Some(status) = self.error_status.filter(|_| self.frames == 1) {
            out.extend_from_slice(first);
            return status;
        }
        out.extend_from_slice(br#"{"data":"#);
        match self.frames {
            _ if self.is_list => {
                out.push(b'[');
                out.extend_from_slice(first);
                if !rest.is_empty() {
                    out.push(b',');
                    out.extend_from_slice(rest);
                }
                out.push(b']');
            }
            0 => out.extend_from_slice(b"null"),
            1 => out.extend_from_slice(first),
            // Only what must not be lost comes beside the one frame that was asked for.
            _ => {
                out.extend_from_slice(first);
                out.extend_from_slice(br#","also":["#);
                out.extend_from_slice(rest);
                out.push(b']');
            }
        }
        out.extend_from_slice(br#","cursor":"#);
        write_word(out, end.and_then(|end| end.cursor.as_deref()).map(str::as_bytes));
        out.extend_from_slice(br#","session_id":"#);
        write_word(out, end.map(|end| end.session.to_digits()).as_ref().map(<[u8; 32]>::as_slice));
        out.push(b'}');
        200
    }
}

/// Cursors and session ids have no character that JSON would escape.
fn write_word(out: &mut Vec<u8>, word: Option<&[u8]>) {
    let Some(word) = word else { return out.extend_from_slice(b"null") };
    out.push(b'"');
    out.extend_from_slice(word);
    out.push(b'"');
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
        let mut json = Vec::new();
        let status = gathering.write(None, &mut json);
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
    fn messages_and_what_else_is_told_stand_in_the_order_in_which_they_came() {
        let frames = Rc::new(Frames { bytes: b"12345".to_vec(), ends: [1, 3, 5].as_slice().into() });
        let mut list = gathering(Some(9));
        assert!((0..3).all(|index| list.offer_message(&frames, index)));
        list.add(b"6");
        assert_eq!((list.len(), told(&list)), (8, (200, format!(r#"{{"data":[1,23,45,6]{END}"#))));
        let mut list = gathering(Some(9));
        list.add(b"0");
        assert!(list.offer_message(&frames, 1) && list.offer(b"4"));
        assert_eq!(told(&list), (200, format!(r#"{{"data":[0,23,4]{END}"#)));
        let mut one = gathering(None);
        assert!(one.offer_message(&frames, 1) && !one.offer_message(&frames, 2));
        one.add(b"6");
        one.add(b"7");
        assert_eq!(told(&one), (200, format!(r#"{{"data":23,"also":[6,7]{END}"#)));
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

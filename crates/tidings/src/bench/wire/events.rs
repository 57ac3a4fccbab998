//! Server-sent events, as far as Tidings sends them: whole events at the front of some bytes. Pure. Fields and line ends
//! that the server has no reason to send are refused.

use std::io;

use super::wrong;

/// The whole events at the front of some bytes, in order.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    bytes: &'a [u8],
    consumed: usize,
}

/// One event; what it does not say is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) data: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Events<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, consumed: 0 }
    }

    /// How many bytes the events returned so far took.
    pub(crate) fn consumed(&self) -> usize {
        self.consumed
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = io::Result<Event<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.consumed;
        let mut event = Event::default();
        let mut line_start = start;
        loop {
            let length = self.bytes[line_start..].iter().position(|byte| *byte == b'\n')?;
            let line = &self.bytes[line_start..line_start + length];
            line_start += length + 1;
            if line.is_empty() {
                event.whole = &self.bytes[start..line_start];
                self.consumed = line_start;
                return Some(Ok(event));
            }
            if !event.take(line) {
                return Some(Err(wrong("an event stream has a line that is none of its fields")));
            }
        }
    }
}

impl<'a> Event<'a> {
    /// Whether it is a line the server may send. Benchmark messages have one line of data.
    fn take(&mut self, line: &'a [u8]) -> bool {
        let fields =
            [(b"data: ".as_slice(), &mut self.data), (b"id: ", &mut self.id), (b"event: ", &mut self.kind)];
        for (name, value) in fields {
            if let Some(rest) = line.strip_prefix(name) {
                let is_first = value.is_empty();
                *value = rest;
                return is_first;
            }
        }
        line.starts_with(b":") || line.starts_with(b"retry: ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"retry: 5000\n\nevent: joined\ndata: {}\n\n:\n\nid: 7\nevent: message\ndata: {\"a\":1}\n\n";

    #[test]
    fn events_are_found_whole_and_the_unfinished_one_is_left() {
        let mut events = Events::new(STREAM);
        let all: Vec<Event<'_>> = events.by_ref().map(Result::unwrap).collect();
        let read: Vec<_> = all.iter().map(|event| (event.id, event.kind, event.data)).collect();
        let nothing = b"".as_slice();
        let message = (b"7".as_slice(), b"message".as_slice(), b"{\"a\":1}".as_slice());
        let joined = (nothing, b"joined".as_slice(), b"{}".as_slice());
        assert_eq!(read, [(nothing, nothing, nothing), joined, (nothing, nothing, nothing), message]);
        assert_eq!(events.consumed(), STREAM.len());
        let mut cut = Events::new(&STREAM[..STREAM.len() - 1]);
        assert_eq!(cut.by_ref().count(), 3);
        assert_eq!(cut.consumed(), STREAM.len() - all[3].whole.len());
    }

    #[test]
    fn a_line_that_is_no_field_or_comes_twice_is_noticed() {
        for wrong in [b"datum: 1\n\n".as_slice(), b"id: 1\nid: 2\n\n", b"HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(Events::new(wrong).any(|event| event.is_err()), "{}", wrong.escape_ascii());
        }
    }
}

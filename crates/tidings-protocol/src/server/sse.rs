//! Server-sent events: the text of an event stream, as browsers read it (WHATWG HTML, section 9.2).
//!
//! Owned by whoever holds the buffer. Refuses to know which id an event has: one encoded event is
//! shared by readers of one room, whose ids are message ids, and readers of several, whose ids are
//! cursors. So the `id` line comes first, written for each reader with [`id`], and what follows it
//! is the same for all.
//!
//! Names and ids must have no line break: they are the server's own words, and a line break in one
//! would forge fields.

use std::io::Write as _;

use super::{ServerFrame, encode_message};
use crate::message::Message;

/// Appends an event. Data of several lines becomes several `data` lines; the reader joins them with
/// `\n`, whichever line breaks they had.
pub fn event(out: &mut Vec<u8>, kind: &str, event_id: Option<&str>, data: &[u8]) {
    if let Some(event_id) = event_id {
        id(out, event_id);
    }
    field(out, b"event", kind);
    lines(out, b"data: ", data);
    out.push(b'\n');
}

/// Appends the event of a server frame, without an id.
pub fn frame_event(frame: &ServerFrame<'_>, out: &mut Vec<u8>) {
    encoded(out, frame.kind(), |out| frame.encode(out));
}

/// Appends the event of a room's message, without an id: the bytes that all readers share.
pub fn message_event(message: &Message, out: &mut Vec<u8>) {
    encoded(out, "message", |out| encode_message(message, out));
}

/// Appends an `id` line, which belongs to the event that is appended next.
pub fn id(out: &mut Vec<u8>, id: &str) {
    field(out, b"id", id);
}

/// Appends a block that moves the reader's last event id and dispatches nothing.
pub fn id_only(out: &mut Vec<u8>, event_id: &str) {
    id(out, event_id);
    out.push(b'\n');
}

/// Appends how long the reader waits before it reconnects.
pub fn retry(out: &mut Vec<u8>, after_ms: u64) {
    write!(out, "retry: {after_ms}\n\n").expect("a Vec takes it");
}

/// Appends a comment, which readers skip and proxies count as a sign of life.
pub fn comment(out: &mut Vec<u8>, text: &str) {
    lines(out, b": ", text.as_bytes());
    out.push(b'\n');
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    debug_assert!(!value.contains(['\r', '\n', '\0']), "a name or id of the server's own");
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// An event whose data is encoded in place and looked at afterwards: only `data` of a publisher who
/// formats its JSON has line breaks.
fn encoded(out: &mut Vec<u8>, kind: &str, encode: impl FnOnce(&mut Vec<u8>)) {
    field(out, b"event", kind);
    let start = out.len();
    out.extend_from_slice(b"data: ");
    let data = out.len();
    encode(out);
    if out[data..].iter().any(|byte| is_break(*byte)) {
        let text = out.split_off(data);
        out.truncate(start);
        lines(out, b"data: ", &text);
    } else {
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// Each line of a text, led in; `\r\n`, `\n` and `\r` end a line.
fn lines(out: &mut Vec<u8>, lead: &[u8], mut text: &[u8]) {
    loop {
        let end = text.iter().position(|byte| is_break(*byte));
        out.extend_from_slice(lead);
        out.extend_from_slice(&text[..end.unwrap_or(text.len())]);
        out.push(b'\n');
        let Some(end) = end else { return };
        let is_pair = text[end..].starts_with(b"\r\n");
        text = &text[end + if is_pair { 2 } else { 1 }..];
    }
}

const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::server::{Received, decode};
    use crate::{Limits, MessageId, Payload, RoomName};

    /// What a reader of the stream has: the algorithm of the specification, step by step.
    #[derive(Debug, Default)]
    struct Reader {
        last_event_id: String,
        retry_ms: Option<u64>,
        /// Kind and data of each event dispatched.
        events: Vec<(String, String)>,
        kind: String,
        data: String,
    }

    impl Reader {
        fn of(stream: &[u8]) -> Self {
            let stream = std::str::from_utf8(stream).unwrap().replace("\r\n", "\n").replace('\r', "\n");
            let mut reader = Self::default();
            for line in stream.strip_suffix('\n').expect("the last line is ended").split('\n') {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                reader.line(line.is_empty(), name, value.strip_prefix(' ').unwrap_or(value));
            }
            assert!(reader.data.is_empty() && reader.kind.is_empty(), "the last event is ended");
            reader
        }

        fn line(&mut self, is_end: bool, name: &str, value: &str) {
            match name {
                _ if is_end => self.dispatch(),
                "event" => value.clone_into(&mut self.kind),
                "data" => {
                    self.data.push_str(value);
                    self.data.push('\n');
                }
                "id" if !value.contains('\0') => value.clone_into(&mut self.last_event_id),
                "retry" => self.retry_ms = value.parse().ok(),
                _ => {}
            }
        }

        fn dispatch(&mut self) {
            let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
            if data.pop().is_some() {
                self.events.push((kind, data));
            }
        }
    }

    fn message(payload: Payload) -> Message {
        Message {
            room: RoomName::new("r", &Limits::default()).unwrap(),
            id: MessageId(12),
            prev: MessageId(11),
            user: None,
            key: None,
            payload,
            stored_at_ms: 0,
        }
    }

    fn stream(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_its_id_its_type_and_its_data() {
        let text = stream(|out| event(out, "gap", Some("7"), b"{}"));
        assert_eq!(text, "id: 7\nevent: gap\ndata: {}\n\n");
        let text = stream(|out| event(out, "gap", None, b""));
        assert_eq!(text, "event: gap\ndata: \n\n");
    }

    #[test]
    fn readers_of_one_room_and_of_several_share_what_follows_the_id() {
        let shared = stream(|out| message_event(&message(Payload::Text("a\nb".into())), out));
        let json = r#"{"type":"message","room":"r","id":12,"text":"a\nb"}"#;
        assert_eq!(shared, format!("event: message\ndata: {json}\n\n"));
        let one = stream(|out| id(out, "12")) + &shared;
        let several = stream(|out| id(out, "AQ")) + &shared;
        assert_eq!(Reader::of(one.as_bytes()).last_event_id, "12");
        assert_eq!(Reader::of(several.as_bytes()).last_event_id, "AQ");
        assert_eq!(Reader::of(several.as_bytes()).events, [("message".to_owned(), json.to_owned())]);
    }

    #[test]
    fn a_frame_is_an_event_of_its_type() {
        let text = stream(|out| frame_event(&ServerFrame::ServerRestart { reconnect_after_ms: 5 }, out));
        assert_eq!(
            text,
            "event: server_restart\ndata: {\"type\":\"server_restart\",\"reconnect_after_ms\":5}\n\n"
        );
    }

    #[test]
    fn data_formatted_over_several_lines_arrives_with_the_same_meaning() {
        let json = "{\r\n \"a\":\r1,\n\"b\":[]}";
        let sent = message(Payload::Data(RawValue::from_string(json.into()).unwrap()));
        let text = stream(|out| message_event(&sent, out));
        let reader = Reader::of(text.as_bytes());
        let Received::Message(body) = decode(&reader.events[0].1).unwrap() else { panic!("it is a message") };
        let Payload::Data(data) = body.payload else { panic!("it is data") };
        assert_eq!(data.get(), "{\n \"a\":\n1,\n\"b\":[]}");
    }

    #[test]
    fn an_id_alone_moves_the_reader_and_dispatches_nothing() {
        let text = stream(|out| id_only(out, "9"));
        let reader = Reader::of(text.as_bytes());
        assert_eq!((reader.last_event_id.as_str(), reader.events.len()), ("9", 0));
    }

    #[test]
    fn a_pause_and_a_comment_dispatch_nothing() {
        let text = stream(|out| {
            retry(out, 5_000);
            comment(out, "ping\nevent: forged\r\rdata: too");
        });
        let reader = Reader::of(text.as_bytes());
        assert_eq!((reader.retry_ms, reader.events.len()), (Some(5_000), 0));
    }

    proptest! {
        #[test]
        fn any_data_arrives_whole_but_for_its_line_breaks(data in "[\\r\\n :a]{0,12}|.{0,20}") {
            let text = stream(|out| {
                event(out, "message", Some("1"), data.as_bytes());
                event(out, "pong", None, b"end");
            });
            let reader = Reader::of(text.as_bytes());
            let wanted = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(reader.last_event_id, "1");
            prop_assert_eq!(reader.events, [("message".to_owned(), wanted), ("pong".to_owned(), "end".to_owned())]);
        }
    }
}

//! What a server frame tells a client that keeps its place. Pure. Refuses frames that lack what their type has.

use std::borrow::Cow;
use std::io;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bench::payload::Stamp;
use crate::bench::wire::wrong;

/// What a client makes of a frame.
#[derive(Debug, PartialEq)]
pub(super) enum Told<'a> {
    Session {
        id: &'a str,
        resumed: bool,
    },
    /// The client stands here, after these. Where not everything was recovered, a gap follows that says what was not.
    Place {
        messages: Vec<&'a str>,
        position: u64,
        recovered: bool,
    },
    Message {
        room: Cow<'a, str>,
        id: u64,
        stamp: Stamp,
    },
    Gap,
    /// Nothing that moves a client.
    Other,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    room: Option<Cow<'a, str>>,
    id: Option<u64>,
    text: Option<&'a str>,
    session_id: Option<&'a str>,
    resumed: Option<bool>,
    last_message_id: Option<u64>,
    recovered: Option<bool>,
    #[serde(borrow, default)]
    messages: Vec<&'a RawValue>,
}

impl<'a> Told<'a> {
    pub(super) fn read(json: &'a [u8]) -> io::Result<Self> {
        let told = || {
            let frame: Frame<'a> = serde_json::from_slice(json).ok()?;
            Some(match frame.kind.as_ref() {
                "session" => Self::Session { id: frame.session_id?, resumed: frame.resumed? },
                "joined" | "restore" => Self::Place {
                    messages: frame.messages.into_iter().map(RawValue::get).collect(),
                    position: frame.last_message_id?,
                    recovered: frame.recovered.unwrap_or(true),
                },
                "message" => Self::Message {
                    room: frame.room?,
                    id: frame.id?,
                    stamp: Stamp::read(frame.text?.as_bytes())?,
                },
                "gap" => Self::Gap,
                "error" | "close" => return None,
                _ => Self::Other,
            })
        };
        told().ok_or_else(|| wrong(&format!("a client cannot use {}", String::from_utf8_lossy(json))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_what_moves_a_client() {
        let restore = br#"{"type":"restore","room":"a","messages":[{"type":"gap"}],"last_message_id":7,"recovered":true}"#;
        let place = Told::Place { messages: vec![r#"{"type":"gap"}"#], position: 7, recovered: true };
        assert_eq!(Told::read(restore).unwrap(), place);
        assert_eq!(Told::read(br#"{"type":"gap","room":"a"}"#).unwrap(), Told::Gap);
        assert_eq!(Told::read(br#"{"type":"pong"}"#).unwrap(), Told::Other);
    }

    #[test]
    fn a_refusal_and_a_message_without_its_id_are_no_use() {
        assert!(Told::read(br#"{"type":"error","code":"rate_limited"}"#).is_err());
        assert!(Told::read(br#"{"type":"message","room":"a","text":"~"}"#).is_err());
    }
}

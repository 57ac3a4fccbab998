//! What a server frame tells a client that keeps its place. Pure. Refuses frames that lack what their type has.

use std::borrow::Cow;
use std::io;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_protocol::proto::v1::server_frame::Frame;
use tidings_protocol::proto::v1::{self, message};

use crate::bench::payload::Stamp;
use crate::bench::wire::wrong;

/// What a client makes of a frame.
#[derive(Debug, PartialEq)]
pub(in crate::bench) enum Told<'a> {
    Session {
        id: &'a str,
        resumed: bool,
    },
    /// The client stands here, after these. Where not everything was recovered, a gap follows that says what was not.
    Place {
        messages: Vec<Self>,
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
struct JsonFrame<'a> {
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
    pub(in crate::bench) fn read(json: &'a [u8]) -> io::Result<Self> {
        let told = || {
            let frame: JsonFrame<'a> = serde_json::from_slice(json).ok()?;
            Some(match frame.kind.as_ref() {
                "session" => Self::Session { id: frame.session_id?, resumed: frame.resumed? },
                "joined" | "restore" => Self::Place {
                    messages: frame
                        .messages
                        .into_iter()
                        .map(|message| Self::read(message.get().as_bytes()).ok())
                        .collect::<Option<_>>()?,
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

    /// Reads the same from protobuf.
    pub(in crate::bench) fn of(frame: &'a v1::ServerFrame) -> io::Result<Self> {
        let place = |messages: &'a [v1::Message], position, recovered| {
            let messages = messages.iter().map(Self::of_message).collect::<Option<_>>()?;
            Some(Self::Place { messages, position, recovered })
        };
        // One of no kind that is known is from a newer server.
        let Some(known) = &frame.frame else { return Ok(Self::Other) };
        let told = || match known {
            Frame::Session(session) => {
                Some(Self::Session { id: &session.session_id, resumed: session.resumed })
            }
            Frame::Joined(joined) => place(&[], joined.last_message_id, joined.recovered.unwrap_or(true)),
            Frame::Restore(restore) => place(&restore.messages, restore.last_message_id, restore.recovered),
            Frame::Message(message) => Self::of_message(message),
            Frame::Gap(_) => Some(Self::Gap),
            Frame::Error(_) => None,
            _ => Some(Self::Other),
        };
        told().ok_or_else(|| wrong(&format!("a client cannot use {known:?}")))
    }

    fn of_message(message: &'a v1::Message) -> Option<Self> {
        let Some(message::Payload::Text(text)) = &message.payload else { return None };
        let stamp = Stamp::read(text.as_bytes())?;
        Some(Self::Message { room: message.room.as_str().into(), id: message.id, stamp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_what_moves_a_client() {
        let restore = br#"{"type":"restore","room":"a","messages":[{"type":"gap"}],"last_message_id":7,"recovered":true}"#;
        let place = Told::Place { messages: vec![Told::Gap], position: 7, recovered: true };
        assert_eq!(Told::read(restore).unwrap(), place);
        assert_eq!(Told::read(br#"{"type":"gap","room":"a"}"#).unwrap(), Told::Gap);
        assert_eq!(Told::read(br#"{"type":"pong"}"#).unwrap(), Told::Other);
    }

    #[test]
    fn a_refusal_and_a_message_without_its_id_are_no_use() {
        assert!(Told::read(br#"{"type":"error","code":"rate_limited"}"#).is_err());
        assert!(Told::read(br#"{"type":"message","room":"a","text":"~"}"#).is_err());
    }

    #[test]
    fn protobuf_tells_the_same() {
        let frame = |frame| v1::ServerFrame { frame: Some(frame), r#ref: None };
        let joined =
            frame(Frame::Joined(v1::Joined { room: "a".into(), last_message_id: 7, recovered: Some(false) }));
        let place = Told::Place { messages: Vec::new(), position: 7, recovered: false };
        assert_eq!(Told::of(&joined).unwrap(), place);
        for other in [frame(Frame::Pong(v1::Pong {})), v1::ServerFrame::default()] {
            assert_eq!(Told::of(&other).unwrap(), Told::Other);
        }
        assert!(Told::of(&frame(Frame::Error(v1::Error::default()))).is_err());
        assert!(Told::of(&frame(Frame::Message(v1::Message::default()))).is_err());
    }
}

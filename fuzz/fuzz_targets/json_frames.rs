//! Any text from a client: the decoder never panics, tells chat from frames as a plain JSON reader does, keeps its
//! limits, and whatever message it takes reaches other clients unchanged.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tidings_protocol::client::{self, ClientFrame, Decoded, Hello, Said};
use tidings_protocol::server::{self, Received, ServerFrame};
use tidings_protocol::{Limits, Message, MessageId, Payload, RoomName};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let limits = Limits { rooms_per_connection_max: 4, reference_bytes_max: 16, ..Limits::default() };
    let is_object = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text).is_ok();
    for decoded in [client::decode(text, &limits), client::decode_first(text, &limits)] {
        match decoded {
            Decoded::Chat(chat) => assert_eq!(chat, text),
            Decoded::Refused(error) => {
                assert!(is_object);
                assert!(!error.message.is_empty());
                assert!(error.reference.is_none_or(|reference| reference.len() <= limits.reference_bytes_max));
            }
            Decoded::Frame(frame) => {
                assert!(is_object);
                check(frame, &limits);
            }
        }
    }
    // A client reads whatever a server sends it.
    let _ = server::decode(text);
});

fn check(frame: ClientFrame<'_>, limits: &Limits) {
    match frame {
        ClientFrame::Hello(Hello { rooms, positions, .. }) => {
            assert!(rooms.len() <= limits.rooms_per_connection_max);
            assert!(positions.len() <= limits.rooms_per_connection_max);
            assert!(positions.iter().all(|(_, id)| id.0 < MessageId::LIMIT));
        }
        ClientFrame::Join { last_message_id, .. } => assert!(last_message_id.is_none_or(|id| id.0 < MessageId::LIMIT)),
        ClientFrame::Message { payload, key, .. } => deliver(payload, key.as_deref()),
        _ => {}
    }
}

fn deliver(said: Said<'_>, key: Option<&str>) {
    let payload = match said {
        Said::Text(text) => Payload::Text((&*text).into()),
        Said::Data(json) => {
            assert!(!client::is_too_deep(json.get()));
            Payload::Data(json.to_owned())
        }
        Said::Binary(_) => panic!("JSON has no bytes"),
    };
    let message = Message {
        room: RoomName::new("r", &Limits::default()).expect("a valid name"),
        id: MessageId(1),
        prev: MessageId::ZERO,
        user: None,
        key: key.map(Into::into),
        payload,
        stored_at_ms: 0,
    };
    let mut out = Vec::new();
    ServerFrame::Message(&message).encode(&mut out);
    assert_eq!(read(&out), Received::Message(body(&message)));

    let (room, messages) = (message.room.clone(), [Arc::new(message)]);
    out.clear();
    ServerFrame::History { room: &room, messages: &messages, complete: true, reference: None }.encode(&mut out);
    let Received::History(history) = read(&out) else { panic!("it is a history") };
    assert_eq!(history.messages, [body(&messages[0])]);
}

fn read(frame: &[u8]) -> Received {
    server::decode(std::str::from_utf8(frame).expect("frames are UTF-8")).expect("the server writes what clients read")
}

fn body(message: &Message) -> server::MessageBody {
    server::MessageBody {
        room: message.room.as_str().into(),
        id: message.id.0,
        user_id: None,
        key: message.key.as_deref().map(Into::into),
        payload: message.payload.clone(),
    }
}

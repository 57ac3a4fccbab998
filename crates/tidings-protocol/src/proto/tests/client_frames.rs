//! What clients say, written both ways and read into one meaning.

use proptest::option;
use proptest::prelude::*;
use prost::Message as _;

use crate::client::{self, ClientFrame, Decoded, FrameError, Said};
use crate::proto::v1::client_frame::Frame;
use crate::proto::v1::{self, publication, publish_request};
use crate::proto::{decode, parse, publish, subscribe};
use crate::{ErrorCode, Limits, MessageId};

fn limits() -> Limits {
    Limits {
        rooms_per_connection_max: 3,
        reference_bytes_max: 4,
        room_name_bytes_max: 4,
        user_id_bytes_max: 4,
        ..Limits::default()
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, FrameError>) -> ErrorCode {
    result.expect_err("it is to be refused").code
}

fn message(payload: Option<publication::Payload>) -> v1::ClientFrame {
    let publication = v1::Publication { payload, ..Default::default() };
    v1::ClientFrame { frame: Some(Frame::Message(publication)), r#ref: Some("1".into()) }
}

/// A JSON frame, field by field.
#[derive(Default)]
struct Json(String);

impl Json {
    fn of(kind: &str) -> Self {
        Self(format!("{{\"type\":\"{kind}\""))
    }

    fn raw(mut self, name: &str, json: Option<impl ToString>) -> Self {
        if let Some(json) = json {
            self.0 += &format!(",\"{name}\":{}", json.to_string());
        }
        self
    }

    fn string(self, name: &str, text: Option<&str>) -> Self {
        self.raw(name, text.map(quoted))
    }

    fn end(self) -> String {
        self.0 + "}"
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The frame in JSON; `None` for bytes, which JSON frames cannot have.
fn json(frame: &v1::ClientFrame) -> Option<String> {
    let room = |kind, room: &Option<String>| Json::of(kind).string("room", room.as_deref());
    let json = match frame.frame.as_ref() {
        None => Json::of("nonsense"),
        Some(Frame::Message(message)) => {
            let json = room("message", &message.room).string("key", message.key.as_deref());
            match &message.payload {
                None => json,
                Some(publication::Payload::Text(text)) => json.string("text", Some(text)),
                Some(publication::Payload::Data(data)) => json.raw("data", Some(data)),
                Some(publication::Payload::Binary(_)) => return None,
            }
        }
        Some(Frame::Join(join)) => {
            Json::of("join").string("room", Some(&join.room)).raw("last_message_id", join.last_message_id)
        }
        Some(Frame::Leave(leave)) => room("leave", &leave.room),
        Some(Frame::TypingStart(typing)) => room("typing_start", &typing.room),
        Some(Frame::TypingStop(typing)) => room("typing_stop", &typing.room),
        Some(Frame::Ping(_)) => Json::of("ping"),
        Some(Frame::History(history)) => {
            room("history", &history.room).raw("after", Some(history.after)).raw("limit", history.limit)
        }
        Some(Frame::Presence(presence)) => {
            room("presence", &presence.room).string("after", presence.after.as_deref())
        }
        Some(Frame::Hello(hello)) => hello_json(hello),
        Some(Frame::Refresh(refresh)) => Json::of("refresh").string("token", Some(&refresh.token)),
        Some(Frame::RestartAck(_)) => Json::of("restart_ack"),
        Some(Frame::RehearseRestart(_)) => Json::of("rehearse_restart"),
    };
    Some(json.string("ref", frame.r#ref.as_deref()).end())
}

fn hello_json(hello: &v1::Hello) -> Json {
    let rooms: Vec<_> = hello.rooms.iter().map(|room| quoted(room)).collect();
    let positions: Vec<_> = hello
        .positions
        .iter()
        .map(|position| format!("{}:{}", quoted(&position.room), position.last_message_id))
        .collect();
    Json::of("hello")
        .string("token", hello.token.as_deref())
        .string("user_id", hello.user_id.as_deref())
        .raw("rooms", Some(format!("[{}]", rooms.join(","))))
        .string("session_id", hello.session_id.as_deref())
        .raw("attempt", hello.attempt)
        .raw("last_message_id", hello.last_message_id)
        .raw("positions", Some(format!("{{{}}}", positions.join(","))))
}

/// Names that are good, and such as are refused.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![20 => "[a-cé]{1,2}", 1 => Just("a\n".to_owned()), 2 => "[a-c\\\\\"]{0,6}"]
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..MessageId::LIMIT, 1 => MessageId::LIMIT - 1..=MessageId::LIMIT, 1 => any::<u64>()]
}

fn payload() -> impl Strategy<Value = publication::Payload> {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let data = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        Just("null".to_owned()),
        Just("{ \"a\" : [1.0, \"\\ud83d\"] }".to_owned()),
        (client::DATA_DEPTH_MAX - 1..client::DATA_DEPTH_MAX + 2).prop_map(deep),
    ];
    prop_oneof![
        any::<String>().prop_map(publication::Payload::Text),
        data.prop_map(publication::Payload::Data),
        any::<Vec<u8>>().prop_map(publication::Payload::Binary),
    ]
}

fn hello() -> impl Strategy<Value = v1::Hello> {
    let position = (name(), id()).prop_map(|(room, last_message_id)| v1::Position { room, last_message_id });
    (
        option::of(any::<String>()),
        option::of(name()),
        prop::collection::vec(name(), 0..6),
        option::of("[0-9a-f]{32}|[0-9a-z]{0,32}"),
        option::of(any::<u64>()),
        option::of(id()),
        prop::collection::vec(position, 0..5),
    )
        .prop_map(|(token, user_id, rooms, session_id, attempt, last_message_id, positions)| v1::Hello {
            token,
            user_id,
            rooms,
            session_id,
            attempt,
            last_message_id,
            positions,
        })
}

fn frame() -> impl Strategy<Value = v1::ClientFrame> {
    let room = || option::of(name());
    let frame = prop_oneof![
        (room(), option::of(payload()), room())
            .prop_map(|(room, payload, key)| Frame::Message(v1::Publication { room, payload, key })),
        (name(), option::of(id()))
            .prop_map(|(room, last_message_id)| Frame::Join(v1::Join { room, last_message_id })),
        room().prop_map(|room| Frame::Leave(v1::Leave { room })),
        room().prop_map(|room| Frame::TypingStart(v1::Typing { room })),
        room().prop_map(|room| Frame::TypingStop(v1::Typing { room })),
        Just(Frame::Ping(v1::Ping {})),
        (room(), id(), option::of(any::<u32>()))
            .prop_map(|(room, after, limit)| Frame::History(v1::HistoryRequest { room, after, limit })),
        (room(), room()).prop_map(|(room, after)| Frame::Presence(v1::PresenceRequest { room, after })),
        hello().prop_map(Frame::Hello),
        any::<String>().prop_map(|token| Frame::Refresh(v1::Refresh { token })),
        Just(Frame::RestartAck(v1::RestartAck {})),
        Just(Frame::RehearseRestart(v1::RehearseRestart {})),
    ];
    (option::weighted(0.95, frame), option::of(name()))
        .prop_map(|(frame, r#ref)| v1::ClientFrame { frame, r#ref })
}

#[test]
fn bytes_are_published_as_they_are() {
    let sent = message(Some(publication::Payload::Binary(vec![0, 255])));
    let frame = decode(&sent, &limits()).unwrap();
    let ClientFrame::Message { payload: Said::Binary(bytes), reference, .. } = frame else {
        panic!("it is bytes")
    };
    assert_eq!((bytes, reference.as_deref()), (&[0, 255][..], Some("1")));
}

#[test]
fn data_that_is_no_json_is_refused_with_the_ref() {
    for data in ["", "{", "1 2", "nul", "{\"a\":}"] {
        let sent = message(Some(publication::Payload::Data(data.into())));
        let error = decode(&sent, &limits()).unwrap_err();
        assert_eq!((error.code, error.reference.as_deref()), (ErrorCode::BadFrame, Some("1")), "{data}");
    }
}

#[test]
fn a_frame_of_a_newer_client_is_of_unknown_type() {
    // Field 99, a string, and the ref.
    let newer = parse(&[0x9a, 0x06, 1, b'x', 0x7a, 1, b'7']).unwrap();
    let error = decode(&newer, &limits()).unwrap_err();
    assert_eq!((error.code, error.reference.as_deref()), (ErrorCode::UnknownType, Some("7")));
}

#[test]
fn bytes_that_are_no_frame_are_refused() {
    for bytes in [&[0xff][..], b"{\"type\":\"ping\"}", &[0x0a, 5, 0], &[0x7a, 1, 0xff]] {
        assert_eq!(refusal(parse(bytes)), ErrorCode::BadFrame, "{bytes:?}");
    }
}

#[test]
fn a_publication_without_a_session_is_checked_like_one_within() {
    let good = v1::PublishRequest {
        room: "r".into(),
        payload: Some(publish_request::Payload::Data("[1]".into())),
        key: Some("k".into()),
        user_id: Some("ana".into()),
        idempotency_key: Some("7".into()),
    };
    let read = publish(&good, &limits()).unwrap();
    assert!(matches!(read.payload, Said::Data(json) if json.get() == "[1]"));
    assert_eq!((read.room.as_str(), read.user_id.unwrap().as_str()), ("r", "ana"));
    assert_eq!((read.key.as_deref(), read.idempotency_key.as_deref()), (Some("k"), Some("7")));

    let bad = Some("\n".to_owned());
    for (request, code) in [
        (v1::PublishRequest { room: String::new(), ..good.clone() }, ErrorCode::BadRoom),
        (v1::PublishRequest { payload: None, ..good.clone() }, ErrorCode::BadFrame),
        (v1::PublishRequest { key: bad.clone(), ..good.clone() }, ErrorCode::BadRef),
        (v1::PublishRequest { user_id: bad.clone(), ..good.clone() }, ErrorCode::BadUser),
        (v1::PublishRequest { idempotency_key: bad, ..good.clone() }, ErrorCode::BadRef),
    ] {
        assert_eq!(refusal(publish(&request, &limits())), code, "{request:?}");
    }
}

proptest! {
    #[test]
    fn json_and_protobuf_frames_mean_the_same(sent in frame()) {
        let frame = parse(&sent.encode_to_vec()).unwrap();
        prop_assert_eq!(&frame, &sent);
        let Some(text) = json(&frame) else { return Ok(()) };
        let from_protobuf: Decoded<'_> = decode(&frame, &limits()).into();
        let from_json = client::decode(&text, &limits());
        prop_assert_eq!(format!("{from_protobuf:?}"), format!("{from_json:?}"), "{}", text);
    }

    #[test]
    fn a_request_to_listen_means_what_a_hello_means(mut hello in hello()) {
        (hello.token, hello.last_message_id) = (None, None);
        let v1::Hello { user_id, rooms, session_id, attempt, positions, .. } = hello.clone();
        let request = v1::SubscribeRequest { rooms, positions, user_id, session_id, attempt };
        let frame = v1::ClientFrame { frame: Some(Frame::Hello(hello)), r#ref: None };
        let as_frame = subscribe(&request, &limits()).map(ClientFrame::Hello);
        prop_assert_eq!(format!("{:?}", as_frame), format!("{:?}", decode(&frame, &limits())));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(frame) = parse(&bytes) {
            let _ = decode(&frame, &limits());
        }
    }
}

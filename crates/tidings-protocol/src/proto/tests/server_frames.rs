//! What the server says, written both ways and read into one meaning.

use std::sync::Arc;

use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::value::RawValue;

use crate::proto::v1::{self, message, server_frame::Frame};
use crate::server::{self, MessageBody, Received};
use crate::{
    ErrorCode, GapReason, Limits, Message, MessageId, Payload, RoomName, ServerFrame, SessionId, UserId,
};

/// What a client understands from a protobuf frame: the same as from JSON.
fn received(v1::ServerFrame { frame, r#ref: reference }: v1::ServerFrame) -> Received {
    match frame.expect("the server sends no empty frames") {
        Frame::Message(message) => Received::Message(body(message)),
        Frame::Ack(v1::Ack { room, id }) => Received::Ack(server::Ack { reference, room, id }),
        Frame::UserTyping(event) => Received::UserTyping(about(event)),
        Frame::UserStoppedTyping(event) => Received::UserStoppedTyping(about(event)),
        Frame::UserJoined(event) => Received::UserJoined(about(event)),
        Frame::UserLeft(event) => Received::UserLeft(about(event)),
        Frame::PresenceChanged(v1::PresenceChanged { room, users, joined, left, joined_ids, left_ids }) => {
            let [users, joined, left] = [users, joined, left].map(|count| count as usize);
            let changed = server::PresenceChanged { room, users, joined, left, joined_ids, left_ids };
            Received::PresenceChanged(changed)
        }
        Frame::Pong(v1::Pong {}) => Received::Pong,
        Frame::Joined(v1::Joined { room, last_message_id, recovered }) => {
            Received::Joined(server::Joined { room, last_message_id, recovered, reference })
        }
        Frame::Left(v1::Left { room, last_message_id }) => {
            Received::Left(server::Left { room, last_message_id, reference })
        }
        Frame::Gap(gap) => {
            let reason = match gap.reason() {
                v1::GapReason::Unspecified => panic!("it has a reason"),
                v1::GapReason::Expired => GapReason::Expired,
                v1::GapReason::Overflow => GapReason::Overflow,
                v1::GapReason::RolledBack => GapReason::RolledBack,
            };
            let v1::Gap { room, after, before, .. } = gap;
            Received::Gap(server::Gap { room, after, before, reason })
        }
        Frame::Restore(v1::Restore { room, messages, last_message_id, recovered }) => {
            let messages = messages.into_iter().map(body).collect();
            Received::Restore(server::Restore { room, messages, last_message_id, recovered })
        }
        Frame::Session(v1::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node }) => {
            let session = server::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node };
            Received::Session(session)
        }
        Frame::Error(v1::Error { code, message }) => {
            Received::Error(server::Error { code, message, reference })
        }
        Frame::History(v1::HistoryResponse { room, messages, complete }) => {
            let messages = messages.into_iter().map(body).collect();
            Received::History(server::History { room, messages, complete, reference })
        }
        Frame::Presence(v1::PresenceResponse { room, users, total, complete }) => {
            let users = users
                .into_iter()
                .map(|v1::PresentUser { user_id, connections }| server::PresentUser { user_id, connections })
                .collect();
            Received::Presence(server::Presence { room, users, total: total as usize, complete, reference })
        }
        Frame::ServerRestart(v1::ServerRestart { reconnect_after_ms }) => {
            Received::ServerRestart { reconnect_after_ms }
        }
    }
}

fn body(v1::Message { room, id, user_id, key, payload }: v1::Message) -> MessageBody {
    let payload = match payload.expect("a message says something") {
        message::Payload::Text(text) => Payload::Text(text.into()),
        message::Payload::Data(json) => Payload::Data(RawValue::from_string(json).unwrap()),
        message::Payload::Binary(bytes) => Payload::Binary(bytes.into()),
    };
    MessageBody { room, id, user_id, key, payload }
}

fn about(v1::UserEvent { room, user_id }: v1::UserEvent) -> server::UserEvent {
    server::UserEvent { room, user_id }
}

/// The bytes of a frame, appended to what was there.
fn protobuf(frame: &ServerFrame<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    frame.encode_protobuf(&mut out);
    out.strip_prefix(b"before").expect("what stood in the buffer stays").to_vec()
}

fn check(frame: &ServerFrame<'_>) -> Result<(), TestCaseError> {
    let mut json = Vec::new();
    frame.encode(&mut json);
    let json = server::decode(std::str::from_utf8(&json).unwrap()).unwrap();
    let bytes = protobuf(frame);
    prop_assert_eq!(&v1::ServerFrame::from(frame).encode_to_vec(), &bytes, "one frame has one encoding");
    prop_assert_eq!(received(v1::ServerFrame::decode(&*bytes).unwrap()), json);
    Ok(())
}

fn room() -> impl Strategy<Value = RoomName> {
    "[a-z\"é]{1,8}".prop_map(|name| RoomName::new(&name, &Limits::default()).unwrap())
}

fn user() -> impl Strategy<Value = UserId> {
    "[a-z\"é]{1,8}".prop_map(|name| UserId::new(&name, &Limits::default()).unwrap())
}

fn id() -> impl Strategy<Value = MessageId> {
    (0..MessageId::LIMIT, 0..53).prop_map(|(id, bits)| MessageId(id >> bits))
}

/// Payloads of few and of many bytes: a length has one byte or more.
fn payload() -> impl Strategy<Value = Payload> {
    let text = || "[a-z\"é]{0,20}|[a-z\"é]{200,400}";
    prop_oneof![
        text().prop_map(|text| Payload::Text(text.into())),
        text().prop_map(|text| Payload::Data(serde_json::value::to_raw_value(&text).unwrap())),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Payload::Binary(bytes.into())),
    ]
}

fn message() -> impl Strategy<Value = Arc<Message>> {
    let some_id = id().prop_filter("0 is before the first message", |id| id.0 > 0);
    (room(), some_id, option::of(user()), option::of("[a-z]{1,4}"), payload()).prop_map(
        |(room, id, user, key, payload)| {
            let key = key.map(Into::into);
            Arc::new(Message { room, id, prev: MessageId::ZERO, user, key, payload, stored_at_ms: 0 })
        },
    )
}

#[test]
fn a_message_has_the_bytes_it_is_documented_to_have() {
    let message = Message {
        room: RoomName::new("r", &Limits::default()).unwrap(),
        id: MessageId(300),
        prev: MessageId::ZERO,
        user: None,
        key: None,
        payload: Payload::Text("hi".into()),
        stored_at_ms: 0,
    };
    let bytes = protobuf(&ServerFrame::Message(&message));
    assert_eq!(bytes, *b"\x0a\x0a\x0a\x01r\x10\xac\x02\x1a\x02hi");
}

proptest! {
    #[test]
    fn a_message_means_the_same_in_json_and_protobuf(message in message()) {
        check(&ServerFrame::Message(&message))?;
    }

    #[test]
    fn lists_of_messages_mean_the_same(
        room in room(),
        messages in prop::collection::vec(message(), 0..4),
        last_message_id in id(),
        flag in any::<bool>(),
        reference in option::of("[a-z]{1,4}"),
    ) {
        let (room, messages, reference) = (&room, &messages[..], reference.as_deref());
        check(&ServerFrame::Restore { room, messages, last_message_id, recovered: flag })?;
        check(&ServerFrame::History { room, messages, complete: flag, reference })?;
    }

    #[test]
    fn sessions_and_memberships_mean_the_same(
        rooms in prop::collection::vec(room(), 1..4),
        user in option::of(user()),
        session_id in any::<[u8; 16]>(),
        (id, before) in (id(), id()),
        recovered in option::of(any::<bool>()),
        reference in option::of("[a-z]{1,4}"),
        milliseconds in 0..MessageId::LIMIT,
    ) {
        let (room, reference) = (&rooms[0], reference.as_deref());
        check(&ServerFrame::Session {
            session_id: &SessionId::from_bytes(session_id),
            user_id: user.as_ref(),
            rooms: &rooms,
            resumed: recovered == Some(true),
            ping_interval_ms: milliseconds,
            node: "n1",
        })?;
        check(&ServerFrame::Joined { room, last_message_id: id, recovered, reference })?;
        check(&ServerFrame::Left { room, last_message_id: id, reference })?;
        check(&ServerFrame::Ack { reference, room, id })?;
        for reason in [GapReason::Expired, GapReason::Overflow, GapReason::RolledBack] {
            check(&ServerFrame::Gap { room, after: id, before, reason })?;
        }
        check(&ServerFrame::ServerRestart { reconnect_after_ms: milliseconds })?;
    }

    #[test]
    fn presence_and_typing_mean_the_same(
        room in room(),
        users in prop::collection::vec((user(), any::<u32>()), 1..5),
        total in 0_usize..1 << 40,
        complete in any::<bool>(),
        reference in option::of("[a-z]{1,4}"),
    ) {
        let (room, reference) = (&room, reference.as_deref());
        check(&ServerFrame::Presence { room, users: &users, total, complete, reference })?;
        let names: Vec<_> = users.iter().map(|(user, _)| user.clone()).collect();
        check(&ServerFrame::PresenceChanged {
            room,
            users: total,
            joined: users.len(),
            left: 0,
            joined_names: &names,
            left_names: &names[1..],
        })?;
        let user = &names[0];
        check(&ServerFrame::UserTyping { room, user })?;
        check(&ServerFrame::UserStoppedTyping { room, user })?;
        check(&ServerFrame::UserJoined { room, user })?;
        check(&ServerFrame::UserLeft { room, user })?;
    }

    #[test]
    fn errors_and_signs_of_life_mean_the_same(message in any::<String>(), reference in option::of("[a-z]{1,4}")) {
        let reference = reference.as_deref();
        check(&ServerFrame::Error { code: ErrorCode::BadFrame, message: &message, reference })?;
        check(&ServerFrame::Pong)?;
    }
}

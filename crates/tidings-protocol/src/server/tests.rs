//! Server frames: exact bytes, and back again.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::codes::ErrorCode;
use crate::{Limits, Payload, rest};

fn room(name: &str) -> RoomName {
    RoomName::new(name, &Limits::default()).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name, &Limits::default()).unwrap()
}

fn message(payload: Payload) -> Message {
    Message {
        room: room("r"),
        id: MessageId(12),
        prev: MessageId(11),
        user: Some(user("ana")),
        key: None,
        payload,
        stored_at_ms: 0,
    }
}

fn encoded(frame: ServerFrame<'_>) -> String {
    // Frames are appended: what stands in the buffer already stays.
    let mut out = b"before".to_vec();
    frame.encode(&mut out);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

/// Checks the bytes of a frame; what a client reads from them.
fn wire(frame: ServerFrame<'_>, json: &str) -> Received {
    assert_eq!(encoded(frame), json);
    decode(json).unwrap()
}

#[test]
fn a_session_tells_everything_a_client_needs() {
    let ana = user("ana");
    let frame = ServerFrame::Session {
        session_id: &SessionId::from_bytes([0xa5; 16]),
        user_id: Some(&ana),
        rooms: &[room("a"), room("\"b\"")],
        resumed: false,
        ping_interval_ms: 25_000,
        node: "n1",
    };
    let received = wire(
        frame,
        r#"{"type":"session","session_id":"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5","user_id":"ana","rooms":["a","\"b\""],"resumed":false,"ping_interval_ms":25000,"node":"n1"}"#,
    );
    let Received::Session(session) = received else { panic!("it is a session") };
    assert_eq!(session.rooms, ["a", "\"b\""]);
    assert_eq!(session.session_id, SessionId::from_bytes([0xa5; 16]).to_string());
}

#[test]
fn a_guest_has_no_user_id() {
    let session_id = SessionId::from_bytes([0; 16]);
    let json = encoded(ServerFrame::Session {
        session_id: &session_id,
        user_id: None,
        rooms: &[],
        resumed: true,
        ping_interval_ms: 1,
        node: "n",
    });
    assert!(!json.contains("user_id"), "{json}");
    let Received::Session(session) = decode(&json).unwrap() else { panic!("it is a session") };
    assert_eq!((session.user_id, session.rooms.len()), (None, 0));
}

#[test]
fn messages_of_every_kind_have_their_field() {
    let text = message(Payload::Text("a\"b\n".into()));
    let received = wire(
        ServerFrame::Message(&text),
        r#"{"type":"message","room":"r","id":12,"user_id":"ana","text":"a\"b\n"}"#,
    );
    let Received::Message(body) = received else { panic!("it is a message") };
    assert_eq!((body.id, body.payload), (12, text.payload));

    let raw = RawValue::from_string(r#"{ "a" : 1.0 }"#.into()).unwrap();
    let data = Message { key: Some("eur".into()), ..message(Payload::Data(raw)) };
    let received = wire(
        ServerFrame::Message(&data),
        r#"{"type":"message","room":"r","id":12,"user_id":"ana","key":"eur","data":{ "a" : 1.0 }}"#,
    );
    let Received::Message(body) = received else { panic!("it is a message") };
    assert_eq!((body.key.as_deref(), body.payload), (Some("eur"), data.payload));

    let binary = Message { user: None, ..message(Payload::Binary([0, 255, 16, 3].into())) };
    let received = wire(
        ServerFrame::Message(&binary),
        r#"{"type":"message","room":"r","id":12,"data_base64":"AP8QAw=="}"#,
    );
    let Received::Message(body) = received else { panic!("it is a message") };
    assert_eq!((body.user_id, body.payload), (None, binary.payload));
}

#[test]
fn null_is_data_like_any_other() {
    let null = message(Payload::Data(RawValue::from_string("null".into()).unwrap()));
    let Received::Message(body) = decode(&encoded(ServerFrame::Message(&null))).unwrap() else {
        panic!("it is a message")
    };
    assert_eq!(body.payload, null.payload);
}

#[test]
fn stretches_of_a_log_are_lists_of_message_frames() {
    let messages =
        [Arc::new(message(Payload::Text("a".into()))), Arc::new(message(Payload::Text("b".into())))];
    let one = r#"{"type":"message","room":"r","id":12,"user_id":"ana","text":"a"}"#;
    let two = one.replace("\"a\"}", "\"b\"}");
    let r = room("r");
    let restore = ServerFrame::Restore {
        room: &r,
        messages: &messages,
        last_message_id: MessageId(9),
        recovered: true,
    };
    let received = wire(
        restore,
        &format!(
            r#"{{"type":"restore","room":"r","messages":[{one},{two}],"last_message_id":9,"recovered":true}}"#
        ),
    );
    assert!(
        matches!(received, Received::Restore(restore) if restore.messages.len() == 2 && restore.recovered)
    );

    let history =
        ServerFrame::History { room: &r, messages: &messages[..1], complete: false, reference: Some("7") };
    let received = wire(
        history,
        &format!(r#"{{"type":"history","room":"r","messages":[{one}],"complete":false,"ref":"7"}}"#),
    );
    let Received::History(history) = received else { panic!("it is a history") };
    assert_eq!((history.complete, history.reference.as_deref()), (false, Some("7")));

    let mut out = Vec::new();
    rest::encode_history(&r, &[], true, &mut out);
    assert_eq!(out, br#"{"room":"r","messages":[],"complete":true}"#);
    let answer: rest::HistoryAnswer = serde_json::from_slice(&out).unwrap();
    assert!(answer.complete && answer.reference.is_none());
}

#[test]
fn small_frames_are_exactly_as_documented() {
    let r = room("r");
    let (after, before) = (MessageId(3), MessageId(9));
    for (frame, json) in [
        (
            ServerFrame::Joined {
                room: &r,
                last_message_id: after,
                recovered: Some(true),
                reference: Some("1"),
            },
            r#"{"type":"joined","room":"r","last_message_id":3,"recovered":true,"ref":"1"}"#,
        ),
        (
            ServerFrame::Joined { room: &r, last_message_id: after, recovered: None, reference: None },
            r#"{"type":"joined","room":"r","last_message_id":3}"#,
        ),
        (
            ServerFrame::Left { room: &r, last_message_id: after, reference: Some("1") },
            r#"{"type":"left","room":"r","last_message_id":3,"ref":"1"}"#,
        ),
        (
            ServerFrame::Ack { reference: Some("1"), room: &r, id: before },
            r#"{"type":"ack","ref":"1","room":"r","id":9}"#,
        ),
        (ServerFrame::Ack { reference: None, room: &r, id: before }, r#"{"type":"ack","room":"r","id":9}"#),
        (ServerFrame::Pong, r#"{"type":"pong"}"#),
        (
            ServerFrame::Gap { room: &r, after, before, reason: GapReason::RolledBack },
            r#"{"type":"gap","room":"r","after":3,"before":9,"reason":"rolled_back"}"#,
        ),
        (
            ServerFrame::Error { code: ErrorCode::BadRoom, message: "why", reference: Some("1") },
            r#"{"type":"error","code":"bad_room","message":"why","ref":"1"}"#,
        ),
        (
            ServerFrame::ServerRestart { reconnect_after_ms: 1_000 },
            r#"{"type":"server_restart","reconnect_after_ms":1000}"#,
        ),
    ] {
        let received = wire(frame, json);
        assert!(!matches!(received, Received::Unknown { .. }), "{json}");
    }
}

#[test]
fn typing_coming_and_going_name_the_room_and_the_user() {
    let (r, ana) = (room("r"), user("ana"));
    let about_ana = UserEvent { room: "r".into(), user_id: "ana".into() };
    for (frame, kind, received) in [
        (
            ServerFrame::UserTyping { room: &r, user: &ana },
            "user_typing",
            Received::UserTyping(about_ana.clone()),
        ),
        (
            ServerFrame::UserStoppedTyping { room: &r, user: &ana },
            "user_stopped_typing",
            Received::UserStoppedTyping(about_ana.clone()),
        ),
        (
            ServerFrame::UserJoined { room: &r, user: &ana },
            "user_joined",
            Received::UserJoined(about_ana.clone()),
        ),
        (ServerFrame::UserLeft { room: &r, user: &ana }, "user_left", Received::UserLeft(about_ana)),
    ] {
        let json = format!(r#"{{"type":"{kind}","room":"r","user_id":"ana"}}"#);
        assert_eq!(wire(frame, &json), received);
    }
}

#[test]
fn presence_lists_users_and_says_how_many_there_are() {
    let (r, users) = (room("r"), [(user("ana"), 2), (user("\"ben\""), 1)]);
    let page =
        ServerFrame::Presence { room: &r, users: &users, total: 7, complete: false, reference: Some("1") };
    let received = wire(
        page,
        r#"{"type":"presence","room":"r","users":[{"user_id":"ana","connections":2},{"user_id":"\"ben\"","connections":1}],"total":7,"complete":false,"ref":"1"}"#,
    );
    let Received::Presence(page) = received else { panic!("it is a page of users") };
    assert_eq!((page.users[1].user_id.as_str(), page.users[1].connections), ("\"ben\"", 1));
    assert_eq!((page.total, page.complete, page.reference.as_deref()), (7, false, Some("1")));

    let nobody = ServerFrame::Presence { room: &r, users: &[], total: 0, complete: true, reference: None };
    wire(nobody, r#"{"type":"presence","room":"r","users":[],"total":0,"complete":true}"#);
}

#[test]
fn a_big_room_is_told_its_changes_in_one_frame() {
    let r = room("r");
    let frame = ServerFrame::PresenceChanged {
        room: &r,
        users: 1_000,
        joined: 30,
        left: 1,
        joined_names: &[user("ana"), user("ben")],
        left_names: &[],
    };
    let received = wire(
        frame,
        r#"{"type":"presence_changed","room":"r","users":1000,"joined":30,"left":1,"joined_ids":["ana","ben"],"left_ids":[]}"#,
    );
    let Received::PresenceChanged(changed) = received else { panic!("it tells of changes") };
    assert_eq!((changed.users, changed.joined, changed.left), (1_000, 30, 1));
    assert_eq!((changed.joined_ids.len(), changed.left_ids.len()), (2, 0));
}

#[test]
fn every_reason_for_a_gap_is_read_back() {
    for reason in [GapReason::Expired, GapReason::Overflow, GapReason::RolledBack] {
        let r = room("r");
        let frame = ServerFrame::Gap { room: &r, after: MessageId(1), before: MessageId(2), reason };
        let Received::Gap(gap) = decode(&encoded(frame)).unwrap() else { panic!("it is a gap") };
        assert_eq!(gap.reason, reason);
    }
}

#[test]
fn a_client_lives_with_newer_servers_and_refuses_nonsense() {
    let newer = decode(r#"{"type":"user_waved","room":"r","user_id":"ana"}"#).unwrap();
    assert_eq!(newer, Received::Unknown { kind: "user_waved".into() });
    assert!(matches!(decode(r#"{"type":"pong","new_field":[]}"#), Ok(Received::Pong)));
    for text in [
        "",
        "chat",
        "{}",
        r#"{"type":"ack","ref":"1"}"#,
        r#"{"type":"message","room":"r","id":1}"#,
        r#"{"type":"message","room":"r","id":1,"text":"a","data":1}"#,
        r#"{"type":"message","room":"r","id":1,"data_base64":"?"}"#,
    ] {
        assert!(decode(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_message_survives(text in any::<String>(), bytes in any::<Vec<u8>>(), id in 1..MessageId::LIMIT) {
        let json = serde_json::to_string(&text).unwrap();
        for payload in [
            Payload::Text(text.into()),
            Payload::Binary(bytes.into()),
            Payload::Data(RawValue::from_string(json).unwrap()),
        ] {
            let sent = Message { id: MessageId(id), ..message(payload) };
            let Received::Message(body) = decode(&encoded(ServerFrame::Message(&sent))).unwrap() else {
                return Err(TestCaseError::fail("it is a message"));
            };
            prop_assert_eq!(body.id, id);
            prop_assert_eq!(body.payload, sent.payload);
        }
    }
}

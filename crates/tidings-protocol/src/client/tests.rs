//! Client frames as clients write them, right and wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    Limits {
        rooms_per_connection_max: 3,
        reference_bytes_max: 8,
        room_name_bytes_max: 8,
        ..Limits::default()
    }
}

fn frame(text: &str) -> ClientFrame<'_> {
    match decode(text, &limits()) {
        Decoded::Frame(frame) => frame,
        other => panic!("{text} is a frame, not {other:?}"),
    }
}

fn refusal(text: &str) -> FrameError {
    match decode(text, &limits()) {
        Decoded::Refused(error) => error,
        other => panic!("{text} is refused, not {other:?}"),
    }
}

fn hello(text: &str) -> Hello<'_> {
    match decode_first(text, &limits()) {
        Decoded::Frame(ClientFrame::Hello(hello)) => hello,
        other => panic!("{text} is a hello, not {other:?}"),
    }
}

fn is_chat(text: &str) -> bool {
    matches!(decode(text, &limits()), Decoded::Chat(chat) if chat == text)
}

#[test]
fn whatever_is_no_object_with_a_type_is_plain_chat() {
    for text in [
        "",
        " ",
        "hello",
        "{",
        "{}",
        " {\"text\":\"hi\"}",
        "[1,2]",
        "\"message\"",
        "null",
        "17",
        "{\"type\":\"ping\"",
        "{\"type\":\"ping\"} and more",
        "{\"type\":\"ping\",}",
        "{'type':'ping'}",
        "{\"room\":1,\"room\":2}",
        "{\"typ\":\"ping\"}",
        "\u{feff}{\"type\":\"ping\"}",
    ] {
        assert!(is_chat(text), "{text}");
    }
}

#[test]
fn a_message_is_borrowed_where_nothing_is_escaped() {
    let text = r#" {"type":"message","room":"r","text":"grüße","key":"k","ref":"7","future":[{}]} "#;
    let ClientFrame::Message { room, payload: Said::Text(said), key, reference } = frame(text) else {
        panic!("it is a text")
    };
    assert!(matches!(room, Some(Cow::Borrowed("r"))));
    assert!(matches!(said, Cow::Borrowed("grüße")));
    assert!(matches!(key, Some(Cow::Borrowed("k"))));
    assert!(matches!(reference, Some(Cow::Borrowed("7"))));
}

#[test]
fn escapes_are_undone() {
    let text = r#"{"\u0074ype":"mess\u0061ge","text":"a\"\\\n\ud83d\ude00"}"#;
    let ClientFrame::Message { payload: Said::Text(said), .. } = frame(text) else { panic!("it is a text") };
    assert_eq!(said, "a\"\\\n\u{1f600}");
}

#[test]
fn data_is_passed_on_byte_for_byte() {
    for data in [r#"{ "a" : [1.0, 1e400], "a":"\ud83d" }"#, "null", "\"text\"", "-0", "[]"] {
        let text = format!(r#"{{"data": {data} ,"type":"message"}}"#);
        let ClientFrame::Message { payload: Said::Data(found), room: None, .. } = frame(&text) else {
            panic!("it is data")
        };
        assert_eq!(found.get(), data);
    }
}

#[test]
fn a_message_says_one_thing() {
    for text in [
        r#"{"type":"message"}"#,
        r#"{"type":"message","text":null}"#,
        r#"{"type":"message","text":"a","data":1}"#,
        r#"{"type":"message","text":5}"#,
        r#"{"type":"message","text":["a"]}"#,
        r#"{"type":"message","text":"\ud83d"}"#,
    ] {
        assert_eq!(refusal(text).code, ErrorCode::BadFrame, "{text}");
    }
}

#[test]
fn data_as_deep_as_readers_take_passes_and_deeper_is_refused() {
    let nested = |depth: usize| {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"type":"message","data":{data}}}"#)
    };
    assert!(matches!(frame(&nested(DATA_DEPTH_MAX)), ClientFrame::Message { .. }));
    assert_eq!(refusal(&nested(DATA_DEPTH_MAX + 1)).code, ErrorCode::BadFrame);
    assert_eq!(refusal(&nested(30_000)).code, ErrorCode::BadFrame);
    let wide = format!(r#"{{"type":"message","data":[{}0]}}"#, "[],".repeat(500));
    assert!(matches!(frame(&wide), ClientFrame::Message { .. }), "wide is not deep");
    let quoted = format!(r#"{{"type":"message","data":"\"{}"}}"#, "[".repeat(500));
    assert!(matches!(frame(&quoted), ClientFrame::Message { .. }), "brackets in a string are text");
}

#[test]
fn deep_nesting_where_it_is_ignored_harms_nobody() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(matches!(frame(&format!(r#"{{"type":"ping","x":{deep}}}"#)), ClientFrame::Ping));
    assert_eq!(refusal(&format!(r#"{{"type":"hello","rooms":{deep}}}"#)).code, ErrorCode::BadFrame);
    assert!(is_chat(&"[".repeat(100_000)));
    assert!(is_chat(&"{\"a\":".repeat(100_000)));
}

#[test]
fn joins_leaves_and_histories_are_read() {
    let join = frame(r#"{"type":"join","room":"r","last_message_id":12,"ref":"a"}"#);
    let ClientFrame::Join { room, last_message_id, reference } = join else { panic!("it is a join") };
    assert_eq!((room.as_str(), last_message_id, reference.as_deref()), ("r", Some(MessageId(12)), Some("a")));

    let ClientFrame::Join { last_message_id: None, reference: None, .. } =
        frame(r#"{"type":"join","room":"r"}"#)
    else {
        panic!("nothing but the room is needed")
    };
    let ClientFrame::Leave { room: None, reference: None } = frame(r#"{"type":"leave"}"#) else {
        panic!("the only room may be left out")
    };
    let history = frame(r#"{"type":"history","after":9007199254740991,"limit":5}"#);
    let ClientFrame::History { after, limit: Some(5), .. } = history else { panic!("it is a history") };
    assert_eq!(after.0, MessageId::LIMIT - 1);
    assert!(matches!(frame(r#"{"type":"ping","room":5,"ref":[]}"#), ClientFrame::Ping));
    assert!(matches!(frame(r#"{"type":"restart_ack"}"#), ClientFrame::RestartAck));
    assert!(matches!(frame(r#"{"type":"rehearse_restart"}"#), ClientFrame::RehearseRestart));
}

#[test]
fn typing_is_told_for_a_room_or_the_only_one() {
    let ClientFrame::TypingStart { room } = frame(r#"{"type":"typing_start","room":"r"}"#) else {
        panic!("it starts")
    };
    assert_eq!(room.as_deref(), Some("r"));
    assert!(matches!(frame(r#"{"type":"typing_start"}"#), ClientFrame::TypingStart { room: None }));
    let ClientFrame::TypingStop { room } = frame(r#"{"type":"typing_stop","room":"r"}"#) else {
        panic!("it stops")
    };
    assert_eq!(room.as_deref(), Some("r"));
}

#[test]
fn presence_is_asked_for_page_by_page() {
    let first = frame(r#"{"type":"presence"}"#);
    assert!(matches!(first, ClientFrame::Presence { room: None, after: None, reference: None }));
    let next = frame(r#"{"type":"presence","room":"r","after":"ana","ref":"1"}"#);
    let ClientFrame::Presence { room, after: Some(after), reference } = next else { panic!("it is a page") };
    assert_eq!((room.as_deref(), after.as_str(), reference.as_deref()), (Some("r"), "ana", Some("1")));
}

#[test]
fn positions_are_whole_numbers_below_2_to_the_53() {
    for number in ["9007199254740992", "-1", "1.5", "1e3", "\"5\"", "99999999999999999999999", "[]", "true"] {
        let text = format!(r#"{{"type":"join","room":"r","last_message_id":{number}}}"#);
        assert_eq!(refusal(&text).code, ErrorCode::BadFrame, "{number}");
        let text = format!(r#"{{"positions":{{"r":{number}}}}}"#);
        let Decoded::Refused(error) = decode_first(&text, &limits()) else { panic!("{text} is refused") };
        assert_eq!(error.code, ErrorCode::BadFrame, "{number}");
    }
}

#[test]
fn bad_names_are_told_apart() {
    for (text, code) in [
        (r#"{"type":"join","room":""}"#, ErrorCode::BadRoom),
        (r#"{"type":"join","room":"123456789"}"#, ErrorCode::BadRoom),
        (r#"{"type":"leave","room":"a\nb"}"#, ErrorCode::BadRoom),
        (r#"{"type":"message","text":"a","room":"a\u0000"}"#, ErrorCode::BadRoom),
        (r#"{"type":"history","room":""}"#, ErrorCode::BadRoom),
        (r#"{"type":"typing_start","room":""}"#, ErrorCode::BadRoom),
        (r#"{"type":"typing_stop","room":"123456789"}"#, ErrorCode::BadRoom),
        (r#"{"type":"presence","room":""}"#, ErrorCode::BadRoom),
        (r#"{"type":"presence","after":""}"#, ErrorCode::BadUser),
        (r#"{"type":"presence","after":7}"#, ErrorCode::BadFrame),
        (r#"{"type":"presence","ref":""}"#, ErrorCode::BadRef),
        (r#"{"type":"join","room":"r","ref":"123456789"}"#, ErrorCode::BadRef),
        (r#"{"type":"message","text":"a","key":""}"#, ErrorCode::BadRef),
        (r#"{"type":"hello","user_id":""}"#, ErrorCode::BadUser),
        (r#"{"type":"hello","rooms":["r",""]}"#, ErrorCode::BadRoom),
        (r#"{"type":"hello","positions":{"":1}}"#, ErrorCode::BadRoom),
        (r#"{"type":"join"}"#, ErrorCode::BadFrame),
        (r#"{"type":"join","room":7}"#, ErrorCode::BadFrame),
        (r#"{"type":"hello","rooms":"r"}"#, ErrorCode::BadFrame),
        (r#"{"type":"hello","rooms":[1]}"#, ErrorCode::BadFrame),
        (r#"{"type":"hello","positions":{"r":1,"r":2}}"#, ErrorCode::BadFrame),
        (r#"{"type":"ping","type":"ping"}"#, ErrorCode::BadFrame),
        (r#"{"type":"message","text":"a","text":"a"}"#, ErrorCode::BadFrame),
        (r#"{"type":5}"#, ErrorCode::BadFrame),
        (r#"{"type":null}"#, ErrorCode::BadFrame),
        (r#"{"type":"Message","text":"a"}"#, ErrorCode::UnknownType),
        (r#"{"type":""}"#, ErrorCode::UnknownType),
    ] {
        assert_eq!(refusal(text).code, code, "{text}");
    }
}

#[test]
fn a_refusal_carries_the_ref_it_answers_if_that_is_fit_to_be_sent_back() {
    assert_eq!(refusal(r#"{"type":"join","ref":"7"}"#).reference.as_deref(), Some("7"));
    assert_eq!(refusal(r#"{"type":"nonsense","ref":"7"}"#).reference.as_deref(), Some("7"));
    assert_eq!(refusal(r#"{"type":"join","ref":"123456789"}"#).reference, None);
    assert_eq!(refusal(r#"{"type":"join","ref":7}"#).reference, None);
}

#[test]
fn the_first_frame_may_leave_the_word_hello_out() {
    let hello = hello(
        r#"{"user_id":"ana","token":"t","rooms":["b","a","b"],"last_message_id":3,
            "session_id":"000102030405060708090a0b0c0d0e0f","attempt":5,"positions":{"b":1,"a":0}}"#,
    );
    assert_eq!(hello.user_id.unwrap().as_str(), "ana");
    assert_eq!(hello.token.as_deref(), Some("t"));
    assert_eq!(hello.rooms.iter().map(RoomName::as_str).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(hello.last_message_id, Some(MessageId(3)));
    assert_eq!(hello.session_id.unwrap().as_bytes()[15], 15);
    assert_eq!(hello.attempt, Attempt::new(5));
    let positions: Vec<_> = hello.positions.iter().map(|(room, id)| (room.as_str(), id.0)).collect();
    assert_eq!(positions, [("b", 1), ("a", 0)]);
}

#[test]
fn an_empty_hello_is_a_hello_and_chat_stays_chat() {
    let hello = hello("{}");
    assert!(hello.rooms.is_empty() && hello.user_id.is_none() && hello.session_id.is_none());
    assert!(matches!(decode_first("hello", &limits()), Decoded::Chat("hello")));
    let first = decode_first(r#"{"type":"ping"}"#, &limits());
    assert!(matches!(first, Decoded::Frame(ClientFrame::Ping)));
}

#[test]
fn a_session_id_that_nobody_gave_out_counts_as_none() {
    for id in ["", "123e4567-e89b-12d3-a456-426614174000", "é".repeat(16).as_str()] {
        let text = format!(r#"{{"session_id":"{id}"}}"#);
        assert_eq!(hello(&text).session_id, None);
    }
}

#[test]
fn a_hello_names_no_more_rooms_than_a_connection_may_be_in() {
    assert_eq!(hello(r#"{"rooms":["a","b","c","a"]}"#).rooms.len(), 3);
    assert_eq!(refusal(r#"{"type":"hello","rooms":["a","b","c","d","e"]}"#).code, ErrorCode::TooManyRooms);
    let positions = r#"{"type":"hello","positions":{"a":1,"b":1,"c":1,"d":1,"e":1}}"#;
    assert_eq!(refusal(positions).code, ErrorCode::TooManyRooms);
}

#[test]
fn types_of_later_work_are_recognised() {
    let refresh = frame(r#"{"type":"refresh","token":"t","ref":"1"}"#);
    let ClientFrame::Unserved { kind: Unserved::Refresh, reference } = refresh else {
        panic!("refresh is known")
    };
    assert_eq!(reference.as_deref(), Some("1"));
}

/// Text that is nearly a frame.
fn nearly_a_frame() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("\"message\"".to_owned()),
        Just("\"hello\"".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "[\\[\\]{}:,\"\\\\a-u0-9.-]{0,12}",
    ];
    let name =
        prop::sample::select(vec!["type", "room", "text", "data", "ref", "rooms", "positions", "limit", "x"]);
    let pair = (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    prop::collection::vec(pair, 0..6).prop_map(|pairs| format!("{{{}}}", pairs.join(",")))
}

proptest! {
    #[test]
    fn no_text_makes_the_decoder_panic(text in prop_oneof![nearly_a_frame(), any::<String>()]) {
        for decoded in [decode(&text, &limits()), decode_first(&text, &limits())] {
            // What is no object can be nothing but chat, and chat is the text itself.
            let is_object = serde_json::from_str::<BTreeMap<String, serde::de::IgnoredAny>>(&text).is_ok();
            match decoded {
                Decoded::Chat(chat) => prop_assert_eq!(chat, text.as_str()),
                Decoded::Refused(error) => prop_assert!(!error.message.is_empty()),
                Decoded::Frame(_) => prop_assert!(is_object),
            }
        }
    }

    #[test]
    fn any_text_survives(said in any::<String>(), room in "[a-z]{1,8}") {
        let text = serde_json::json!({"type": "message", "room": room, "text": said}).to_string();
        let ClientFrame::Message { payload: Said::Text(found), room: Some(found_room), .. } = frame(&text) else {
            return Err(TestCaseError::fail("it is a text"));
        };
        prop_assert_eq!(found, said);
        prop_assert_eq!(found_room, room);
    }
}

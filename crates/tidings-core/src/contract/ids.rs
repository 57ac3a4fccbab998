//! Ids, predecessors and payloads. Owned by the suite; refuses an id given twice.

use serde_json::value::RawValue;
use tidings_protocol::{Limits, MessageId, Payload, UserId};

use super::harness::{assert_chained, ids, name, text_to};
use super::{Make, default_rules, everywhere};
use crate::{EngineError, Publication, RoomOptions, Timestamp};

#[expect(missing_docs, reason = "the name says it")]
pub fn ids_follow_the_clock(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let first = h.say("r", "a");
    assert_eq!(first.0, h.now().0, "an id is the time in microseconds");
    h.advance_ms(5_000);
    assert_eq!(h.say("r", "b").0, first.0 + 5_000_000);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn ids_increase_while_the_clock_stands_still(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let said: Vec<_> = (0..50).map(|_| h.say("r", "again")).collect();
    assert!(said.is_sorted_by(|a, b| a.0 + 1 == b.0), "each id is the next number: {said:?}");
    assert_eq!(h.ids("r"), said);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn ids_increase_when_the_clock_goes_back(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let before = h.say("r", "a");
    h.set(Timestamp(h.now().0 - 3_600_000_000));
    assert_eq!(h.say("r", "b").0, before.0 + 1);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn each_message_names_the_one_before_it(make: &Make) {
    let h = make(default_rules(), Limits::default());
    for step_ms in [0, 0, 7, 0, 1_000] {
        h.advance_ms(step_ms);
        h.say("r", "x");
        h.say("other", "y");
    }
    let page = h.history("r", MessageId::ZERO);
    assert_eq!(page.messages.len(), 5);
    assert_eq!(page.messages[0].prev, MessageId::ZERO, "a new log begins at zero");
    assert_chained(&page.messages);
    assert_eq!(page.head, page.messages[4].id);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_room_that_keeps_nothing_still_orders_its_messages(make: &Make) {
    let options = RoomOptions { history_messages: 0, ..RoomOptions::from_limits(&Limits::default()) };
    let h = make(everywhere(options), Limits::default());
    h.enter("r");
    let said: Vec<_> = (0..5).map(|_| h.say("r", "x")).collect();
    let announced = h.announced.wait_for(5);
    assert_eq!(ids(&announced), said);
    assert_chained(&announced);
    let page = h.history("r", MessageId::ZERO);
    assert_eq!((page.messages.len(), page.head), (0, said[4]));
}

#[expect(missing_docs, reason = "the name says it")]
pub fn publishing_to_a_room_with_no_one_in_it_succeeds(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let published = h.publish(text_to("r", "is anybody there?")).expect("nobody needs to be there");
    assert!(!published.repeated);
    assert_eq!(h.ids("r"), [published.id]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn what_was_published_comes_back_unchanged(make: &Make) {
    let h = make(default_rules(), Limits::default());
    h.enter("r");
    let json = r#"{ "b" : [1.0, 1e2, "\u00e9\n"],  "a": null, "a": 2 }"#;
    let payloads = [
        Payload::Text("“schön”\n\0\u{1f600}".into()),
        Payload::Text("".into()),
        Payload::Data(RawValue::from_string(json.into()).expect("the text is JSON")),
        Payload::Data(RawValue::from_string("null".into()).expect("the text is JSON")),
        Payload::Binary((0..=255).collect()),
        Payload::Binary([].into()),
    ];
    let user = UserId::new("ana", &Limits::default()).expect("the suite uses valid names");
    for payload in payloads.clone() {
        let publication = Publication {
            room: name("r"),
            user: Some(user.clone()),
            key: Some("eur".into()),
            payload,
            idempotency_key: None,
        };
        h.publish(publication).expect("the message is taken");
    }
    for messages in [h.history("r", MessageId::ZERO).messages, h.announced.wait_for(6)] {
        for (message, payload) in messages.iter().zip(&payloads) {
            assert_eq!(&message.payload, payload);
            assert_eq!(message.room, name("r"));
            assert_eq!(message.user.as_ref(), Some(&user));
            assert_eq!(message.key.as_deref(), Some("eur"));
            assert_eq!(message.stored_at_ms, h.now().as_ms());
        }
    }
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_message_over_the_limit_is_refused(make: &Make) {
    let limits = Limits { message_bytes_max: 10, ..Limits::default() };
    let options = RoomOptions { history_bytes: 5, ..RoomOptions::from_limits(&limits) };
    let small = (crate::options::Pattern::new("small"), options);
    let rules = crate::RoomRules::new(vec![small], RoomOptions::from_limits(&limits));
    let h = make(rules, limits);
    h.say("r", "0123456789");
    assert_eq!(h.publish(text_to("r", "0123456789a")), Err(EngineError::MessageTooLarge));
    h.say("small", "01234");
    assert_eq!(h.publish(text_to("small", "012345")), Err(EngineError::MessageTooLarge));
    assert_eq!(h.ids("small").len(), 1, "a refused message displaces none");
}

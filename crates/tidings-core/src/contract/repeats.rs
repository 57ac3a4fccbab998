//! Idempotency keys. Owned by the suite; refuses a second message for one key.

use std::collections::HashSet;
use std::thread;

use tidings_protocol::{Limits, SessionId};

use super::harness::{Harness, ids, text_to};
use super::{Make, default_rules};
use crate::engine::IdempotencyKey;
use crate::{Publication, Published};

const ANA: Option<SessionId> = Some(SessionId::from_bytes([1; 16]));
const BEN: Option<SessionId> = Some(SessionId::from_bytes([2; 16]));

fn keyed(room: &str, session: Option<SessionId>, reference: &str) -> Publication {
    let key = IdempotencyKey { session, reference: reference.into() };
    Publication { idempotency_key: Some(key), ..text_to(room, "x") }
}

/// Publishes under a key; the answer.
pub(super) fn publish(h: &Harness, session: Option<SessionId>, room: &str, reference: &str) -> Published {
    h.publish(keyed(room, session, reference)).expect("the message is taken")
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_repeated_key_is_one_message(make: &Make) {
    let h = make(default_rules(), Limits::default());
    h.enter("r");
    let first = publish(&h, ANA, "r", "1");
    assert!(!first.repeated);
    let other = publish(&h, ANA, "r", "2");
    h.advance_ms(1_000);
    assert_eq!(publish(&h, ANA, "r", "1"), Published { id: first.id, repeated: true });
    let last = h.say("r", "end");
    assert_eq!(h.ids("r"), [first.id, other.id, last]);
    assert_eq!(ids(&h.announced.wait_for(3)), [first.id, other.id, last], "and announced once");
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_key_counts_in_its_room_and_session_only(make: &Make) {
    let h = make(default_rules(), Limits::default());
    for (room, session) in [("r", ANA), ("r", BEN), ("r", None), ("s", ANA), ("s", None)] {
        assert!(!publish(&h, session, room, "1").repeated, "{room} {session:?}");
    }
    assert_eq!((h.ids("r").len(), h.ids("s").len()), (3, 2));
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_key_is_forgotten_after_its_window(make: &Make) {
    let limits = Limits { idempotency_window_ms: 1_000, ..Limits::default() };
    let h = make(default_rules(), limits);
    let first = publish(&h, ANA, "r", "1");
    h.advance_ms(999);
    assert!(publish(&h, ANA, "r", "1").repeated);
    // The window is counted from the first publication, or a key could live for ever.
    h.advance_ms(1);
    h.tick();
    let second = publish(&h, ANA, "r", "1");
    assert!(!second.repeated);
    assert_eq!(publish(&h, ANA, "r", "1"), Published { id: second.id, repeated: true });
    assert_eq!(h.ids("r"), [first.id, second.id]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn simultaneous_repeats_are_one_message(make: &Make) {
    const PUBLISHERS: usize = 4;
    let h = make(default_rules(), Limits::default());
    for round in 0..50 {
        let reference = round.to_string();
        let answers: Vec<_> = thread::scope(|scope| {
            let publish = || publish(&h, ANA, "r", &reference);
            let publishers: Vec<_> = (0..PUBLISHERS).map(|_| scope.spawn(publish)).collect();
            publishers.into_iter().map(|publisher| publisher.join().expect("no publisher fails")).collect()
        });
        assert_eq!(answers.iter().map(|answer| answer.id).collect::<HashSet<_>>().len(), 1);
        assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    }
    assert_eq!(h.ids("r").len(), 50);
}

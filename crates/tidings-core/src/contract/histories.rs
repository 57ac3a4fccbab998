//! What a log keeps and how it is read. Owned by the suite; refuses a stretch with a hole in it.

use tidings_protocol::{Limits, MessageId};

use super::harness::{assert_chained, ids};
use super::{Make, default_rules, everywhere};
use crate::options::Pattern;
use crate::{Position, RoomOptions, RoomRules};

fn options() -> RoomOptions {
    RoomOptions::from_limits(&Limits::default())
}

#[expect(missing_docs, reason = "the name says it")]
pub fn history_has_everything_after_a_position(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let said: Vec<_> = (0..10).map(|_| h.say("r", "x")).collect();
    for (index, &position) in said.iter().enumerate() {
        let page = h.history("r", position);
        assert_eq!(ids(&page.messages), said[index + 1..]);
        assert_eq!(page.head, said[9]);
    }
    // A position between two messages is as good as that of the first.
    h.advance_ms(1_000);
    let last = h.say("r", "later");
    assert_eq!(ids(&h.history("r", MessageId(last.0 - 1)).messages), [last]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn history_comes_in_pages(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let said: Vec<_> = (0..7).map(|_| h.say("r", "x")).collect();
    let (mut read, mut position) = (Vec::new(), MessageId::ZERO);
    for expected in [3, 3, 1, 0] {
        let page = h.page("r", Position::After(position), 3);
        assert_eq!(page.messages.len(), expected);
        assert_eq!(page.head, said[6], "every page tells where the log ends");
        position = page.messages.last().map_or(position, |message| message.id);
        read.extend(page.messages);
    }
    assert_eq!(ids(&read), said);
    assert_chained(&read);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn the_head_is_known_without_reading(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let last = [h.say("r", "a"), h.say("r", "b")][1];
    let page = h.page("r", Position::Head, 10);
    assert_eq!((page.messages.len(), page.head), (0, last));
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_position_from_the_future_gets_only_the_head(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let last = h.say("r", "a");
    for position in [MessageId(last.0 + 1), MessageId(MessageId::LIMIT - 1)] {
        let page = h.history("r", position);
        assert_eq!((page.messages.len(), page.head), (0, last));
    }
}

#[expect(missing_docs, reason = "the name says it")]
pub fn an_unknown_room_is_empty(make: &Make) {
    let h = make(default_rules(), Limits::default());
    for from in [Position::Head, Position::After(MessageId::ZERO), Position::After(MessageId(7))] {
        let page = h.page("r", from, 10);
        assert_eq!((page.messages.len(), page.head), (0, MessageId::ZERO));
    }
    assert_eq!(h.rooms(None, 10), [], "reading makes no room");
}

#[expect(missing_docs, reason = "the name says it")]
pub fn history_is_bounded_by_count(make: &Make) {
    let h = make(everywhere(RoomOptions { history_messages: 3, ..options() }), Limits::default());
    let said: Vec<_> = (0..10).map(|_| h.say("r", "x")).collect();
    let page = h.history("r", MessageId::ZERO);
    assert_eq!(ids(&page.messages), said[7..]);
    assert_eq!(page.messages[0].prev, said[6], "the first one left names the last one dropped");
}

#[expect(missing_docs, reason = "the name says it")]
pub fn history_is_bounded_by_bytes(make: &Make) {
    let h = make(everywhere(RoomOptions { history_bytes: 10, ..options() }), Limits::default());
    let four: Vec<_> = (0..3).map(|_| h.say("r", "four")).collect();
    assert_eq!(h.ids("r"), four[1..]);
    let ten = h.say("r", "ten bytes!");
    assert_eq!(h.ids("r"), [ten]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn history_is_bounded_by_age(make: &Make) {
    let h = make(everywhere(RoomOptions { history_age_ms: 1_000, ..options() }), Limits::default());
    let first = h.say("r", "a");
    h.advance_ms(999);
    let second = h.say("r", "b");
    assert_eq!(h.ids("r"), [first, second]);
    h.advance_ms(1);
    assert_eq!(h.ids("r"), [second]);
    h.advance_ms(999);
    let page = h.history("r", MessageId::ZERO);
    assert_eq!((page.messages.len(), page.head), (0, second), "the position outlives the messages");
    let third = h.say("r", "c");
    assert_eq!(h.history("r", second).messages[0].prev, second);
    assert_eq!(h.ids("r"), [third]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn rules_by_name_decide_what_a_room_keeps(make: &Make) {
    let ticker = RoomOptions { history_messages: 1, ..options() };
    let h = make(RoomRules::new(vec![(Pattern::new("ticker:*"), ticker)], options()), Limits::default());
    for room in ["ticker:eur", "chat"] {
        h.say(room, "a");
        h.say(room, "b");
    }
    assert_eq!((h.ids("ticker:eur").len(), h.ids("chat").len()), (1, 2));
}

//! What reaches the hub. Owned by the suite; refuses an order other than the log's.

use std::thread;

use tidings_protocol::{Limits, Message, MessageId};

use super::harness::{assert_chained, ids, name};
use super::{Make, default_rules, everywhere};
use crate::RoomOptions;

#[expect(missing_docs, reason = "the name says it")]
pub fn announcements_have_the_order_of_the_log(make: &Make) {
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 250;
    let keep_all = RoomOptions { history_messages: 10_000, ..RoomOptions::from_limits(&Limits::default()) };
    let h = make(everywhere(keep_all), Limits::default());
    let rooms = ["r", "s"];
    for room in rooms {
        h.enter(room);
    }
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                for _ in 0..MESSAGES {
                    for room in rooms {
                        h.say(room, "x");
                    }
                }
            });
        }
    });
    let announced = h.announced.wait_for(2 * PUBLISHERS * MESSAGES);
    for room in rooms {
        let in_room = |message: &&std::sync::Arc<Message>| message.room == name(room);
        let heard: Vec<_> = announced.iter().filter(in_room).cloned().collect();
        assert_eq!(heard.len(), PUBLISHERS * MESSAGES);
        assert_eq!(ids(&heard), h.ids(room));
        assert_chained(&heard);
    }
}

#[expect(missing_docs, reason = "the name says it")]
pub fn only_entered_rooms_are_announced(make: &Make) {
    let h = make(default_rules(), Limits::default());
    h.enter("heard");
    h.say("unheard", "a");
    let first = h.say("heard", "b");
    h.say("unheard", "c");
    let second = h.say("heard", "d");
    assert_eq!(ids(&h.announced.wait_for(2)), [first, second]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_left_room_is_announced_no_more(make: &Make) {
    let h = make(default_rules(), Limits::default());
    h.enter("left");
    h.enter("kept");
    let first = h.say("left", "a");
    h.announced.wait_for(1);
    h.exit("left");
    h.say("left", "b");
    let second = h.say("kept", "c");
    assert_eq!(ids(&h.announced.wait_for(2)), [first, second]);
    let missed = h.say("left", "d");
    assert_eq!(h.enter("left"), missed, "who comes back is told what to read up to");
    let third = h.say("left", "e");
    let mut heard = ids(&h.announced.wait_for(3));
    if heard.contains(&missed) {
        // It was still under way, and comes to somebody who stands behind it already.
        heard = ids(&h.announced.wait_for(4));
        heard.retain(|id| *id != missed);
    }
    assert_eq!(heard, [first, second, third]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn entering_tells_where_the_log_ends(make: &Make) {
    let h = make(default_rules(), Limits::default());
    assert_eq!(h.enter("new"), MessageId::ZERO);
    let first = h.say("new", "a");
    assert_eq!(h.announced.wait_for(1)[0].prev, MessageId::ZERO, "it continues where the member stood");
    let last = h.say("old", "b");
    assert_eq!(h.enter("old"), last);
    h.say("old", "c");
    assert_eq!(h.announced.wait_for(2)[1].prev, last);
    assert_eq!(h.announced.wait_for(1)[0].id, first);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn entering_again_changes_nothing(make: &Make) {
    let h = make(default_rules(), Limits::default());
    h.enter("r");
    let first = h.say("r", "a");
    assert_eq!(h.enter("r"), first);
    let second = h.say("r", "b");
    let third = h.say("r", "c");
    assert_eq!(ids(&h.announced.wait_for(3)), [first, second, third], "each is announced once");
}

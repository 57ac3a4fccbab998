//! The list of rooms. Owned by the suite; refuses an order that paging could not follow.

use tidings_protocol::{Limits, MessageId};

use super::harness::name;
use super::{Make, default_rules};
use crate::RoomSummary;

fn names(rooms: &[RoomSummary]) -> Vec<&str> {
    rooms.iter().map(|room| room.room.as_str()).collect()
}

#[expect(missing_docs, reason = "the name says it")]
pub fn rooms_are_listed_by_name(make: &Make) {
    let h = make(default_rules(), Limits::default());
    for room in ["pear", "apple", "Zebra", "äpfel"] {
        h.say(room, "four");
    }
    let last = h.say("pear", "four");
    let rooms = h.rooms(None, 10);
    assert_eq!(names(&rooms), ["Zebra", "apple", "pear", "äpfel"], "in the order of their bytes");
    assert_eq!(rooms[2], RoomSummary { room: name("pear"), head: last, messages: 2, bytes: 8 });
}

#[expect(missing_docs, reason = "the name says it")]
pub fn rooms_are_listed_in_pages(make: &Make) {
    let h = make(default_rules(), Limits::default());
    let all: Vec<_> = (0..25).map(|number| format!("room {number:02}")).collect();
    for room in all.iter().rev() {
        h.say(room, "x");
    }
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = h.rooms(after.as_deref(), 10);
        let Some(last) = page.last() else { break };
        after = Some(last.room.as_str().to_owned());
        read.extend(page.iter().map(|room| room.room.as_str().to_owned()));
    }
    assert_eq!(read, all);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_room_with_only_members_is_listed(make: &Make) {
    let h = make(default_rules(), Limits::default());
    h.enter("quiet");
    h.say("loud", "x");
    let rooms = h.rooms(None, 10);
    assert_eq!(names(&rooms), ["loud", "quiet"]);
    assert_eq!((rooms[1].head, rooms[1].messages), (MessageId::ZERO, 0));
    h.exit("quiet");
    assert_eq!(names(&h.rooms(None, 10)), ["loud"]);
}

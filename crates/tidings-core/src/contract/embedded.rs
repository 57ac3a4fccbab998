//! What an engine that keeps rooms in its own memory refuses and forgets. Owned by the suite;
//! refuses to let a limit be passed or a loss be silent.

use tidings_protocol::{Limits, MessageId};

use super::harness::{Harness, text_to};
use super::repeats::publish;
use super::{Make, default_rules, everywhere};
use crate::{EngineError, RoomOptions, Timestamp};

const KEPT_MS: u64 = 1_000;
const REMEMBERED_MS: u64 = 60_000;

/// An engine whose rooms keep messages for a second and are remembered for a minute.
fn forgetful(make: &Make, rooms_max: usize) -> Harness {
    let limits = Limits { rooms_max, room_forgotten_after_ms: REMEMBERED_MS, ..Limits::default() };
    make(everywhere(RoomOptions { history_age_ms: KEPT_MS, ..RoomOptions::from_limits(&limits) }), limits)
}

#[expect(missing_docs, reason = "the name says it")]
pub fn too_many_rooms_are_refused(make: &Make) {
    let h = forgetful(make, 3);
    for room in ["a", "b", "c"] {
        h.say(room, "x");
    }
    assert_eq!(h.publish(text_to("d", "x")), Err(EngineError::TooManyRooms));
    assert_eq!(h.engine.gauges().rooms, 3);
    h.say("a", "rooms that are known go on");
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_room_with_nothing_in_it_makes_space_for_another(make: &Make) {
    let h = forgetful(make, 3);
    for room in ["a", "b", "c"] {
        h.say(room, "x");
    }
    h.enter("a");
    h.enter("b");
    h.advance_ms(KEPT_MS);
    h.say("d", "x");
    assert_eq!(h.engine.gauges().rooms, 3);
    assert_ne!(h.page("a", crate::Position::Head, 0).head, MessageId::ZERO, "rooms with members stay");
    assert_eq!(h.publish(text_to("e", "x")), Err(EngineError::TooManyRooms));
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_silent_room_is_forgotten_in_time(make: &Make) {
    let h = forgetful(make, 100);
    let last = h.say("r", "x");
    h.advance_ms(KEPT_MS);
    h.tick();
    assert_eq!(h.engine.gauges().messages, 0);
    assert_eq!(h.history("r", last).head, last, "for a while it is known that nothing was missed");
    h.advance_ms(REMEMBERED_MS);
    h.tick();
    assert_eq!(h.engine.gauges(), crate::engine::EngineGauges::default());
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_room_with_members_is_not_forgotten(make: &Make) {
    let h = forgetful(make, 100);
    h.enter("r");
    let last = h.say("r", "x");
    h.advance_ms(KEPT_MS + REMEMBERED_MS);
    h.tick();
    assert_eq!(h.history("r", last).head, last);
    h.say("r", "y");
    assert_eq!(h.announced.wait_for(2)[1].prev, last);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_forgotten_room_never_gives_an_id_twice(make: &Make) {
    let h = forgetful(make, 100);
    let start = h.now();
    let last = h.say("r", "x");
    h.advance_ms(KEPT_MS + REMEMBERED_MS);
    h.tick();
    assert_eq!(h.engine.gauges().rooms, 0);
    h.set(Timestamp(start.0 - 3_600_000_000));
    let id = h.say("r", "y");
    assert!(id > last, "{id} is greater than {last} although the clock went back");
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_forgotten_room_does_not_pass_for_a_new_one(make: &Make) {
    let h = forgetful(make, 100);
    h.say("r", "missed by a client that was there before it");
    h.advance_ms(KEPT_MS + REMEMBERED_MS);
    h.tick();
    h.say("r", "y");
    let page = h.history("r", MessageId::ZERO);
    assert_ne!(
        page.messages[0].prev,
        MessageId::ZERO,
        "position zero does not prove that nothing is missing"
    );
}

#[expect(missing_docs, reason = "the name says it")]
pub fn who_enters_a_forgotten_room_stands_behind_its_earlier_life(make: &Make) {
    let h = forgetful(make, 100);
    let last = h.say("r", "missed by a client that was there before it");
    h.advance_ms(KEPT_MS + REMEMBERED_MS);
    h.tick();
    let told = h.enter("r");
    assert!(told >= last, "{told} tells who comes back from before {last} that it missed something");
    h.say("r", "y");
    assert_eq!(h.announced.wait_for(1)[0].prev, told, "the log continues where its member stands");
}

#[expect(missing_docs, reason = "the name says it")]
pub fn the_end_of_a_silent_room_stays_while_others_are_forgotten(make: &Make) {
    let h = forgetful(make, 10_000);
    let early = h.enter("early");
    let mut told = early;
    // Many, so that wherever the engine keeps the silent rooms, others are forgotten there too.
    for wave in 0..2 {
        for number in 0..1_000 {
            h.say(&format!("wave {wave} room {number}"), "x");
        }
        h.advance_ms(KEPT_MS + REMEMBERED_MS);
        h.tick();
        told = if wave == 0 { h.enter("late") } else { told };
    }
    h.say("early", "x");
    h.say("late", "x");
    let announced = h.announced.wait_for(2);
    assert_eq!((announced[0].prev, announced[1].prev), (early, told));
}

#[expect(missing_docs, reason = "the name says it")]
pub fn all_history_fits_its_limit_oldest_out_first(make: &Make) {
    let limits = Limits { history_bytes_max: 100, ..Limits::default() };
    let h = make(default_rules(), limits);
    let rooms: Vec<_> = (0..20).map(|number| format!("room {number}")).collect();
    let mut said = Vec::new();
    for round in 0..10 {
        for room in &rooms {
            h.advance_ms(1);
            said.push((room, h.say(room, "ten bytes!")));
            assert!(h.engine.gauges().bytes <= 100, "in round {round}");
        }
    }
    let kept: Vec<_> = rooms.iter().flat_map(|room| h.ids(room)).collect();
    let newest: Vec<_> = said[said.len() - 10..].iter().map(|(_, id)| *id).collect();
    assert_eq!(kept, newest, "the last ten messages are left");
    assert_eq!(h.engine.gauges().messages, 10);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn a_room_that_moved_on_is_not_taken_for_the_oldest(make: &Make) {
    let limits = Limits { history_bytes_max: 20, ..Limits::default() };
    let newest_only = RoomOptions { history_messages: 1, ..RoomOptions::from_limits(&limits) };
    let h = make(everywhere(newest_only), limits);
    h.say("busy", "ten bytes!");
    h.advance_ms(1);
    h.say("quiet", "ten bytes!");
    h.advance_ms(1);
    let newer = h.say("busy", "ten bytes!");
    h.advance_ms(1);
    let newest = h.say("third", "ten bytes!");
    assert_eq!([h.ids("busy"), h.ids("quiet"), h.ids("third")], [vec![newer], vec![], vec![newest]]);
}

#[expect(missing_docs, reason = "the name says it")]
pub fn the_oldest_key_makes_space_for_a_new_one(make: &Make) {
    let h = make(default_rules(), Limits { idempotency_keys_max: 16, ..Limits::default() });
    publish(&h, None, "r", "first");
    for number in 0..1_000 {
        publish(&h, None, "r", &number.to_string());
    }
    assert!(publish(&h, None, "r", "999").repeated);
    assert!(!publish(&h, None, "r", "first").repeated);
}

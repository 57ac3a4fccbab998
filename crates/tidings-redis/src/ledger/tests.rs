//! What members of a room notice of a server that loses things, and what its node must not do.

use tidings_core::{Hole, Timestamp};
use tidings_protocol::{Limits, MessageId, RoomName};

use super::model::{Said, World, message};

/// A world in which somebody is in the room, and everything is quiet.
fn with_a_member() -> World {
    let mut world = World::new();
    world.enter(0);
    assert!(world.calm());
    world
}

fn gaps(world: &World, shard: usize) -> Vec<(u64, u64)> {
    world.member(shard).gaps.iter().map(|gap| (gap.after.0, gap.before.0)).collect()
}

#[test]
fn messages_are_passed_on_as_they_are_heard() {
    let mut world = with_a_member();
    let ids = [world.other_publishes(), world.publish(), world.stranger_publishes()];
    let questions = world.questions;
    assert!(world.calm());
    assert_eq!(world.member(0).delivered, ids);
    assert_eq!(world.questions, questions, "nothing had to be asked");
}

#[test]
fn what_was_not_heard_is_read_when_the_next_message_shows_it() {
    let mut world = with_a_member();
    let ids: Vec<_> = (0..10).map(|_| world.other_publishes()).collect();
    world.ear.drain(..9);
    assert!(world.calm());
    assert_eq!(world.member(0).delivered, ids);
}

#[test]
fn what_was_not_heard_is_found_even_if_no_message_follows() {
    let mut world = with_a_member();
    let ids: Vec<_> = (0..10).map(|_| world.other_publishes()).collect();
    world.ear.clear();
    assert!(world.heal());
    assert_eq!(world.member(0).delivered, ids);
    assert_eq!(gaps(&world, 0), []);
}

#[test]
fn nobody_is_let_in_by_an_answer_from_before_the_room_was_subscribed_to() {
    let mut world = with_a_member();
    world.exit(0);
    world.tick();
    // The head is asked for, and the room is given up before the answer comes.
    world.ledger.watch(Timestamp(world.now), &super::model::room(), tidings_core::Completion::ignore());
    world.ledger.unwatch(Timestamp(world.now), &super::model::room());
    assert!(world.work());
    assert!(world.serve());
    world.tick();
    assert!(world.work());
    world.enter(0);
    let missed = world.other_publishes();
    assert!(world.answer());
    world.turn();
    assert_eq!(world.member(0).cursor, None);
    assert!(world.calm());
    let next = world.other_publishes();
    assert!(world.calm());
    let member = world.member(0);
    assert!(member.start >= missed && member.delivered == [next], "{member:?}");
}

#[test]
fn who_comes_back_at_once_gets_everything_after_the_head_that_it_was_told() {
    let mut world = with_a_member();
    // Somebody looks at the room while its last member leaves and comes back.
    world.enter(1);
    assert!(world.work());
    assert!(world.serve());
    world.exit(1);
    world.exit(0);
    let id = world.other_publishes();
    assert!(world.hear());
    world.enter(0);
    assert!(world.calm());
    let member = world.member(0);
    assert!(member.start >= id || member.delivered == [id], "{member:?}");
}

#[test]
fn who_waits_to_come_in_is_refused_when_the_server_goes_away() {
    let mut world = World::new();
    world.enter(0);
    assert!(world.work());
    world.break_voice();
    world.turn();
    assert_eq!(world.present().count(), 0);
}

#[test]
fn a_server_that_is_away_is_asked_once_a_tick_and_not_all_the_time() {
    let mut world = with_a_member();
    world.break_ear();
    world.break_voice();
    for _ in 0..10 {
        assert!(world.work());
        world.break_voice();
        assert!(world.work(), "whoever comes in its place is asked");
        world.refuse_all();
        assert!(!world.work(), "it was just asked");
        world.tick();
    }
    assert!(world.heal());
}

#[test]
fn a_message_that_is_in_no_log_keeps_nobody_busy() {
    let mut world = with_a_member();
    for (id, prev) in [(u64::MAX, 5), (5, 4), (9_000_000_000, 8_000_000_000)] {
        world.hear_of(Said::Message(message(id, prev)));
        assert!(world.calm(), "the log is asked for {id} again and again");
    }
    let id = world.other_publishes();
    assert!(world.calm());
    assert_eq!(world.member(0).delivered, [id]);
    assert_eq!(gaps(&world, 0), []);
}

#[test]
fn a_loss_is_told_once_to_those_who_were_there() {
    let mut world = with_a_member();
    let first = world.other_publishes();
    let lost = world.other_publishes();
    assert!(world.calm());
    world.roll_back(1);
    assert!(world.calm());
    world.enter(1);
    assert!(world.heal());
    let after = [world.other_publishes(), world.publish()];
    for _ in 0..3 {
        world.break_ear();
        world.break_voice();
        assert!(world.heal());
    }
    assert_eq!(world.member(0).delivered, [first, lost, after[0], after[1]]);
    assert_eq!(gaps(&world, 0).len(), 1, "{:?}", world.member(0));
    assert_eq!((gaps(&world, 1), &world.member(1).delivered[..]), (Vec::new(), &after[..]));
}

#[test]
fn an_old_loss_is_not_told_again_when_the_log_is_trimmed() {
    let mut world = with_a_member();
    world.other_publishes();
    world.roll_back(1);
    assert!(world.heal());
    world.exit(0);
    assert!(world.heal());
    world.enter(0);
    assert!(world.calm());
    for _ in 0..10 {
        world.other_publishes();
    }
    world.ear.clear();
    world.trim(3);
    assert!(world.heal());
    let (start, first) = (world.member(0).start, world.store.log[0].id.0);
    assert_eq!(gaps(&world, 0), [(start, first)]);
}

#[test]
fn what_was_acknowledged_here_and_lost_before_it_was_heard_is_told() {
    let mut world = with_a_member();
    let lost = world.publish();
    world.roll_back(1);
    assert!(world.heal());
    let [(after, before)] = gaps(&world, 0)[..] else { panic!("{:?}", world.member(0)) };
    assert!(after < lost && lost < before);
}

#[test]
fn what_was_acknowledged_where_nobody_was_is_told_to_who_comes_by_another_node() {
    let mut world = World::new();
    let kept = world.publish();
    let lost = world.publish();
    world.roll_back(1);
    assert!(world.heal());
    let known = Hole { after: MessageId(kept), before: MessageId(lost) };
    assert_eq!(world.store.hole, Some(known), "the server was shown what it lost");
}

#[test]
fn who_publishes_after_a_loss_before_anybody_noticed_does_not_hide_it() {
    let mut world = with_a_member();
    let first = world.publish();
    let lost = world.publish();
    world.roll_back(1);
    world.now += 10;
    let next = world.stranger_publishes();
    let own = world.publish();
    assert!(world.heal());
    assert_eq!(world.member(0).delivered, [first, next, own]);
    assert!(gaps(&world, 0).iter().any(|&(after, before)| after < lost && lost < before));
}

#[test]
fn a_room_that_comes_and_goes_leaves_nothing_behind() {
    let mut world = World::new();
    let room = |number: usize| RoomName::new(&format!("room {number}"), &Limits::default()).unwrap();
    for number in 0..5_000 {
        let room = room(number % 3);
        world.ledger.watch(Timestamp(world.now), &room, tidings_core::Completion::ignore());
        world.ledger.unwatch(Timestamp(world.now), &room);
        world.now += 1;
        world.ledger.tick(Timestamp(world.now), 64);
        world.ledger.next_work(0, 64);
    }
    let ledger = &world.ledger;
    let sizes = (
        ledger.rooms.len(),
        ledger.left.len(),
        ledger.work.values().map(std::collections::VecDeque::len).sum::<usize>(),
        ledger.unanswered.len(),
    );
    assert_eq!(sizes, (0, 0, 0, 0));
    assert!(ledger.checks.len() < 100, "{} checks", ledger.checks.len());
}

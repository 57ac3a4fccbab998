//! Coming back: by cursor after a lost connection, and after not reading for a while.

use tidings_core::Timestamp;
use tidings_core::telemetry::Counter;
use tidings_protocol::GapReason;
use tidings_protocol::server::Received;

use crate::support::{ClientId, Seen, Setup, World};

/// A client for which the network holds little.
fn enter_narrow(world: &mut World, path: &str) -> ClientId {
    let id = world.dial_with(4_096);
    world.raw(id, &world.handshake(path));
    world.pump();
    world.greeted(id);
    id
}

#[test]
fn a_client_that_comes_back_with_its_position_misses_nothing() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        world.say(ana, "seen");
        let position = world.messages(ben)[0].id;
        world.client(ben).pipe.reset();
        world.pump();
        world.take(ana);
        for number in 0..50 {
            world.say(ana, &number.to_string());
        }
        let ben = world.connect(&format!("/ws/chat/ben?last_message_id={position}"));
        world.say(ana, "live");
        let mut expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        expected.push("live".into());
        assert_eq!(world.texts(ben), expected);
        assert_eq!(world.counted(Counter::GapTold), 0);
    }
}

#[test]
fn what_history_no_longer_holds_is_told_as_a_gap() {
    for mut world in Setup::each_tongue(|setup| setup.limits.room_history_messages = 5) {
        let ana = world.enter("/ws/chat/ana");
        for number in 0..20 {
            world.say(ana, &number.to_string());
        }
        let ids: Vec<u64> = world.messages(ana).iter().map(|message| message.id).collect();
        let ben = world.connect(&format!("/ws/chat?last_message_id={}", ids[3]));
        let seen = world.frames(ben);
        let Received::Restore(restore) = &seen[1] else { panic!("{seen:?}") };
        assert!(!restore.recovered);
        assert_eq!(restore.messages.iter().map(|message| message.id).collect::<Vec<_>>(), ids[15..]);
        let Received::Gap(gap) = &seen[2] else { panic!("{seen:?}") };
        assert_eq!((gap.after, gap.before, gap.reason), (ids[3], ids[15], GapReason::Expired));
    }
}

#[test]
fn a_position_from_the_future_is_told_as_rolled_back() {
    let mut world = Setup::default().build();
    let ana = world.enter("/ws/chat/ana");
    world.say(ana, "one");
    let one = world.messages(ana)[0].id;
    let ben = world.connect(&format!("/ws/chat?last_message_id={}", one + 1_000_000_000));
    let seen = world.frames(ben);
    assert!(matches!(&seen[2], Received::Gap(gap) if gap.reason == GapReason::RolledBack), "{seen:?}");
    world.say(ana, "two");
    assert_eq!(world.texts(ben), ["two"]);
}

#[test]
fn who_waited_in_an_empty_room_is_told_what_a_restart_may_have_lost() {
    let node = |started| Setup { started: Timestamp(started), ..Setup::default() }.build();
    let restored = |world: &mut World, position: u64| {
        let client = world.connect(&format!("/ws/chat?last_message_id={position}"));
        let seen = world.frames(client);
        let Received::Restore(restore) = &seen[1] else { panic!("{seen:?}") };
        let told = matches!(seen.get(2), Some(Received::Gap(gap)) if gap.after == position);
        (restore.last_message_id, restore.recovered, told)
    };
    let mut before = node(1_000);
    assert_eq!(restored(&mut before, 0), (1_000, true, false), "all there is, which is nothing");
    assert_eq!(restored(&mut before, 1_000), (1_000, true, false), "nothing was lost meanwhile");
    let mut after = node(2_000);
    assert_eq!(restored(&mut after, 1_000), (2_000, false, true));
}

#[test]
fn slow_consumer_catches_up_without_loss_and_costs_bounded_memory() {
    for mut world in Setup::each_tongue(|setup| {
        setup.limits.outbox_bytes_max = 8 * 1024;
        setup.limits.messages_per_second_max = 0;
        setup.limits.room_history_messages = 2_000;
    }) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        let slow = enter_narrow(&mut world, "/ws/chat/slow");
        world.stall(slow);
        let said: Vec<_> = (0..1_000).map(|number| format!("{number} {}", "x".repeat(100))).collect();
        for text in &said {
            world.say(ana, text);
            assert!(world.waiting_bytes() <= 8 * 1024, "{}", world.waiting_bytes());
        }
        // Nobody else waits for it.
        assert_eq!(world.texts(ben), said);
        assert!(world.counted(Counter::SlowConsumerFellBehind) >= 1);
        world.unstall(slow);
        assert_eq!(world.texts(slow), said);
        assert_eq!(world.counted(Counter::GapTold), 0);
        world.say(ana, "live again");
        assert_eq!(world.texts(slow), ["live again"]);
    }
}

#[test]
fn slow_consumer_whose_history_is_gone_is_told_a_gap() {
    for mut world in Setup::each_tongue(|setup| {
        setup.limits.outbox_bytes_max = 2 * 1024;
        setup.limits.messages_per_second_max = 0;
        setup.limits.room_history_messages = 10;
    }) {
        let ana = world.enter("/ws/chat/ana");
        let slow = enter_narrow(&mut world, "/ws/chat/slow");
        world.stall(slow);
        for number in 0..500 {
            world.say(ana, &format!("{number} {}", "x".repeat(100)));
        }
        let all: Vec<u64> = world.messages(ana).iter().map(|message| message.id).collect();
        world.unstall(slow);
        let (mut ids, mut gaps) = (Vec::new(), Vec::new());
        for frame in world.frames(slow) {
            match frame {
                Received::Message(message) => ids.push(message.id),
                Received::Gap(gap) => gaps.push(gap),
                other => panic!("{other:?}"),
            }
        }
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(gaps.len(), 1);
        let missing = all.iter().filter(|id| !ids.contains(id));
        assert!(missing.clone().count() > 100);
        assert!({ missing }.all(|&id| gaps[0].after < id && id < gaps[0].before));
    }
}

#[test]
fn a_subscription_behind_a_blocked_connection_is_not_forgotten() {
    // The inbox overflows while the connection is blocked but its outbox has room: the cursor is
    // behind, nothing was refused, and still it has to be told when the connection flows.
    let mut world = Setup::default();
    world.limits.inbox_messages_max = 1;
    world.limits.messages_per_second_max = 0;
    let mut world = world.build();
    let ana = world.enter("/ws/chat/ana");
    let slow = enter_narrow(&mut world, "/ws/chat/slow");
    world.stall(slow);
    world.say(ana, &"x".repeat(6_000));
    assert!(world.waiting_bytes() > 0);
    for number in 0..10 {
        world.send(ana, &number.to_string());
    }
    world.pump();
    assert!(world.counted(Counter::InboxOverflowed) > 0);
    world.unstall(slow);
    assert_eq!(world.messages(slow).len(), 11);
    assert_eq!(world.messages(ana).len(), 11);
}

#[test]
fn an_inbox_that_overflows_loses_nothing_for_anybody() {
    for mut world in Setup::each_tongue(|setup| {
        setup.limits.inbox_messages_max = 3;
        setup.limits.messages_per_second_max = 0;
    }) {
        let ana = world.enter("/ws/chat/ana");
        let others: Vec<_> = (0..9).map(|number| world.enter(&format!("/ws/chat/u{number}"))).collect();
        let said: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        for text in &said {
            world.send(ana, text);
        }
        world.pump();
        for client in others {
            assert_eq!(world.texts(client), said);
        }
    }
}

#[test]
fn a_message_larger_than_the_outbox_still_arrives() {
    for mut world in Setup::each_tongue(|setup| setup.limits.outbox_bytes_max = 1_024) {
        let ana = world.enter("/ws/chat/ana");
        let narrow = enter_narrow(&mut world, "/ws/chat/narrow");
        let large = "x".repeat(60_000);
        for _ in 0..3 {
            world.say(ana, &large);
        }
        assert_eq!(world.texts(narrow), vec![large; 3]);
    }
}

#[test]
fn the_end_of_a_stream_is_seen_behind_more_than_one_buffer() {
    let mut world = Setup::default();
    world.limits.messages_per_second_max = 0;
    let mut world = world.build();
    let ana = world.enter("/ws/chat/ana");
    for _ in 0..10 {
        world.send(ana, &"x".repeat(20_000));
    }
    world.client(ana).pipe.finish();
    world.pump();
    assert_eq!(world.connections(), 0);
}

#[test]
fn the_end_of_a_stream_is_seen_by_a_connection_that_was_paused() {
    let mut world = Setup::default();
    world.limits.messages_per_second_max = 0;
    world.limits.outbox_bytes_max = 1_024;
    let mut world = world.build();
    let ana = enter_narrow(&mut world, "/ws/chat/ana");
    world.stall(ana);
    for _ in 0..5_000 {
        world.send(ana, r#"{"type":"ping"}"#);
    }
    world.pump();
    world.client(ana).pipe.finish();
    world.pump();
    world.unstall(ana);
    assert_eq!(world.connections(), 0);
    assert!(world.take(ana).contains(&Seen::End));
}

#[test]
fn a_close_is_answered_although_the_outbox_empties_in_the_same_turn() {
    let mut world = Setup::default();
    world.limits.messages_per_second_max = 0;
    world.limits.outbox_bytes_max = 1_024;
    let mut world = world.build();
    let ana = enter_narrow(&mut world, "/ws/chat/ana");
    world.stall(ana);
    while world.waiting_bytes() <= 512 {
        world.say(ana, r#"{"type":"ping"}"#);
    }
    // It is paused now, so the close is read when it is no longer.
    world.client(ana).close(1_000);
    while world.waiting_bytes() > 512 {
        world.client(ana).look(20);
        world.turns(1);
    }
    world.client(ana).look(usize::MAX);
    world.unstall(ana);
    let seen = world.take(ana);
    assert!(matches!(&seen[seen.len() - 2..], [Seen::Close(1_000, _), Seen::End]), "{seen:?}");
}

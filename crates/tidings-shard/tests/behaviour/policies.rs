//! What a room does with slow readers, where it does not let them catch up.

use tidings_core::options::Pattern;
use tidings_core::telemetry::Counter;
use tidings_core::{RoomOptions, SlowConsumerPolicy};
use tidings_protocol::server::Received;
use tidings_protocol::{GapReason, Limits};

use crate::support::{ClientId, Seen, Setup, World};

fn worlds(policy: SlowConsumerPolicy) -> impl Iterator<Item = World> {
    Setup::each_tongue(move |setup| {
        setup.limits = Limits {
            outbox_bytes_max: 4 * 1024,
            messages_per_second_max: 0,
            room_history_messages: 1_000,
            ..Limits::default()
        };
        let options = RoomOptions { slow_consumer: policy, ..RoomOptions::from_limits(&setup.limits) };
        setup.rules = vec![(Pattern::new("special"), options)];
    })
}

fn enter_narrow(world: &mut World, path: &str) -> ClientId {
    let id = world.dial_with(2_048);
    world.raw(id, &world.handshake(path));
    world.pump();
    world.greeted(id);
    id
}

#[test]
fn a_ticker_skips_to_the_newest_of_each_key() {
    for mut world in worlds(SlowConsumerPolicy::Latest) {
        let ana = world.enter("/ws/special/ana");
        let slow = enter_narrow(&mut world, "/ws/special/slow");
        world.stall(slow);
        for number in 0..300 {
            let key = ["eur", "usd", "gbp"][number % 3];
            world.say(ana, &format!(r#"{{"type":"message","key":"{key}","text":"{number}"}}"#));
        }
        assert!(world.waiting_bytes() <= 4 * 1024);
        world.unstall(slow);
        let seen = world.messages(slow);
        assert!(seen.is_sorted_by(|a, b| a.id < b.id));
        assert!(seen.len() < 100, "{}", seen.len());
        let last: Vec<_> = seen[seen.len() - 3..].iter().map(crate::support::world::text).collect();
        assert_eq!(last, ["297", "298", "299"]);
        assert!(world.counted(Counter::MessageConflated) > 100);
        world.say(ana, r#"{"type":"message","key":"eur","text":"live"}"#);
        assert_eq!(world.texts(slow), ["live"]);
    }
}

#[test]
fn a_ticker_with_more_keys_than_an_outbox_holds_still_gives_the_newest_of_each() {
    for mut world in worlds(SlowConsumerPolicy::Latest) {
        let ana = world.enter("/ws/special/ana");
        let slow = enter_narrow(&mut world, "/ws/special/slow");
        world.stall(slow);
        for round in 0..3 {
            for key in 0..100 {
                let text = format!("{round} {}", "x".repeat(100));
                world.say(ana, &format!(r#"{{"type":"message","key":"{key}","text":"{text}"}}"#));
            }
        }
        world.unstall(slow);
        let newest: std::collections::HashMap<_, _> = world
            .messages(slow)
            .iter()
            .map(|message| (message.key.clone(), crate::support::world::text(message)))
            .collect();
        assert_eq!(newest.len(), 100);
        assert!(newest.values().all(|text| text.starts_with("2 ")));
    }
}

#[test]
fn a_ticker_whose_log_forgot_the_newest_of_a_key_says_so() {
    for mut world in worlds(SlowConsumerPolicy::Latest) {
        let ana = world.enter("/ws/special/ana");
        let slow = enter_narrow(&mut world, "/ws/special/slow");
        world.stall(slow);
        let filling = "x".repeat(100);
        for number in 0..2_000 {
            let key = if number == 100 { "usd" } else { "eur" };
            world.say(ana, &format!(r#"{{"type":"message","key":"{key}","text":"{filling}{number}"}}"#));
        }
        let all = world.messages(ana);
        let usd = all.iter().find(|message| message.key.as_deref() == Some("usd")).unwrap().id;
        world.unstall(slow);
        let frames = world.frames(slow);
        let names_it =
            |frame: &Received| matches!(frame, Received::Gap(gap) if gap.after < usd && usd < gap.before);
        assert_eq!(frames.iter().filter(|frame| names_it(frame)).count(), 1);
        assert!(matches!(frames.last(), Some(Received::Message(last)) if last.id == all[1_999].id));
    }
}

#[test]
fn a_room_that_drops_says_what_it_dropped() {
    for mut world in worlds(SlowConsumerPolicy::Drop) {
        let ana = world.enter("/ws/special/ana");
        let slow = enter_narrow(&mut world, "/ws/special/slow");
        world.stall(slow);
        for number in 0..300 {
            world.say(ana, &number.to_string());
        }
        let all: Vec<u64> = world.messages(ana).iter().map(|message| message.id).collect();
        world.unstall(slow);
        world.say(ana, "live");
        let frames = world.frames(slow);
        let gaps: Vec<_> = frames
            .iter()
            .filter_map(|frame| match frame {
                Received::Gap(gap) => Some((gap.after, gap.before, gap.reason)),
                _ => None,
            })
            .collect();
        let messages = frames.len() - gaps.len();
        let seen_before = messages - 1;
        assert_eq!(gaps, [(all[seen_before - 1], all[299] + 1, GapReason::Overflow)]);
    }
}

#[test]
fn a_room_that_closes_slow_readers_lets_them_come_back_by_cursor() {
    for mut world in worlds(SlowConsumerPolicy::Close) {
        let ana = world.enter("/ws/special/ana");
        let slow = enter_narrow(&mut world, "/ws/special/slow");
        world.stall(slow);
        for number in 0..300 {
            world.say(ana, &number.to_string());
        }
        world.unstall(slow);
        let seen = world.take(slow);
        assert!(matches!(&seen[seen.len() - 2..], [Seen::Close(1_013, _), Seen::End]), "{:?}", seen.last());
        let mut ids: Vec<u64> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Frame(Received::Message(message)) => Some(message.id),
                _ => None,
            })
            .collect();
        assert_eq!(world.counted(Counter::SlowConsumerClosed), 1);
        // What it missed is more than an outbox holds; catching up is not being too slow.
        let back = world.connect(&format!("/ws/special?last_message_id={}", ids.last().unwrap()));
        ids.extend(world.messages(back).iter().map(|message| message.id));
        assert_eq!(ids, world.messages(ana).iter().map(|message| message.id).collect::<Vec<_>>());
        assert_eq!(world.counted(Counter::SlowConsumerClosed), 1);
    }
}

//! Signs of life: pings in silence only, and the end of those who do not answer.

use tidings_core::telemetry::Counter;

use crate::support::{Seen, Setup};

#[test]
fn a_silent_client_is_pinged_and_lives_when_it_answers() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        world.advance(world.limits.ping_interval_ms - 100);
        assert!(world.take(ana).is_empty());
        world.advance(200);
        assert_eq!(world.take(ana), [Seen::Ping]);
        world.advance(10 * world.limits.ping_interval_ms);
        let seen = world.take(ana);
        assert!(seen.len() >= 9 && seen.iter().all(|seen| *seen == Seen::Ping), "{seen:?}");
        assert_eq!(world.connections(), 1);
    }
}

#[test]
fn no_ping_is_sent_where_data_moves() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        let ben = world.enter("/ws/chat");
        for _ in 0..20 {
            world.say(ana, "hi");
            world.advance(world.limits.ping_interval_ms / 2);
        }
        // Ana sends, Ben only receives: both are seen to live.
        assert_eq!(world.counted(Counter::PingSent), 0);
        assert_eq!(world.texts(ben).len(), 20);
    }
}

#[test]
fn a_client_without_a_sign_of_life_is_closed_with_4001() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        world.client(ana).rude = true;
        world.advance(world.limits.ping_interval_ms + world.limits.pong_timeout_ms + 200);
        let seen = world.take(ana);
        assert!(matches!(&seen[..], [Seen::Ping, Seen::Close(4_001, _)]), "{seen:?}");
        assert_eq!(world.counted(Counter::PongMissed), 1);
        world.advance(world.limits.close_timeout_ms + 200);
        assert_eq!((world.connections(), world.capacity.connections()), (0, 0));
    }
}

#[test]
fn any_data_is_a_sign_of_life() {
    let mut world = Setup::default().build();
    let ana = world.enter("/ws/chat");
    world.client(ana).rude = true;
    world.advance(world.limits.ping_interval_ms + 1_000);
    world.say(ana, "still here");
    world.advance(world.limits.pong_timeout_ms + 1_000);
    assert_eq!(world.counted(Counter::PongMissed), 0);
    assert_eq!(world.connections(), 1);
}

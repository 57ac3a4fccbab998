//! The end of a node: clients are told, may go when they are ready, and get what is pending.

use tidings_protocol::server::Received;

use crate::support::{Seen, Setup};

#[test]
fn who_is_ready_for_the_restart_is_closed_with_1012() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        world.drain();
        world.pump();
        let Received::ServerRestart { reconnect_after_ms } = world.frame(ana) else { panic!("not told") };
        assert_eq!(reconnect_after_ms, world.limits.reconnect_after_ms);
        assert!(!world.is_over());
        world.say(ana, r#"{"type":"restart_ack"}"#);
        assert!(matches!(&world.take(ana)[..], [Seen::Close(1_012, _), Seen::End]));
        assert!(world.is_over());
    }
}

#[test]
fn who_is_silent_is_closed_with_1001_after_the_wait() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        let ben = world.enter("/ws/chat");
        world.drain();
        world.advance(world.limits.restart_ack_timeout_ms - 100);
        world.say(ana, "one still may talk");
        assert_eq!(world.texts(ben), ["one still may talk"]);
        world.advance(200);
        let seen = world.take(ben);
        assert!(matches!(&seen[..], [Seen::Close(1_001, _), Seen::End]), "{seen:?}");
        assert!(world.is_over());
    }
}

#[test]
fn what_is_pending_is_sent_before_the_end() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        let slow = world.dial_with(1_024);
        world.raw(slow, &crate::support::client::handshake("/ws/chat", false));
        world.pump();
        world.stall(slow);
        for number in 0..100 {
            world.say(ana, &format!("{number} {}", "x".repeat(100)));
        }
        world.drain();
        world.advance(world.limits.restart_ack_timeout_ms + 100);
        world.unstall(slow);
        let seen = world.take(slow);
        assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Frame(Received::Message(_)))).count(), 100);
        assert!(matches!(&seen[seen.len() - 2..], [Seen::Close(1_001, _), Seen::End]));
        assert!(world.is_over());
    }
}

#[test]
fn who_never_reads_does_not_keep_the_node_from_ending() {
    for mut world in Setup::each_tongue(|setup| {
        setup.limits.drain_timeout_ms = 3_000;
        setup.limits.close_timeout_ms = 60_000;
    }) {
        let ana = world.enter("/ws/chat");
        world.stall(ana);
        world.client(ana).rude = true;
        world.drain();
        world.advance(3_100);
        assert!(world.is_over());
    }
}

#[test]
fn a_node_without_clients_ends_at_once() {
    let mut world = Setup { shards: 3, ..Setup::default() }.build();
    world.drain();
    world.pump();
    assert!(world.is_over());
}

#[test]
fn who_shakes_hands_while_the_node_stops_is_told_to_come_back() {
    let mut world = Setup::default().build();
    world.enter("/ws/chat");
    let late = world.dial();
    world.raw(late, b"GET /ws/chat HTTP/1.1\r\n");
    world.pump();
    world.drain();
    world.pump();
    let rest = crate::support::client::handshake("/ws/chat", false);
    let rest = &rest[rest.iter().position(|&byte| byte == b'\n').unwrap() + 1..];
    world.raw(late, rest);
    world.pump();
    let seen = world.take(late);
    assert!(
        matches!(&seen[..], [Seen::Http(answer), Seen::End] if answer.status == 503 && answer.code() == "restarting"),
        "{seen:?}"
    );
}

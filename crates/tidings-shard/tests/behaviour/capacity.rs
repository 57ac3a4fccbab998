//! Limits that are told: the node's capacity, a client's rate, and answers that nobody reads.

use tidings_core::telemetry::Counter;
use tidings_protocol::server::Received;

use crate::support::{Seen, Setup};

#[test]
fn a_websocket_beyond_the_nodes_capacity_is_told_so_and_sent_away() {
    for mut world in Setup::each_tongue(|setup| setup.limits.connections_max = 2) {
        let ana = world.enter("/ws/chat");
        let ben = world.enter("/ws/chat");
        let surplus = world.connect("/ws/chat");
        assert_eq!(world.take(surplus), [Seen::Close(1_013, "Server at capacity".into()), Seen::End]);
        assert_eq!(world.counted(Counter::ConnectionRefused), 1);
        world.say(ana, "undisturbed");
        assert_eq!(world.texts(ben), ["undisturbed"]);
        world.client(ben).close(1_000);
        world.pump();
        world.enter("/ws/chat");
    }
}

#[test]
fn plain_http_beyond_the_nodes_capacity_gets_503_with_retry_after() {
    let mut world = Setup::default();
    world.limits.connections_max = 1;
    let mut world = world.build();
    world.enter("/ws/chat");
    let visitor = world.dial();
    world.raw(visitor, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    world.pump();
    let seen = world.take(visitor);
    let Some(Seen::Http(answer)) = seen.first() else { panic!("{seen:?}") };
    assert_eq!((answer.status, answer.code().as_str()), (503, "at_capacity"));
    assert!(answer.header("Retry-After").is_some());
    assert_eq!(answer.header("Tidings-Node"), Some("n1"));
}

#[test]
fn clients_beyond_those_that_can_be_refused_wait_until_there_is_room() {
    let mut world = Setup::default();
    (world.limits.connections_max, world.limits.refusals_max) = (1, 0);
    let mut world = world.build();
    let ana = world.enter("/ws/chat");
    let waiting = world.connect("/ws/chat");
    assert!(world.take(waiting).is_empty());
    world.client(ana).close(1_000);
    world.pump();
    world.advance(200);
    world.greeted(waiting);
}

#[test]
fn who_sends_too_fast_is_told_so_and_may_go_on_later() {
    for mut world in Setup::each_tongue(|setup| setup.limits.messages_per_second_max = 5) {
        let ana = world.enter("/ws/chat");
        for number in 0..8 {
            world.send(ana, &number.to_string());
        }
        world.pump();
        let seen = world.frames(ana);
        let refused = seen
            .iter()
            .filter(|frame| matches!(frame, Received::Error(error) if error.code == "rate_limited"));
        assert_eq!(refused.count(), 3);
        assert_eq!(world.counted(Counter::RateLimitReached), 3);
        world.advance(1_000);
        world.say(ana, "again");
        assert_eq!(world.texts(ana), ["again"]);
    }
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_from() {
    for mut world in Setup::each_tongue(|setup| {
        setup.limits.messages_per_second_max = 0;
        setup.limits.outbox_bytes_max = 8 * 1024;
    }) {
        let ana = world.dial_with(1_024);
        world.raw(ana, &crate::support::client::handshake("/ws/quiet", false));
        world.pump();
        world.greeted(ana);
        world.stall(ana);
        for _ in 0..20_000 {
            world.send(ana, r#"{"type":"ping"}"#);
        }
        world.pump();
        assert!(world.waiting_bytes() <= 8 * 1024, "{}", world.waiting_bytes());
        world.unstall(ana);
        assert_eq!(world.frames(ana).len(), 20_000);
        assert_eq!(world.waiting_bytes(), 0);
    }
}

#[test]
fn asking_for_much_history_at_once_costs_no_more_than_an_outbox() {
    for mut world in Setup::each_tongue(|setup| setup.limits.messages_per_second_max = 0) {
        let ana = world.enter("/ws/chat");
        for _ in 0..50 {
            world.say(ana, &"x".repeat(10_000));
        }
        let ben = world.dial_with(1_024);
        world.raw(ben, &crate::support::client::handshake("/ws/other", false));
        world.pump();
        world.greeted(ben);
        world.stall(ben);
        for _ in 0..60 {
            world.send(ben, r#"{"type":"history","room":"chat","after":0}"#);
        }
        world.pump();
        assert!(world.waiting_bytes() <= world.limits.outbox_bytes_max, "{}", world.waiting_bytes());
        world.unstall(ben);
        assert_eq!(world.frames(ben).len(), 60);
    }
}

#[test]
fn coming_back_to_many_rooms_costs_no_more_than_an_outbox() {
    let mut world = Setup::default();
    world.limits.outbox_bytes_max = 32 * 1024;
    world.limits.messages_per_second_max = 0;
    let mut world = world.build();
    let ana = world.enter("/ws/r0/ana");
    for number in 0..20 {
        for _ in 0..10 {
            world.say(
                ana,
                &format!(r#"{{"type":"message","room":"r{number}","text":"{}"}}"#, "x".repeat(2_000)),
            );
        }
    }
    let ben = world.dial_with(1_024);
    world.raw(ben, &crate::support::client::handshake("/ws", false));
    world.pump();
    world.stall(ben);
    let positions: Vec<_> = (0..20).map(|number| format!(r#""r{number}":0"#)).collect();
    world.say(ben, &format!(r#"{{"type":"hello","positions":{{{}}}}}"#, positions.join(",")));
    assert!(world.waiting_bytes() <= 40 * 1024, "{}", world.waiting_bytes());
    world.unstall(ben);
    assert_eq!(world.messages(ben).len(), 200);
}

//! Heads that cannot be served: each is refused by its status and code, is counted, and disturbs
//! nobody.

use tidings_core::telemetry::Counter;

use crate::support::client::handshake;
use crate::support::{Answer, ClientId, Seen, Setup, World};

/// What an HTTP client that sends these bytes is answered, while two others go on chatting.
fn refused(world: &mut World, bytes: &[u8]) -> Answer {
    let (ana, ben) = (world.enter("/ws/chat/ana"), world.enter("/ws/chat/ben"));
    let client = world.dial();
    world.raw(client, bytes);
    world.pump();
    world.say(ana, "undisturbed");
    assert_eq!(world.texts(ben), ["undisturbed"]);
    answer(world, client)
}

fn answer(world: &mut World, client: ClientId) -> Answer {
    let seen = world.take(client);
    let [Seen::Http(answer), Seen::End] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(answer.header("Tidings-Node"), Some("n1"));
    assert!(!answer.body.is_empty());
    answer.clone()
}

fn changed(from: &str, to: &str) -> Vec<u8> {
    let head = String::from_utf8(handshake("/ws/chat", false)).unwrap();
    assert!(head.contains(from), "{head}");
    head.replace(from, to).into_bytes()
}

#[test]
fn a_handshake_that_breaks_the_rules_is_refused_by_its_status() {
    for (bytes, status, code) in [
        (changed("Version: 13", "Version: 8"), 426, "upgrade_required"),
        (changed("Upgrade: websocket\r\n", ""), 426, "upgrade_required"),
        (changed("Sec-WebSocket-Key:", "X-Key:"), 400, "bad_handshake"),
        (changed("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: short"), 400, "bad_handshake"),
        (changed("Connection: Upgrade", "Connection: close"), 400, "bad_handshake"),
        (changed("Host: ", "X-Host: "), 400, "bad_handshake"),
        (changed("HTTP/1.1", "HTTP/1.0"), 400, "bad_handshake"),
        (changed("GET ", "POST "), 405, "method_not_allowed"),
    ] {
        for mut world in Setup::each(|_| {}) {
            let answer = refused(&mut world, &bytes);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{}",
                String::from_utf8_lossy(&bytes)
            );
            assert_eq!(world.counted(Counter::HandshakeRefused), 1);
            if status == 426 {
                assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"));
            }
        }
    }
}

#[test]
fn a_bad_address_is_refused_by_its_status() {
    let long = format!("/ws/{}", "x".repeat(10_000));
    for (path, status, code) in [
        ("/ws/", 400, "bad_room"),
        (long.as_str(), 400, "bad_room"),
        ("/ws/%zz", 400, "bad_room"),
        ("/ws/chat/", 400, "bad_user"),
        ("/ws/chat/ana/more", 404, "not_found"),
        ("/ws/chat?last_message_id=x", 400, "bad_query"),
    ] {
        let mut world = Setup::default().build();
        let answer = refused(&mut world, &handshake(path, false));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert_eq!(world.counted(Counter::HandshakeRefused), 1);
    }
}

#[test]
fn what_is_no_http_is_refused() {
    for bytes in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET /ws/\x7f\x01 HTTP/1.1\r\n\r\n",
    ] {
        let mut world = Setup::default().build();
        let answer = refused(&mut world, bytes);
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_head"));
        assert_eq!(world.counted(Counter::HeadRefused), 1);
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    for bytes in [
        format!("GET /ws/chat HTTP/1.1\r\nX-Long: {}\r\n\r\n", "y".repeat(20_000)),
        format!("GET /{}", "y".repeat(200_000)),
        format!("GET /ws/chat HTTP/1.1\r\n{many}\r\n"),
    ] {
        for mut world in Setup::each(|_| {}) {
            let answer = refused(&mut world, bytes.as_bytes());
            assert_eq!((answer.status, answer.code().as_str()), (431, "head_too_large"));
            assert_eq!(world.counted(Counter::HeadRefused), 1);
        }
    }
}

#[test]
fn a_head_that_comes_too_slowly_is_refused_with_408() {
    for mut world in Setup::each(|_| {}) {
        let (ana, ben) = (world.enter("/ws/chat/ana"), world.enter("/ws/chat/ben"));
        let slow = world.dial();
        for byte in &handshake("/ws/chat", false)[..20] {
            world.raw(slow, &[*byte]);
            world.advance(world.limits.handshake_timeout_ms / 10);
        }
        let answer = answer(&mut world, slow);
        assert_eq!((answer.status, answer.code().as_str()), (408, "timeout"));
        world.advance(world.limits.close_timeout_ms + 200);
        assert_eq!(world.connections(), 2);
        assert_eq!(world.counted(Counter::HeadRefused), 1);
        world.say(ana, "undisturbed");
        assert_eq!(world.texts(ben), ["undisturbed"]);
    }
}

#[test]
fn a_client_that_says_nothing_at_all_is_let_go() {
    let mut world = Setup::default().build();
    world.dial();
    world.advance(world.limits.handshake_timeout_ms + 200);
    assert_eq!((world.connections(), world.capacity.connections()), (0, 0));
}

#[test]
fn garbage_behind_a_refused_request_is_thrown_away_and_counted_once() {
    let mut world = Setup::default().build();
    let client = world.dial();
    world.raw(client, &changed("Version: 13", "Version: 8"));
    world.raw(client, &[0xFF; 1_000]);
    world.pump();
    world.raw(client, &[0xFF; 1_000]);
    world.pump();
    assert_eq!(answer(&mut world, client).status, 426);
    assert_eq!(world.counted(Counter::FrameRefused), 0);
    assert_eq!(world.connections(), 0);
}

#[test]
fn a_refused_client_that_does_not_go_is_let_go_of() {
    let mut world = Setup::default().build();
    let client = world.dial();
    world.stall(client);
    world.raw(client, b"hello\r\n\r\n");
    world.advance(world.limits.close_timeout_ms + 200);
    assert_eq!((world.connections(), world.capacity.connections()), (0, 0));
}

//! Requests that are no WebSocket: they reach the control plane with their bytes intact.

use std::collections::VecDeque;

use tidings_core::telemetry::Counter;

use crate::support::{Seen, Setup};

const REQUESTS: [&[u8]; 4] = [
    b"GET / HTTP/1.1\r\nHost: t\r\n\r\n",
    b"POST /broadcast HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /wsx HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
];

#[test]
fn a_request_is_handed_over_with_its_bytes_intact_wherever_it_is_cut() {
    for request in REQUESTS {
        for cut in 1..request.len() {
            let mut world = Setup::default().build();
            let visitor = world.dial();
            world.raw(visitor, &request[..cut]);
            world.pump();
            world.raw(visitor, &request[cut..]);
            world.pump();
            let mut visitors = world.reception.visitors.lock().unwrap();
            assert_eq!(visitors.len(), 1, "cut at {cut}");
            let mut arrived: VecDeque<u8> = visitors.remove(0).prefix.into();
            // What the shard had not read is still in the socket.
            arrived.extend(world.network.unread(visitor.0));
            assert_eq!(arrived, request, "cut at {cut}");
            drop(visitors);
            assert_eq!(world.connections(), 0);
            assert_eq!(world.counted(Counter::RequestHandedOver), 1);
        }
    }
}

#[test]
fn a_request_byte_by_byte_arrives_whole() {
    for request in REQUESTS {
        let mut world = Setup { chopped_percent: 95, ..Setup::default() }.build();
        let visitor = world.dial();
        for byte in request {
            world.raw(visitor, &[*byte]);
            world.pump();
        }
        let visitors = world.reception.visitors.lock().unwrap();
        assert!(request.starts_with(&visitors[0].prefix));
        assert_eq!([&visitors[0].prefix[..], &world.network.unread(visitor.0)].concat(), request);
        assert_eq!(world.capacity.connections(), 1, "the visitor keeps its seat");
    }
}

#[test]
fn a_visitor_whom_the_control_plane_cannot_take_gets_503() {
    let mut world = Setup::default().build();
    *world.reception.is_full.lock().unwrap() = true;
    let visitor = world.dial();
    world.raw(visitor, REQUESTS[0]);
    world.pump();
    let seen = world.take(visitor);
    assert!(
        matches!(&seen[..], [Seen::Http(answer), Seen::End] if answer.status == 503 && answer.header("Retry-After").is_some()),
        "{seen:?}"
    );
    assert_eq!(world.connections(), 0);
}

#[test]
fn a_websocket_that_comes_home_from_the_control_plane_is_like_any_other() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let home = world.arrive("/ws/chat/ben", b"");
        world.pump();
        world.greeted(home);
        world.say(home, "from home");
        assert_eq!(world.texts(ana), ["from home"]);
        let lost = world.arrive("/elsewhere/", b"");
        world.pump();
        let lobby = world.take(lost);
        assert!(lobby.is_empty() || matches!(lobby[0], Seen::Close(1_008, _)), "{lobby:?}");
    }
}

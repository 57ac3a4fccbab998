//! WebSocket handshakes on connections that the control plane serves.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use tidings_server::Carrier;

use crate::node::{Node, Seat};
use crate::wire::{Wire, get};

/// The handshake of RFC 6455 §1.3, whose answer is printed there too.
fn handshake(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

#[test]
fn a_websocket_on_a_kept_alive_connection_goes_back_to_the_shards() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(get("/health"));
    assert_eq!(wire.answer().status, 200);
    wire.say(format!("{}frames", handshake("/ws/news/ana?x=1", "")));
    let answer = wire.answer();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("sec-websocket-extensions"), None);

    let upgraded = node.upgraded.recv_timeout(Duration::from_secs(10)).expect("it is handed on");
    assert_eq!(upgraded.target, "/ws/news/ana?x=1");
    assert!(upgraded.deflate.is_none() && upgraded.seat.is::<Seat>());
    assert_eq!(Arc::strong_count(&node.seats), 2, "its seat goes with it");
    let Carrier::Socket(mut socket) = upgraded.carrier else { panic!("a connection goes as a whole") };
    socket.set_nonblocking(false).unwrap();
    let mut rest = vec![0; 6 - upgraded.unread.len()];
    socket.read_exact(&mut rest).unwrap();
    assert_eq!([upgraded.unread, rest].concat(), b"frames");
    socket.write_all(b"HTTP/1.1 299 From a shard\r\n\r\n").unwrap();
    assert_eq!(wire.answer().status, 299, "the socket is the same one");
}

#[test]
fn compression_is_agreed_on_in_the_answer() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(handshake("/ws", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"));
    assert!(wire.answer().header("sec-websocket-extensions").unwrap().starts_with("permessage-deflate"));
    assert!(node.upgraded.recv_timeout(Duration::from_secs(10)).unwrap().deflate.is_some());
}

#[test]
fn protobuf_is_agreed_on_in_the_answer_where_it_is_offered() {
    let node = Node::start();
    for (offered, agreed) in [("other, tidings.v1.proto", Some("tidings.v1.proto")), ("other", None)] {
        let mut wire = Wire::to(&node);
        wire.say(handshake("/ws", &format!("Sec-WebSocket-Protocol: {offered}\r\n")));
        assert_eq!(wire.answer().header("sec-websocket-protocol"), agreed);
        let upgraded = node.upgraded.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(upgraded.is_protobuf, agreed.is_some());
    }
}

#[test]
fn a_request_that_is_no_handshake_is_told_why_and_the_connection_lives() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    for (request, status, code) in [
        (get("/ws"), 426, "upgrade_required"),
        (handshake("/ws", "").replace("Version: 13", "Version: 8"), 426, "upgrade_required"),
        (handshake("/ws", "").replace("dGhl", "x"), 400, "bad_handshake"),
        (handshake("/ws/a", "").replace("GET", "PUT"), 405, "method_not_allowed"),
    ] {
        wire.say(&request);
        let answer = wire.answer();
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request}");
        if status == 426 {
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        }
    }
    assert!(node.upgraded.try_recv().is_err());
}

#[test]
fn a_node_that_stops_makes_no_new_websockets() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(get("/health"));
    wire.answer();
    node.server.announce_stop();
    wire.say(handshake("/ws", ""));
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (503, "restarting"));
}

//! Connections: bytes that were read before, several requests, too many clients, HTTP/2, the end.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings_protocol::Limits;
use tidings_server::Visitor;

use crate::node::Node;
use crate::wire::{Wire, ask, get, post};

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Waits until a condition holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_read_before_the_hand_over_is_not_lost() {
    let node = Node::start();
    let request = post("/rooms/a/messages", "", "whole");
    for cut in [1, 20, request.len() - 2, request.len()] {
        let (client, socket) = pair();
        let visitor = Visitor { socket, prefix: request.as_bytes()[..cut].to_vec(), seat: Box::new(()) };
        assert!(node.server.receive(visitor).is_ok());
        let mut wire = Wire::over(client);
        wire.say(&request[cut..]);
        assert_eq!(wire.answer().status, 200, "cut at {cut}");
        wire.say(get("/health"));
        assert_eq!(wire.answer().status, 200, "the connection lives on");
    }
}

#[test]
fn requests_in_one_piece_are_answered_in_their_order() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say([get("/health"), get("/nowhere"), post("/broadcast?message=a", "", "")].concat());
    assert_eq!([wire.answer().status, wire.answer().status, wire.answer().status], [200, 404, 200]);
}

#[test]
fn a_connection_over_the_limit_is_given_back() {
    let node = Node::with_limits(Limits { http_connections_max: 1, ..Limits::default() });
    let mut first = Wire::to(&node);
    first.say(get("/health"));
    assert_eq!(first.answer().status, 200);
    let _second = Wire::to(&node);
    let visitor = node.refused.recv_timeout(Duration::from_secs(10)).expect("the second is given back");
    assert!(visitor.seat.is::<crate::node::Seat>());
    drop(first);
    eventually("the place is free again", || {
        node.server.receive(Visitor { socket: pair().1, prefix: Vec::new(), seat: Box::new(()) }).is_ok()
    });
}

#[test]
fn a_seat_is_given_back_when_the_connection_ends() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(get("/health"));
    wire.answer();
    assert_eq!(Arc::strong_count(&node.seats), 2);
    drop(wire);
    eventually("the seat is free", || Arc::strong_count(&node.seats) == 1);
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let node = Node::with_limits(Limits { http_idle_timeout_ms: 1, ..Limits::default() });
    assert!(Wire::to(&node).is_closed(), "one that never asks");
    let mut half = Wire::to(&node);
    half.say("GET /health HTTP/1.1\r\nHo");
    assert!(half.is_closed(), "one that never asks to the end");
}

#[test]
fn heads_that_make_no_sense_are_answered_and_the_connection_closed() {
    let node = Node::with_limits(Limits { headers_max: 8, head_bytes_max: 8 * 1024, ..Limits::default() });
    let many = format!("GET /health HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(20));
    let large = format!("GET /health HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(20_000));
    for (request, status, code) in [
        ("NONSENSE\r\n\r\n", 400, "bad_head"),
        ("GET /health HTTP/9.9\r\n\r\n", 400, "bad_head"),
        ("GET /health HTTP/1.1\r\nBad Header: x\r\n\r\n", 400, "bad_head"),
        (&many, 431, "head_too_large"),
        (&large, 431, "head_too_large"),
    ] {
        let mut wire = Wire::to(&node);
        wire.say(request);
        let answer = wire.answer();
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request:.40}");
    }
    assert_eq!(ask(&node, get("/health")).status, 200);
}

#[test]
fn http_2_is_spoken_on_the_same_port() {
    let node = Node::start();
    let answer = node.runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(node.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get("http://x/health").body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["tidings-node"], "north");
        response.into_body().collect().await.unwrap().to_bytes()
    });
    assert!(answer.starts_with(b"{"));
}

#[test]
fn a_drain_ends_idle_connections_and_takes_no_new_ones() {
    let node = Node::start();
    let mut idle = Wire::to(&node);
    idle.say(get("/ready"));
    assert_eq!(idle.answer().status, 200);
    assert!(node.runtime.block_on(node.server.drain(Duration::from_secs(10))), "all connections ended");
    assert!(idle.is_closed());
    let _late = Wire::to(&node);
    assert!(node.refused.recv_timeout(Duration::from_secs(10)).is_ok(), "a late one is given back");
}

#[test]
fn a_node_that_stops_says_that_it_is_not_ready_but_healthy() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(get("/ready"));
    assert_eq!(wire.answer().status, 200);
    node.server.announce_stop();
    wire.say(get("/ready"));
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (503, "restarting"));
    wire.say(get("/health"));
    assert_eq!(wire.answer().status, 200);
}

//! Bodies that are late, cut short, too large, or not what their length says.

use tidings_protocol::Limits;

use crate::node::Node;
use crate::wire::{Wire, ask, get, post};

#[test]
fn a_body_that_never_comes_is_answered_with_408() {
    let node = Node::with_limits(Limits { body_timeout_ms: 1, ..Limits::default() });
    let mut wire = Wire::to(&node);
    wire.say("POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (408, "timeout"));
    assert!(wire.is_closed());
}

#[test]
fn a_body_shorter_than_announced_is_told_and_stores_nothing() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say("POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nab");
    wire.end();
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (400, "body_incomplete"));
    assert!(wire.is_closed());
    assert_eq!(ask(&node, get("/rooms")).json()["rooms"].as_array().map(Vec::len), Some(0));
}

#[test]
fn bytes_beyond_the_announced_length_are_no_request() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(
        "POST /broadcast?message=a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab\u{0}garbage\r\n\r\n",
    );
    assert_eq!(wire.answer().status, 200);
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_head"));
    assert!(wire.is_closed());
}

#[test]
fn a_body_in_chunks_is_bounded_too() {
    let node = Node::with_limits(Limits { message_bytes_max: 10, ..Limits::default() });
    let head = "POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = ask(&node, format!("{head}5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n"));
    assert_eq!(answer.status, 200);
    let answer = ask(&node, format!("{head}5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n"));
    assert_eq!((answer.status, answer.code().as_str()), (413, "message_too_large"));
}

#[test]
fn a_client_that_asks_before_sending_too_much_need_not_send_it() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say("POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (413, "message_too_large"));
    assert!(wire.is_closed());
}

#[test]
fn a_body_far_too_large_is_refused_before_its_end_and_disturbs_nobody() {
    let node = Node::with_limits(Limits { discarded_body_bytes_max: 1_000, ..Limits::default() });
    let mut wire = Wire::to(&node);
    wire.say("POST /rooms/a/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
    wire.say("x".repeat(10_000));
    assert_eq!(wire.answer().status, 413);
    assert!(wire.is_closed());
    assert_eq!(ask(&node, post("/broadcast?message=a", "", "")).status, 200);
}

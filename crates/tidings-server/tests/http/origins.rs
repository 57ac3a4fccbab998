//! Pages of other sites: those that the settings name may ask and read.

use crate::node::Node;
use crate::wire::{ask, get};

fn from(path: &str, origin: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n")
}

#[test]
fn a_page_that_is_allowed_may_read_answers_and_refusals() {
    let node = Node::start();
    for path in ["/rooms", "/rooms/a/messages?limit=0", "/presence?user=ana"] {
        let answer = ask(&node, from(path, "https://app.example"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"), "{path}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{path}");
    }
}

#[test]
fn another_page_may_not() {
    let node = Node::start();
    for request in [from("/rooms", "https://other.example"), get("/rooms")] {
        assert_eq!(ask(&node, request).header("access-control-allow-origin"), None);
    }
}

#[test]
fn a_browser_that_asks_before_it_publishes_is_told_that_it_may() {
    let node = Node::start();
    let preflight = |origin: &str| {
        let head = format!("OPTIONS /rooms/a/messages HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n");
        ask(&node, head + "Access-Control-Request-Method: POST\r\n\r\n")
    };
    let answer = preflight("https://app.example");
    assert_eq!(answer.status, 204);
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Idempotency-Key"));
    assert_eq!(preflight("https://other.example").status, 405);
}

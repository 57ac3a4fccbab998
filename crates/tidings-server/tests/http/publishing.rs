//! Publishing: what is taken, how it is stored, and what is refused.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_core::engine::{EngineGauges, Published};
use tidings_core::{Completion, Engine, Page, Position, Publication, RoomSummary, Timestamp};
use tidings_protocol::{Limits, MessageId, RoomName};

use crate::node::Node;
use crate::wire::{JSON, ask, get, post};

/// Everything a room holds, without ids.
fn said(node: &Node, room: &str) -> Vec<Value> {
    let mut messages = ask(node, get(&format!("/rooms/{room}/messages"))).json()["messages"].take();
    let messages = messages.as_array_mut().unwrap();
    messages.iter_mut().for_each(|message| {
        let fields = message.as_object_mut().unwrap();
        fields.retain(|name, _| !["id", "room", "type"].contains(&name.as_str()));
    });
    messages.clone()
}

#[test]
fn a_broadcast_goes_to_the_lobby_from_the_query_or_from_json() {
    let node = Node::start();
    let first = ask(&node, post("/broadcast?message=hello%20all", "", ""));
    assert_eq!((first.status, first.json()["status"].as_str()), (200, Some("sent")));
    let second = ask(&node, post("/broadcast", JSON, r#"{"message":"again","color":"red"}"#));
    assert!(second.json()["id"].as_u64() > first.json()["id"].as_u64());
    ask(&node, post("/broadcast", JSON, r#"{"message":{"n":1}}"#));
    assert_eq!(
        said(&node, "lobby"),
        [json!({"text":"hello all"}), json!({"text":"again"}), json!({"data":{"n":1}})]
    );
}

#[test]
fn a_broadcast_may_name_its_room() {
    let node = Node::start();
    ask(&node, post("/broadcast?message=a&room=caf%C3%A9", "", ""));
    ask(&node, post("/broadcast", JSON, r#"{"message":"b","room":"café"}"#));
    assert_eq!(said(&node, "caf%C3%A9"), [json!({"text":"a"}), json!({"text":"b"})]);
}

#[test]
fn text_data_and_bytes_come_out_as_they_went_in() {
    let node = Node::start();
    for (headers, body) in [
        (JSON, r#"{"text":"a \"b\"","user_id":"ana"}"#),
        ("Content-Type: application/json; charset=utf-8\r\n", r#"{"data":{"b":[1.50,null]}}"#),
        (JSON, r#"{"data":null}"#),
        ("Content-Type: application/octet-stream\r\n", "raw"),
        ("", "{\"text\":1}"),
    ] {
        let answer = ask(&node, post("/rooms/news/messages", headers, body));
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
    }
    let answer = ask(&node, get("/rooms/news/messages"));
    // Numbers stay as they were written, which a parsed value would not show.
    assert!(String::from_utf8_lossy(&answer.body).contains(r#"{"b":[1.50,null]}"#), "{answer:?}");
    assert_eq!(
        said(&node, "news"),
        [
            json!({"text":"a \"b\"","user_id":"ana"}),
            json!({"data":{"b":[1.5,null]}}),
            json!({"data":null}),
            json!({"data_base64":"cmF3"}),
            json!({"data_base64":"eyJ0ZXh0IjoxfQ=="}),
        ]
    );
}

#[test]
fn a_repeated_idempotency_key_stores_nothing_and_gives_the_same_id() {
    let node = Node::start();
    let again =
        || ask(&node, post("/rooms/a/messages", &format!("{JSON}Idempotency-Key: k\r\n"), r#"{"text":"x"}"#));
    assert_eq!(again().json()["id"], again().json()["id"]);
    assert_eq!(said(&node, "a").len(), 1);
}

#[test]
fn what_is_wrong_gets_its_code_and_stores_nothing() {
    let node = Node::start();
    let (long_name, long_key) =
        ("x".repeat(10_000), format!("{JSON}Idempotency-Key: {}\r\n", "k".repeat(129)));
    let deep = "[".repeat(129) + &"]".repeat(129);
    for (path, headers, body, status, code) in [
        ("/rooms/a/messages", JSON, "{", 400, "bad_frame"),
        ("/rooms/a/messages", JSON, "[1]", 400, "bad_frame"),
        ("/rooms/a/messages", JSON, r#"{"text":1}"#, 400, "bad_frame"),
        ("/rooms/a/messages", JSON, r#"{"text":"a","text":"b"}"#, 400, "bad_frame"),
        ("/rooms/a/messages", JSON, r#"{"text":"a","data":1}"#, 400, "bad_frame"),
        ("/rooms/a/messages", JSON, "{}", 400, "bad_frame"),
        ("/rooms/a/messages", JSON, &format!(r#"{{"data":{deep}}}"#), 400, "bad_frame"),
        ("/broadcast", JSON, &format!(r#"{{"message":{deep}}}"#), 400, "bad_frame"),
        ("/rooms/a/messages", JSON, r#"{"text":"a","user_id":""}"#, 400, "bad_user"),
        ("/rooms/a/messages", JSON, r#"{"text":"a","key":""}"#, 400, "bad_ref"),
        ("/rooms/a/messages", &long_key, r#"{"text":"a"}"#, 400, "bad_ref"),
        (&format!("/rooms/{long_name}/messages"), JSON, r#"{"text":"a"}"#, 400, "bad_room"),
        ("/rooms//messages", JSON, r#"{"text":"a"}"#, 400, "bad_room"),
        ("/rooms/%0A/messages", JSON, r#"{"text":"a"}"#, 400, "bad_room"),
        ("/rooms/%FF/messages", JSON, r#"{"text":"a"}"#, 400, "bad_room"),
        ("/broadcast", "", "hello", 415, "unsupported_media_type"),
        ("/broadcast", JSON, r#"{"text":"a"}"#, 400, "bad_frame"),
        ("/broadcast?message=a&message=b", "", "", 400, "bad_query"),
        ("/broadcast?message=a&room=", "", "", 400, "bad_room"),
    ] {
        let answer = ask(&node, post(path, headers, body));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {body}");
    }
    assert_eq!(ask(&node, get("/rooms")).json()["rooms"], json!([]));
}

#[test]
fn a_message_over_the_limit_is_refused_however_it_is_written() {
    let limits = Limits { message_bytes_max: 100, ..Limits::default() };
    let node = Node::with_limits(limits);
    let (fits, exceeds) = ("x".repeat(100), "x".repeat(101));
    for (headers, body, status) in [
        (JSON, format!(r#"{{"text":"{fits}"}}"#), 200),
        (JSON, format!(r#"{{"text":"{exceeds}"}}"#), 413),
        (JSON, format!(r#"{{"text":"{}"}}"#, r"\u00e9".repeat(50)), 200),
        (JSON, format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000)), 413),
        ("Content-Type: text/plain\r\n", fits.clone(), 200),
        ("Content-Type: text/plain\r\n", exceeds.clone(), 413),
    ] {
        let answer = ask(&node, post("/rooms/a/messages", headers, &body));
        assert_eq!(answer.status, status, "{} bytes", body.len());
        if status == 413 {
            assert_eq!(answer.code(), "message_too_large");
        }
    }
    assert_eq!(said(&node, "a").len(), 3);
}

/// Keeps every question and answers none.
#[derive(Default)]
struct Silent(Mutex<Vec<Completion<Published>>>);

impl Engine for Silent {
    fn publish(&self, _: Timestamp, _: Publication, done: Completion<Published>) {
        self.0.lock().unwrap().push(done);
    }
    fn history(&self, _: Timestamp, _: &RoomName, _: Position, _: usize, _dropped: Completion<Page>) {}
    fn watch(&self, _: Timestamp, _: &RoomName, _: Completion<MessageId>) {}
    fn unwatch(&self, _: &RoomName) {}
    fn rooms(&self, _: Timestamp, _: Option<&RoomName>, _: usize, _: Completion<Vec<RoomSummary>>) {}
    fn tick(&self, _: Timestamp) {}
    fn gauges(&self) -> EngineGauges {
        EngineGauges::default()
    }
}

#[test]
fn an_engine_that_does_not_answer_is_told_as_unavailable() {
    let limits = Limits { engine_timeout_ms: 1, ..Limits::default() };
    let node = Node::with_engine(Arc::new(limits), Arc::new(Silent::default()));
    // The first is never answered, the second is dropped.
    for request in [post("/broadcast?message=a", "", ""), get("/rooms/a/messages")] {
        let answer = ask(&node, request);
        assert_eq!((answer.status, answer.code().as_str()), (503, "engine_unavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

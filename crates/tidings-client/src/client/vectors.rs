//! The cases of `clients/vectors` that concern this client: the pause, the positions, the gaps and the table of errors. The others
//! are about transports, tokens and a queue, which it does not have in that form.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidings_websocket::handshake::Mismatch;

use super::{Backoff, Client, Link, Positions, Start, VecDeque, close_code, is_final};
use crate::error::Error;
use crate::event::Event;
use crate::options::Options;

fn cases(file: &str, list: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut vectors: Value = serde_json::from_str(&text).unwrap();
    match vectors[list].take() {
        Value::Array(cases) if !cases.is_empty() => cases,
        other => panic!("{file} has no list {list}, but {other}"),
    }
}

fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}

fn start(position: &Value) -> Start {
    position.as_u64().map_or(Start::Live, Start::After)
}

#[test]
fn the_pause_after_each_loss_is_that_of_the_specification() {
    for case in cases("backoff.json", "cases") {
        let given = &case["given"];
        let of = |name, usual| milliseconds(&given[name]).unwrap_or(Duration::from_millis(usual));
        let mut backoff = Backoff::new(of("first_ms", 1_000), of("longest_ms", 30_000))
            .stable_after(of("stable_ms", 5_000));
        for loss in case["losses"].as_array().unwrap() {
            let lasted = milliseconds(&loss["lasted_ms"]).unwrap();
            let pause =
                backoff.lost(lasted, milliseconds(&loss["hint_ms"]), loss["random"].as_f64().unwrap());
            assert_eq!(u128::from(loss["wait_ms"].as_u64().unwrap()), pause.as_millis(), "{}", case["name"]);
        }
    }
}

/// A client in these rooms that never connected.
fn client(rooms: &Value) -> Client {
    let rooms = rooms.as_object().unwrap();
    let rooms: Vec<_> = rooms.iter().map(|(room, position)| (room.clone(), start(position))).collect();
    Client {
        options: Options::new("ws://127.0.0.1:1").unwrap(),
        link: Link::Down { retry_at: Instant::now() },
        backoff: Backoff::default(),
        positions: Positions::new(&rooms),
        session: None,
        unacknowledged: VecDeque::new(),
        events: VecDeque::new(),
        unexplained: None,
        references: 0,
        restart_pause: None,
    }
}

#[test]
fn what_is_delivered_and_what_is_told_of_losses_is_that_of_the_specification() {
    for case in cases("positions.json", "cases").into_iter().chain(cases("gap.json", "cases")) {
        let mut client = client(&case["rooms"]);
        for step in case["steps"].as_array().unwrap() {
            let where_ = format!("{}: {step}", case["name"]);
            client.events.clear();
            if step["frame"].is_object() {
                client.handle(&step["frame"].to_string());
            } else if step["join"].is_object() {
                client.positions.join(step["join"]["room"].as_str().unwrap(), start(&step["join"]["after"]));
            } else {
                client.positions.leave(step["leave"]["room"].as_str().unwrap());
            }
            assert_told(&client, step, &where_);
        }
    }
}

fn assert_told(client: &Client, step: &Value, where_: &str) {
    let mut messages = Vec::new();
    let mut gaps = Vec::new();
    for event in &client.events {
        match event {
            Event::Message(message) => messages.push(Value::from(message.id)),
            Event::Gap { room, after, before, reason } => gaps
                .push(serde_json::json!({"room": room, "after": after, "before": before, "reason": reason})),
            _ => {}
        }
    }
    if let Some(wanted) = step["messages"].as_array() {
        assert_eq!(*wanted, messages, "{where_}");
    }
    if let Some(wanted) = step["gaps"].as_array() {
        assert_eq!(*wanted, gaps, "{where_}");
    }
    let known: serde_json::Map<String, Value> = client
        .positions
        .iter()
        .filter_map(|(room, cursor)| Some((room.to_owned(), cursor?.into())))
        .collect();
    assert_eq!(step["positions"], Value::Object(known), "{where_}");
}

#[test]
fn whether_to_come_back_is_that_of_the_specification() {
    let mut examined = 0;
    for case in cases("errors.json", "losses") {
        // It has one transport, and its session is never one over plain HTTP.
        if case["needs"].is_string() {
            continue;
        }
        let number = |name: &str| case["loss"][name].as_u64().map(|number| u16::try_from(number).unwrap());
        let error = match (number("code"), number("status")) {
            (Some(code), _) => Error::Closed { code, reason: String::new() },
            (None, Some(status)) => Error::Handshake(Mismatch::Status { status }),
            (None, None) => Error::Answer("nothing"),
        };
        // It has a token once and for all.
        assert_eq!(case["then"] != "again", is_final(&error), "{}", case["name"]);
        examined += 1;
    }
    assert!(examined > 20, "only {examined} losses were examined");
    for case in cases("errors.json", "hellos") {
        let code = close_code(case["error"].as_str().unwrap());
        let is_final = is_final(&Error::Closed { code, reason: String::new() });
        assert_eq!(case["then"] == "stop", is_final, "{}", case["error"]);
    }
}

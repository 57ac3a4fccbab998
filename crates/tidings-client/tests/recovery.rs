//! What an application sees of a server that breaks, restarts, repeats itself and forgets.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{PATIENCE, Peer, hasty, serve, wait_for};
use tidings_client::{Client, Content, Error, Event, Start};

fn session() -> Value {
    json!({"type": "session", "session_id": "s1", "user_id": "ana", "rooms": ["a"], "resumed": false, "node": "n1"})
}

fn message(id: u64) -> Value {
    json!({"type": "message", "room": "a", "id": id, "text": format!("m{id}")})
}

fn id_of(event: Event) -> Option<u64> {
    match event {
        Event::Message(message) => Some(message.id),
        _ => None,
    }
}

#[test]
fn a_broken_connection_is_made_again_and_what_was_missed_comes_once_and_in_order() {
    let (url, server) = serve(|listener| {
        let mut first = Peer::accept(listener);
        let hello = first.hear();
        assert_eq!(hello["positions"], json!({"a": 0}));
        assert_eq!(hello.get("session_id"), None);
        first.say(&session());
        first.say(&message(1));
        first.say(&message(2));
        drop(first);

        let mut second = Peer::accept(listener);
        let hello = second.hear();
        assert_eq!((&hello["session_id"], &hello["positions"]), (&json!("s1"), &json!({"a": 2})));
        second.say(&session());
        second.say(&json!({"type": "restore", "room": "a", "recovered": true,
            "messages": [{"id": 2, "text": "m2"}, {"id": 3, "text": "m3"}]}));
        second.say(&message(3));
        second.say(&message(4));
        second.hear();
    });
    let mut client = Client::connect(hasty(&url).user("ana").room("a", Start::After(0))).unwrap();
    let ids: Vec<u64> = (0..4).map(|_| wait_for(&mut client, id_of)).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
    client.close();
    server.join().unwrap();
}

#[test]
fn a_loss_is_told_once_with_the_ids_around_it() {
    let (url, server) = serve(|listener| {
        let mut peer = Peer::accept(listener);
        peer.hear();
        peer.say(&session());
        peer.say(&json!({"type": "gap", "room": "a", "after": 5, "before": 9, "reason": "expired"}));
        peer.say(&json!({"type": "restore", "room": "a", "recovered": false, "messages": [{"id": 9, "text": "x"}]}));
        peer.say(&message(10));
        peer.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::After(5))).unwrap();
    let mut gaps = Vec::new();
    wait_for(&mut client, |event| match event {
        Event::Gap { after, before, .. } => {
            gaps.push((after, before));
            None
        }
        event => id_of(event).filter(|id| *id == 10),
    });
    assert_eq!(gaps, [(5, Some(9))]);
    client.close();
    server.join().unwrap();
}

#[test]
fn a_loss_is_told_with_the_reason_that_the_server_gives() {
    let (url, server) = serve(|listener| {
        let mut peer = Peer::accept(listener);
        peer.hear();
        peer.say(&session());
        peer.say(&json!({"type": "restore", "room": "a", "recovered": false, "messages": [{"id": 9, "text": "x"}]}));
        peer.say(&json!({"type": "gap", "room": "a", "after": 5, "before": 9, "reason": "rolled_back"}));
        peer.say(&message(10));
        peer.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::After(5))).unwrap();
    let mut gaps = Vec::new();
    wait_for(&mut client, |event| match event {
        Event::Gap { after, before, reason, .. } => {
            gaps.push((after, before, reason));
            None
        }
        event => id_of(event).filter(|id| *id == 10),
    });
    assert_eq!(gaps, [(5, Some(9), "rolled_back".to_owned())]);
    client.close();
    server.join().unwrap();
}

#[test]
fn a_room_asked_for_live_recovers_even_if_the_connection_broke_before_its_first_message() {
    let (url, server) = serve(|listener| {
        let mut first = Peer::accept(listener);
        assert_eq!(first.hear()["positions"], json!({}));
        first.say(&session());
        assert_eq!(first.hear(), json!({"type": "leave", "room": "lobby", "ref": "leave-lobby"}));
        assert_eq!(first.hear(), json!({"type": "join", "room": "a"}));
        first.say(&json!({"type": "left", "room": "lobby", "last_message_id": 3, "ref": "leave-lobby"}));
        first.say(&json!({"type": "joined", "room": "a", "last_message_id": 41}));
        drop(first);
        let mut second = Peer::accept(listener);
        assert_eq!(second.hear()["positions"], json!({"a": 41}));
        second.say(&session());
        second.say(&message(42));
        second.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::Live)).unwrap();
    assert_eq!(wait_for(&mut client, id_of), 42);
    client.close();
    server.join().unwrap();
}

#[test]
fn what_was_not_acknowledged_is_sent_again_under_the_same_reference() {
    let (url, server) = serve(|listener| {
        let mut first = Peer::accept(listener);
        first.hear();
        first.say(&session());
        let sent = first.hear();
        drop(first);
        let mut second = Peer::accept(listener);
        second.hear();
        second.say(&session());
        assert_eq!(second.hear(), sent);
        second.say(&json!({"type": "ack", "room": "a", "ref": sent["ref"], "id": 7}));
        second.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::After(0))).unwrap();
    let reference = client.publish("a", &Content::Text("hi".into())).unwrap();
    let acknowledged = wait_for(&mut client, |event| match event {
        Event::Acknowledged { reference, id } => Some((reference, id)),
        _ => None,
    });
    assert_eq!(acknowledged, (reference, 7));
    client.close();
    server.join().unwrap();
}

#[test]
fn a_restart_is_agreed_to_and_the_client_comes_back_when_asked() {
    let (url, server) = serve(|listener| {
        let mut first = Peer::accept(listener);
        first.hear();
        first.say(&session());
        first.say(&json!({"type": "server_restart", "reconnect_after_ms": 40}));
        assert_eq!(first.hear()["type"], "restart_ack");
        first.close(1012, "restart");
        assert_eq!(first.hear()["control"], "close");
        let mut second = Peer::accept(listener);
        second.hear();
        second.say(&session());
        second.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::After(0))).unwrap();
    let retry_in = wait_for(&mut client, |event| match event {
        Event::Disconnected { retry_in, error: Error::Closed { code: 1012, .. } } => Some(retry_in),
        _ => None,
    });
    assert!(retry_in >= Duration::from_millis(40) && retry_in <= Duration::from_millis(80), "{retry_in:?}");
    wait_for(&mut client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    client.close();
    server.join().unwrap();
}

#[test]
fn a_client_that_is_not_wanted_does_not_come_back() {
    let (url, server) = serve(|listener| {
        let mut peer = Peer::accept(listener);
        peer.hear();
        peer.say(&session());
        peer.close(1008, "not your room");
        peer.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::After(0))).unwrap();
    let error = loop {
        match client.next(PATIENCE) {
            Ok(event) => assert!(matches!(event, Some(Event::Connected { .. })), "{event:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.to_string(), "the server closed the connection with code 1008: not your room");
    server.join().unwrap();
}

#[test]
fn a_silent_server_is_asked_first_and_given_up_then() {
    let (url, server) = serve(|listener| {
        let mut first = Peer::accept(listener);
        first.hear();
        first.say(&session());
        assert_eq!(first.hear()["control"], "ping");
        // Says nothing, as a machine would that is gone.
        let mut second = Peer::accept(listener);
        second.hear();
        second.say(&session());
        second.hear();
        drop(first);
    });
    let mut options = hasty(&url).room("a", Start::After(0));
    options.silence_max = Duration::from_millis(50);
    let mut client = Client::connect(options).unwrap();
    wait_for(&mut client, |event| matches!(event, Event::Disconnected { .. }).then_some(()));
    wait_for(&mut client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    client.close();
    server.join().unwrap();
}

#[test]
fn pings_are_answered_while_waiting() {
    let (url, server) = serve(|listener| {
        let mut peer = Peer::accept(listener);
        peer.hear();
        peer.say(&session());
        peer.ping(b"still there?");
        assert_eq!(peer.hear(), json!({"control": "pong", "payload": "still there?"}));
        peer.say(&message(1));
        peer.hear();
    });
    let mut client = Client::connect(hasty(&url).room("a", Start::After(0))).unwrap();
    assert_eq!(wait_for(&mut client, id_of), 1);
    client.close();
    server.join().unwrap();
}

#[test]
fn an_address_without_a_server_is_said_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Client::connect(hasty(&format!("ws://127.0.0.1:{port}"))).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

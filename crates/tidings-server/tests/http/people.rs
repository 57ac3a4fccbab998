//! People: who is here, who types, who is online, and messages to a user.

use serde_json::json;
use tidings_core::Timestamp;
use tidings_protocol::{Limits, RoomName, UserId};

use crate::node::Node;
use crate::wire::{JSON, ask, delete, get, post};

const NOW: Timestamp = Timestamp(1_000_000);

fn user(name: &str) -> UserId {
    UserId::new(name, &Limits::default()).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::new(name, &Limits::default()).unwrap()
}

#[test]
fn a_rooms_users_are_listed_page_by_page() {
    let node = Node::start();
    for name in ["ana", "ben", "carl", "ben"] {
        node.people.presence.entered(NOW, &room("chat"), &user(name));
    }
    assert_eq!(
        ask(&node, get("/rooms/chat/presence?limit=2")).json(),
        json!({
            "room": "chat",
            "users": [{"user_id": "ana", "connections": 1}, {"user_id": "ben", "connections": 2}],
            "total": 3,
            "complete": false
        })
    );
    let rest = ask(&node, get("/rooms/chat/presence?after=ben")).json();
    assert_eq!((&rest["users"][0]["user_id"], &rest["complete"]), (&json!("carl"), &json!(true)));
    assert_eq!(ask(&node, get("/rooms/empty/presence")).json()["users"], json!([]));
}

#[test]
fn a_latecomer_asks_who_is_typing() {
    let node = Node::start();
    let now = std::time::SystemTime::now().into();
    node.people.typing.started(now, &room("chat"), &user("ana"));
    assert_eq!(ask(&node, get("/rooms/chat/typing")).json(), json!({"users": ["ana"]}));
    node.people.typing.stopped(now, &room("chat"), &user("ana"));
    assert_eq!(ask(&node, get("/rooms/chat/typing")).json(), json!({"users": []}));
}

#[test]
fn of_many_users_those_online_are_told() {
    let node = Node::with_limits(Limits { presence_query_max: 3, ..Limits::default() });
    node.people.presence.came_online(NOW, &user("ana"));
    assert_eq!(ask(&node, get("/presence?user=ana&user=ben")).json(), json!({"online": ["ana"]}));
    assert_eq!(ask(&node, get("/presence?user=J%C3%B8&user=ana")).json(), json!({"online": ["ana"]}));
    for (query, code) in [
        ("", "bad_query"),
        ("?user=a&user=b&user=c&user=d", "bad_query"),
        ("?user=", "bad_user"),
        ("?other=a", "bad_query"),
    ] {
        let answer = ask(&node, get(&format!("/presence{query}")));
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(code)), "{query}");
    }
}

#[test]
fn a_message_to_a_user_is_stored_in_the_users_own_room() {
    let node = Node::start();
    let sent = ask(&node, post("/users/ana/messages", JSON, r#"{"text":"hello"}"#));
    assert_eq!(sent.status, 200);
    let log = ask(&node, get("/rooms/@ana/messages")).json();
    assert_eq!(log["messages"][0]["id"], sent.json()["id"]);
    assert_eq!(log["messages"][0]["text"], "hello");
    assert_eq!(ask(&node, post("/users/%00/messages", "", "x")).json()["code"], "bad_user");
}

#[test]
fn a_users_sessions_can_be_ended() {
    let node = Node::start();
    let answer = ask(&node, delete("/users/ana/sessions"));
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "disconnected"})));
}

//! Reading rooms: history in pages, and the list of rooms.

use serde_json::json;
use tidings_protocol::Limits;

use crate::node::Node;
use crate::wire::{ask, get, post};

fn publish(node: &Node, room: &str, text: &str) -> u64 {
    ask(node, post(&format!("/broadcast?room={room}&message={text}"), "", "")).json()["id"].as_u64().unwrap()
}

#[test]
fn history_is_read_page_by_page_without_hole_or_repetition() {
    let node = Node::start();
    let ids: Vec<_> = (0..5).map(|n| publish(&node, "a", &n.to_string())).collect();
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let page = ask(&node, get(&format!("/rooms/a/messages?after={after}&limit=2"))).json();
        let page_ids =
            page["messages"].as_array().unwrap().iter().map(|message| message["id"].as_u64().unwrap());
        found.extend(page_ids);
        after = *found.last().unwrap();
        if page["complete"] == true {
            break;
        }
    }
    assert_eq!(found, ids);
}

#[test]
fn history_that_no_longer_reaches_back_is_not_called_complete() {
    let node = Node::with_limits(Limits { room_history_messages: 2, ..Limits::default() });
    let ids: Vec<_> = (0..4).map(|n| publish(&node, "a", &n.to_string())).collect();
    let complete =
        |after: u64| ask(&node, get(&format!("/rooms/a/messages?after={after}"))).json()["complete"].clone();
    assert_eq!(complete(ids[0]), false);
    assert_eq!(complete(ids[1]), true);
    assert_eq!(complete(ids[3]), true);
}

#[test]
fn a_room_of_which_nothing_was_heard_is_empty_and_complete() {
    let node = Node::start();
    let page = ask(&node, get("/rooms/nothing/messages"));
    assert_eq!(page.json(), json!({"room":"nothing","messages":[],"complete":true}));
    assert_eq!(ask(&node, get("/rooms")).json()["rooms"], json!([]), "asking makes no room");
}

#[test]
fn rooms_are_listed_by_name_in_pages() {
    let node = Node::start();
    let last = ["b", "a", "c"].map(|room| publish(&node, room, "x"))[1];
    let page = ask(&node, get("/rooms?limit=2")).json();
    assert_eq!(page["rooms"][0], json!({"room":"a","last_message_id":last,"messages":1,"bytes":1}));
    assert_eq!((&page["rooms"][1]["room"], &page["complete"]), (&json!("b"), &json!(false)));
    let rest = ask(&node, get("/rooms?limit=2&after=b")).json();
    assert_eq!((&rest["rooms"][0]["room"], &rest["complete"]), (&json!("c"), &json!(true)));
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    let node = Node::start();
    for path in [
        "/rooms/a/messages?after=-1",
        "/rooms/a/messages?after=soon",
        "/rooms/a/messages?after=9007199254740992",
        "/rooms/a/messages?limit=0",
        "/rooms?limit=all",
    ] {
        let answer = ask(&node, get(path));
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_query"), "{path}");
    }
}

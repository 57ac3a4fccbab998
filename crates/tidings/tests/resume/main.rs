//! What a client sees of its session when there are several nodes: it goes on at any of them.

#[path = "../command/process.rs"]
#[allow(dead_code, reason = "the other tests of the binary use the rest")]
mod process;
#[path = "../../../tidings-redis/tests/support/mod.rs"]
#[allow(dead_code, reason = "the other tests over Redis use the rest")]
mod redis;

use std::time::Duration;

use process::Process;
use redis::store::{Store, over_every_store};
use redis::{Redis, wait_for};
use serde_json::{Value, json};
use tidings_client::{Address, Error, Frame, Socket, http};

/// Longest wait for a frame; only a broken node takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Some nodes around one store.
struct Nodes {
    store: Store,
    nodes: Vec<(Process, String)>,
}

impl Nodes {
    fn start(count: usize, store: Store) -> Self {
        Self::start_with(count, store, &[])
    }

    fn start_with(count: usize, store: Store, flags: &[&str]) -> Self {
        let shared = store.flags();
        let lease = if flags.contains(&"--node-lease-ms") { &[][..] } else { &["--node-lease-ms", "6000"] };
        let shared = shared.iter().map(String::as_str).chain(lease.iter().copied());
        let flags: Vec<_> = shared.chain(flags.iter().copied()).collect();
        let nodes = (0..count).map(|_| Process::node(&flags)).collect();
        Self { store, nodes }
    }

    /// Where a session lies, once the store knows it.
    fn kept(&self, session: &Value) -> (&Redis, String) {
        let pattern = format!("{{s*}}:session:{}", session["session_id"].as_str().unwrap());
        let mut kept = Vec::new();
        wait_for("the session is known", || {
            kept = self.store.names(&pattern);
            !kept.is_empty()
        });
        kept.remove(0)
    }

    fn address(&self, node: usize, path: &str) -> Address {
        Address::parse(&self.nodes[node].1).unwrap().with_path(path)
    }

    /// A connection that introduced itself, and the answer.
    fn connect(&self, node: usize, hello: &Value) -> Talk {
        let mut talk = Talk(Socket::connect(&self.address(node, "/ws")).unwrap());
        talk.say(hello);
        talk
    }

    fn hello(&self, node: usize, hello: &Value) -> (Talk, Value) {
        let mut talk = self.connect(node, hello);
        let session = talk.next("session");
        (talk, session)
    }

    fn publish(&self, node: usize, room: &str, text: &str) -> u64 {
        let address = self.address(node, &format!("/rooms/{room}/messages"));
        let answer = http::post(&address, "application/json", json!({ "text": text }).to_string().as_bytes());
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()["id"].as_u64().unwrap()
    }
}

struct Talk(Socket);

impl Talk {
    fn say(&mut self, frame: &Value) {
        self.0.send_text(&frame.to_string()).unwrap();
    }

    /// The next frame of a type; others are passed over.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.0.next(PATIENCE).unwrap_or_else(|error| panic!("no {kind}: {error}"));
            let Some(Frame::Text(text)) = frame else { panic!("no {kind}, but {frame:?}") };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code with which the server closes.
    fn close_code(&mut self) -> u16 {
        loop {
            match self.0.next(PATIENCE) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the connection stays open"),
                Err(Error::Closed { code, .. }) => return code,
                Err(error) => panic!("no close code: {error}"),
            }
        }
    }
}

fn texts(frame: &Value) -> Vec<&str> {
    frame["messages"].as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect()
}

over_every_store! {
    a_session_left_on_one_node_goes_on_at_another_and_misses_nothing,
    what_is_said_to_a_user_reaches_every_node_that_they_are_at,
    a_newer_connection_on_another_node_takes_the_session_over,
    an_older_attempt_that_comes_late_to_another_node_does_not_take_the_session,
    the_session_of_a_killed_node_goes_on_elsewhere_at_once,
    a_session_goes_on_though_its_node_was_asked_for_it_while_it_died,
    a_session_survives_the_stop_of_its_node,
    a_node_that_slept_through_its_lease_serves_nobody_whose_session_was_taken_meanwhile,
    rooms_joined_and_left_on_the_way_are_remembered_elsewhere,
    nobody_gets_the_session_of_somebody_else_on_another_node,
    a_session_says_something_by_http_on_any_node_wherever_it_is,
    a_user_who_is_disconnected_is_gone_from_every_node,
    sessions_live_on_when_redis_forgets_them,
    a_long_poll_goes_on_at_another_node_by_its_cursor,
}

fn a_session_left_on_one_node_goes_on_at_another_and_misses_nothing(store: Store) {
    let nodes = Nodes::start(2, store);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    assert_eq!(session["resumed"], false);
    let first = nodes.publish(1, "general", "first");
    assert_eq!(ana.next("message")["id"], first);
    ana.0.close(1000, "").unwrap();
    drop(ana);
    nodes.publish(0, "general", "second");
    nodes.publish(1, "general", "third");

    // As the textbook's client says it: neither user nor rooms.
    let hello = json!({ "session_id": session["session_id"], "last_message_id": first });
    let (mut ana, resumed) = nodes.hello(1, &hello);
    assert_eq!((&resumed["resumed"], &resumed["user_id"]), (&json!(true), &json!("ana")));
    assert_eq!(resumed["session_id"], session["session_id"]);
    let restored = ana.next("restore");
    assert_eq!((&restored["room"], &restored["recovered"]), (&json!("general"), &json!(true)));
    assert_eq!(texts(&restored), ["second", "third"]);
    let fourth = nodes.publish(0, "general", "fourth");
    assert_eq!(ana.next("message")["id"], fourth);
}

fn what_is_said_to_a_user_reaches_every_node_that_they_are_at(store: Store) {
    let nodes = Nodes::start(3, store);
    let mut everywhere: Vec<_> =
        (0..2).map(|node| nodes.hello(node, &json!({ "user_id": "ana" })).0).collect();
    let id = nodes.publish(2, "%40ana", "for you alone");
    for connection in &mut everywhere {
        let message = connection.next("message");
        assert_eq!((&message["room"], &message["id"]), (&json!("@ana"), &json!(id)));
    }
}

fn a_newer_connection_on_another_node_takes_the_session_over(store: Store) {
    let nodes = Nodes::start(2, store);
    let (mut old, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let (mut new, resumed) = nodes.hello(1, &json!({ "session_id": session["session_id"] }));
    assert_eq!(resumed["resumed"], true);
    assert_eq!(old.close_code(), 4000);
    assert_eq!(new.next("restore")["recovered"], true);
    let id = nodes.publish(0, "general", "x");
    assert_eq!(new.next("message")["id"], id);
    // And back again.
    let (_, resumed) = nodes.hello(0, &json!({ "session_id": session["session_id"] }));
    assert_eq!(resumed["resumed"], true);
    assert_eq!(new.close_code(), 4000);
}

fn an_older_attempt_that_comes_late_to_another_node_does_not_take_the_session(store: Store) {
    let nodes = Nodes::start(2, store);
    let hello = json!({ "user_id": "ana", "rooms": ["general"], "attempt": 7 });
    let (mut ana, session) = nodes.hello(0, &hello);
    let late = json!({ "session_id": session["session_id"], "attempt": 6 });
    assert_eq!(nodes.connect(1, &late).close_code(), 4000);
    let id = nodes.publish(1, "general", "x");
    assert_eq!(ana.next("message")["id"], id);
    // Nor once the newer one has left.
    drop(ana);
    assert_eq!(nodes.connect(1, &late).close_code(), 4000);
    let (_, resumed) = nodes.hello(1, &json!({ "session_id": session["session_id"], "attempt": 8 }));
    assert_eq!(resumed["resumed"], true);
}

fn the_session_of_a_killed_node_goes_on_elsewhere_at_once(store: Store) {
    let mut nodes = Nodes::start(2, store);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let first = nodes.publish(1, "general", "first");
    ana.next("message");
    // Dropping kills.
    drop(nodes.nodes.remove(0));
    nodes.publish(0, "general", "second");
    let hello = json!({ "session_id": session["session_id"], "last_message_id": first });
    let (mut ana, resumed) = nodes.hello(0, &hello);
    assert_eq!((&resumed["resumed"], &resumed["user_id"]), (&json!(true), &json!("ana")));
    assert_eq!(texts(&ana.next("restore")), ["second"]);
}

fn a_session_goes_on_though_its_node_was_asked_for_it_while_it_died(store: Store) {
    // Longer than anybody here waits: nobody gets an answer because it is too late for one.
    let mut nodes = Nodes::start_with(2, store, &["--redis-timeout-ms", "60000"]);
    let (_ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let (server, kept) = nodes.kept(&session);
    let name = server.command(&["HGET", &kept, "owner"]);
    let (holder, _) = nodes.nodes.remove(0);
    // Redis has it as a listener, as one whose sockets are not closed yet.
    holder.signal(rustix::process::Signal::STOP);
    let mut redis_hears = nodes.store.server_of(&nodes.store.name(&format!("letters:{name}"))).monitor();
    let mut new = Talk(Socket::connect(&nodes.address(0, "/ws")).unwrap());
    new.say(&json!({ "session_id": session["session_id"] }));
    assert!(redis_hears.any(|line| line.contains("\"claim ")), "it is asked for the session");
    // Dropping kills.
    drop(holder);
    let resumed = new.next("session");
    assert_eq!((&resumed["resumed"], &resumed["user_id"]), (&json!(true), &json!("ana")));
}

fn a_session_survives_the_stop_of_its_node(store: Store) {
    let mut nodes = Nodes::start(2, store);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general", "other"] }));
    let (stopped, _) = nodes.nodes.remove(0);
    stopped.signal(rustix::process::Signal::TERM);
    ana.next("server_restart");
    ana.say(&json!({ "type": "restart_ack" }));
    assert_eq!(ana.close_code(), 1012);
    assert_eq!(stopped.end().0, Some(0));
    let (_, resumed) = nodes.hello(0, &json!({ "session_id": session["session_id"] }));
    assert_eq!(resumed["resumed"], true);
    let mut rooms: Vec<_> =
        resumed["rooms"].as_array().unwrap().iter().map(|room| room.as_str().unwrap()).collect();
    rooms.sort_unstable();
    assert_eq!(rooms, ["@ana", "general", "other"]);
}

fn a_node_that_slept_through_its_lease_serves_nobody_whose_session_was_taken_meanwhile(store: Store) {
    let nodes = Nodes::start_with(2, store, &["--node-lease-ms", "3000"]);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let (mut ben, bens) = nodes.hello(0, &json!({ "user_id": "ben", "rooms": ["general"] }));
    let (server, kept) = nodes.kept(&session);
    nodes.kept(&bens);
    let holder = server.command(&["HGET", &kept, "owner"]);
    let sleeper = &nodes.nodes[0].0;
    sleeper.stop();
    // The network takes what nobody reads.
    let old = json!({ "type": "message", "room": "general", "text": "by the old connection", "ref": "1" });
    ana.say(&old);
    let lease = nodes.store.name(&format!("{{nodes}}:{holder}"));
    wait_for("its lease has ended", || nodes.store.command(&["EXISTS", &lease]) == "0");
    let mut new = None;
    wait_for("the other node has learned so", || {
        let (talk, resumed) = nodes.hello(1, &json!({ "session_id": session["session_id"] }));
        new = (resumed["resumed"] == true).then_some(talk);
        new.is_some()
    });
    let mut new = new.unwrap();
    let missed = nodes.publish(1, "general", "missed");
    assert_eq!(new.next("message")["id"], missed);
    sleeper.signal(rustix::process::Signal::CONT);

    loop {
        match ana.0.next(PATIENCE) {
            Ok(Some(Frame::Text(text))) => {
                let said = ["message", "ack", "restore"].map(|kind| format!(r#""type":"{kind}""#));
                assert!(!said.iter().any(|kind| text.contains(kind)), "the old connection is served: {text}");
            }
            Ok(Some(_)) => {}
            end => {
                let code = if let Err(Error::Closed { code, .. }) = end { code } else { 0 };
                assert_eq!(code, 4000, "{end:?}");
                break;
            }
        }
    }
    // What nobody took goes on where it was.
    assert_eq!(ben.next("message")["id"], missed);
    ben.say(&json!({ "type": "message", "room": "general", "text": "still here", "ref": "1" }));
    ben.next("ack");
    let frame = new.next("message");
    assert_eq!(frame["text"], "still here", "nothing was said by the old connection");
}

fn rooms_joined_and_left_on_the_way_are_remembered_elsewhere(store: Store) {
    let nodes = Nodes::start(2, store);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    ana.say(&json!({ "type": "join", "room": "news" }));
    ana.next("joined");
    ana.say(&json!({ "type": "leave", "room": "general" }));
    ana.next("left");
    let (_, resumed) = nodes.hello(1, &json!({ "session_id": session["session_id"] }));
    let mut rooms: Vec<_> =
        resumed["rooms"].as_array().unwrap().iter().map(|room| room.as_str().unwrap()).collect();
    rooms.sort_unstable();
    assert_eq!(rooms, ["@ana", "news"]);
}

fn nobody_gets_the_session_of_somebody_else_on_another_node(store: Store) {
    let nodes = Nodes::start(2, store);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let mut ben = Talk(Socket::connect(&nodes.address(1, "/ws")).unwrap());
    ben.say(&json!({ "user_id": "ben", "session_id": session["session_id"] }));
    assert_eq!(ben.next("error")["code"], "forbidden");
    let forged = "00000000000000000000000000000000";
    let (_, new) = nodes.hello(1, &json!({ "user_id": "ben", "session_id": forged }));
    assert_eq!(new["resumed"], false);
    assert_ne!(new["session_id"], forged);
    let id = nodes.publish(1, "general", "still here");
    assert_eq!(ana.next("message")["id"], id);
}

fn a_session_says_something_by_http_on_any_node_wherever_it_is(store: Store) {
    let nodes = Nodes::start(2, store);
    let (mut ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let path = format!("/sessions/{}/send", session["session_id"].as_str().unwrap());
    let frame = json!({ "type": "message", "text": "by http", "ref": "1" }).to_string();
    let send = || http::post(&nodes.address(1, &path), "application/json", frame.as_bytes()).unwrap();
    let answer = send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let message = ana.next("message");
    assert_eq!((&message["text"], &message["user_id"]), (&json!("by http"), &json!("ana")));
    // While it is away, too; and the repeat is the same message.
    ana.0.close(1000, "").unwrap();
    drop(ana);
    let (server, kept) = nodes.kept(&session);
    wait_for("the session is away", || server.command(&["HGET", &kept, "owner"]).is_empty());
    let again = send();
    assert_eq!(again.status, 200, "{}", again.text());
    let id = |answer: &http::Response| serde_json::from_slice::<Value>(&answer.body).unwrap()["id"].clone();
    assert_eq!(id(&again), id(&answer));
    let unknown = http::post(
        &nodes.address(1, "/sessions/00000000000000000000000000000000/send"),
        "application/json",
        frame.as_bytes(),
    );
    assert_eq!(unknown.unwrap().status, 404);
}

fn a_user_who_is_disconnected_is_gone_from_every_node(store: Store) {
    let nodes = Nodes::start(3, store);
    let (mut here, first) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let (away, second) = nodes.hello(2, &json!({ "user_id": "ana", "rooms": ["general"] }));
    drop(away);
    let address = nodes.address(1, "/users/ana/sessions");
    // A node learns of the others when it says that it lives.
    wait_for("the nodes know each other", || {
        let request = http::Request { method: "DELETE", headers: &[], body: &[], timeout: PATIENCE };
        assert_eq!(http::send(&address, request).unwrap().status, 200);
        matches!(here.0.next(Duration::from_millis(100)), Err(Error::Closed { code: 1008, .. }))
    });
    for session in [first, second] {
        let (_, new) = nodes.hello(1, &json!({ "user_id": "ana", "session_id": session["session_id"] }));
        assert_eq!(new["resumed"], false, "what waited for her is over");
    }
}

fn sessions_live_on_when_redis_forgets_them(store: Store) {
    let nodes = Nodes::start(2, store);
    let (ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    nodes.kept(&session);
    nodes.store.forget();
    // The node tells of its sessions again.
    nodes.kept(&session);
    drop(ana);
    let (_, resumed) = nodes.hello(1, &json!({ "session_id": session["session_id"] }));
    assert_eq!((&resumed["resumed"], &resumed["user_id"]), (&json!(true), &json!("ana")));
}

fn a_long_poll_goes_on_at_another_node_by_its_cursor(store: Store) {
    let nodes = Nodes::start(2, store);
    let poll = |node: usize, query: &str| -> Value {
        let answer = http::get(&nodes.address(node, &format!("/poll/reader?room=general&{query}"))).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    };
    let begun = poll(0, "timeout_s=0");
    let cursor = begun["cursor"].as_str().unwrap().to_owned();
    nodes.publish(0, "general", "a");
    nodes.publish(1, "general", "b");
    let first = poll(1, &format!("cursor={cursor}&timeout_s=5"));
    assert_eq!(first["data"]["text"], "a");
    let second = poll(0, &format!("cursor={}&timeout_s=5", first["cursor"].as_str().unwrap()));
    assert_eq!(second["data"]["text"], "b");
}

#[test]
fn a_session_goes_on_though_the_clock_of_redis_is_set() {
    let nodes = Nodes::start(2, Store::one_server_with_clock());
    let (ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let again = json!({ "session_id": session["session_id"] });
    let (server, kept) = nodes.kept(&session);
    let is_away = || server.command(&["HGET", &kept, "owner"]).is_empty();
    drop(ana);
    wait_for("the session waits", is_away);
    server.set_clock(-3_600);
    let (ana, resumed) = nodes.hello(1, &again);
    assert_eq!(resumed["resumed"], true);
    // No lease holds any more, and the nodes live all the same.
    server.set_clock(3_600);
    let (_ben, resumed) = nodes.hello(0, &again);
    assert_eq!(resumed["resumed"], true);
    let mut ana = ana;
    assert_eq!(ana.close_code(), 4000);
}

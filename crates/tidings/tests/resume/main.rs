//! What a client sees of its session when there are several nodes: it goes on at any of them.

#[path = "../command/process.rs"]
#[allow(dead_code, reason = "the other tests of the binary use the rest")]
mod process;
#[path = "../../../tidings-redis/tests/support/mod.rs"]
#[allow(dead_code, reason = "the other tests over Redis use the rest")]
mod redis;

use std::time::Duration;

use process::Process;
use redis::cluster::Cluster;
use redis::{Redis, wait_for};
use serde_json::{Value, json};
use tidings_client::{Address, Error, Frame, Socket, http};

/// Longest wait for a frame; only a broken node takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Some nodes around one Redis.
struct Nodes {
    redis: Redis,
    nodes: Vec<(Process, String)>,
}

impl Nodes {
    fn start(count: usize) -> Self {
        Self::start_with(count, &[])
    }

    fn start_with(count: usize, flags: &[&str]) -> Self {
        let redis = Redis::start(&[]);
        let address = redis.address();
        let shared = ["--engine", "redis", "--redis", &address, "--node-lease-ms", "6000"];
        let flags = [&shared, flags].concat();
        let nodes = (0..count).map(|_| Process::node(&flags)).collect();
        Self { redis, nodes }
    }

    /// Some nodes around a Cluster, which is given back to be kept.
    fn around_a_cluster(count: usize) -> (Self, Cluster) {
        let cluster = Cluster::start();
        let address = cluster.addresses().join(",");
        let flags = ["--engine", "redis", "--redis", &address, "--node-lease-ms", "6000"];
        let nodes = (0..count).map(|_| Process::node(&flags)).collect();
        (Self { redis: Redis::start(&[]), nodes }, cluster)
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

#[test]
fn a_session_left_on_one_node_goes_on_at_another_and_misses_nothing() {
    a_session_left_on_one_node_goes_on_at_another_and_misses_nothing_over(&Nodes::start(2));
}

#[test]
fn a_session_left_on_one_node_goes_on_at_another_and_misses_nothing_around_a_cluster() {
    let (nodes, _cluster) = Nodes::around_a_cluster(2);
    a_session_left_on_one_node_goes_on_at_another_and_misses_nothing_over(&nodes);
}

fn a_session_left_on_one_node_goes_on_at_another_and_misses_nothing_over(nodes: &Nodes) {
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

#[test]
fn a_newer_connection_on_another_node_takes_the_session_over() {
    a_newer_connection_on_another_node_takes_the_session_over_over(&Nodes::start(2));
}

#[test]
fn a_newer_connection_on_another_node_takes_the_session_over_around_a_cluster() {
    let (nodes, _cluster) = Nodes::around_a_cluster(2);
    a_newer_connection_on_another_node_takes_the_session_over_over(&nodes);
}

fn a_newer_connection_on_another_node_takes_the_session_over_over(nodes: &Nodes) {
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

#[test]
fn an_older_attempt_that_comes_late_to_another_node_does_not_take_the_session() {
    let nodes = Nodes::start(2);
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

#[test]
fn the_session_of_a_killed_node_goes_on_elsewhere_at_once() {
    let mut nodes = Nodes::start(2);
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

#[test]
fn a_session_goes_on_though_its_node_was_asked_for_it_while_it_died() {
    // Longer than anybody here waits: nobody gets an answer because it is too late for one.
    let mut nodes = Nodes::start_with(2, &["--redis-timeout-ms", "60000"]);
    let (_ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    let key = format!("tidings:{{s*}}:session:{}", session["session_id"].as_str().unwrap());
    wait_for("the session is known", || !nodes.redis.command(&["KEYS", &key]).is_empty());
    let (holder, _) = nodes.nodes.remove(0);
    // Redis has it as a listener, as one whose sockets are not closed yet.
    holder.signal(rustix::process::Signal::STOP);
    let mut redis_hears = nodes.redis.monitor();
    let mut new = Talk(Socket::connect(&nodes.address(0, "/ws")).unwrap());
    new.say(&json!({ "session_id": session["session_id"] }));
    assert!(redis_hears.any(|line| line.contains("\"claim ")), "it is asked for the session");
    // Dropping kills.
    drop(holder);
    let resumed = new.next("session");
    assert_eq!((&resumed["resumed"], &resumed["user_id"]), (&json!(true), &json!("ana")));
}

#[test]
fn a_session_survives_the_stop_of_its_node() {
    let mut nodes = Nodes::start(2);
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

#[test]
fn rooms_joined_and_left_on_the_way_are_remembered_elsewhere() {
    let nodes = Nodes::start(2);
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

#[test]
fn nobody_gets_the_session_of_somebody_else_on_another_node() {
    let nodes = Nodes::start(2);
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

#[test]
fn a_session_says_something_by_http_on_any_node_wherever_it_is() {
    let nodes = Nodes::start(2);
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
    wait_for("the session is away", || {
        let id = session["session_id"].as_str().unwrap();
        let key = nodes.redis.command(&["KEYS", &format!("tidings:{{s*}}:session:{id}")]);
        nodes.redis.command(&["HGET", &key, "owner"]).is_empty()
    });
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

#[test]
fn a_user_who_is_disconnected_is_gone_from_every_node() {
    a_user_who_is_disconnected_is_gone_from_every_node_over(&Nodes::start(3));
}

#[test]
fn a_user_who_is_disconnected_is_gone_from_every_node_around_a_cluster() {
    let (nodes, _cluster) = Nodes::around_a_cluster(3);
    a_user_who_is_disconnected_is_gone_from_every_node_over(&nodes);
}

fn a_user_who_is_disconnected_is_gone_from_every_node_over(nodes: &Nodes) {
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

#[test]
fn sessions_live_on_when_redis_forgets_them() {
    let nodes = Nodes::start(2);
    let (ana, session) = nodes.hello(0, &json!({ "user_id": "ana", "rooms": ["general"] }));
    nodes.redis.command(&["FLUSHALL"]);
    wait_for("the node has told of its sessions again", || {
        !nodes.redis.command(&["KEYS", "tidings:{s*}:session:*"]).is_empty()
    });
    drop(ana);
    let (_, resumed) = nodes.hello(1, &json!({ "session_id": session["session_id"] }));
    assert_eq!((&resumed["resumed"], &resumed["user_id"]), (&json!(true), &json!("ana")));
}

#[test]
fn a_long_poll_goes_on_at_another_node_by_its_cursor() {
    let nodes = Nodes::start(2);
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

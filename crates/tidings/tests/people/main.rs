//! What users of two nodes around one store notice of there being two: nothing, unless one is killed.

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../command/process.rs"]
mod process;
#[allow(dead_code, reason = "the other tests over Redis use the rest")]
#[path = "../../../tidings-redis/tests/support/mod.rs"]
mod redis;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tidings_client::{Address, Client, Event, Options, Start, http};

use process::Process;
use redis::store::{Store, over_every_store};
use redis::{DEADLINE, wait_for};

/// Short, so that the tests are.
const LEASE: [&str; 2] = ["--node-lease-ms", "3000"];
const GRACE: [&str; 2] = ["--presence-grace-ms", "2000"];

fn node(store: &Store) -> (Process, String) {
    let flags = store.flags();
    let flags = flags.iter().map(String::as_str).chain(LEASE).chain(GRACE);
    Process::node(&flags.collect::<Vec<_>>())
}

fn get(url: &str, path: &str) -> Value {
    let answer = http::get(&Address::parse(url).unwrap().with_path(path)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// Those who are in the room `chat`, as a node says.
fn list(url: &str) -> Vec<String> {
    let page = get(url, "/rooms/chat/presence");
    let users = page["users"].as_array().unwrap();
    assert_eq!(page["total"], users.len());
    users.iter().map(|user| user["user_id"].as_str().unwrap().to_owned()).collect()
}

/// Somebody in the room `chat`, who remembers what they were told of others.
struct Person {
    client: Client,
    told: Vec<Value>,
}

impl Person {
    /// Comes in, and is listed.
    fn enter(url: &str, id: &str) -> Self {
        let client = Client::connect(Options::new(url).unwrap().user(id).room("chat", Start::Live)).unwrap();
        wait_for("the user is listed", || list(url).iter().any(|listed| listed == id));
        Self { client, told: Vec::new() }
    }

    /// Listens until this has been told.
    fn hears(&mut self, frame: &Value) {
        let deadline = Instant::now() + DEADLINE;
        while !self.told.contains(frame) {
            assert!(Instant::now() < deadline, "{frame} does not come, but {:?}", self.told);
            if let Some(Event::Other(frame)) = self.client.next(Duration::from_millis(100)).unwrap() {
                self.told.push(frame);
            }
        }
    }

    fn says(&mut self, frame: &Value) {
        self.client.send(frame).unwrap();
    }

    fn leaves(self) {
        self.client.close();
    }
}

fn told(kind: &str, id: &str) -> Value {
    json!({"type": kind, "room": "chat", "user_id": id})
}

over_every_store! {
    users_on_two_nodes_see_each_other_come_type_and_go,
    users_of_a_node_that_is_killed_are_told_to_have_left_once_by_those_who_are_left,
    a_rolling_restart_is_not_seen_by_those_who_watch,
}

/// How many nodes are known.
fn known(store: &Store) -> String {
    store.command(&["SCARD", &store.name("{nodes}")])
}

fn users_on_two_nodes_see_each_other_come_type_and_go(store: Store) {
    let ((_north, north), (_south, south)) = (node(&store), node(&store));
    let mut ana = Person::enter(&north, "ana");
    let mut ben = Person::enter(&south, "ben");
    ana.hears(&told("user_joined", "ben"));
    for url in [&north, &south] {
        assert_eq!(list(url), ["ana", "ben"]);
        assert_eq!(get(url, "/presence?user=eva&user=ben&user=ana"), json!({"online": ["ben", "ana"]}));
    }
    let another = Person::enter(&north, "ben");
    ben.says(&json!({"type": "typing_start", "room": "chat"}));
    ana.hears(&told("user_typing", "ben"));
    for url in [&north, &south] {
        assert_eq!(get(url, "/rooms/chat/typing"), json!({"users": ["ben"]}));
    }
    ben.says(&json!({"type": "typing_stop", "room": "chat"}));
    ana.hears(&told("user_stopped_typing", "ben"));
    ben.says(&json!({"type": "presence", "ref": "1"}));
    ben.hears(&json!({
        "type": "presence", "room": "chat", "ref": "1", "total": 2, "complete": true,
        "users": [{"user_id": "ana", "connections": 1}, {"user_id": "ben", "connections": 2}],
    }));
    another.leaves();
    ben.leaves();
    ana.hears(&told("user_left", "ben"));
    for url in [&north, &south] {
        assert_eq!(list(url), ["ana"]);
    }
    let all =
        ["user_joined", "user_typing", "user_stopped_typing", "user_left"].map(|kind| told(kind, "ben"));
    assert_eq!(ana.told, all, "each once, though he came with two devices by two nodes");
}

fn users_of_a_node_that_is_killed_are_told_to_have_left_once_by_those_who_are_left(store: Store) {
    let ((dying, north), (_south, south), (_west, west)) = (node(&store), node(&store), node(&store));
    let (_eva, _ben) = (Person::enter(&north, "eva"), Person::enter(&north, "ben"));
    let mut ana = Person::enter(&south, "ana");
    let _ben_too = Person::enter(&west, "ben");
    assert_eq!(list(&west), ["ana", "ben", "eva"]);
    dying.signal(Signal::KILL);
    ana.hears(&told("user_left", "eva"));
    for url in [&south, &west] {
        assert_eq!(list(url), ["ana", "ben"]);
        // Each node learns by its next census who lives.
        let online = || get(url, "/presence?user=ben&user=eva");
        wait_for("she counts as gone", || online() == json!({"online": ["ben"]}));
    }
    wait_for("nobody takes the node for known", || known(&store) == "2");
    let mut zoe = Person::enter(&west, "zoe");
    ana.hears(&told("user_joined", "zoe"));
    assert_eq!(ana.told, [told("user_left", "eva"), told("user_joined", "zoe")]);
    let users = ["ana", "ben", "zoe"].map(|id| json!({"user_id": id, "connections": 1}));
    zoe.says(&json!({"type": "presence", "ref": "1"}));
    zoe.hears(&json!({
        "type": "presence", "room": "chat", "ref": "1", "total": 3, "complete": true,
        "users": users,
    }));
}

fn a_rolling_restart_is_not_seen_by_those_who_watch(store: Store) {
    let (south_process, south) = node(&store);
    let mut watcher = Person::enter(&south, "ana");
    let (mut old, mut url) = node(&store);
    let mut ben = Person::enter(&url, "ben");
    watcher.hears(&told("user_joined", "ben"));
    for _ in 0..2 {
        let (new, new_url) = node(&store);
        old.signal(Signal::TERM);
        // His program comes back elsewhere, as it was asked to.
        ben.leaves();
        ben = Person::enter(&new_url, "ben");
        let (code, log) = old.end();
        assert_eq!(code, Some(0), "{log}");
        wait_for("the old node is forgotten", || known(&store) == "2");
        assert_eq!(list(&south), ["ana", "ben"]);
        (old, url) = (new, new_url);
    }
    assert_eq!(list(&url), ["ana", "ben"]);
    let _zoe = Person::enter(&url, "zoe");
    watcher.hears(&told("user_joined", "zoe"));
    assert_eq!(watcher.told, [told("user_joined", "ben"), told("user_joined", "zoe")]);
    drop(south_process);
}

#[test]
fn while_redis_is_away_questions_are_refused_and_afterwards_all_is_as_it_is() {
    let mut store = Store::one_server();
    let ((_north, north), (_south, south)) = (node(&store), node(&store));
    let mut ana = Person::enter(&north, "ana");
    let ben = Person::enter(&south, "ben");
    ana.hears(&told("user_joined", "ben"));
    store.server_mut().kill();
    wait_for("the list is refused", || {
        let answer = http::get(&Address::parse(&north).unwrap().with_path("/rooms/chat/presence")).unwrap();
        answer.status == 503 && answer.text().contains("engine_unavailable")
    });
    ana.says(&json!({"type": "presence", "ref": "1"}));
    let deadline = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < deadline, "no refusal");
        match ana.client.next(Duration::from_millis(100)).unwrap() {
            Some(Event::Refused { code, .. }) => break assert_eq!(code, "engine_unavailable"),
            Some(Event::Other(frame)) => ana.told.push(frame),
            _ => {}
        }
    }
    store.server_mut().launch();
    let listed = || {
        let answer = http::get(&Address::parse(&south).unwrap().with_path("/rooms/chat/presence")).unwrap();
        answer.text().contains("ana") && answer.text().contains("ben")
    };
    wait_for("both are listed again", listed);
    wait_for("both nodes listen again", || {
        [&north, &south].iter().all(|url| {
            http::get(&Address::parse(url).unwrap().with_path("/ready"))
                .is_ok_and(|answer| answer.status == 200)
        })
    });
    ben.leaves();
    ana.hears(&told("user_left", "ben"));
    assert_eq!(ana.told, [told("user_joined", "ben"), told("user_left", "ben")]);
}

#[test]
fn nobody_is_taken_for_gone_when_the_clock_of_redis_is_set() {
    let store = Store::one_server_with_clock();
    let ((_north, north), (_south, south)) = (node(&store), node(&store));
    let mut ana = Person::enter(&north, "ana");
    let _ben = Person::enter(&south, "ben");
    ana.hears(&told("user_joined", "ben"));
    let leases = || store.names("{nodes}:*").len();
    for ahead_s in [-3_600, 0, 3_600] {
        store.server().set_clock(ahead_s);
        wait_for("both nodes say that they live", || leases() == 2);
        // Longer than it takes until whoever took a node for dead has taken its users out.
        let mut asked =
            store.server().monitor().filter(|line| line.contains("\"EVALSHA\"") && line.contains("lease_ms"));
        (0..5).for_each(|_| _ = asked.next().expect("the nodes go on saying so"));
        for url in [&north, &south] {
            assert_eq!(list(url), ["ana", "ben"]);
            assert_eq!(get(url, "/presence?user=ana&user=ben"), json!({"online": ["ana", "ben"]}));
        }
    }
    let _zoe = Person::enter(&south, "zoe");
    ana.hears(&told("user_joined", "zoe"));
    assert_eq!(ana.told, [told("user_joined", "ben"), told("user_joined", "zoe")]);
}

#[test]
fn a_node_that_is_killed_is_missed_though_the_clock_of_redis_is_set_back_meanwhile() {
    let store = Store::one_server_with_clock();
    let ((dying, north), (_south, south)) = (node(&store), node(&store));
    let _ben = Person::enter(&north, "ben");
    let mut ana = Person::enter(&south, "ana");
    // So that it does not say once more that it lives, by the new time.
    dying.signal(Signal::STOP);
    store.server().set_clock(-3_600);
    dying.signal(Signal::KILL);
    ana.hears(&told("user_left", "ben"));
    assert_eq!(list(&south), ["ana"]);
}

#[test]
fn a_node_that_stops_is_waited_for_no_longer_though_the_clock_of_redis_is_set_back_meanwhile() {
    let store = Store::one_server_with_clock();
    let ((stopping, north), (_south, south)) = (node(&store), node(&store));
    let ben = Person::enter(&north, "ben");
    let mut ana = Person::enter(&south, "ana");
    stopping.signal(Signal::TERM);
    ben.leaves();
    assert_eq!(stopping.end().0, Some(0));
    store.server().set_clock(-3_600);
    ana.hears(&told("user_left", "ben"));
    assert_eq!(list(&south), ["ana"]);
}

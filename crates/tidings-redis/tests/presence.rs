//! What users of several nodes notice of each other, over a real Redis server.

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use support::cluster::Cluster;
use support::{DEADLINE, Redis, runtime, wait_for};
use tidings_core::{
    Completion, Doubt, Engine, EngineError, Event, EventKind, Hub, Inbox, People, RoomOptions, RoomPresence,
    RoomRules, Timestamp,
};
use tidings_protocol::{Limits, Message, RoomName, UserId};
use tidings_redis::{Beginning, Config, RedisEngine};

/// Somebody who listens to a room and writes down what is told there.
#[derive(Default)]
struct Ears(Mutex<Vec<EventKind>>);

impl Inbox for Ears {
    fn announce(&self, _: &Arc<Message>) {}

    fn doubt(&self, _: &Arc<Doubt>) {}

    fn tell(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(event.kind.clone());
    }
}

/// A node without connections: tables, an engine, and a clock that ticks until it dies.
struct Node {
    people: Arc<People>,
    engine: Arc<RedisEngine>,
    ears: Arc<Ears>,
    ticks: Arc<AtomicBool>,
}

fn limits() -> Limits {
    Limits { presence_grace_ms: 300, node_lease_ms: 2_000, ..Limits::default() }
}

impl Node {
    /// A node with somebody in a room.
    fn start(name: &str, redis: &[&Redis], room: &RoomName, limits: &Limits) -> Self {
        let (hub, limits) = (Arc::new(Hub::new()), Arc::new(limits.clone()));
        let rules = Arc::new(RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits)));
        let people = People::new(&hub, &limits, &rules);
        let config = Config {
            addresses: redis.iter().map(|redis| redis.address()).collect(),
            prefix: "t".to_owned(),
            node: name.to_owned(),
            beginning: Beginning::Now,
            patience: Duration::from_secs(3),
            root_certificate: None,
            replicas_min: 0,
        };
        let engine = RedisEngine::start(&config, &hub, &rules, &limits, runtime().handle()).unwrap();
        let engine = Arc::new(engine);
        engine.registry().connect(&people);
        let ears = Arc::new(Ears::default());
        hub.connect(vec![ears.clone()]);
        wait_for("the engine is ready", || engine.is_ready());
        hub.enter(room, 0);
        let (sender, watched) = channel();
        engine.watch(now(), room, Completion::new(move |head| sender.send(head).unwrap()));
        watched.recv_timeout(DEADLINE).unwrap().unwrap();
        let ticks = Arc::new(AtomicBool::new(true));
        let node = Self { people, engine, ears, ticks: Arc::clone(&ticks) };
        let (people, engine) = (Arc::clone(&node.people), Arc::clone(&node.engine));
        std::thread::spawn(move || {
            while ticks.load(Ordering::Acquire) {
                engine.tick(now());
                people.tick(now());
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        node
    }

    fn enter(&self, room: &RoomName, id: &str) {
        self.people.presence.entered(now(), room, &user(id));
    }

    fn exit(&self, room: &RoomName, id: &str) {
        self.people.presence.exited(now(), room, &user(id));
    }

    fn page(
        &self,
        room: &RoomName,
        after: Option<&str>,
        users_max: usize,
    ) -> Result<RoomPresence, EngineError> {
        let (sender, answer) = channel();
        let done = Completion::new(move |page| sender.send(page).unwrap());
        self.people.presence.ask_room(room, after.map(user).as_ref(), users_max, done);
        answer.recv_timeout(DEADLINE).unwrap()
    }

    fn list(&self, room: &RoomName) -> Vec<(String, u32)> {
        let page = self.page(room, None, 1_000).unwrap();
        assert_eq!(page.total, page.users.len());
        page.users.into_iter().map(|(user, connections)| (user.to_string(), connections)).collect()
    }

    fn online(&self, ids: &[&str]) -> Result<Vec<String>, EngineError> {
        let (sender, answer) = channel();
        let done = Completion::new(move |online| sender.send(online).unwrap());
        self.people.presence.ask_online(ids.iter().map(|id| user(id)).collect(), done);
        let online: Result<Vec<UserId>, _> = answer.recv_timeout(DEADLINE).unwrap();
        online.map(|online| online.iter().map(ToString::to_string).collect())
    }

    fn typists(&self, room: &RoomName) -> Vec<String> {
        let (sender, answer) = channel();
        let done = Completion::new(move |typists| sender.send(typists).unwrap());
        self.people.typing.ask_typists(now(), room, done);
        let typists: Result<Vec<UserId>, EngineError> = answer.recv_timeout(DEADLINE).unwrap();
        typists.unwrap().iter().map(ToString::to_string).collect()
    }

    fn told(&self) -> Vec<EventKind> {
        self.ears.0.lock().unwrap().clone()
    }

    /// Waits until just this has been told since the node began. What must not be told is found out by
    /// something that is told after it.
    fn hears(&self, expected: &[EventKind]) {
        wait_for("it is told", || self.told().len() >= expected.len());
        assert_eq!(self.told(), expected);
    }

    /// As by `kill -9`, seen from Redis.
    fn die(&self) {
        self.ticks.store(false, Ordering::Release);
    }

    fn stop(&self) {
        self.die();
        self.say_goodbye();
    }

    /// Says that it stops, while its clock goes on.
    fn say_goodbye(&self) {
        runtime().block_on(self.engine.registry().farewell());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.die();
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn user(id: &str) -> UserId {
    UserId::new(id, &Limits::default()).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::new(name, &Limits::default()).unwrap()
}

fn joined(id: &str) -> EventKind {
    EventKind::Joined(user(id))
}

fn left(id: &str) -> EventKind {
    EventKind::Left(user(id))
}

fn entry(id: &str, connections: u32) -> (String, u32) {
    (id.to_owned(), connections)
}

#[test]
fn a_user_on_two_nodes_comes_once_and_goes_once() {
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits()));
    north.enter(&chat, "ana");
    north.hears(&[joined("ana")]);
    south.enter(&chat, "ana");
    south.enter(&chat, "ana");
    assert_eq!(south.list(&chat), [entry("ana", 3)], "the asking node's own changes count");
    north.exit(&chat, "ana");
    wait_for("her grace on one node is over", || {
        north.people.presence.connections(&chat, &user("ana")).is_none()
    });
    south.enter(&chat, "ben");
    for node in [&north, &south] {
        node.hears(&[joined("ana"), joined("ben")]);
        assert_eq!(node.list(&chat), [entry("ana", 2), entry("ben", 1)]);
    }
    south.exit(&chat, "ana");
    south.exit(&chat, "ana");
    assert_eq!(north.list(&chat).len(), 2, "listed within the grace");
    for node in [&north, &south] {
        node.hears(&[joined("ana"), joined("ben"), left("ana")]);
        assert_eq!(node.list(&chat), [entry("ben", 1)]);
    }
}

#[test]
fn lists_are_the_same_from_every_node_page_by_page_over_three_servers() {
    let redis: [Redis; 3] = std::array::from_fn(|_| Redis::start(&[]));
    lists_are_the_same(&redis.iter().collect::<Vec<_>>());
}

#[test]
fn lists_are_the_same_from_every_node_page_by_page_over_a_cluster() {
    let cluster = Cluster::start();
    lists_are_the_same(&cluster.servers.iter().collect::<Vec<_>>());
}

fn lists_are_the_same(servers: &[&Redis]) {
    let rooms: Vec<RoomName> = (0..8).map(|i| room(&format!("room {i}"))).collect();
    let nodes = ["north", "south", "west"].map(|name| Node::start(name, servers, &rooms[0], &limits()));
    for (i, node) in nodes.iter().enumerate() {
        for room in &rooms {
            for id in ["dan", "ana", "cleo", "ben"].iter().skip(i) {
                node.enter(room, id);
            }
        }
        node.people.presence.came_online(now(), &user(["ana", "ben", "cleo"][i]));
    }
    let all = [entry("ana", 2), entry("ben", 3), entry("cleo", 3), entry("dan", 1)];
    for room in &rooms {
        for node in &nodes {
            wait_for("all changes are there", || node.list(room) == all);
            let page = node.page(room, None, 3).unwrap();
            assert_eq!((page.users.len(), page.total, page.complete), (3, 4, false));
            let page = node.page(room, Some("cleo"), 3).unwrap();
            assert_eq!((page.users, page.total, page.complete), (vec![(user("dan"), 1)], 4, true));
        }
    }
    for node in &nodes {
        wait_for("all are online", || {
            node.online(&["eve", "cleo", "ben", "ana"]).unwrap() == ["cleo", "ben", "ana"]
        });
        assert_eq!(node.list(&room("empty")), []);
    }
    nodes[0].people.presence.went_offline(now(), &user("ana"));
    wait_for("she is offline", || nodes[2].online(&["ana"]).unwrap().is_empty());
}

#[test]
fn a_node_that_dies_leaves_ghosts_for_its_lease_and_each_is_told_to_have_left_once() {
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let [north, south, west] =
        ["north", "south", "west"].map(|name| Node::start(name, &[&redis], &chat, &limits()));
    for id in ["ana", "ben"] {
        north.enter(&chat, id);
        north.people.presence.came_online(now(), &user(id));
    }
    west.hears(&[joined("ana"), joined("ben")]);
    south.enter(&chat, "ben");
    assert_eq!(south.list(&chat), [entry("ana", 1), entry("ben", 2)]);
    assert_eq!(south.online(&["ana", "ben"]).unwrap(), ["ana", "ben"]);
    north.die();
    for node in [&south, &west] {
        node.hears(&[joined("ana"), joined("ben"), left("ana")]);
    }
    assert_eq!(south.list(&chat), [entry("ben", 1)]);
    // It learns by its next census who lives. Her key is still there.
    wait_for("she is online nowhere", || west.online(&["ana"]).unwrap().is_empty());
    wait_for("nothing of it is left", || !redis.command(&["KEYS", "*"]).contains("here:north"));
    south.exit(&chat, "ben");
    for node in [&south, &west] {
        node.hears(&[joined("ana"), joined("ben"), left("ana"), left("ben")]);
    }
    let names = redis.command(&["KEYS", "t:{chat}:*"]);
    assert!(!names.contains(":here") && !names.contains(":nodes"), "{names}");
}

#[test]
fn a_node_that_dies_around_a_cluster_leaves_nobody_in_any_room() {
    let cluster = Cluster::start();
    let servers: Vec<&Redis> = cluster.servers.iter().collect();
    let rooms: Vec<RoomName> = (0..8).map(|i| room(&format!("room {i}"))).collect();
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &servers, &rooms[0], &limits()));
    for room in &rooms {
        north.enter(room, "ana");
        south.enter(room, "ben");
    }
    north.people.presence.came_online(now(), &user("ana"));
    for room in &rooms {
        wait_for("both are there", || south.list(room).len() == 2);
    }
    wait_for("she is online", || south.online(&["ana"]).unwrap() == ["ana"]);
    north.die();
    for room in &rooms {
        wait_for("she has left", || south.list(room) == [entry("ben", 1)]);
    }
    assert!(south.online(&["ana"]).unwrap().is_empty());
    let is_forgotten = |redis: &Redis| !redis.command(&["-c", "SMEMBERS", "t:{nodes}"]).contains("north");
    wait_for("nothing is left of the node", || is_forgotten(servers[0]));
}

#[test]
fn users_of_a_node_that_stops_can_go_to_another_within_the_grace_and_nobody_notices() {
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let limits = Limits { presence_grace_ms: 3_000, ..limits() };
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits));
    north.enter(&chat, "ana");
    north.enter(&chat, "ben");
    south.hears(&[joined("ana"), joined("ben")]);
    for id in ["ana", "ben"] {
        north.people.presence.came_online(now(), &user(id));
    }
    wait_for("both are online", || south.online(&["ana", "ben"]).unwrap().len() == 2);
    for id in ["ana", "ben"] {
        north.exit(&chat, id);
        north.people.presence.went_offline(now(), &user(id));
    }
    north.stop();
    south.enter(&chat, "ana");
    south.people.presence.came_online(now(), &user("ana"));
    assert_eq!(south.online(&["ana", "ben"]).unwrap(), ["ana", "ben"]);
    assert_eq!(south.list(&chat), [entry("ana", 1), entry("ben", 0)]);
    south.hears(&[joined("ana"), joined("ben"), left("ben")]);
    assert_eq!(south.list(&chat), [entry("ana", 1)]);
    assert_eq!(south.online(&["ana", "ben"]).unwrap(), ["ana"]);
    wait_for("other programs see it as well", || redis.command(&["EXISTS", "t:{@ben}:online"]) == "0");
    south.people.presence.went_offline(now(), &user("ana"));
    wait_for("the key is gone", || redis.command(&["EXISTS", "t:{@ana}:online"]) == "0");
}

#[test]
fn a_node_that_said_goodbye_is_gone_whatever_it_does_until_its_process_ends() {
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let node = Node::start("north", &[&redis], &chat, &limits());
    let lives = || redis.command(&["EXISTS", "t:{nodes}:north"]) == "1";
    wait_for("it lives", lives);
    node.say_goodbye();
    // Time to renew the lease, if it still did.
    node.engine.tick(Timestamp(now().0 + 10_000_000));
    // What is answered now was asked after whatever the tick asked.
    assert_eq!(node.list(&chat), []);
    assert!(!lives(), "by the clock");
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    wait_for("it is connected again", || node.page(&chat, None, 10).is_ok());
    assert!(!lives(), "by a new connection");
}

#[test]
fn a_node_that_comes_back_after_it_was_taken_for_dead_enters_its_users_again() {
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits()));
    north.enter(&chat, "ana");
    south.hears(&[joined("ana")]);
    north.die();
    south.hears(&[joined("ana"), left("ana")]);
    // It was stopped and goes on, as a machine does that was suspended.
    north.engine.tick(now());
    south.hears(&[joined("ana"), left("ana"), joined("ana")]);
    assert_eq!(south.list(&chat), [entry("ana", 1)]);
}

#[test]
fn a_server_that_restarts_empty_is_told_all_anew_and_users_notice_nothing() {
    let mut redis = Redis::start(&[]);
    let chat = room("chat");
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits()));
    north.enter(&chat, "ana");
    south.enter(&chat, "ben");
    for node in [&north, &south] {
        wait_for("both are there", || node.told().len() == 2);
    }
    redis.kill();
    wait_for("the server is away", || north.page(&chat, None, 1) == Err(EngineError::Unavailable));
    assert_eq!(north.online(&["zoe"]), Err(EngineError::Unavailable));
    north.enter(&chat, "cleo");
    redis.launch();
    wait_for("everybody is listed again", || {
        south.page(&chat, None, 9).is_ok_and(|page| page.users.len() == 3)
    });
    wait_for("both listen again", || north.engine.is_ready() && south.engine.is_ready());
    south.enter(&chat, "dan");
    wait_for("he is told of", || south.told().contains(&joined("dan")));
    let mut counts = BTreeMap::new();
    for kind in south.told() {
        *counts.entry(format!("{kind:?}")).or_insert(0) += 1;
    }
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
    assert!(!counts.keys().any(|kind| kind.starts_with("Left")), "{counts:?}");
}

#[test]
fn a_server_that_comes_back_with_an_old_state_forgets_who_has_gone_since() {
    let mut redis = Redis::start(&["--dbfilename", "old.rdb"]);
    let chat = room("chat");
    let north = Node::start("north", &[&redis], &chat, &limits());
    north.enter(&chat, "ana");
    north.enter(&chat, "ben");
    wait_for("both are there", || north.told().len() == 2);
    redis.command(&["SAVE"]);
    north.exit(&chat, "ana");
    north.hears(&[joined("ana"), joined("ben"), left("ana")]);
    redis.kill();
    redis.launch();
    wait_for("it is listed as it is", || {
        north.page(&chat, None, 9).is_ok_and(|page| page.users == [(user("ben"), 1)])
    });
}

#[test]
fn a_crowd_is_a_few_scripts_and_a_few_events() {
    const CROWD: usize = 2_000;
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits()));
    redis.command(&["CONFIG", "RESETSTAT"]);
    for i in 0..CROWD {
        north.enter(&chat, &format!("user-{i}"));
    }
    let told_of = |node: &Node| {
        let count = |kind: &EventKind| match kind {
            EventKind::Joined(_) => 1,
            EventKind::Changed(changes) => changes.joined,
            _ => 0,
        };
        node.told().iter().map(count).sum::<usize>()
    };
    wait_for("all are told of", || told_of(&north) == CROWD && told_of(&south) == CROWD);
    let page = south.page(&chat, None, usize::MAX).unwrap();
    assert_eq!((page.users.len(), page.total, page.complete), (1_000, CROWD, false));
    let statistics = redis.command(&["INFO", "commandstats"]);
    let calls =
        statistics.lines().find_map(|line| line.trim().strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    let calls: usize = calls.split(',').next().unwrap().parse().unwrap();
    assert!(calls < CROWD / 2, "{calls} scripts");
    assert!(south.told().len() <= 101 + 10, "{} events", south.told().len());
}

#[test]
fn who_types_on_one_node_is_seen_on_the_others_once_and_asked_for_anywhere() {
    let redis = Redis::start(&[]);
    let (chat, other) = (room("chat"), room("other"));
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits()));
    let west = Node::start("west", &[&redis], &other, &limits());
    north.people.typing.started(now(), &chat, &user("ana"));
    north.people.typing.started(now(), &chat, &user("ben"));
    let typing = |id: &str| EventKind::Typing(user(id));
    for node in [&north, &south] {
        node.hears(&[typing("ana"), typing("ben")]);
    }
    for node in [&north, &south, &west] {
        assert_eq!(node.typists(&chat), ["ana", "ben"]);
    }
    north.people.typing.stopped(now(), &chat, &user("ana"));
    for node in [&north, &south] {
        node.hears(&[typing("ana"), typing("ben"), EventKind::StoppedTyping(user("ana"))]);
    }
    for node in [&north, &south, &west] {
        assert_eq!(node.typists(&chat), ["ben"]);
    }
}

#[test]
fn typing_ends_by_itself_when_the_node_it_came_from_is_gone() {
    let redis = Redis::start(&[]);
    let chat = room("chat");
    let limits = Limits { typing_timeout_ms: 400, typing_interval_ms: 200, ..limits() };
    let [north, south] = ["north", "south"].map(|name| Node::start(name, &[&redis], &chat, &limits));
    north.people.typing.started(now(), &chat, &user("ana"));
    north.die();
    south.hears(&[EventKind::Typing(user("ana")), EventKind::StoppedTyping(user("ana"))]);
    wait_for("nobody types", || south.typists(&chat).is_empty());
}

#[test]
fn the_key_of_a_user_who_is_online_lasts_as_long_as_they_are_and_not_much_longer() {
    let redis = Redis::start(&[]);
    let limits = Limits { presence_ttl_ms: 3_000, ..limits() };
    let north = Node::start("north", &[&redis], &room("chat"), &limits);
    let ana = user("ana");
    let ttl = || redis.command(&["PTTL", "t:{@ana}:online"]).parse::<i64>().unwrap();
    north.people.presence.came_online(now(), &ana);
    wait_for("the key is there", || ttl() > 0);
    let mut last = ttl();
    wait_for("it is refreshed", || {
        let was = std::mem::replace(&mut last, ttl());
        last > was
    });
    redis.command(&["DEL", "t:{@ana}:online"]);
    wait_for("it is made anew", || ttl() > 0);
    north.people.presence.went_offline(now(), &ana);
    wait_for("it is gone", || ttl() == -2);
    north.people.presence.came_online(now(), &ana);
    wait_for("the key is there again", || ttl() > 0);
    north.die();
    wait_for("it expires", || ttl() == -2);
}

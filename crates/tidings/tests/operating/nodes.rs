//! `GET /nodes` on nodes around one Redis.

use rustix::process::Signal;
use serde_json::{Value, json};
use tidings_client::{Address, Socket, http};

use crate::process::Process;
use crate::redis::{Redis, wait_for};

fn nodes(url: &str) -> Vec<Value> {
    let answer = http::get(&Address::parse(url).unwrap().with_path("/nodes")).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice::<Value>(&answer.body).unwrap()["nodes"].as_array().unwrap().clone()
}

fn names(nodes: &[Value]) -> Vec<&str> {
    nodes.iter().map(|node| node["name"].as_str().unwrap()).collect()
}

#[test]
fn every_node_knows_how_the_others_fare_without_asking_and_forgets_the_dead() {
    let redis = [Redis::start(&[]), Redis::start(&[])];
    let addresses = redis.each_ref().map(Redis::address);
    let start = |name| {
        let servers = ["--engine", "redis", "--redis", &addresses[0], "--redis", &addresses[1]];
        Process::node(&[&servers[..], &["--node", name, "--node-lease-ms", "1000"]].concat())
    };
    let (_a, a) = start("a");
    let (b_process, b) = start("b");
    let (_c, c) = start("c");
    let mut talks: Vec<_> =
        (0..2).map(|_| Socket::connect(&Address::parse(&b).unwrap().with_path("/ws")).unwrap()).collect();
    talks[0].send_text(&json!({ "user_id": "ana", "rooms": ["yard", "porch"] }).to_string()).unwrap();
    for url in [&a, &c] {
        wait_for("it knows of all three, and of b's clients and their rooms", || {
            let nodes = nodes(url);
            let figures = |node: &Value| (node["connections"].as_u64(), node["rooms"].as_u64());
            // Two rooms, and `@ana`.
            names(&nodes) == ["a", "b", "c"]
                && figures(&nodes[1]).0 == Some(2)
                && figures(&nodes[1]).1.unwrap() >= 3
        });
    }
    // Dropping kills.
    drop(b_process);
    for url in [&a, &c] {
        wait_for("it has forgotten the dead node", || names(&nodes(url)) == ["a", "c"]);
    }
    let own = |nodes: Vec<Value>| nodes.into_iter().find(|node| node["name"] == "a").unwrap();
    assert_eq!(own(nodes(&a))["age_ms"], 0);
}

#[test]
fn nodes_replaced_one_after_another_are_not_listed_beside_those_that_replace_them() {
    let redis = Redis::start(&[]);
    // Longer than the test may take: nobody is forgotten because a lease ended.
    let start = |name| {
        let flags = ["--engine", "redis", "--redis", &redis.address(), "--node-lease-ms", "120000"];
        Process::node(&[&flags[..], &["--node", name]].concat())
    };
    let mut old = [start("a"), start("b"), start("c")].map(Some);
    let mut new = Vec::new();
    for (index, name) in ["d", "e", "f"].into_iter().enumerate() {
        let (process, url) = old[index].take().unwrap();
        // Its clock ticks while it waits for a client.
        let talk = Socket::connect(&Address::parse(&url).unwrap().with_path("/ws")).unwrap();
        process.signal(Signal::TERM);
        drop(talk);
        let (code, log) = process.end();
        assert_eq!(code, Some(0), "{log}");
        new.push(start(name));
        let expected: Vec<_> = ["a", "b", "c", "d", "e", "f"][index + 1..index + 4].to_vec();
        wait_for("the newest lists those that run", || names(&nodes(&new[index].1)) == expected);
    }
}

//! `GET /nodes` on nodes around one Redis.

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

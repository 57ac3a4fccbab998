//! `doctor` asks real servers with good and bad settings.

use std::collections::HashMap;

use serde_json::Value;

use crate::process::run;
use crate::redis::cluster::Cluster;
use crate::redis::{Redis, free_port};

/// The states and the found values of the checks of Redis, and the exit code.
fn examine(address: &str, more: &[&str]) -> (HashMap<String, (String, String)>, Option<i32>) {
    let words = ["doctor", "--json", "--listen", "127.0.0.1:0", "--engine", "redis", "--redis", address];
    // What the machine lacks for more connections is not the question.
    let few = ["--connections-max", "10", "--refusals-max", "10", "--history-bytes-max", "0"];
    let output = run(&[&words, &few[..], more].concat());
    let lines = String::from_utf8(output.stdout).unwrap();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let checks = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| text(line, "check").starts_with("redis_"))
        .inspect(|line| assert_eq!(line["state"] == "ok", line["remedy"] == "", "{line}"))
        .map(|line| (text(&line, "check"), (text(&line, "state"), text(&line, "found"))))
        .collect();
    (checks, output.status.code())
}

fn states(checks: &HashMap<String, (String, String)>) -> Vec<(&str, &str)> {
    let mut states: Vec<_> =
        checks.iter().map(|(name, (state, _))| (name.as_str(), state.as_str())).collect();
    states.sort_unstable();
    states
}

#[test]
fn a_server_that_is_set_up_as_the_page_says_passes() {
    let redis = Redis::start(&["--appendonly", "yes", "--maxmemory", "1gb"]);
    let (checks, code) = examine(&redis.address(), &[]);
    assert!(checks.len() >= 9, "{checks:?}");
    assert!(checks.values().all(|(state, _)| state == "ok"), "{checks:?}");
    assert_eq!(code, Some(0));
    let (_, found) = &checks["redis_reachable"];
    assert!(found.contains(&redis.port.to_string()), "{found}");
}

#[test]
fn each_bad_setting_is_found_where_it_is() {
    let redis = Redis::start(&[
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--client-output-buffer-limit",
        "pubsub 16kb 8kb 60",
    ]);
    let (checks, code) = examine(&redis.address(), &[]);
    assert_eq!(
        states(&checks),
        [
            ("redis_clock", "ok"),
            ("redis_cluster", "ok"),
            ("redis_eviction", "fail"),
            ("redis_memory", "ok"),
            ("redis_persistence", "warn"),
            ("redis_pubsub", "fail"),
            ("redis_reachable", "ok"),
            ("redis_role", "ok"),
            ("redis_version", "ok"),
        ]
    );
    assert_eq!(code, Some(1));
}

#[test]
fn a_cluster_without_masters_and_a_replica_are_not_what_a_node_can_use() {
    let cluster = Redis::start(&["--cluster-enabled", "yes"]);
    let (checks, code) = examine(&cluster.address(), &[]);
    assert_eq!((checks["redis_cluster"].0.as_str(), code), ("fail", Some(1)));
    let replica = Redis::start(&["--replicaof", "127.0.0.1 1"]);
    let (checks, code) = examine(&replica.address(), &[]);
    assert_eq!((checks["redis_role"].0.as_str(), code), ("fail", Some(1)));
}

#[test]
fn a_cluster_with_a_replica_for_each_master_passes_by_any_member() {
    let cluster = Cluster::start();
    for member in [0, 5] {
        let (checks, _) = examine(&cluster.addresses()[member], &[]);
        let (state, found) = &checks["redis_cluster"];
        assert_eq!(state, "ok", "{found}");
        assert!(found.contains("3 masters, 16384 of 16384 slots"), "{found}");
        assert_eq!(checks["redis_role"].0, "ok");
    }
    // While there is one: a node is not to be given both.
    let independent = Redis::start(&[]);
    let addresses = format!("{},{}", cluster.addresses()[1], independent.address());
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--engine", "redis", "--redis", &addresses]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("is a member of a Cluster") && !output.status.success(), "{words}");
}

#[test]
fn what_a_user_may_not_ask_is_not_taken_for_good() {
    let redis = Redis::start(&["--appendonly", "yes", "--maxmemory", "1gb"]);
    redis.command(&["ACL", "SETUSER", "ana", "on", ">secret", "~*", "&*", "+@all", "-config", "-time"]);
    let (checks, code) = examine(&format!("redis://ana:secret@127.0.0.1:{}", redis.port), &[]);
    assert_eq!((checks["redis_pubsub"].0.as_str(), checks["redis_clock"].0.as_str()), ("warn", "warn"));
    assert_eq!((checks["redis_version"].0.as_str(), code), ("ok", Some(0)));
}

#[test]
fn a_server_that_is_away_or_silent_or_refuses_is_one_failed_check_without_the_password() {
    let redis = Redis::start(&["--requirepass", "secret"]);
    let wrong = format!("redis://:guessed@127.0.0.1:{}", redis.port);
    let nobody = format!("redis://:guessed@127.0.0.1:{}", free_port());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("redis://:guessed@{}", silent.local_addr().unwrap());
    for address in [wrong, nobody, silent] {
        let (checks, code) = examine(&address, &["--redis-timeout-ms", "300"]);
        assert_eq!((states(&checks), code), (vec![("redis_reachable", "fail")], Some(1)), "{address}");
        assert!(!checks["redis_reachable"].1.contains("guessed"), "{checks:?}");
    }
}

//! `tidings bench` as somebody uses it who only wants to know whether it works: small, short, each scenario once, next
//! to its bare loop. What it measures is not looked at, only that it measures and that nothing got lost.

use std::process::Command;

use serde_json::Value;

/// Runs a scenario and returns its results, one per line of JSON.
fn bench(arguments: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .arg("bench")
        .args(arguments.split(' '))
        .args(["--json", "--rounds", "1", "--no-pin"])
        .output()
        .expect("the binary starts");
    let (told, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments}: {}\n{told}\n{talk}", output.status);
    told.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// The result of one server.
fn result<'a>(results: &'a [Value], server: &str) -> &'a Value {
    let found = results.iter().find(|result| result["server"] == server && result["round"] == "median");
    found.unwrap_or_else(|| panic!("{server} was measured: {results:?}"))
}

fn assert_measured(arguments: &str, figures: &[&str]) {
    let results = bench(&format!("{arguments} --floor"));
    for server in ["tidings", "floor"] {
        let result = result(&results, server);
        for figure in figures {
            assert!(result[*figure].as_f64().is_some_and(|value| value > 0.0), "{server} {figure}: {result}");
        }
        for fault in ["lost", "duplicated", "out_of_order", "broken_connections"] {
            assert_eq!(result[fault], 0, "{server} {fault}: {result}");
        }
    }
    assert!(results.iter().any(|result| result["ratio_of"] == "tidings" && result["to"] == "floor"));
}

const TRAFFIC: &[&str] =
    &["deliveries_per_second", "latency_p99_us", "server_cpu_per_delivery_us", "worker_busy"];

#[test]
fn fan_out_is_measured_next_to_its_floor() {
    assert_measured("fanout --members 50 --burst 4 --rate 50 --seconds 0.5", TRAFFIC);
}

#[test]
fn event_streams_are_measured_next_to_their_floor() {
    assert_measured("fanout --transport sse --members 50 --burst 4 --rate 50 --seconds 0.5", TRAFFIC);
}

#[test]
fn long_polls_are_measured_next_to_their_floor() {
    assert_measured("fanout --transport poll --members 50 --burst 4 --rate 20 --seconds 0.5", TRAFFIC);
}

#[test]
fn idle_event_streams_and_waiting_polls_are_measured_next_to_their_floor() {
    let figures = &["connections", "server_cpu_per_connect_us"];
    assert_measured("idle --transport sse --connections 200", figures);
    assert_measured("idle --transport poll --connections 200 --rooms own", figures);
}

#[test]
fn rooms_are_measured_next_to_their_floor() {
    assert_measured("rooms --connections 40 --size 10 --rate 200 --seconds 0.5", TRAFFIC);
}

#[test]
fn echo_is_measured_next_to_its_floor() {
    assert_measured("echo --connections 5 --seconds 0.5", TRAFFIC);
}

#[test]
fn idle_connections_are_measured_next_to_their_floor() {
    assert_measured("idle --connections 200 --rooms own", &["connections", "server_cpu_per_connect_us"]);
}

#[test]
fn a_storm_is_measured_next_to_its_floor() {
    assert_measured("storm --connections 200", &["connect_all_ms", "served_after_mass_leave_ms"]);
}

#[test]
fn a_crowd_that_comes_and_goes_is_measured_against_a_smaller_one() {
    let results = bench("presence --quick --users 40,90 --watchers 2");
    let (small, large) = (result(&results, "40 users"), result(&results, "90 users"));
    for crowd in [small, large] {
        assert_eq!(crowd["broken_connections"], 0, "{crowd}");
        assert!(crowd["server_cpu_per_user_coming_us"].as_f64().is_some_and(|cpu| cpu > 0.0), "{crowd}");
    }
    // Up to a hundred users are told one by one.
    assert!(small["events_coming"].as_f64().is_some_and(|events| events >= 2.0 * 40.0), "{small}");
    assert_eq!(small["events_going"], 2.0 * 40.0, "{small}");
    assert!(results.iter().any(|result| result["ratio_of"] == "90 users" && result["to"] == "40 users"));
}

/// A server that lost nothing and has these figures.
fn assert_clean<'a>(results: &'a [Value], server: &str, figures: &[&str]) -> &'a Value {
    let result = result(results, server);
    for figure in figures {
        assert!(result[*figure].as_f64().is_some_and(|value| value > 0.0), "{server} {figure}: {result}");
    }
    for fault in ["lost", "told", "duplicated", "out_of_order", "broken_connections"] {
        assert_eq!(result[fault], 0, "{server} {fault}: {result}");
    }
    result
}

#[test]
fn nodes_around_redis_are_measured_next_to_one_by_itself() {
    let results = bench("cluster --quick --connections 100 --rate 300 --seconds 0.5");
    let figures = ["deliveries_per_second", "latency_p99_us", "nodes_cpu_per_message_us"];
    assert_clean(&results, "1 node, memory", &figures);
    for server in ["3 nodes, 1 Redis", "3 nodes, 2 Redis"] {
        let result = assert_clean(&results, server, &figures);
        assert!(result["redis_cpu_per_message_us"].as_f64().is_some_and(|cpu| cpu > 0.0), "{result}");
        // Each message is one; what nodes do besides comes on top.
        assert!(
            result["redis_scripts_per_message"].as_f64().is_some_and(|scripts| scripts >= 1.0),
            "{result}"
        );
    }
    let ratios: Vec<_> = results.iter().filter_map(|result| result["to"].as_str()).collect();
    assert_eq!(ratios, ["3 nodes, 1 Redis", "1 node, memory"]);
}

#[test]
fn redis_is_held_back_to_see_what_it_carries() {
    let results = bench("cluster --quick --nodes 2 --redis 1 --connections 100 --saturate 10 --seconds 0.5");
    assert_clean(&results, "2 nodes, 1 Redis", &["published_per_second", "redis_busy"]);
}

#[test]
fn clients_of_a_killed_node_are_whole_again_at_the_others_and_miss_nothing() {
    let results = bench("failover --quick --clients 60 --rate 100");
    for (server, cut) in [("all on the node that is killed", 60.0), ("spread over all nodes", 20.0)] {
        let result = assert_clean(&results, server, &["whole_last_ms", "redis_scripts_per_client"]);
        assert_eq!((&result["cuts"], &result["sessions_resumed"]), (&cut.into(), &cut.into()), "{result}");
        assert_eq!(result["delivered_percent"], 100.0, "{result}");
    }
}

#[test]
fn clients_that_are_cut_off_again_and_again_miss_nothing_over_any_transport() {
    let results = bench("drops --quick --clients 30");
    for transport in ["websocket", "websocket-http2", "sse", "poll", "grpc"] {
        let result = result(&results, transport);
        assert_eq!(result["delivered_percent"], 100.0, "{result}");
        assert!(result["cuts"].as_f64().is_some_and(|cuts| cuts >= 30.0), "{result}");
        for fault in ["lost", "told", "duplicated", "out_of_order", "broken_connections"] {
            assert_eq!(result[fault], 0, "{transport} {fault}: {result}");
        }
        if ["websocket", "websocket-http2", "grpc"].contains(&transport) {
            assert!(result["sessions_resumed"].as_f64().is_some_and(|resumed| resumed > 0.0), "{result}");
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_said_with_code_69() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["bench", "echo", "--quick", "--url", &format!("http://127.0.0.1:{port}")])
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(69), "{}", String::from_utf8_lossy(&output.stderr));
}

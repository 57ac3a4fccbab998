//! What operators ask, what is served to browsers, and what is answered to everything else.

use tidings_core::telemetry::Counter;
use tokio::io::AsyncWriteExt;

use crate::node::Node;
use crate::wire::{Wire, ask, get, post};

#[test]
fn every_answer_names_the_node() {
    let node = Node::start();
    for path in ["/", "/health", "/ready", "/metrics", "/openapi.json", "/rooms", "/nowhere", "/ws"] {
        assert_eq!(ask(&node, get(path)).header("tidings-node"), Some("north"), "{path}");
    }
    assert_eq!(ask(&node, get("/health")).json()["node"], "north");
}

#[test]
fn a_node_that_is_alone_answers_with_itself() {
    let node = Node::start();
    ask(&node, post("/broadcast?message=abc", "", ""));
    let nodes = ask(&node, get("/nodes")).json()["nodes"].clone();
    let expected = serde_json::json!([{ "name": "north", "connections": 1, "rooms": 1, "age_ms": 0 }]);
    assert_eq!(nodes, expected);
}

#[test]
fn unknown_addresses_and_methods_are_refused_in_json() {
    let node = Node::start();
    let answer = ask(&node, get("/nowhere"));
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
    let answer = ask(&node, "DELETE /broadcast HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = ask(&node, post("/rooms", "", ""));
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
}

#[test]
fn metrics_tell_what_the_shards_counted() {
    let node = Node::start();
    node.counters.add(Counter::MessageDelivered, 7);
    ask(&node, post("/broadcast?message=abc", "", ""));
    let page = tidings_client::http::get(&node.at("/metrics")).unwrap();
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = page.text();
    for line in [
        "tidings_messages_delivered_total{shard=\"0\"} 7",
        "tidings_history_bytes 3",
        "tidings_rooms 1",
        "tidings_connections_limit 50000",
        "tidings_ready 1",
        "tidings_http_answers_total{status=\"2xx\"} 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    for name in ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} in\n{text}");
    }
    for &counter in Counter::ALL {
        assert!(text.contains(&format!("tidings_{}_total{{", counter.metric())), "{counter:?}");
    }
}

#[test]
fn the_page_for_operators_explains_each_metric() {
    let node = Node::start();
    let page = include_str!("../../../../docs/operations.md");
    let text = tidings_client::http::get(&node.at("/metrics")).unwrap().text();
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut found = 0;
    for (name, kind) in typed {
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/operations.md");
        found += 1;
    }
    assert!(found >= Counter::ALL.len(), "the metrics were found");
}

#[test]
fn the_description_names_each_route() {
    let node = Node::start();
    let description = ask(&node, get("/openapi.json")).json();
    let described = description["paths"].as_object().unwrap();
    let routes = include_str!("../../src/routes/mod.rs");
    let mut found = 0;
    for (path, _) in routes.split(".route(\"").skip(1).filter_map(|rest| rest.split_once('"')) {
        let path = if path == "/ws/{*rest}" { "/ws/{room}" } else { path };
        assert!(described.contains_key(path), "{path} is not in openapi.json");
        found += 1;
    }
    assert!(found >= 9, "the routes were found in the source");
    for (path, operations) in described.iter().filter(|(path, _)| *path != "/echo") {
        let path = path.replace(['{', '}'], "");
        let path = if path == "/presence" { format!("{path}?user=b") } else { path };
        let methods = operations.as_object().unwrap().keys().filter(|key| *key != "parameters");
        for method in methods.map(|method| method.to_uppercase()) {
            let mut wire = Wire::to(&node);
            wire.say(format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
            if ["/events", "/poll/", "/sessions/"].iter().any(|shards| path.starts_with(shards)) {
                let done = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                node.runtime.block_on(node.passage().stream.write_all(done)).unwrap();
            }
            let answer = wire.answer();
            assert!(![404, 405].contains(&answer.status), "{method} {path} is described but not served");
        }
    }
}

#[test]
fn the_page_comes_with_its_files_and_loads_nothing_from_elsewhere() {
    let node = Node::start();
    let page = ask(&node, get("/"));
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    let names: Vec<_> = html
        .split(['"', '\''])
        .filter(|word| {
            !word.contains([' ', '<']) && [".js", ".css", ".svg"].iter().any(|end| word.ends_with(end))
        })
        .collect();
    assert!(!names.is_empty());
    for name in names {
        assert_eq!(ask(&node, get(&format!("/{name}"))).status, 200, "{name}");
    }
}

#[test]
fn a_page_that_the_browser_has_is_not_sent_again() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(get("/"));
    let first = wire.answer();
    let tag = first.header("etag").unwrap();
    wire.say(format!("GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n"));
    let second = wire.answer();
    assert_eq!((second.status, second.body.len()), (304, 0));
    wire.say(get("/health"));
    assert_eq!(wire.answer().status, 200);
}

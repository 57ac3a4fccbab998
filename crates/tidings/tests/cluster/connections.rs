//! Connections to Redis that break, and scripts that it forgets.

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::Redis;

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing() {
    let servers = [Redis::start(&[])];
    // A node may be away for a second, in which more is published than a log keeps by default.
    let nodes = Nodes::start(2, &servers, &["--room-history-messages", "10000"]);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b"]).with_publishers(&["a", "b"]);
    for round in 0..20 {
        crowd.wait_for_messages(10);
        let kind = if round % 2 == 0 { "pubsub" } else { "normal" };
        servers[0].command(&["CLIENT", "KILL", "TYPE", kind]);
        if round % 5 == 0 {
            servers[0].command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    }
    crowd.wait_for_messages(50);
    nodes.wait_until_ready();
    let records = crowd.finish("connections cut", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty()), "{records:?}");
    let repaired: f64 = (0..2).map(|node| nodes.metric(node, "tidings_redis_repaired_messages_total")).sum();
    assert!(repaired > 0.0, "something was missed and read");
}

#[test]
fn a_node_that_redis_cuts_off_for_reading_too_slowly_reads_what_it_missed() {
    let servers = [Redis::start(&["--client-output-buffer-limit", "pubsub 64kb 64kb 1"])];
    let nodes = Nodes::start(2, &servers, &[]);
    let mut crowd = Crowd::of(&nodes).with_subscribers(&["big"]);
    let repaired = |nodes: &Nodes| nodes.metric(1, "tidings_redis_repaired_messages_total");
    // Two of these in one turn of Redis are too much for it.
    for _ in 0..100 {
        if repaired(&nodes) > 0.0 {
            break;
        }
        crowd.shout(0, "big", 60_000);
    }
    assert!(repaired(&nodes) > 0.0, "Redis cut it off");
    crowd.finish("output buffer overflow", 0);
}

#[test]
fn scripts_that_redis_forgets_are_taught_again_without_a_refusal() {
    let servers = [Redis::start(&[])];
    let nodes = Nodes::start(2, &servers, &[]);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a"]).with_publishers(&["a"]);
    for _ in 0..20 {
        crowd.wait_for_messages(10);
        assert_eq!(servers[0].command(&["SCRIPT", "FLUSH"]), "OK");
    }
    crowd.wait_for_messages(10);
    assert_eq!(crowd.refused(), 0);
    let records = crowd.finish("scripts flushed", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty()));
}

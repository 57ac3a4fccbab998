//! Connections to Redis that break, and scripts that it forgets.

use rustix::process::Signal;

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::{Redis, wait_for};

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
    let servers = [Redis::start(&["--client-output-buffer-limit", "pubsub 1mb 0 0"])];
    let kept = ["--room-history-messages", "10000", "--room-history-bytes", "1000000000"];
    let nodes = Nodes::start(2, &servers, &kept);
    let mut crowd = Crowd::of(&nodes).with_subscribers(&["big"]);
    let cut_off = || {
        let listening = servers[0].command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        listening.lines().filter(|line| line.contains("addr=")).count() < 2
    };
    // A node that does not read at all fills what lies between before it fills Redis' buffer.
    nodes.signal(1, Signal::STOP);
    wait_for("Redis cuts it off", || {
        crowd.shout(0, "big", 60_000);
        cut_off()
    });
    nodes.signal(1, Signal::CONT);
    wait_for("what was missed is read", || nodes.metric(1, "tidings_redis_repaired_messages_total") > 0.0);
    let records = crowd.finish("output buffer overflow", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty()), "{records:?}");
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

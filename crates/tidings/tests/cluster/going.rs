//! Nodes that go: killed, stopped one after another, with a clock that is wrong, or not concerned at all.

use rustix::process::Signal;

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::store::{Store, over_every_store};
use crate::redis::{Redis, wait_for};

over_every_store! {
    a_node_that_is_killed_costs_its_clients_no_message,
    nodes_restarted_one_after_another_lose_nothing,
}

fn a_node_that_is_killed_costs_its_clients_no_message(store: Store) {
    let mut nodes = Nodes::over(3, &store);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b", "c"]).with_publishers(&["a", "b", "c"]);
    crowd.wait_for_messages(200);
    nodes.kill(0);
    crowd.wait_for_messages(200);
    let records = crowd.finish("node killed", 1);
    assert!(records.iter().all(|record| record.gaps.is_empty()));
}

fn nodes_restarted_one_after_another_lose_nothing(store: Store) {
    let mut nodes = Nodes::over(3, &store);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b"]).with_publishers(&["a", "b"]);
    for index in 0..3 {
        crowd.wait_for_messages(100);
        let process = nodes.take(index);
        process.signal(Signal::TERM);
        let (code, log) = process.end();
        assert_eq!(code, Some(0), "{log}");
        nodes.launch(index);
    }
    crowd.wait_for_messages(100);
    let records = crowd.finish("rolling restart", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty()));
}

#[test]
fn a_node_whose_clock_is_hours_behind_changes_nothing() {
    let servers = [Redis::start(&[])];
    let mut nodes = Nodes::start(2, &servers, &[]);
    nodes.kill(0);
    nodes.launch_with_clock_set_back(0, 3);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b"]).with_publishers(&["a", "b"]);
    crowd.wait_for_messages(200);
    let records = crowd.finish("clock of a node set back", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty()), "{records:?}");
}

#[test]
fn nodes_without_members_of_a_room_hear_nothing_of_it() {
    let servers = [Redis::start(&[])];
    let nodes = Nodes::start(3, &servers, &["--engine-linger-ms", "0"]);
    let mut crowd = Crowd::of(&nodes);
    crowd.subscribe("here", 0, None);
    crowd.wait_until_all_listen();
    for _ in 0..20 {
        crowd.say(1, "here");
    }
    let listeners = || servers[0].command(&["PUBSUB", "SHARDNUMSUB", "tidings:{here}:live"]);
    let count = |text: String| text.lines().last().map(str::to_owned);
    assert_eq!(count(listeners()).as_deref(), Some("1"));
    let records = crowd.finish("members on one node", 2);
    assert_eq!(records[0].messages.len(), 21);
    for (index, delivered) in [(0, 21.0), (1, 0.0), (2, 0.0)] {
        assert_eq!(nodes.metric(index, "tidings_messages_delivered_total"), delivered, "by node {index}");
        if index > 0 {
            assert_eq!(nodes.metric(index, "tidings_redis_rooms"), 0.0);
        }
    }
    // Its last member has gone.
    wait_for("the node listens no more", || count(listeners()).as_deref() == Some("0"));
}

//! A Redis server whose clock is set: what expires there does so too late, or at once.

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::cluster::Cluster;
use crate::redis::{Manner, Redis};

const HOUR_S: i64 = 3_600;

#[test]
fn a_server_whose_clock_is_set_back_changes_nothing() {
    let servers = [Redis::start_with_clock(&[])];
    let nodes = Nodes::start(2, &servers, &[]);
    let rooms = ["a", "b"];
    let mut crowd = Crowd::of(&nodes).with_subscribers(&rooms).with_publishers(&rooms);
    crowd.wait_for_messages(100);
    let position = crowd.say(0, "a");
    servers[0].set_clock(-HOUR_S);
    crowd.wait_for_messages(100);
    crowd.subscribe("a", 1, Some(position));
    let records = crowd.finish("clock of a server set back", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty() && record.connections == 1), "{records:?}");
}

#[test]
fn a_server_whose_clock_is_set_forward_forgets_what_it_kept_and_says_so() {
    let servers = [Redis::start_with_clock(&[])];
    let nodes = Nodes::start(2, &servers, &[]);
    let rooms = ["a", "b"];
    let mut crowd = Crowd::of(&nodes).with_subscribers(&rooms).with_publishers(&rooms);
    crowd.wait_for_messages(100);
    let position = crowd.say(0, "a");
    let lost = crowd.say(0, "a");
    servers[0].set_clock(HOUR_S);
    crowd.wait_for_messages(100);
    let late = crowd.subscribe("a", 1, Some(position));
    let records = crowd.finish("clock of a server set forward", 0);
    for (subscriber, record) in records.iter().enumerate() {
        assert_eq!(record.connections, 1, "nobody is thrown out: {record:?}");
        assert_eq!(record.gaps.is_empty(), subscriber != late, "{subscriber}: {record:?}");
    }
    assert!(records[late].has_gap_over(lost));
}

#[test]
fn a_master_whose_clock_is_set_back_and_forward_goes_on_or_is_followed_to_its_replica() {
    let cluster = Cluster::start_in(Manner { has_clock: true, ..Manner::default() }, None);
    let nodes = Nodes::around(2, &cluster.addresses(), &["--room-history-messages", "10000"]);
    let rooms = ["a", "b", "c"];
    let crowd = Crowd::of(&nodes).with_subscribers(&rooms).with_publishers(&rooms);
    crowd.wait_for_messages(100);
    let master = cluster.master_of(cluster.slot_of("a"));
    for ahead_s in [-HOUR_S, 0, HOUR_S] {
        cluster.servers[master].set_clock(ahead_s);
        crowd.wait_for_messages(100);
        // It may take the others for dead at first, or they it.
        nodes.wait_until_ready();
    }
    crowd.wait_for_messages(100);
    let records = crowd.finish("clock of a master set", 0);
    assert!(records.iter().all(|record| record.connections == 1), "{records:?}");
}

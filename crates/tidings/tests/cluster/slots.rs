//! A Redis Cluster whose slots move, and whose masters die, under load.

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::cluster::Cluster;
use crate::redis::wait_for;

/// Moves a slot with all its keys, one by one, as an administrator's tool does.
fn migrate(cluster: &Cluster, slot: u16, crowd: &Crowd) {
    let from = cluster.master_of(slot);
    let (source, number) = (&cluster.servers[from], slot.to_string());
    let other = (0..16_384).step_by(512).map(|slot| cluster.master_of(slot)).find(|&master| master != from);
    let target = &cluster.servers[other.expect("there are other masters")];
    let (source_id, target_id) = (source.command(&["CLUSTER", "MYID"]), target.command(&["CLUSTER", "MYID"]));
    assert_eq!(target.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &source_id]), "OK");
    assert_eq!(source.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &target_id]), "OK");
    loop {
        let keys = source.command(&["CLUSTER", "GETKEYSINSLOT", &number, "1"]);
        if keys.is_empty() {
            break;
        }
        let port = target.port.to_string();
        source.command(&["MIGRATE", "127.0.0.1", &port, &keys, "0", "5000"]);
    }
    // What is published now is stored on the target, and heard by nobody yet.
    crowd.wait_for_messages(20);
    assert_eq!(target.command(&["CLUSTER", "SETSLOT", &number, "NODE", &target_id]), "OK");
    assert_eq!(source.command(&["CLUSTER", "SETSLOT", &number, "NODE", &target_id]), "OK");
}

#[test]
fn slots_that_move_under_load_cost_nobody_a_message_or_a_gap() {
    let cluster = Cluster::start();
    let nodes = Nodes::around(2, &cluster.addresses(), &["--room-history-messages", "10000"]);
    let rooms = ["a", "b", "c"];
    let crowd = Crowd::of(&nodes).with_subscribers(&rooms).with_publishers(&rooms);
    crowd.wait_for_messages(100);
    for room in rooms {
        migrate(&cluster, cluster.slot_of(room), &crowd);
        crowd.wait_for_messages(100);
    }
    nodes.wait_until_ready();
    let records = crowd.finish("slots moved", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty() && record.connections == 1), "{records:?}");
}

#[test]
fn a_master_that_is_killed_under_load_is_followed_to_its_replica() {
    let mut cluster = Cluster::start();
    let nodes = Nodes::around(2, &cluster.addresses(), &["--room-history-messages", "10000"]);
    let rooms = ["a", "b", "c"];
    let crowd = Crowd::of(&nodes).with_subscribers(&rooms).with_publishers(&rooms);
    crowd.wait_for_messages(100);
    let slot = cluster.slot_of("a");
    let master = cluster.master_of(slot);
    cluster.servers[master].kill();
    wait_for("its absence is noticed", || !nodes.is_ready(0) && !nodes.is_ready(1));
    nodes.wait_until_ready();
    assert_ne!(cluster.master_of(slot), master);
    crowd.wait_for_messages(100);
    // What the replica lacked is told as a gap, and the checker asks for it.
    crowd.finish("master killed", 0);
}

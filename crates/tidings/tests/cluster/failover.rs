//! A replica that lagged takes over: messages are lost that were acknowledged, and everybody whom that
//! concerns is told, and nobody else.

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::{Redis, wait_for};

#[test]
fn messages_lost_with_a_server_are_told_to_all_who_had_or_may_lack_them_and_to_nobody_else() {
    let mut servers = [Redis::start(&[])];
    let port = servers[0].port;
    let mut replica = Redis::start(&["--replicaof", "127.0.0.1", &port.to_string()]);
    wait_for("the replica follows", || {
        replica.command(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let nodes = Nodes::start(2, &servers, &[]);
    let mut crowd = Crowd::of(&nodes).with_subscribers(&["hit", "spared"]);
    let mut before = 0;
    let mut before_unheard = 0;
    for _ in 0..5 {
        before = crowd.say(0, "hit");
        before_unheard = crowd.say(0, "unheard");
        crowd.say(1, "spared");
    }
    wait_for("the replica has all", || servers[0].command(&["WAIT", "1", "1000"]) == "1");
    assert_eq!(replica.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    let lost: Vec<_> = (0..5).map(|index| crowd.say(index % 2, "hit")).collect();
    // Nobody is in this room anywhere: only the node that published knows.
    let lost_unheard = crowd.say(0, "unheard");
    for subscriber in 0..2 {
        wait_for("the lost messages were seen", || crowd.record(subscriber).position >= lost[4]);
    }
    servers[0].kill();
    replica.move_to(port);
    nodes.wait_until_ready();
    // Who was away since before the loss, and by the node that does not know of it.
    let away = crowd.subscribe("hit", 1, Some(before));
    let away_unheard = crowd.subscribe("unheard", 1, Some(before_unheard));
    let next = crowd.say(1, "hit");
    assert!(next > lost[4], "no id is given twice");
    // Until its node knows of the loss, who comes in is told the head that was lost.
    wait_for("the other node knows", || crowd.record(0).position >= next);
    let newcomer = crowd.subscribe("hit", 0, None);
    crowd.wait_until_all_listen();
    let records = crowd.finish("failover to a replica that lags", 0);
    for (subscriber, record) in records.iter().enumerate() {
        let concerned = record.room != "spared" && subscriber != newcomer;
        assert_eq!(record.was_rolled_back(), concerned, "{subscriber}: {record:?}");
        assert!(record.gaps.len() <= 1, "told once: {record:?}");
    }
    assert!(lost.iter().all(|&id| records[away].has_gap_over(id)));
    assert!(records[away_unheard].has_gap_over(lost_unheard));
}

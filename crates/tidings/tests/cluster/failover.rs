//! A replica that lagged takes over: messages are lost that were acknowledged, and everybody whom that
//! concerns is told, and nobody else.

use crate::crowd::Crowd;
use crate::nodes::Nodes;
use crate::redis::cluster::Cluster;
use crate::redis::{Redis, wait_for};

/// Rooms on one server, and what is in none of its messages that are lost.
struct Rooms {
    hit: String,
    /// Nobody is in it anywhere: only the node that publishes there knows.
    unheard: String,
    spared: Vec<String>,
}

#[test]
fn messages_lost_with_a_server_are_told_to_all_who_had_or_may_lack_them_and_to_nobody_else() {
    let mut servers = [Redis::start(&[])];
    let port = servers[0].port;
    let mut replica = Redis::start(&["--replicaof", "127.0.0.1", &port.to_string()]);
    wait_for("the replica follows", || {
        replica.command(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let nodes = Nodes::start(2, &servers, &[]);
    let rooms = Rooms { hit: "hit".into(), unheard: "unheard".into(), spared: vec!["spared".into()] };
    let crowd = enter(&nodes, &rooms);
    let story = Story::begin(crowd, &rooms);
    wait_for("the replica has all", || servers[0].command(&["WAIT", "1", "1000"]) == "1");
    assert_eq!(replica.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    let story = story.lose(&rooms);
    servers[0].kill();
    replica.move_to(port);
    nodes.wait_until_ready();
    story.check("failover to a replica that lags", &rooms);
}

#[test]
fn messages_lost_with_a_master_of_a_cluster_are_told_to_all_whom_that_concerns_and_to_nobody_else() {
    let mut cluster = Cluster::start();
    let master = cluster.master_of(cluster.slot_of("hit"));
    let replica = cluster.replica_of(master);
    let is_there = |room: &String| cluster.master_of(cluster.slot_of(room)) == master;
    let (there, elsewhere): (Vec<_>, Vec<_>) =
        (0..32).map(|number| format!("room-{number}")).partition(is_there);
    let [unheard, spared, ..] = there.as_slice() else { panic!("a third of the rooms are there: {there:?}") };
    let rooms = Rooms {
        hit: "hit".into(),
        unheard: unheard.clone(),
        spared: vec![spared.clone(), elsewhere[0].clone()],
    };
    let nodes = Nodes::around(2, &cluster.addresses(), &[]);
    let crowd = enter(&nodes, &rooms);
    let story = Story::begin(crowd, &rooms);
    let (old, new) = (&cluster.servers[master], &cluster.servers[replica]);
    wait_for("the replica has all", || old.command(&["WAIT", "1", "1000"]) == "1");
    // However old what it has is, it may take over.
    assert_eq!(new.command(&["CONFIG", "SET", "cluster-replica-validity-factor", "0"]), "OK");
    assert_eq!(old.command(&["ACL", "SETUSER", "default", "-psync", "-sync"]), "OK");
    old.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    wait_for("the replica is cut off", || {
        new.command(&["INFO", "replication"]).contains("master_link_status:down")
    });
    let story = story.lose(&rooms);
    assert!(new.command(&["INFO", "replication"]).contains("master_link_status:down"));
    cluster.servers[master].kill();
    let new = &cluster.servers[replica];
    wait_for("the replica takes over", || new.command(&["ROLE"]).starts_with("master"));
    nodes.wait_until_ready();
    story.check("failover of a Cluster to a replica that lags", &rooms);
}

fn enter(nodes: &Nodes, rooms: &Rooms) -> Crowd {
    let names: Vec<_> = [&rooms.hit].into_iter().chain(&rooms.spared).map(String::as_str).collect();
    Crowd::of(nodes).with_subscribers(&names)
}

/// What is said in the rooms before the loss, what is lost, and what everybody hears of it.
struct Story {
    crowd: Crowd,
    before: u64,
    before_unheard: u64,
    lost: Vec<u64>,
    lost_unheard: u64,
}

impl Story {
    fn begin(mut crowd: Crowd, rooms: &Rooms) -> Self {
        let (mut before, mut before_unheard) = (0, 0);
        for _ in 0..5 {
            before = crowd.say(0, &rooms.hit);
            before_unheard = crowd.say(0, &rooms.unheard);
            rooms.spared.iter().for_each(|room| _ = crowd.say(1, room));
        }
        Self { crowd, before, before_unheard, lost: Vec::new(), lost_unheard: 0 }
    }

    /// The server acknowledges what its replica does not get.
    fn lose(mut self, rooms: &Rooms) -> Self {
        self.lost = (0..5).map(|index| self.crowd.say(index % 2, &rooms.hit)).collect();
        self.lost_unheard = self.crowd.say(0, &rooms.unheard);
        for subscriber in 0..2 {
            let has_seen = || self.crowd.record(subscriber).position >= self.lost[4];
            wait_for("the lost messages were seen", has_seen);
        }
        self
    }

    /// The replica has taken over.
    fn check(mut self, name: &str, rooms: &Rooms) {
        // Who was away since before the loss, and by the node that does not know of it.
        let away = self.crowd.subscribe(&rooms.hit, 1, Some(self.before));
        let away_unheard = self.crowd.subscribe(&rooms.unheard, 1, Some(self.before_unheard));
        let next = self.crowd.say(1, &rooms.hit);
        assert!(next > self.lost[4], "no id is given twice");
        // Until its node knows of the loss, who comes in is told the head that was lost.
        wait_for("the other node knows", || self.crowd.record(0).position >= next);
        let newcomer = self.crowd.subscribe(&rooms.hit, 0, None);
        self.crowd.wait_until_all_listen();
        let records = self.crowd.finish(name, 0);
        for (subscriber, record) in records.iter().enumerate() {
            let concerned = !rooms.spared.contains(&record.room) && subscriber != newcomer;
            assert_eq!(record.was_rolled_back(), concerned, "{subscriber}: {record:?}");
            assert!(record.gaps.len() <= 1, "told once: {record:?}");
        }
        assert!(self.lost.iter().all(|&id| records[away].has_gap_over(id)));
        assert!(records[away_unheard].has_gap_over(self.lost_unheard));
    }
}

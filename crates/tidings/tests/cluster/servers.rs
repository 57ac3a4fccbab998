//! Redis servers that die, hang, or forget.

use crate::crowd::Crowd;
use crate::nodes::{Nodes, publish};
use crate::redis::{Redis, wait_for};

const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

#[test]
fn a_server_killed_and_started_again_with_its_log_loses_nothing() {
    let mut servers = [Redis::start(&DURABLE)];
    let nodes = Nodes::start(2, &servers, &[]);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b"]).with_publishers(&["a", "b"]);
    for _ in 0..2 {
        crowd.wait_for_messages(100);
        servers[0].kill();
        servers[0].launch();
    }
    crowd.wait_for_messages(100);
    let records = crowd.finish("killed, appendfsync always", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty()), "{records:?}");
}

#[test]
fn a_server_that_loses_everything_is_told_as_a_gap() {
    let mut servers = [Redis::start(&[])];
    let nodes = Nodes::start(2, &servers, &[]);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b"]).with_publishers(&["a", "b"]);
    crowd.wait_for_messages(100);
    servers[0].kill();
    servers[0].launch();
    crowd.wait_for_messages(100);
    let records = crowd.finish("killed, nothing on disk", 0);
    assert!(records.iter().all(|record| record.was_rolled_back()), "{records:?}");
}

#[test]
fn a_server_that_hangs_refuses_in_time_and_everything_heals() {
    let servers = [Redis::start(&[])];
    // Of the two limits the shorter one must be what ends a request.
    let nodes = Nodes::start(2, &servers, &["--redis-timeout-ms", "500", "--engine-timeout-ms", "60000"]);
    let crowd = Crowd::of(&nodes).with_subscribers(&["a", "b"]).with_publishers(&["a", "b"]);
    crowd.wait_for_messages(100);
    servers[0].signal("STOP");
    for index in 0..2 {
        wait_for("the node is not ready", || !nodes.is_ready(index));
        let refusal = publish(&nodes.url(index), "a", "refused").unwrap_err();
        assert!(refusal.contains("engine_unavailable"), "{refusal}");
    }
    let refused = crowd.refused();
    wait_for("many are refused", || crowd.refused() > refused + 300);
    servers[0].signal("CONT");
    nodes.wait_until_ready();
    crowd.wait_for_messages(100);
    let records = crowd.finish("stopped", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty() && record.connections == 1), "{records:?}");
}

#[test]
fn who_comes_while_the_server_hangs_is_let_in_when_it_goes_on() {
    let servers = [Redis::start(&[])];
    let nodes = Nodes::start(2, &servers, &["--redis-timeout-ms", "500"]);
    let mut crowd = Crowd::of(&nodes).with_subscribers(&["a"]);
    let position = crowd.say(0, "b");
    let missed = crowd.say(0, "b");
    servers[0].signal("STOP");
    wait_for("the node is not ready", || !nodes.is_ready(1));
    let late = crowd.subscribe("b", 1, Some(position));
    wait_for("it is connected", || crowd.record(late).connections > 0);
    servers[0].signal("CONT");
    wait_for("it gets what it missed", || crowd.record(late).position >= missed);
    let records = crowd.finish("came while it hung", 0);
    assert_eq!(records[late].connections, 1);
    assert_eq!(records[late].messages.len(), 2);
}

#[test]
fn one_of_three_servers_that_dies_takes_nothing_but_its_rooms() {
    let mut servers = [Redis::start(&DURABLE), Redis::start(&DURABLE), Redis::start(&DURABLE)];
    let nodes = Nodes::start(2, &servers, &[]);
    let rooms: Vec<_> = (0..24).map(|number| format!("room-{number}")).collect();
    let names: Vec<_> = rooms.iter().map(String::as_str).collect();
    let mut crowd = Crowd::of(&nodes).with_subscribers(&names[..12]);
    for room in &names[..12] {
        crowd.say(0, room);
    }
    let is_on =
        |server: &Redis, room: &str| server.command(&["EXISTS", &format!("tidings:{{{room}}}:log")]) == "1";
    let (dead, alive): (Vec<&str>, Vec<&str>) = names[..12].iter().partition(|room| is_on(&servers[0], room));
    assert!(!dead.is_empty() && !alive.is_empty(), "each server has some of twelve rooms");
    servers[0].kill();
    for index in 0..2 {
        wait_for("its absence is noticed", || !nodes.is_ready(index));
        let refusal = publish(&nodes.url(index), dead[0], "refused").unwrap_err();
        assert!(refusal.contains("engine_unavailable"), "{refusal}");
    }
    for round in 0..5 {
        for room in &alive {
            let id = crowd.say(round % 2, room);
            for subscriber in 0..24 {
                if crowd.record(subscriber).room == *room {
                    wait_for("it is delivered", || crowd.record(subscriber).position >= id);
                }
            }
        }
    }
    assert_eq!(crowd.refused(), 0, "the others' rooms go on undisturbed");
    servers[0].launch();
    nodes.wait_until_ready();
    let records = crowd.finish("one of three killed", 0);
    assert!(records.iter().all(|record| record.gaps.is_empty() && record.connections == 1), "{records:?}");
}

//! What users notice of others who type.

use super::*;
use crate::listener::{Listener, room, user};

struct Fixture {
    typing: Typing,
    listener: Arc<Listener>,
    room: RoomName,
    now: Timestamp,
}

impl Fixture {
    /// Typing lasts five seconds, and is told every three.
    fn new() -> Self {
        Self::with(Limits { typing_timeout_ms: 5_000, typing_interval_ms: 3_000, ..Limits::default() })
    }

    fn with(limits: Limits) -> Self {
        let room = room("chat");
        let (hub, listener) = Listener::in_rooms(std::slice::from_ref(&room));
        let typing = Typing::new(hub, Arc::new(limits));
        let fixture = Self { typing, listener, room, now: Timestamp::from_ms(1_000_000) };
        fixture.typing.tick(fixture.now);
        fixture
    }

    fn start(&self, id: &str) {
        self.typing.started(self.now, &self.room, &user(id));
    }

    fn stop(&self, id: &str) {
        self.typing.stopped(self.now, &self.room, &user(id));
    }

    fn pass(&mut self, ms: u64) {
        self.now = Timestamp(self.now.0 + ms * 1_000);
        self.typing.tick(self.now);
    }

    /// Another node has told its members.
    fn hear(&self, id: &str, types: bool) {
        self.typing.heard(self.now, &self.room, &user(id), types);
    }

    fn told(&self) -> Vec<EventKind> {
        self.listener.take().iter().map(|event| event.kind.clone()).collect()
    }

    fn typists(&self) -> Vec<UserId> {
        self.typing.typists(self.now, &self.room)
    }

    fn records(&self) -> usize {
        self.typing.rooms.sum(Stripe::records)
    }
}

fn types(id: &str) -> EventKind {
    EventKind::Typing(user(id))
}

fn stopped(id: &str) -> EventKind {
    EventKind::StoppedTyping(user(id))
}

#[test]
fn the_others_see_a_user_begin_and_stop() {
    let mut f = Fixture::new();
    f.start("ben");
    f.start("ana");
    assert_eq!(f.told(), [types("ben"), types("ana")]);
    assert_eq!(f.typists(), [user("ana"), user("ben")]);
    f.stop("ben");
    f.stop("ben");
    assert_eq!(f.told(), [stopped("ben")]);
    assert_eq!(f.typists(), [user("ana")]);
    f.stop("ana");
    f.pass(3_000);
    assert_eq!(f.told(), [stopped("ana")]);
    assert_eq!(f.records(), 0);
}

#[test]
fn whoever_falls_silent_is_seen_to_stop_after_the_timeout_and_not_before() {
    let mut f = Fixture::new();
    f.start("ana");
    f.pass(4_999);
    assert_eq!(f.told(), [types("ana")]);
    assert_eq!(f.typists(), [user("ana")]);
    f.pass(1);
    assert_eq!(f.told(), [stopped("ana")]);
    assert_eq!(f.typists(), []);
    assert_eq!(f.records(), 0);
}

#[test]
fn every_start_makes_it_last_longer_and_is_told_once_an_interval() {
    let mut f = Fixture::new();
    for _ in 0..8 {
        f.start("ana");
        f.pass(1_000);
    }
    assert_eq!(f.told(), [types("ana"), types("ana"), types("ana")], "at 0, 3 and 6 seconds");
    f.pass(3_999);
    assert_eq!(f.typists(), [user("ana")]);
    f.pass(1);
    assert_eq!(f.told(), [stopped("ana")], "five seconds after the last start, which was at 7");
}

#[test]
fn starting_and_stopping_in_a_hurry_is_told_once_an_interval_and_not_forgotten() {
    let mut f = Fixture::new();
    for _ in 0..10 {
        f.start("ana");
        f.stop("ana");
    }
    f.start("ana");
    assert_eq!(f.told(), [types("ana"), stopped("ana")]);
    assert_eq!(f.typists(), [user("ana")], "who asks is told the truth");
    f.pass(2_999);
    assert_eq!(f.told(), []);
    f.pass(1);
    assert_eq!(f.told(), [types("ana")]);
    f.pass(2_000);
    assert_eq!(f.told(), [stopped("ana")], "five seconds after the last start");
}

#[test]
fn whoever_stopped_within_the_quiet_is_not_told_to_type_when_it_ends() {
    let mut f = Fixture::new();
    f.start("ana");
    f.stop("ana");
    f.start("ana");
    f.stop("ana");
    f.pass(60_000);
    assert_eq!(f.told(), [types("ana"), stopped("ana")]);
    assert_eq!(f.records(), 0);
}

#[test]
fn more_typists_than_the_limit_are_not_noticed() {
    let mut f = Fixture::with(Limits { typists_max: 2, ..Limits::default() });
    ["ana", "ben", "cleo", "ana"].iter().for_each(|user| f.start(user));
    f.stop("cleo");
    assert_eq!(f.told(), [types("ana"), types("ben")]);
    assert_eq!(f.typists(), [user("ana"), user("ben")]);
    f.pass(60_000);
    f.start("cleo");
    assert_eq!(f.typists(), [user("cleo")]);
    let none = Fixture::with(Limits { typists_max: 0, ..Limits::default() });
    none.start("ana");
    assert_eq!((none.told(), none.records()), (vec![], 0));
}

#[test]
fn without_an_interval_every_start_is_told() {
    let f = Fixture::with(Limits { typing_interval_ms: 0, ..Limits::default() });
    f.start("ana");
    f.start("ana");
    f.stop("ana");
    assert_eq!(f.told(), [types("ana"), types("ana"), stopped("ana")]);
    assert_eq!(f.records(), 0);
}

#[test]
fn a_clock_that_is_set_back_lets_nobody_type_for_ever() {
    let mut f = Fixture::new();
    f.start("ana");
    f.now = Timestamp::from_ms(0);
    f.pass(0);
    assert_eq!(f.typists(), [user("ana")]);
    f.pass(5_000);
    assert_eq!(f.told(), [types("ana"), stopped("ana")]);
}

#[test]
fn a_room_does_not_hear_who_types_in_another() {
    let f = Fixture::new();
    f.typing.started(f.now, &room("elsewhere"), &user("ana"));
    assert_eq!((f.told(), f.typists()), (vec![], vec![]));
}

/// Writes down what other nodes are to be told.
#[derive(Default)]
struct Others(std::sync::Mutex<Vec<(UserId, bool)>>);

impl Others {
    fn take(&self) -> Vec<(UserId, bool)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Registry for Others {
    fn changed(&self, _: &RoomName, _: &UserId) {}

    fn online_changed(&self, _: &UserId) {}

    fn typing(&self, _: &RoomName, user: &UserId, types: bool) {
        self.0.lock().unwrap().push((user.clone(), types));
    }

    fn in_room(&self, _: &RoomName, _: Option<&UserId>, _: usize, _: Completion<crate::RoomPresence>) {}

    fn who_is_online(&self, _: Vec<UserId>, _: Completion<Vec<UserId>>) {}

    fn typists(&self, _: Timestamp, _: &RoomName, _: Completion<Vec<UserId>>) {}
}

#[test]
fn other_nodes_are_told_what_the_members_here_are_and_nothing_that_came_from_them() {
    let mut f = Fixture::new();
    let others = Arc::new(Others::default());
    f.typing.share(others.clone());
    f.start("ana");
    f.start("ana");
    f.hear("ben", true);
    f.pass(3_000);
    f.start("ana");
    assert_eq!(others.take(), [(user("ana"), true), (user("ana"), true)], "once an interval");
    f.hear("ben", false);
    f.pass(5_000);
    assert_eq!(others.take(), [(user("ana"), false)]);
    let told = [types("ana"), types("ben"), types("ana"), stopped("ben"), stopped("ana")];
    assert_eq!(f.told(), told);
    assert_eq!(f.records(), 0);
}

#[test]
fn a_typist_of_another_node_is_seen_to_type_until_that_node_says_otherwise_or_is_gone() {
    let mut f = Fixture::new();
    f.hear("ana", true);
    f.pass(2_999);
    f.hear("ana", true);
    assert_eq!(f.told(), [types("ana"), types("ana")], "the other node keeps the interval");
    // Its user may type on for as long without being told of again.
    f.pass(7_999);
    assert_eq!(f.typists(), [user("ana")]);
    f.pass(1);
    assert_eq!((f.told(), f.records()), (vec![stopped("ana")], 0));
}

#[test]
fn a_user_who_types_here_does_not_cease_because_their_other_device_elsewhere_does() {
    let mut f = Fixture::new();
    f.start("ana");
    f.hear("ana", false);
    assert_eq!(f.told(), [types("ana")]);
    assert_eq!(f.typists(), [user("ana")]);
    f.pass(5_000);
    assert_eq!(f.told(), [stopped("ana")]);
}

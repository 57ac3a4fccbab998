//! What users notice of presence.

use super::*;
use crate::listener::{Listener, room, user};
use crate::options::{Pattern, RoomOptions};
use crate::{Changes, EventKind};

struct Fixture {
    presence: Presence,
    listener: Arc<Listener>,
    room: RoomName,
    now: Timestamp,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        let room = room("chat");
        let (hub, listener) = Listener::in_rooms(std::slice::from_ref(&room));
        let silent = RoomOptions { presence_events: false, ..RoomOptions::from_limits(&limits) };
        let rules = RoomRules::new(vec![(Pattern::new("silent"), silent)], RoomOptions::from_limits(&limits));
        let presence = Presence::new(hub, Arc::new(limits), Arc::new(rules));
        let fixture = Self { presence, listener, room, now: Timestamp::from_ms(1_000_000) };
        fixture.presence.tick(fixture.now);
        fixture
    }

    /// A room in which each coming and going of more than two is told together with others.
    fn with_big_room(users: &[&str]) -> Self {
        let fixture = Self::new(Limits {
            presence_single_users_max: 2,
            presence_names_max: 2,
            presence_grace_ms: 0,
            ..Limits::default()
        });
        users.iter().for_each(|user| fixture.enter(user));
        fixture
    }

    fn enter(&self, id: &str) {
        self.presence.entered(self.now, &self.room, &user(id));
    }

    fn exit(&self, id: &str) {
        self.presence.exited(self.now, &self.room, &user(id));
    }

    fn pass(&mut self, ms: u64) {
        self.now = Timestamp(self.now.0 + ms * 1_000);
        self.presence.tick(self.now);
    }

    fn told(&self) -> Vec<EventKind> {
        self.listener.take().iter().map(|event| event.kind.clone()).collect()
    }

    fn list(&self) -> Vec<(UserId, u32)> {
        self.presence.in_room(&self.room, None, usize::MAX).users
    }

    fn records(&self) -> usize {
        self.presence.rooms.sum(Stripe::records) + self.presence.people.sum(People::records)
    }
}

fn joined(id: &str) -> EventKind {
    EventKind::Joined(user(id))
}

fn left(id: &str) -> EventKind {
    EventKind::Left(user(id))
}

fn users(ids: &[&str]) -> Vec<UserId> {
    ids.iter().map(|id| user(id)).collect()
}

#[test]
fn a_user_with_two_devices_is_seen_coming_once_and_going_once() {
    let mut f = Fixture::new(Limits::default());
    f.enter("ana");
    f.enter("ana");
    assert_eq!(f.told(), [joined("ana")]);
    assert_eq!(f.list(), [(user("ana"), 2)]);
    f.exit("ana");
    f.pass(60_000);
    assert_eq!(f.told(), []);
    f.exit("ana");
    f.pass(60_000);
    assert_eq!(f.told(), [left("ana")]);
}

#[test]
fn a_user_is_seen_leaving_when_the_grace_is_over_and_not_before() {
    let mut f = Fixture::new(Limits::default());
    f.enter("ana");
    f.exit("ana");
    f.pass(4_999);
    assert_eq!(f.told(), [joined("ana")]);
    assert_eq!(f.list(), [(user("ana"), 0)], "listed, though without a connection");
    f.pass(1);
    assert_eq!(f.told(), [left("ana")]);
    assert_eq!(f.list(), []);
}

#[test]
fn a_client_that_reconnects_within_the_grace_is_not_seen_leaving() {
    let mut f = Fixture::new(Limits::default());
    f.enter("ana");
    for _ in 0..10 {
        f.exit("ana");
        f.pass(4_000);
        f.enter("ana");
        f.pass(4_000);
    }
    assert_eq!(f.told(), [joined("ana")]);
    f.exit("ana");
    f.pass(4_999);
    assert_eq!(f.told(), [], "each grace is a whole one");
}

#[test]
fn a_list_longer_than_a_page_goes_on_after_its_last_user() {
    let f = Fixture::new(Limits::default());
    ["dan", "ana", "cleo", "ben"].iter().for_each(|user| f.enter(user));
    let page = f.presence.in_room(&f.room, None, 3);
    assert_eq!(page.users, [(user("ana"), 1), (user("ben"), 1), (user("cleo"), 1)]);
    assert!(page.total == 4 && !page.complete);
    let page = f.presence.in_room(&f.room, Some(&user("cleo")), 3);
    assert_eq!(page, RoomPresence { users: vec![(user("dan"), 1)], total: 4, complete: true });
    let page = f.presence.in_room(&f.room, Some(&user("carl")), 1);
    assert_eq!(page.users, [(user("cleo"), 1)], "the last user of a page may have left");
}

#[test]
fn nobody_is_in_a_room_that_nobody_entered() {
    let f = Fixture::new(Limits::default());
    let nobody = RoomPresence { users: Vec::new(), total: 0, complete: true };
    assert_eq!(f.presence.in_room(&room("empty"), None, 10), nobody);
}

#[test]
fn a_big_room_hears_of_many_changes_at_once_with_some_of_the_names() {
    let mut f = Fixture::with_big_room(&["ana", "ben", "cleo", "dan", "eve"]);
    assert_eq!(f.told(), [joined("ana"), joined("ben")]);
    f.pass(999);
    assert_eq!(f.told(), []);
    f.exit("ana");
    f.pass(1);
    let changes = Changes {
        users: 4,
        joined: 3,
        left: 1,
        joined_names: users(&["cleo", "dan"]),
        left_names: users(&["ana"]),
    };
    assert_eq!(f.told(), [EventKind::Changed(changes)]);
    f.pass(60_000);
    assert_eq!(f.told(), []);
}

#[test]
fn a_big_room_hears_nothing_of_who_came_and_went_in_between() {
    let mut f = Fixture::with_big_room(&["ana", "ben", "cleo"]);
    f.pass(1_000);
    f.told();
    f.enter("dan");
    f.exit("dan");
    f.exit("ana");
    f.pass(1);
    f.enter("ana");
    assert_eq!(f.list().len(), 3);
    f.pass(1_000);
    assert_eq!(f.told(), []);
}

#[test]
fn a_big_room_that_becomes_small_still_hears_what_was_untold_and_nothing_twice() {
    let mut f = Fixture::with_big_room(&["ana", "ben", "cleo"]);
    f.told();
    f.exit("ana");
    f.pass(0);
    f.exit("ben");
    f.pass(0);
    assert_eq!(f.told(), [left("ben")], "two were left when ben went, so it was told at once");
    f.enter("ana");
    f.pass(1_000);
    let changes = Changes { users: 2, joined: 1, joined_names: users(&["cleo"]), ..Changes::default() };
    assert_eq!(f.told(), [EventKind::Changed(changes)], "ana was never told to be gone");
}

#[test]
fn a_room_whose_rule_says_so_is_silent_and_still_has_a_list() {
    let mut f = Fixture::new(Limits { presence_single_users_max: 1, ..Limits::default() });
    f.room = room("silent");
    f.presence.hub.enter(&f.room, 0);
    ["ana", "ben", "cleo"].iter().for_each(|user| f.enter(user));
    f.exit("ana");
    f.pass(60_000);
    assert_eq!(f.told(), []);
    assert_eq!(f.list(), [(user("ben"), 1), (user("cleo"), 1)]);
}

#[test]
fn a_user_is_online_from_their_first_connection_until_the_grace_after_the_last() {
    let mut f = Fixture::new(Limits::default());
    let (ana, ben) = (user("ana"), user("ben"));
    let online = |f: &Fixture| f.presence.who_is_online([&ben, &ana].into_iter());
    assert_eq!(online(&f), []);
    f.presence.came_online(f.now, &ana);
    f.presence.came_online(f.now, &ana);
    f.presence.went_offline(f.now, &ana);
    f.pass(60_000);
    assert_eq!(online(&f), users(&["ana"]));
    f.presence.went_offline(f.now, &ana);
    f.pass(4_999);
    assert_eq!(online(&f), users(&["ana"]));
    f.pass(1);
    assert_eq!(online(&f), []);
    assert_eq!(f.records(), 0);
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_leave_early_or_stay_for_ever() {
    let mut f = Fixture::new(Limits::default());
    f.enter("ana");
    f.pass(3_600_000);
    f.exit("ana");
    f.now = Timestamp::from_ms(0);
    f.pass(0);
    f.pass(4_999);
    assert_eq!(f.told(), [joined("ana")]);
    f.pass(1);
    assert_eq!(f.told(), [left("ana")]);
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "a connection went that had not come"))]
fn a_connection_that_goes_without_having_come_is_not_counted() {
    let f = Fixture::new(Limits::default());
    f.exit("ana");
    f.enter("ana");
    assert_eq!(f.list(), [(user("ana"), 1)]);
}

#[test]
fn ten_thousand_who_come_and_go_at_once_are_a_handful_of_events() {
    const CROWD: usize = 10_000;
    let mut f = Fixture::new(Limits::default());
    let crowd: Vec<String> = (0..CROWD).map(|i| format!("user-{i}")).collect();
    crowd.iter().for_each(|user| f.enter(user));
    assert_eq!(f.told().len(), 100, "the room was small up to here");
    assert_eq!(f.records(), 1 + CROWD + (CROWD - 100) + 1, "a room, its users, the untold, one deadline");
    f.now = Timestamp(f.now.0 + 1_000_000);
    assert_eq!(f.presence.sweep(f.now), 1, "telling them all is one thing to do");
    let told = f.told();
    let [EventKind::Changed(changes)] = told.as_slice() else { panic!("one event, not {told:?}") };
    assert_eq!((changes.users, changes.joined, changes.left), (CROWD, CROWD - 100, 0));
    assert_eq!(changes.joined_names.len(), 20);

    for _ in 0..3 {
        crowd.iter().for_each(|user| f.exit(user));
        assert_eq!(f.presence.sweep(f.now), 0, "nothing is looked at before it is due");
        crowd.iter().for_each(|user| f.enter(user));
    }
    assert_eq!(f.records(), 1 + CROWD, "a grace that was not needed leaves nothing behind");
    crowd.iter().for_each(|user| f.exit(user));
    f.now = Timestamp(f.now.0 + 5_000_000);
    assert_eq!(f.presence.sweep(f.now), CROWD, "each grace is looked at once");
    assert_eq!(f.told().len(), 100, "the last hundred go one by one");
    f.now = Timestamp(f.now.0 + 1_000_000);
    assert_eq!(f.presence.sweep(f.now), 1);
    let told = f.told();
    let [EventKind::Changed(changes)] = told.as_slice() else { panic!("one event, not {told:?}") };
    assert_eq!((changes.users, changes.joined, changes.left), (0, 0, CROWD - 100));
    assert_eq!(f.records(), 0);
}

#[test]
fn when_more_leave_than_one_tick_looks_at_the_rest_leave_with_the_next() {
    let mut f = Fixture::new(Limits { examined_per_tick: 64, ..Limits::default() });
    let crowd: Vec<String> = (0..100).map(|i| format!("user-{i}")).collect();
    crowd.iter().for_each(|user| f.enter(user));
    crowd.iter().for_each(|user| f.exit(user));
    f.told();
    f.pass(5_000);
    assert_eq!(f.told().len(), 64);
    f.pass(1_000);
    assert_eq!(f.told().len(), 36);
    assert_eq!(f.records(), 0);
}

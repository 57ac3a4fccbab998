//! What users notice where several nodes share a registry: what this node reports, and what it tells of
//! what it hears.

use std::sync::Mutex;

use super::*;
use crate::Changes;
use crate::listener::{Listener, room, user};
use crate::options::{Pattern, RoomOptions};

/// Writes down what is reported.
#[derive(Default)]
struct Reports(Mutex<Vec<(Option<RoomName>, UserId)>>);

impl Reports {
    fn take(&self) -> Vec<(Option<RoomName>, UserId)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Registry for Reports {
    fn changed(&self, room: &RoomName, user: &UserId) {
        self.0.lock().unwrap().push((Some(room.clone()), user.clone()));
    }

    fn online_changed(&self, user: &UserId) {
        self.0.lock().unwrap().push((None, user.clone()));
    }

    fn typing(&self, _: &RoomName, _: &UserId, _: bool) {}

    fn in_room(&self, _: &RoomName, _: Option<&UserId>, _: usize, done: Completion<RoomPresence>) {
        done.complete(Ok(RoomPresence { total: 7, ..RoomPresence::default() }));
    }

    fn who_is_online(&self, users: Vec<UserId>, done: Completion<Vec<UserId>>) {
        done.complete(Ok(users));
    }

    fn typists(&self, _: Timestamp, _: &RoomName, done: Completion<Vec<UserId>>) {
        done.complete(Ok(Vec::new()));
    }
}

struct Fixture {
    presence: Presence,
    listener: Arc<Listener>,
    reports: Arc<Reports>,
    room: RoomName,
    now: Timestamp,
}

impl Fixture {
    /// More than two users are a big room; there is no grace.
    fn new() -> Self {
        let limits = Limits { presence_single_users_max: 2, presence_grace_ms: 0, ..Limits::default() };
        let (room, silent) = (room("chat"), room("silent"));
        let (hub, listener) = Listener::in_rooms(&[room.clone(), silent]);
        let without = RoomOptions { presence_events: false, ..RoomOptions::from_limits(&limits) };
        let rules =
            RoomRules::new(vec![(Pattern::new("silent"), without)], RoomOptions::from_limits(&limits));
        let presence = Presence::new(hub, Arc::new(limits), Arc::new(rules));
        let reports = Arc::new(Reports::default());
        presence.share(reports.clone());
        let fixture = Self { presence, listener, reports, room, now: Timestamp::from_ms(1_000_000) };
        fixture.presence.tick(fixture.now);
        fixture
    }

    fn hear(&self, users: usize, joined: &[&str], left: &[&str]) {
        let names = |ids: &[&str]| ids.iter().map(|id| user(id)).collect();
        let changes = RoomChanges { users, joined: names(joined), left: names(left) };
        self.presence.heard(self.now, &self.room, &changes);
    }

    fn pass(&mut self, ms: u64) {
        self.now = Timestamp(self.now.0 + ms * 1_000);
        self.presence.tick(self.now);
    }

    fn told(&self) -> Vec<EventKind> {
        self.listener.take().iter().map(|event| event.kind.clone()).collect()
    }

    fn records(&self) -> usize {
        self.presence.rooms.sum(Stripe::records) + self.presence.people.sum(People::records)
    }
}

#[test]
fn what_changes_here_is_reported_and_not_told() {
    let mut f = Fixture::new();
    let ana = user("ana");
    let in_chat = (Some(f.room.clone()), ana.clone());
    f.presence.entered(f.now, &f.room, &ana);
    f.presence.entered(f.now, &f.room, &ana);
    assert_eq!(f.reports.take(), [in_chat.clone(), in_chat.clone()], "each time their connections change");
    assert_eq!(f.presence.connections(&f.room, &ana), Some(2));
    f.presence.exited(f.now, &f.room, &ana);
    f.presence.exited(f.now, &f.room, &ana);
    assert_eq!(f.presence.connections(&f.room, &ana), Some(0));
    f.reports.take();
    f.pass(1);
    assert_eq!(f.reports.take(), [in_chat]);
    assert_eq!(f.presence.connections(&f.room, &ana), None);
    assert_eq!((f.told(), f.records()), (vec![], 0));
}

#[test]
fn who_comes_online_and_goes_is_reported_once_each() {
    let mut f = Fixture::new();
    let ana = user("ana");
    f.presence.came_online(f.now, &ana);
    f.presence.came_online(f.now, &ana);
    f.presence.went_offline(f.now, &ana);
    assert_eq!(f.reports.take(), [(None, ana.clone())]);
    f.presence.went_offline(f.now, &ana);
    assert_eq!(f.reports.take(), []);
    f.pass(1);
    assert_eq!(f.reports.take(), [(None, ana.clone())]);
    assert!(!f.presence.is_online_here(&ana));
}

#[test]
fn what_is_heard_of_a_small_room_is_told_at_once() {
    let f = Fixture::new();
    f.hear(1, &["ana"], &[]);
    f.hear(2, &["ben"], &[]);
    f.hear(1, &[], &["ana"]);
    let joined = |id| EventKind::Joined(user(id));
    assert_eq!(f.told(), [joined("ana"), joined("ben"), EventKind::Left(user("ana"))]);
    assert_eq!(f.records(), 0, "users of other nodes are not remembered");
}

#[test]
fn a_room_that_is_big_over_all_nodes_hears_of_changes_together() {
    let mut f = Fixture::new();
    f.hear(4_000, &["ana", "ben"], &["cleo"]);
    f.hear(4_001, &["cleo", "dan"], &[]);
    f.hear(4_000, &[], &["ben"]);
    assert_eq!(f.told(), []);
    f.pass(1_000);
    let joined_names = vec![user("ana"), user("dan")];
    let changes = Changes { users: 4_000, joined: 2, joined_names, ..Changes::default() };
    assert_eq!(f.told(), [EventKind::Changed(changes)], "neither who came and went nor who went and came");
    f.pass(60_000);
    assert_eq!((f.told(), f.records()), (vec![], 0));
}

#[test]
fn a_crowd_in_one_step_counts_as_a_big_room_whichever_way_it_goes() {
    let mut f = Fixture::new();
    f.hear(3, &["ana", "ben", "cleo"], &[]);
    f.pass(1_000);
    f.hear(0, &[], &["ana", "ben", "cleo"]);
    f.pass(1_000);
    assert_eq!(f.told().iter().filter(|kind| matches!(kind, EventKind::Changed(_))).count(), 2);
}

#[test]
fn rooms_that_are_silent_or_have_no_members_here_tell_nothing_of_what_is_heard() {
    let mut f = Fixture::new();
    for name in ["silent", "elsewhere"] {
        f.room = room(name);
        f.hear(9, &["ana"], &[]);
    }
    f.pass(1_000);
    assert_eq!((f.told(), f.records()), (vec![], 0));
}

#[test]
fn the_slices_together_are_everybody() {
    let f = Fixture::new();
    for (place, id) in [("a", "ana"), ("b", "ana"), ("b", "ben")] {
        f.presence.entered(f.now, &room(place), &user(id));
        f.presence.came_online(f.now, &user(id));
    }
    let (mut here, mut online) = (Vec::new(), Vec::new());
    for slice in 0..Presence::SLICES {
        f.presence.slice_of_rooms(slice, |room, user| here.push((room.to_string(), user.to_string())));
        f.presence.slice_of_people(slice, |user| online.push(user.to_string()));
    }
    here.sort();
    online.sort();
    let pair = |room: &str, user: &str| (room.to_owned(), user.to_owned());
    assert_eq!(here, [pair("a", "ana"), pair("b", "ana"), pair("b", "ben")]);
    assert_eq!(online, ["ana", "ben"]);
}

#[test]
fn questions_go_to_the_registry_if_there_is_one() {
    let f = Fixture::new();
    let total = Arc::new(Mutex::new(0));
    let answer = Arc::clone(&total);
    let done =
        Completion::new(move |page: Result<RoomPresence, _>| *answer.lock().unwrap() = page.unwrap().total);
    f.presence.ask_room(&f.room, None, 10, done);
    assert_eq!(*total.lock().unwrap(), 7);
}

//! Presence against a naive model, in any sequence of comings and goings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tidings_protocol::{Limits, RoomName, UserId};

use super::Presence;
use super::person::People;
use super::stripe::Stripe;
use crate::engine::Timestamp;
use crate::listener::{Listener, room, user};
use crate::{EventKind, RoomOptions, RoomRules};

const ROOMS: [&str; 3] = ["attic", "bar", "cellar"];
const USERS: [&str; 6] = ["ana", "ben", "cleo", "dan", "eve", "finn"];
const GRACE_MS: u64 = 2_000;
const INTERVAL_MS: u64 = 3_000;

#[derive(Debug, Clone)]
enum Step {
    /// The thread that says so read the clock a little earlier than the others.
    Enter {
        room: usize,
        user: usize,
        behind_ms: u64,
    },
    Exit {
        room: usize,
        user: usize,
        behind_ms: u64,
    },
    Pass {
        ms: u64,
    },
    SetClockBack {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || (0..ROOMS.len(), 0..USERS.len(), 0..800_u64);
    prop_oneof![
        6 => who().prop_map(|(room, user, behind_ms)| Step::Enter { room, user, behind_ms }),
        6 => who().prop_map(|(room, user, behind_ms)| Step::Exit { room, user, behind_ms }),
        4 => (0..3_000_u64).prop_map(|ms| Step::Pass { ms }),
        1 => (1_001..100_000_u64).prop_map(|ms| Step::SetClockBack { ms }),
    ]
}

/// A user's connections somewhere, and when the last one went.
#[derive(Debug, Default, Clone, Copy)]
struct There {
    connections: u32,
    gone_ms: Option<u64>,
}

impl There {
    fn enter(&mut self) {
        *self = Self { connections: self.connections + 1, gone_ms: None };
    }

    fn exit(&mut self, now_ms: u64) {
        self.connections -= 1;
        self.gone_ms = (self.connections == 0).then_some(now_ms);
    }

    /// As of a tick at this time.
    fn is_there(self, now_ms: u64) -> bool {
        self.connections > 0 || self.gone_ms.is_some_and(|gone_ms| now_ms < gone_ms + GRACE_MS)
    }
}

struct World {
    presence: Presence,
    listener: Arc<Listener>,
    rooms: Vec<RoomName>,
    users: Vec<UserId>,
    /// Time that really passed, and what the clock shows beyond it.
    elapsed_ms: u64,
    clock_ms: u64,
    in_room: BTreeMap<(usize, usize), There>,
    online: BTreeMap<usize, There>,
    /// What somebody believes who only listens.
    believed: BTreeMap<RoomName, BTreeSet<UserId>>,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            presence_single_users_max: 2,
            presence_names_max: USERS.len(),
            presence_grace_ms: GRACE_MS,
            presence_interval_ms: INTERVAL_MS,
            ..Limits::default()
        };
        let rooms = ROOMS.map(room).to_vec();
        let (hub, listener) = Listener::in_rooms(&rooms);
        let rules = RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits));
        let world = Self {
            presence: Presence::new(hub, Arc::new(limits), Arc::new(rules)),
            listener,
            rooms,
            users: USERS.map(user).to_vec(),
            elapsed_ms: 0,
            clock_ms: 1_000_000_000,
            in_room: BTreeMap::new(),
            online: BTreeMap::new(),
            believed: BTreeMap::new(),
        };
        world.presence.tick(world.now(0));
        world
    }

    fn now(&self, behind_ms: u64) -> Timestamp {
        Timestamp::from_ms(self.clock_ms - behind_ms)
    }

    fn take(&mut self, step: &Step) -> TestCaseResult {
        match *step {
            Step::Enter { room, user, behind_ms } => {
                let (now, id) = (self.now(behind_ms), &self.users[user]);
                self.presence.came_online(now, id);
                self.presence.entered(now, &self.rooms[room], id);
                self.in_room.entry((room, user)).or_default().enter();
                self.online.entry(user).or_default().enter();
            }
            Step::Exit { room, user, behind_ms } => self.exit(room, user, behind_ms),
            Step::Pass { ms } => {
                self.elapsed_ms += ms;
                self.clock_ms += ms;
                self.presence.tick(self.now(0));
                self.compare_lists()?;
            }
            Step::SetClockBack { ms } => {
                self.clock_ms -= ms;
                self.presence.tick(self.now(0));
            }
        }
        self.listen()
    }

    /// Only who is there can go.
    fn exit(&mut self, room: usize, user: usize, behind_ms: u64) {
        let (now, elapsed_ms) = (self.now(behind_ms), self.elapsed_ms);
        let Some(there) = self.in_room.get_mut(&(room, user)).filter(|there| there.connections > 0) else {
            return;
        };
        there.exit(elapsed_ms);
        self.online.entry(user).or_default().exit(elapsed_ms);
        self.presence.exited(now, &self.rooms[room], &self.users[user]);
        self.presence.went_offline(now, &self.users[user]);
    }

    fn compare_lists(&self) -> TestCaseResult {
        for (room, name) in self.rooms.iter().enumerate() {
            let expected: Vec<_> = (0..USERS.len())
                .filter_map(|user| {
                    let there =
                        self.in_room.get(&(room, user)).filter(|there| there.is_there(self.elapsed_ms))?;
                    Some((self.users[user].clone(), there.connections))
                })
                .collect();
            prop_assert_eq!(self.presence.in_room(name, None, USERS.len()).users, expected);
        }
        let online = self.online.iter().filter(|(_, there)| there.is_there(self.elapsed_ms));
        let online: Vec<_> = online.map(|(&user, _)| self.users[user].clone()).collect();
        prop_assert_eq!(self.presence.who_is_online(self.users.iter()), online);
        Ok(())
    }

    /// Believes what is told, if it can be true: nobody comes who is there, nobody goes who is not.
    fn listen(&mut self) -> TestCaseResult {
        for event in self.listener.take() {
            let believed = self.believed.entry(event.room.clone()).or_default();
            match &event.kind {
                EventKind::Joined(user) => prop_assert!(believed.insert(user.clone()), "{event:?}"),
                EventKind::Left(user) => prop_assert!(believed.remove(user), "{event:?}"),
                EventKind::Changed(changes) => {
                    for user in &changes.joined_names {
                        prop_assert!(believed.insert(user.clone()), "{user} joined twice: {event:?}");
                    }
                    for user in &changes.left_names {
                        prop_assert!(believed.remove(user), "{user} left twice: {event:?}");
                    }
                    let named = (changes.joined_names.len(), changes.left_names.len());
                    prop_assert_eq!(named, (changes.joined, changes.left));
                    prop_assert_ne!(named, (0, 0), "an event about nothing");
                    prop_assert_eq!(changes.users, believed.len());
                }
                other => prop_assert!(false, "{other:?} is none of presence's"),
            }
        }
        Ok(())
    }

    /// Whoever only listened knows as much as who asks.
    fn compare_beliefs(&mut self) -> TestCaseResult {
        for name in &self.rooms {
            let listed = self.presence.in_room(name, None, USERS.len()).users.into_iter();
            let listed: BTreeSet<_> = listed.map(|(user, _)| user).collect();
            prop_assert_eq!(self.believed.entry(name.clone()).or_default(), &listed, "{}", name);
        }
        Ok(())
    }

    fn settle(&mut self) -> TestCaseResult {
        self.take(&Step::Pass { ms: GRACE_MS })?;
        self.take(&Step::Pass { ms: INTERVAL_MS })?;
        self.compare_beliefs()
    }
}

proptest! {
    #[test]
    fn whoever_only_listens_knows_who_is_there_and_nobody_stays_as_a_ghost(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step)?;
        }
        world.settle()?;
        for room in 0..ROOMS.len() {
            for user in 0..USERS.len() {
                while world.in_room.get(&(room, user)).is_some_and(|there| there.connections > 0) {
                    world.take(&Step::Exit { room, user, behind_ms: 0 })?;
                }
            }
        }
        world.settle()?;
        prop_assert!(world.believed.values().all(BTreeSet::is_empty));
        let records = world.presence.rooms.sum(Stripe::records) + world.presence.people.sum(People::records);
        prop_assert_eq!(records, 0, "something is remembered of nobody");
    }
}

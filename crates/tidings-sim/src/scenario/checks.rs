//! The end: the weather clears up, and everything is compared with what was promised.

use std::collections::{BTreeMap, BTreeSet};

use tidings_core::SlowConsumerPolicy;
use tidings_protocol::{RoomName, SessionId};

use super::{ROOMS, STEPS, Scenario};

/// Longer than it takes to find out that a client is silent, and the grace after it. Who was not
/// read from while its answers waited may be heard for the last time only now.
const SILENCE_MS: u64 = 120_000;
const ROUNDS_MIN: usize = 4;
/// A poll may get one message at a time of all that was said.
const ROUNDS_MAX: usize = 10 * STEPS;
/// Longer than any window, history or memory of an empty room.
const FOREVER_MS: u64 = 2 * 3_600_000;
/// Each does a bounded amount of work.
const TICKS: usize = 8;
/// The stripes over which the limit of sessions that are away is spread.
const SESSION_STRIPES: usize = 64;

impl Scenario {
    pub(super) fn check_memory(&self) {
        // One message may exceed an outbox that was empty, and answers half of one.
        let each = 2 * self.world.limits.outbox_bytes_max + 1_024;
        let waiting = self.world.most_waiting_bytes();
        assert!(waiting <= each, "{waiting} bytes wait for one client");
        let away_max = self.world.limits.sessions_away_max.next_multiple_of(SESSION_STRIPES);
        let away = self.world.people.sessions.away();
        assert!(away <= away_max, "{away} sessions are away");
    }

    /// Everybody comes and reads, and nothing more is said.
    pub(super) fn calm_down(&mut self) {
        self.trace.note(|| "the weather clears up".to_owned());
        self.held.hold(false);
        self.world.network.delay_wakes(0);
        self.world.network.lose_wakes(0);
        self.settle();
        for id in std::mem::take(&mut self.silent) {
            self.world.client(id).pipe.reset();
        }
        // Whoever learns only now that it was sent away comes back.
        for _ in 0..3 {
            for person in 0..self.people.len() {
                if !self.people[person].is_here {
                    self.come_back(person);
                }
                let id = self.people[person].id;
                self.world.client(id).reads = true;
            }
            self.world.advance(3_000);
            self.settle();
        }
        self.world.advance(SILENCE_MS);
        // Who polls asks until there is no more, and long enough to be seen.
        let mut noted = usize::MAX;
        for round in 0..ROUNDS_MAX {
            if noted == self.noted && round >= ROUNDS_MIN {
                break;
            }
            noted = self.noted;
            self.look();
            self.world.advance(1_200);
            self.look();
        }
        self.world.pump();
        if let Some(watcher) = &mut self.watcher {
            watcher.look(&mut self.world);
        }
    }

    /// Everybody has everything, or was told what it has not.
    pub(super) fn check_everybody(&self) {
        for person in &self.people {
            let number = person.number;
            assert!(person.is_here && person.sent_away.is_none(), "{number} is away in calm weather");
            for (&room, known) in &person.rooms {
                assert!(known.is_in(), "{number} was never let into {room}");
                let policy = self.policy(room);
                let lost = known.silently_lost(&self.said[room], policy == SlowConsumerPolicy::Latest);
                assert!(lost.is_empty(), "{number} in {room}, {policy:?}, lost {lost:?}");
            }
        }
        self.errands.check();
    }

    /// Who is said to be in a room is there, and nobody else; nobody types.
    pub(super) fn check_presence(&self) {
        for room in ROOMS {
            let mut expected: BTreeMap<String, u32> = BTreeMap::new();
            for person in &self.people {
                if let Some(user) = person.user.filter(|_| person.haunts().any(|haunt| haunt == room)) {
                    *expected.entry(user.to_owned()).or_default() += 1;
                }
            }
            let name = self.room_name(room);
            let present = self.world.people.presence.in_room(&name, None, usize::MAX);
            let present: BTreeMap<_, _> =
                present.users.into_iter().map(|(user, count)| (user.to_string(), count)).collect();
            assert_eq!(present, expected, "who is in {room}, and who should be");
            let typists = self.world.people.typing.typists(self.world.network.wall(), &name);
            assert!(typists.is_empty(), "{typists:?} type in {room} without an end");
            if let Some(watcher) = &self.watcher {
                let users: BTreeSet<_> = expected.into_keys().collect();
                watcher.check(room, &users);
            }
        }
    }

    pub(super) fn everybody_leaves(&mut self) {
        self.trace.note(|| "everybody leaves".to_owned());
        self.world.break_all();
        self.world.pump();
        let now_ms = self.world.network.now_ms();
        self.world.network.set_now_ms(now_ms + FOREVER_MS);
        for _ in 0..TICKS {
            self.world.tick();
            self.world.pump();
        }
    }

    pub(super) fn check_nothing_is_left(&self) {
        let world = &self.world;
        assert_eq!(world.connections(), 0, "connections are left");
        assert_eq!(world.capacity.connections(), 0, "seats are taken");
        assert_eq!(world.people.sessions.away(), 0, "sessions are left");
        assert_eq!(world.hub.rooms(), 0, "shards are in rooms");
        let gauges = world.engine.gauges();
        assert_eq!((gauges.rooms, gauges.messages, gauges.bytes), (0, 0, 0), "the engine keeps something");
        for room in ROOMS {
            let present = world.people.presence.in_room(&self.room_name(room), None, usize::MAX);
            assert_eq!(present.total, 0, "{:?} haunt {room}", present.users);
        }
        for person in &self.people {
            let new = SessionId::from_bytes([0xEE; 16]);
            let known = world.people.sessions.of_client(&format!("p{}", person.number), new);
            assert_eq!(known, new, "the polls of {} are remembered for ever", person.number);
        }
    }

    fn room_name(&self, room: &str) -> RoomName {
        RoomName::new(room, &self.world.limits).expect("a name")
    }
}

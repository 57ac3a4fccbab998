//! Random clients in bad weather: joining, leaving, talking, stalling, breaking off, coming back by
//! cursor, over pipes that give little, into outboxes that hold little.
//!
//! Follows from a seed: `TIDINGS_SEED=7 cargo test -p tidings-shard storm` replays one, and
//! `TIDINGS_SEEDS=20000` hunts for longer.

use std::collections::{BTreeMap, BTreeSet};

use tidings_core::options::Pattern;
use tidings_core::telemetry::Counter;
use tidings_core::{RoomOptions, SlowConsumerPolicy};
use tidings_protocol::Limits;
use tidings_protocol::server::Received;

use crate::support::client::handshake;
use crate::support::{ClientId, Held, Random, Seen, Setup, World};

const SEEDS: u64 = 600;
const ROOMS: [&str; 3] = ["a", "b", "c"];

/// What one person knows of a room, whichever connection it had.
#[derive(Default)]
struct Known {
    cursor: u64,
    /// Every id it saw, and every stretch in which it was told that something may be lost.
    seen: BTreeSet<u64>,
    gaps: Vec<(u64, u64)>,
    /// It was told that it did not get everything from here to the next message.
    lost_after: Option<u64>,
    /// From where on it may expect everything.
    since: u64,
}

struct Person {
    id: ClientId,
    rooms: BTreeMap<&'static str, Known>,
}

struct Storm {
    seed: u64,
    world: World,
    random: Random,
    people: Vec<Person>,
    held: Held,
}

#[test]
fn nothing_is_lost_twice_told_or_out_of_order_in_bad_weather() {
    let asked = |name| std::env::var(name).ok().map(|value| value.parse().expect("a seed is a number"));
    let seeds = match asked("TIDINGS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("TIDINGS_SEEDS").unwrap_or(SEEDS),
    };
    let only_one = seeds.end - seeds.start == 1;
    let mut weather = [
        Counter::SlowConsumerFellBehind,
        Counter::SlowConsumerCaughtUp,
        Counter::InboxOverflowed,
        Counter::GapTold,
        Counter::MessageDelivered,
    ]
    .map(|counter| (counter, 0));
    for seed in seeds {
        // Shown when the test fails.
        println!("TIDINGS_SEED={seed}");
        let world = Storm::new(seed).run();
        for (counter, count) in &mut weather {
            *count += world.counted(*counter);
        }
    }
    // Weather that troubles nobody would prove nothing.
    for (counter, count) in weather {
        assert!(only_one || count > 100, "{counter:?}: {count}");
    }
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let limits = Limits {
            outbox_bytes_max: 1_024 + random.below(4_096),
            inbox_messages_max: 1 + random.below(20),
            deliveries_per_turn: 1 + random.below(10),
            fan_out_batches_max: 2 + random.below(3),
            room_history_messages: [5, 30, 1_000][random.below(3)],
            history_page_messages_max: 5 + random.below(50),
            messages_per_second_max: 0,
            ..Limits::default()
        };
        let policy = [SlowConsumerPolicy::CatchUp, SlowConsumerPolicy::Drop][random.below(2)];
        let options = RoomOptions { slow_consumer: policy, ..RoomOptions::from_limits(&limits) };
        let rules = vec![(Pattern::new("c"), options)];
        let chopped_percent = [0, 30, 90][random.below(3)];
        let shards = 1 + random.below(3);
        let held = Held::default();
        let setup =
            Setup { shards, limits, rules, chopped_percent, seed, engine: held.engine(), ..Setup::default() };
        let mut storm = Self { seed, world: setup.build(), random, people: Vec::new(), held };
        for _ in 0..2 + storm.random.below(6) {
            let id = storm.dial("/ws/nowhere");
            storm.people.push(Person { id, rooms: BTreeMap::new() });
        }
        storm
    }

    fn dial(&mut self, path: &str) -> ClientId {
        let capacity = 1 + self.random.below(3_000);
        let shard = self.random.below(self.world.shards.len());
        let id = self.world.dial_shard(shard, capacity);
        self.world.raw(id, &handshake(path, self.random.chance(30)));
        id
    }

    fn run(mut self) -> World {
        // Half of the seeds have an engine that answers late and in any order.
        self.held.hold(self.seed % 2 == 1);
        for _ in 0..120 {
            self.step();
            for _ in 0..self.random.below(8) {
                self.held.release_any(&mut self.random);
            }
            let turns = self.random.below(3);
            self.world.turns(turns);
            self.look();
            self.check_memory();
        }
        self.calm_down();
        self.check_heads();
        self.world
    }

    fn step(&mut self) {
        let person = self.random.below(self.people.len());
        let room = ROOMS[self.random.below(ROOMS.len())];
        let id = self.people[person].id;
        match self.random.below(100) {
            0..50 => {
                for _ in 0..1 + self.random.below(6) {
                    let words = "x".repeat(self.random.below(400));
                    self.world.send(id, &format!(r#"{{"type":"message","room":"{room}","text":"{words}"}}"#));
                }
            }
            50..65 => self.join(person, room),
            65..72 => self.leave(person, room),
            72..82 => self.world.stall(id),
            82..92 => self.world.client(id).reads = true,
            92..96 => self.reconnect(person),
            _ => {
                let ms = self.random.below(2_000) as u64;
                let now_ms = self.world.network.now_ms();
                self.world.network.set_now_ms(now_ms + ms);
            }
        }
    }

    fn join(&mut self, person: usize, room: &'static str) {
        let id = self.people[person].id;
        if self.people[person].rooms.contains_key(room) {
            return;
        }
        self.people[person].rooms.insert(room, Known { since: u64::MAX, ..Known::default() });
        self.world.send(id, &format!(r#"{{"type":"join","room":"{room}"}}"#));
    }

    /// Only those who are surely in: what is said between is nobody's loss.
    fn leave(&mut self, person: usize, room: &'static str) {
        let Person { id, rooms } = &mut self.people[person];
        if rooms.get(room).is_some_and(|known| known.since != u64::MAX) {
            rooms.remove(room);
            let id = *id;
            self.world.send(id, &format!(r#"{{"type":"leave","room":"{room}"}}"#));
            // Until it is out, what it sees is ignored; so it is let out before it joins again.
            self.world.client(id).reads = true;
            self.held.release_all();
            self.world.pump();
            self.look();
        }
    }

    /// Breaks off and comes back by cursor, on any shard.
    fn reconnect(&mut self, person: usize) {
        self.look();
        let old = self.people[person].id;
        self.world.client(old).pipe.reset();
        self.world.take(old);
        let id = self.dial("/ws");
        self.people[person].id = id;
        self.people[person].rooms.retain(|_, known| known.since != u64::MAX);
        let positions: Vec<_> = self.people[person]
            .rooms
            .iter()
            .map(|(room, known)| format!(r#""{room}":{}"#, known.cursor))
            .collect();
        self.world.send(
            id,
            &format!(r#"{{"type":"hello","positions":{{{}}},"rooms":["nowhere"]}}"#, positions.join(",")),
        );
    }

    /// Everybody who reads reads some.
    fn look(&mut self) {
        for person in 0..self.people.len() {
            let id = self.people[person].id;
            let bytes_max = 1 + self.random.below(2_000);
            if self.world.client(id).reads {
                self.world.client(id).look(bytes_max);
            }
            for seen in self.world.take(id) {
                self.note(person, seen);
            }
        }
    }

    fn note(&mut self, person: usize, seen: Seen) {
        let seed = self.seed;
        let rooms = &mut self.people[person].rooms;
        match seen {
            Seen::Frame(Received::Message(message)) => see(seed, rooms, &message.room, message.id),
            Seen::Frame(Received::Restore(restore)) => {
                if let (false, Some(known)) = (restore.recovered, rooms.get_mut(restore.room.as_str())) {
                    // All that whoever begins at zero is told; others may break off before their gap.
                    known.lost_after = Some(known.cursor);
                }
                restore.messages.iter().for_each(|message| see(seed, rooms, &message.room, message.id));
            }
            Seen::Frame(Received::Joined(joined)) => {
                if let Some(known) =
                    rooms.get_mut(joined.room.as_str()).filter(|known| known.since == u64::MAX)
                {
                    known.since = joined.last_message_id;
                    known.cursor = joined.last_message_id;
                }
            }
            Seen::Frame(Received::Gap(gap)) => {
                if let Some(known) = rooms.get_mut(gap.room.as_str()) {
                    assert!(gap.after < gap.before, "seed {seed}: {gap:?}");
                    known.cursor = known.cursor.max(gap.before - 1);
                    known.gaps.push((gap.after, gap.before));
                }
            }
            Seen::Frame(Received::Error(error)) => panic!("seed {seed}: {error:?}"),
            Seen::Close(code, reason) => panic!("seed {seed}: closed with {code} {reason}"),
            _ => {}
        }
    }

    fn check_memory(&self) {
        // One message may exceed an outbox that was empty, and answers half of one.
        let each = 2 * self.world.limits.outbox_bytes_max + 1_024;
        let waiting = self.world.waiting_bytes();
        assert!(waiting <= each * self.world.connections(), "seed {}: {waiting} bytes", self.seed);
    }

    /// The weather clears up: everybody reads, and nothing more is said.
    fn calm_down(&mut self) {
        for person in 0..self.people.len() {
            let id = self.people[person].id;
            self.world.client(id).reads = true;
        }
        self.held.hold(false);
        self.held.release_all();
        self.world.advance(3_000);
        self.look();
    }

    /// Everybody has everything, or was told what it has not.
    fn check_heads(&mut self) {
        let said = self.everything_said();
        for (number, person) in self.people.iter().enumerate() {
            for (room, known) in &person.rooms {
                assert_ne!(known.since, u64::MAX, "seed {}: {number} was never let into {room}", self.seed);
                let told = |id: u64| known.gaps.iter().any(|&(after, before)| after < id && id < before);
                let silently_lost: Vec<_> = said[room]
                    .iter()
                    .filter(|&&id| id > known.since && !known.seen.contains(&id) && !told(id))
                    .collect();
                assert!(
                    silently_lost.is_empty(),
                    "seed {}: {number} in {room} lost {silently_lost:?}",
                    self.seed
                );
            }
        }
    }

    /// As far as the log or anybody knows it.
    fn everything_said(&self) -> BTreeMap<&'static str, BTreeSet<u64>> {
        let of_room = |room: &'static str| {
            let seen = self.people.iter().filter_map(move |person| person.rooms.get(room));
            let mut ids: BTreeSet<u64> = seen.flat_map(|known| known.seen.iter().copied()).collect();
            ids.extend(self.world.log(room));
            (room, ids)
        };
        ROOMS.into_iter().map(of_room).collect()
    }
}

fn see(seed: u64, rooms: &mut BTreeMap<&'static str, Known>, room: &str, id: u64) {
    let Some(known) = rooms.get_mut(room).filter(|known| known.since != u64::MAX) else { return };
    assert!(known.seen.last().is_none_or(|&last| id > last), "seed {seed}: {id} in {room} twice or late");
    if let Some(after) = known.lost_after.take() {
        known.gaps.push((after, id));
    }
    known.seen.insert(id);
    known.cursor = known.cursor.max(id);
}

//! Random clients in bad weather: joining, leaving, talking, stalling, breaking off, coming back by
//! cursor as WebSockets, event streams or long polls, over pipes that give little, into outboxes that hold little, in rooms of every policy.
//!
//! Follows from a seed: `TIDINGS_SEED=7 cargo test -p tidings-shard storm` replays one, and
//! `TIDINGS_SEEDS=20000` hunts for longer.

mod known;
mod ways;

use std::collections::BTreeMap;

use tidings_core::options::Pattern;
use tidings_core::telemetry::Counter;
use tidings_core::{RoomOptions, SlowConsumerPolicy};
use tidings_protocol::Limits;
use tidings_protocol::server::{MessageBody, Received};

use self::known::{Known, Said};
use self::ways::Way;
use crate::support::client::handshake;
use crate::support::{ClientId, Held, Random, Seen, Setup, World};

const SEEDS: u64 = 600;
const ROOMS: [&str; 3] = ["a", "b", "c"];
/// The first room lets everybody catch up, the others do whatever the seed says.
const RULED: [&str; 2] = ["b", "c"];
const POLICIES: [SlowConsumerPolicy; 4] = [
    SlowConsumerPolicy::CatchUp,
    SlowConsumerPolicy::Latest,
    SlowConsumerPolicy::Drop,
    SlowConsumerPolicy::Close,
];
const KEYS: [Option<&str>; 4] = [None, Some("eur"), Some("usd"), Some("gbp")];

struct Person {
    id: ClientId,
    rooms: BTreeMap<&'static str, Known>,
    way: Way,
    /// It was told with 1013 that it reads too slowly.
    sent_away: bool,
}

struct Storm {
    seed: u64,
    world: World,
    random: Random,
    people: Vec<Person>,
    held: Held,
    policies: BTreeMap<&'static str, SlowConsumerPolicy>,
    /// What was said in each room, as far as its log held it when it was looked at, or anybody saw it.
    said: BTreeMap<&'static str, Said>,
    /// Frames that anybody was told.
    noted: usize,
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
        Counter::MessageConflated,
        Counter::SlowConsumerClosed,
        Counter::FeedOpened,
        Counter::PollOpened,
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

fn options(slow_consumer: SlowConsumerPolicy, limits: &Limits) -> RoomOptions {
    RoomOptions { slow_consumer, ..RoomOptions::from_limits(limits) }
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
            // Whoever is sent away reads why, however late.
            close_timeout_ms: 3_600_000,
            ..Limits::default()
        };
        let policies: BTreeMap<_, _> =
            RULED.map(|room| (room, POLICIES[random.below(POLICIES.len())])).into_iter().collect();
        let rules =
            policies.iter().map(|(&room, &policy)| (Pattern::new(room), options(policy, &limits))).collect();
        let chopped_percent = [0, 30, 90][random.below(3)];
        let shards = 1 + random.below(3);
        let held = Held::default();
        let setup =
            Setup { shards, limits, rules, chopped_percent, seed, engine: held.engine(), ..Setup::default() };
        let (world, people, said) = (setup.build(), Vec::new(), BTreeMap::new());
        let mut storm = Self { seed, world, random, people, held, policies, said, noted: 0 };
        for _ in 0..2 + storm.random.below(6) {
            let id = storm.dial_socket("/ws/nowhere");
            storm.people.push(Person { id, rooms: BTreeMap::new(), way: Way::Socket, sent_away: false });
        }
        storm
    }

    fn dial_socket(&mut self, path: &str) -> ClientId {
        let request = handshake(path, self.random.chance(30));
        self.dial(&request)
    }

    fn dial(&mut self, request: &[u8]) -> ClientId {
        let capacity = 1 + self.random.below(3_000);
        let shard = self.random.below(self.world.shards.len());
        let id = self.world.dial_shard(shard, capacity);
        self.world.raw(id, request);
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
        let speaks = matches!(self.people[person].way, Way::Socket);
        match self.random.below(100) {
            0..72 if !speaks => {}
            0..50 => {
                for _ in 0..1 + self.random.below(6) {
                    let words = "x".repeat(self.random.below(400));
                    let key = KEYS[self.random.below(KEYS.len())];
                    let key = key.map_or_else(String::new, |key| format!(r#""key":"{key}","#));
                    let frame = format!(r#"{{"type":"message","room":"{room}",{key}"text":"{words}"}}"#);
                    self.world.send(id, &frame);
                }
            }
            50..65 => self.join(person, room),
            65..72 => self.leave(person, room),
            72..82 => self.world.stall(id),
            82..92 => self.world.client(id).reads = true,
            92..96 => self.break_off(person),
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
        self.people[person].rooms.insert(room, Known::default());
        self.world.send(id, &format!(r#"{{"type":"join","room":"{room}"}}"#));
    }

    /// Only those who are surely in: what is said between is nobody's loss.
    fn leave(&mut self, person: usize, room: &'static str) {
        let Person { id, rooms, .. } = &mut self.people[person];
        if rooms.get(room).is_some_and(Known::is_in) {
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

    fn break_off(&mut self, person: usize) {
        self.look();
        let old = self.people[person].id;
        self.world.client(old).pipe.reset();
        self.world.take(old);
        self.come_back(person);
    }

    fn come_back_by_socket(&mut self, person: usize) {
        let id = self.dial_socket("/ws");
        let person = &mut self.people[person];
        person.id = id;
        let positions = person.rooms.iter().map(|(room, known)| format!(r#""{room}":{}"#, known.cursor()));
        let positions = positions.collect::<Vec<_>>().join(",");
        let hello = format!(r#"{{"type":"hello","positions":{{{positions}}},"rooms":["nowhere"]}}"#);
        self.world.send(id, &hello);
    }

    /// Everybody who reads reads some.
    fn look(&mut self) {
        self.look_at_logs();
        for person in 0..self.people.len() {
            let id = self.people[person].id;
            let bytes_max = 1 + self.random.below(2_000);
            if self.world.client(id).reads {
                self.world.client(id).look(bytes_max);
            }
            self.remember(person);
            for seen in self.world.take(id) {
                self.note(person, seen);
            }
        }
    }

    fn note(&mut self, person: usize, seen: Seen) {
        self.noted += usize::from(matches!(seen, Seen::Frame(_)));
        match seen {
            Seen::Http(answer) => self.answered(person, &answer),
            Seen::Frame(Received::Message(message)) => self.see(person, &message),
            Seen::Frame(Received::Restore(restore)) => {
                self.knows(person, &restore.room, |known| known.restore(&restore));
                restore.messages.iter().for_each(|message| self.see(person, message));
            }
            Seen::Frame(Received::Joined(joined)) => {
                self.knows(person, &joined.room, |known| known.join(&joined));
            }
            Seen::Frame(Received::Gap(gap)) => self.knows(person, &gap.room, |known| known.lose(&gap)),
            Seen::Frame(Received::Error(error)) => panic!("{error:?}"),
            Seen::Close(code, reason) => {
                let is_to_expect = self.policies.values().any(|&policy| policy == SlowConsumerPolicy::Close);
                assert!(code == 1_013 && is_to_expect, "closed with {code} {reason}");
                self.people[person].sent_away = true;
            }
            Seen::End => {
                assert!(self.people[person].sent_away, "{person} was not told why it is sent away");
                self.come_back(person);
            }
            _ => {}
        }
    }

    fn see(&mut self, person: usize, message: &MessageBody) {
        self.knows(person, &message.room, |known| known.see(message.id));
        let said = self.said.iter_mut().find(|(room, _)| **room == message.room);
        said.expect("nobody is elsewhere").1.insert(message.id, message.key.as_deref().map(Into::into));
    }

    fn knows(&mut self, person: usize, room: &str, learn: impl FnOnce(&mut Known)) {
        // Who has just left hears the rest.
        self.people[person].rooms.get_mut(room).map(learn);
    }

    fn check_memory(&self) {
        // One message may exceed an outbox that was empty, and answers half of one.
        let each = 2 * self.world.limits.outbox_bytes_max + 1_024;
        let waiting = self.world.waiting_bytes();
        assert!(waiting <= each * self.world.connections(), "{waiting} bytes");
    }

    /// The weather clears up: everybody reads, and nothing more is said.
    fn calm_down(&mut self) {
        self.held.hold(false);
        self.held.release_all();
        // Whoever learns only now that it was sent away comes back.
        for _ in 0..3 {
            for person in 0..self.people.len() {
                let id = self.people[person].id;
                self.world.client(id).reads = true;
            }
            self.world.advance(3_000);
            self.look();
        }
        // Who polls asks until there is no more.
        let mut noted = usize::MAX;
        while noted != self.noted {
            noted = self.noted;
            self.world.advance(1_200);
            self.look();
        }
    }

    /// Everybody has everything, or was told what it has not.
    fn check_heads(&self) {
        for (number, person) in self.people.iter().enumerate() {
            assert!(!person.sent_away, "{number} is sent away in calm weather");
            for (&room, known) in &person.rooms {
                assert!(known.is_in(), "{number} was never let into {room}");
                let policy = self.policies.get(room);
                let lost = known.silently_lost(&self.said[room], policy == Some(&SlowConsumerPolicy::Latest));
                assert!(lost.is_empty(), "{number} in {room}, {policy:?}, lost {lost:?}");
            }
        }
    }

    /// Notes what was said since the last look.
    fn look_at_logs(&mut self) {
        for room in ROOMS {
            let said = self.said.entry(room).or_default();
            let last = said.last_key_value().map_or(0, |(&id, _)| id);
            let log = self.world.log(room, last);
            said.extend(log.iter().map(|message| (message.id.0, message.key.clone())));
        }
    }
}

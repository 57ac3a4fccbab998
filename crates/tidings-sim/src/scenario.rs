//! Random clients in bad weather: they join, leave, talk, type, stall, break off, stay away, and
//! come back by cursor or session as WebSockets, event streams or long polls, while wakes are late,
//! the engine answers in any order, the clock jumps and nodes die.
//!
//! Follows from a seed. Owns what everybody was promised and compares it with what everybody saw:
//! order, no silent loss, nothing twice, no ghosts, nothing left behind, bounded memory.

mod away;
mod checks;
mod coming;
mod errands;
mod hearing;
mod known;
mod person;
mod trace;
mod watcher;
mod weather;

use std::collections::BTreeMap;

use tidings_core::SlowConsumerPolicy;
use tidings_core::telemetry::Counter;

use self::errands::Errands;
use self::known::Said;
use self::person::{Person, Way};
use self::trace::Trace;
use self::watcher::Watcher;
use self::weather::Weather;
use crate::client::handshake;
use crate::network::Faults;
use crate::{ClientId, Held, Random, World};

/// The first room lets everybody catch up, the others do whatever the seed says.
const ROOMS: [&str; 3] = ["a", "b", "c"];
const KEYS: [Option<&str>; 4] = [None, Some("eur"), Some("usd"), Some("gbp")];
/// Some people have the same name: they are one user with several devices. Guests have none.
const USERS: [Option<&str>; 5] = [None, Some("ana"), Some("ana"), Some("ben"), Some("carl")];

const STEPS: usize = 120;

/// See the module.
pub struct Scenario {
    world: World,
    weather: Weather,
    random: Random,
    people: Vec<Person>,
    /// In clear weather, where nobody is spared an event.
    watcher: Option<Watcher>,
    errands: Errands,
    held: Held,
    /// Connections that fell silent and that only the system can find out about.
    silent: Vec<ClientId>,
    /// What was said in each room, as far as its log held it when it was looked at, or anybody saw it.
    said: BTreeMap<&'static str, Said>,
    /// Frames that anybody was told.
    noted: usize,
    trace: Trace,
}

impl Scenario {
    /// The scenario that follows from a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let held = Held::default();
        let (weather, setup) = Weather::new(seed, &mut random, &held);
        let mut world = setup.build();
        let watcher = weather.is_clear.then(|| Watcher::new(&mut world));
        let mut scenario = Self {
            world,
            weather,
            random,
            people: Vec::new(),
            watcher,
            errands: Errands::default(),
            held,
            silent: Vec::new(),
            said: BTreeMap::new(),
            noted: 0,
            trace: Trace::new(seed),
        };
        scenario.world.network.delay_wakes(scenario.weather.late_wakes_percent);
        scenario.world.network.lose_wakes(scenario.weather.lost_wakes_percent);
        for number in 0..2 + scenario.random.below(6) {
            let user = USERS[scenario.random.below(USERS.len())];
            let path = user.map_or_else(|| "/ws/nowhere".to_owned(), |user| format!("/ws/nowhere/{user}"));
            let id = scenario.dial_socket(&path);
            scenario.people.push(Person::new(number, user, id));
        }
        scenario
    }

    /// Tells all that happens and all that is seen, as it happens.
    pub fn loud(mut self) -> Self {
        self.trace.be_loud();
        self
    }

    /// Remembers all that is seen, so that the fingerprint stands for it, too.
    pub fn attentive(mut self) -> Self {
        self.trace.be_attentive();
        self
    }

    /// Lets it happen.
    ///
    /// # Panics
    /// If anybody was not told what they were promised.
    pub fn run(&mut self) {
        self.held.hold(self.weather.engine_is_late);
        for _ in 0..STEPS {
            self.step();
            for _ in 0..self.random.below(8) {
                self.held.release_any(&mut self.random);
            }
            if self.random.chance(30) {
                self.world.network.deliver_wakes();
            }
            let turns = self.random.below(3);
            self.world.turns(turns);
            self.look();
            self.check_memory();
        }
        self.calm_down();
        self.check_everybody();
        self.check_presence();
        self.everybody_leaves();
        self.check_nothing_is_left();
    }

    /// A counter, of all shards of all nodes.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.world.counted(counter)
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Faults {
        self.world.network.faults()
    }

    /// A word that stands for all that happened: the same for the same seed.
    pub fn fingerprint(&self) -> u64 {
        self.trace.fingerprint()
    }

    fn step(&mut self) {
        let person = self.random.below(self.people.len());
        let room = ROOMS[self.random.below(ROOMS.len())];
        let Person { id, is_here, ref way, .. } = self.people[person];
        let speaks = is_here && matches!(way, Way::Socket);
        match self.random.below(100) {
            60..75 if !is_here => self.come_back(person),
            0..68 if !speaks => self.say_by_post(person, room),
            0..44 => self.talk(person, room),
            44..50 => self.typing(person, room),
            50..62 => self.join(person, room),
            62..68 => self.leave(person, room),
            68..78 => self.stall(id),
            78..87 => self.world.client(id).reads = true,
            87..92 if is_here => self.break_off(person),
            92..94 => self.say_by_post(person, room),
            94..99 => self.wait(),
            _ => self.crash(),
        }
    }

    fn talk(&mut self, person: usize, room: &'static str) {
        let id = self.people[person].id;
        let count = 1 + self.random.below(6);
        self.trace.note(|| format!("{person} says {count} in {room}"));
        for _ in 0..count {
            let words = "x".repeat(self.random.below(400));
            let key = KEYS[self.random.below(KEYS.len())];
            let key = key.map_or_else(String::new, |key| format!(r#""key":"{key}","#));
            self.world.send(id, &format!(r#"{{"type":"message","room":"{room}",{key}"text":"{words}"}}"#));
        }
    }

    fn typing(&mut self, person: usize, room: &'static str) {
        let Person { id, user, ref rooms, .. } = self.people[person];
        if user.is_some() && rooms.get(room).is_some_and(known::Known::is_in) {
            let kind = if self.random.chance(60) { "typing_start" } else { "typing_stop" };
            self.trace.note(|| format!("{person} {kind} in {room}"));
            self.world.send(id, &format!(r#"{{"type":"{kind}","room":"{room}"}}"#));
        }
    }

    fn join(&mut self, person: usize, room: &'static str) {
        let Person { id, ref mut rooms, .. } = self.people[person];
        if rooms.contains_key(room) {
            return;
        }
        rooms.insert(room, known::Known::default());
        self.trace.note(|| format!("{person} joins {room}"));
        self.world.send(id, &format!(r#"{{"type":"join","room":"{room}"}}"#));
    }

    /// Only those who are surely in: what is said between is nobody's loss.
    fn leave(&mut self, person: usize, room: &'static str) {
        let Person { id, ref mut rooms, .. } = self.people[person];
        if rooms.get(room).is_some_and(known::Known::is_in) {
            rooms.remove(room);
            self.trace.note(|| format!("{person} leaves {room}"));
            self.world.send(id, &format!(r#"{{"type":"leave","room":"{room}"}}"#));
            // Until it is out, what it sees is ignored; so it is let out before it joins again.
            self.world.client(id).reads = true;
            self.settle();
        }
    }

    fn stall(&mut self, id: ClientId) {
        self.trace.note(|| format!("{id:?} stops reading"));
        self.world.stall(id);
    }

    /// Mostly a moment; sometimes as long as a machine that was suspended.
    fn wait(&mut self) {
        let is_long = self.weather.clock_jumps && self.random.chance(20);
        let ms = self.random.below(if is_long { 400_000 } else { 2_000 }) as u64;
        self.trace.note(|| format!("{ms} ms pass"));
        let now_ms = self.world.network.now_ms();
        self.world.network.set_now_ms(now_ms + ms);
        self.world.tick();
    }

    /// Whatever is under way arrives.
    fn settle(&mut self) {
        self.held.release_all();
        self.world.network.deliver_wakes();
        self.world.pump();
        self.look();
    }

    /// Everybody who reads reads some.
    fn look(&mut self) {
        self.look_at_logs();
        if let Some(watcher) = &mut self.watcher {
            watcher.look(&mut self.world);
        }
        for person in 0..self.people.len() {
            if !self.people[person].is_here {
                continue;
            }
            let id = self.people[person].id;
            let bytes_max = 1 + self.random.below(2_000);
            if self.world.client(id).reads {
                self.world.client(id).look(bytes_max);
            }
            self.remember(person);
            for seen in self.world.take(id) {
                self.note(person, seen);
                // What the old connection said besides does not count.
                if self.people[person].id != id {
                    break;
                }
            }
        }
        self.look_at_errands();
    }

    /// Notes what was said since the last look.
    fn look_at_logs(&mut self) {
        for room in ROOMS {
            let said = self.said.entry(room).or_default();
            let last = said.last_key_value().map_or(0, |(&id, _)| id);
            for message in self.world.log(room, last) {
                said.insert(message.id.0, message.key.clone());
                self.errands.stored(&message);
            }
        }
    }

    fn policy(&self, room: &str) -> SlowConsumerPolicy {
        self.weather.policies.get(room).copied().unwrap_or(SlowConsumerPolicy::CatchUp)
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
}

//! The scenario in which people matter: a crowd of users comes into one room in one instant and leaves it in one, while a
//! few guests watch. It tells what coming and going costs per user, and whether that grows with the crowd.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tidings_client::{Address, http};
use tidings_protocol::Limits;

use super::arguments::Presence;
use super::crew::{Crew, Opened};
use super::figures::{self as figure, Figure, Outcome};
use super::ground::{Contestant, Ground, Server};
use super::payload::STAMP_BYTES;
use super::plan::{Seating, Transport};
use super::target::Target;
use super::traffic::GENTLY;

/// How often the list is asked for.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// A list that takes longer counts as never right.
const RIGHT_WITHIN: Duration = Duration::from_secs(60);
/// How long who left may come back unnoticed, where it is only to be seen that it works.
const QUICK_GRACE_MS: u64 = 300;
/// No event for so long: there are no more. Big rooms are told once a second, by a clock that ticks once a second.
const QUIET: Duration = Duration::from_millis(2_500);

/// So many users: a column of the table.
#[derive(Debug, Clone, Copy)]
struct Crowd(usize);

impl Contestant for Crowd {
    fn name(self) -> String {
        format!("{} users", self.0)
    }
}

/// The part of the list that tells whether it is right.
#[derive(Deserialize)]
struct List {
    total: usize,
}

/// One crowd's visit.
struct Visit {
    target: Target,
    watchers: Crew,
    users: Crew,
    users_count: usize,
    grace: Duration,
    outcome: Outcome,
}

/// The figures of coming, or of going.
struct Way {
    cpu_per_user_us: &'static Figure,
    right_ms: &'static Figure,
    events: &'static Figure,
    events_per_member: &'static Figure,
}

const COMING: Way = Way {
    cpu_per_user_us: &figure::COME_CPU_US,
    right_ms: &figure::COME_RIGHT_MS,
    events: &figure::COME_EVENTS,
    events_per_member: &figure::COME_EVENTS_PER_MEMBER,
};
const GOING: Way = Way {
    cpu_per_user_us: &figure::GO_CPU_US,
    right_ms: &figure::GO_RIGHT_MS,
    events: &figure::GO_EVENTS,
    events_per_member: &figure::GO_EVENTS_PER_MEMBER,
};

/// Runs `presence`.
pub(crate) fn presence(args: &Presence) -> io::Result<bool> {
    let mut crowds: Vec<usize> = args.users.iter().map(|users| args.common.scaled(*users)).collect();
    // Each is divided by the next, which is smaller.
    crowds.sort_unstable_by_key(|users| std::cmp::Reverse(*users));
    crowds.dedup();
    let crowds: Vec<Crowd> = crowds.into_iter().map(Crowd).collect();
    let watchers = args.watchers as usize;
    let scenario = format!("presence: users come at once and go at once, {watchers} watch");
    let grace = if args.common.quick { QUICK_GRACE_MS } else { Limits::default().presence_grace_ms };
    Ground::contest(&args.common, scenario, &crowds, |ground, crowd| {
        ground.flags = vec!["--presence-grace-ms".to_owned(), grace.to_string()];
        let mut visit = Visit::prepare(ground, crowd, watchers, Duration::from_millis(grace))?;
        visit.come(watchers)?;
        visit.go(watchers)?;
        Ok(visit.outcome)
    })
}

impl Visit {
    fn prepare(
        ground: &Ground<'_>,
        crowd: Crowd,
        watchers_count: usize,
        grace: Duration,
    ) -> io::Result<Self> {
        let Crowd(users_count) = crowd;
        let connections = users_count + watchers_count;
        let target = ground.target(Server::Tidings, Seating::Users, STAMP_BYTES, connections)?;
        let mut watchers = ground.crew(&target, Seating::Shared, Transport::Websocket)?;
        let users = ground.crew(&target, Seating::Users, Transport::Websocket)?;
        let opened = watchers.open(watchers_count, GENTLY)?;
        target.settle()?;
        let mut outcome = Outcome::new(crowd.name());
        outcome.broken = opened.failed;
        outcome.set(&figure::USERS, users_count as f64);
        outcome.set(&figure::WATCHERS, opened.open as f64);
        Ok(Self { target, watchers, users, users_count, grace, outcome })
    }

    fn come(&mut self, watchers_count: usize) -> io::Result<()> {
        let (cpu_before, began) = (self.target.work()?.cpu, Instant::now());
        let (target, users, count) = (&self.target, &mut self.users, self.users_count);
        // The list is asked for while they come: the crew answers only when all are there.
        let (opened, right_after) = thread::scope(|scope| {
            let asking = scope.spawn(|| right_after(target, count, began));
            (users.open(count, count), asking.join().expect("asking for a list does not panic"))
        });
        let (opened, right_after): (Opened, _) = (opened?, right_after?);
        self.outcome.broken += opened.failed;
        self.outcome.set(&figure::CONNECT_ALL_MS, opened.all_took.as_secs_f64() * 1_000.0);
        let events = self.events_to_the_last()?;
        let cpu_ns = self.target.work()?.cpu.total_ns - cpu_before.total_ns;
        self.note(&COMING, cpu_ns, right_after, events, count + watchers_count);
        Ok(())
    }

    fn go(&mut self, watchers_count: usize) -> io::Result<()> {
        let told_before = self.watchers.told()?;
        let (cpu_before, began) = (self.target.work()?.cpu, Instant::now());
        self.users.leave()?;
        // Before the grace is over it cannot be right, and asking costs the server as much as a user does.
        thread::sleep(self.grace.mul_f64(0.95));
        let right_after = right_after(&self.target, 0, began)?;
        let events = self.events_to_the_last()? - self.users.told()? - told_before;
        let cpu_ns = self.target.work()?.cpu.total_ns - cpu_before.total_ns;
        self.note(&GOING, cpu_ns, right_after, events, watchers_count);
        Ok(())
    }

    /// Events told to everybody, once no more of them come.
    fn events_to_the_last(&mut self) -> io::Result<u64> {
        let mut last = None;
        loop {
            let events = self.users.told()? + self.watchers.told()?;
            if last == Some(events) {
                return Ok(events);
            }
            last = Some(events);
            thread::sleep(QUIET);
        }
    }

    fn note(&mut self, way: &Way, cpu_ns: u64, right_after: Option<Duration>, events: u64, members: usize) {
        match right_after {
            Some(right_after) => self.outcome.set(way.right_ms, right_after.as_secs_f64() * 1_000.0),
            None => {
                eprintln!("the list of who is there was not right within a minute");
                self.outcome.broken += 1;
            }
        }
        if self.target.is_measured() {
            self.outcome.set(way.cpu_per_user_us, cpu_ns as f64 / 1_000.0 / self.users_count as f64);
        }
        self.outcome.set(way.events, events as f64);
        self.outcome.set(way.events_per_member, events as f64 / members as f64);
    }
}

/// When the server first said that so many users are there; `None` if it did not in time.
fn right_after(target: &Target, users: usize, began: Instant) -> io::Result<Option<Duration>> {
    let address = format!("http://{}/rooms/bench/presence?limit=1", target.address);
    let address = Address::parse(&address).map_err(io::Error::other)?;
    while began.elapsed() < RIGHT_WITHIN {
        let answer = http::get(&address).map_err(io::Error::other)?;
        let list: List = serde_json::from_slice(&answer.body)?;
        if list.total == users {
            return Ok(Some(began.elapsed()));
        }
        thread::sleep(ASK_EVERY);
    }
    Ok(None)
}

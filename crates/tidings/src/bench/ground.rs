//! What all scenarios stand on: servers take turns over the rounds, medians are compared, results are printed.
//!
//! Owned by one invocation. Refuses to compare runs of different rounds: order and machine change between them.

use std::io;

use super::arguments::Common;
use super::crew::{Assignment, Crew};
use super::figures::{Outcome, median, ratios, table};
use super::machine::raise_descriptors;
use super::plan::{FloorPlan, Seating};
use super::target::Target;

/// Beyond those a scenario holds: metrics requests, newcomers while the last ones are still being cleared away.
const SPARE_CONNECTIONS: usize = 1_024;
/// Of a process besides its connections.
const SPARE_DESCRIPTORS: usize = 256;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Tidings,
    /// Tidings, while some members do not read.
    TidingsWithStalled,
    Floor,
}

/// The place of all runs of one invocation.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) common: &'a Common,
    scenario: String,
    label: String,
    /// What Tidings was seen sending: its greeting, and a message's frame.
    seen: (Vec<u8>, Vec<u8>),
}

impl Server {
    /// Its name in tables and JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidings => "tidings",
            Self::TidingsWithStalled => "tidings, some stalled",
            Self::Floor => "floor",
        }
    }

    /// The servers of an invocation, in their turns' order.
    pub(crate) fn all(common: &Common, stalled: bool) -> Vec<Self> {
        if common.only_floor {
            return vec![Self::Floor];
        }
        // Each is divided by the next: how much worse the stalled make it, how far from the floor it is. The floor
        // waits for whoever does not read, so it is measured without them.
        let wanted =
            [(stalled, Self::TidingsWithStalled), (true, Self::Tidings), (common.floor, Self::Floor)];
        wanted.into_iter().filter_map(|(wanted, server)| wanted.then_some(server)).collect()
    }
}

impl Ground<'_> {
    /// Runs `run` for each server in turns, prints what came out, and returns whether all of it was clean.
    pub(crate) fn contest(
        common: &Common,
        scenario: String,
        servers: &[Server],
        mut run: impl FnMut(&mut Ground<'_>, Server) -> io::Result<Outcome>,
    ) -> io::Result<bool> {
        let mut ground = Ground { common, scenario, label: String::new(), seen: (Vec::new(), Vec::new()) };
        let rounds = common.rounds(servers.len());
        let mut results: Vec<Vec<Outcome>> = vec![Vec::new(); servers.len()];
        for round in 1..=rounds {
            for (server, outcomes) in servers.iter().zip(&mut results) {
                ground.label = format!("{}, {}, round {round} of {rounds}", ground.scenario, server.name());
                let outcome = run(&mut ground, *server)?;
                if common.json {
                    println!("{}", outcome.json(&ground.scenario, Some(round)));
                }
                outcomes.push(outcome);
            }
        }
        let medians: Vec<Outcome> = results.iter().map(|rounds| median(rounds)).collect();
        ground.print(&medians, rounds);
        Ok(medians.iter().all(Outcome::is_clean))
    }

    /// Starts a server with room for so many connections, or finds the one that runs.
    pub(crate) fn target(
        &self,
        server: Server,
        seating: Seating,
        payload_bytes: usize,
        connections: usize,
    ) -> io::Result<Target> {
        let pin = !self.common.no_pin;
        let connections = connections + SPARE_CONNECTIONS;
        ensure_descriptors(connections + SPARE_DESCRIPTORS)?;
        match (server, &self.common.url) {
            (Server::Floor, _) => {
                let (greeting, message) = self.seen.clone();
                Target::floor(pin, &FloorPlan { seating, greeting, message, payload_bytes })
            }
            (_, Some(url)) => Target::running(url, self.common.pid),
            (_, None) => Target::tidings(&self.common.tidings()?, pin, seating, connections),
        }
    }

    /// Starts the workers.
    pub(crate) fn crew(&self, target: &Target, seating: Seating) -> io::Result<Crew> {
        let (workers, pin) = (self.common.workers(), !self.common.no_pin);
        Crew::start(target, self.label.clone(), Assignment { workers, pin, seating })
    }

    /// Remembers what Tidings sends, for the floor to send the same.
    pub(crate) fn look(&mut self, server: Server, crew: &mut Crew) -> io::Result<()> {
        if server != Server::Floor {
            let (greeting, message) = crew.sample()?;
            self.seen =
                (greeting, if message.is_empty() { std::mem::take(&mut self.seen.1) } else { message });
        }
        Ok(())
    }

    fn print(&self, medians: &[Outcome], rounds: usize) {
        if self.common.json {
            for outcome in medians {
                println!("{}", outcome.json(&self.scenario, None));
            }
            for pair in medians.windows(2) {
                let [first, second] = pair else { continue };
                let mut line = serde_json::json!({
                    "scenario": self.scenario, "ratio_of": first.server, "to": second.server,
                });
                for (figure, ratio) in ratios(first, second) {
                    line[figure.key] = ((ratio * 10_000.0).round() / 10_000.0).into();
                }
                println!("{line}");
            }
            return;
        }
        let of_rounds = if rounds > 1 { format!(" (medians of {rounds} rounds)") } else { String::new() };
        println!("\n{}{of_rounds}\n\n{}", self.scenario, table(medians));
        for outcome in medians {
            println!("Bottleneck of {}: {}.", outcome.server, outcome.bottleneck());
        }
    }
}

fn ensure_descriptors(needed: usize) -> io::Result<()> {
    let granted = raise_descriptors(needed as u64);
    if granted >= needed as u64 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{needed} file descriptors are needed and {granted} allowed; use fewer connections, or raise the hard limit \
         (ulimit -Hn {needed} as root)"
    )))
}

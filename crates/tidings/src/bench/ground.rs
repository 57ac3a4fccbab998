//! What all scenarios stand on: servers take turns over the rounds, medians are compared, results are printed.
//!
//! Owned by one invocation. Refuses to compare runs of different rounds: order and machine change between them.

use std::io;
use std::net::SocketAddr;

use super::arguments::{Common, Comparison};
use super::crew::{Assignment, Crew};
use super::figures::{Outcome, median, ratios, table};
use super::machine::raise_descriptors;
use super::plan::{FloorPlan, Sample, Seating, Seen, Transport};
use super::target::Target;

/// Beyond those a scenario holds: metrics requests, newcomers while the last ones are still being cleared away.
pub(crate) const SPARE_CONNECTIONS: usize = 1_024;
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
    /// Flags for Tidings besides the usual ones.
    pub(crate) flags: Vec<String>,
    /// What Tidings was seen sending.
    seen: Seen,
}

/// What takes turns: a column of the table.
pub(crate) trait Contestant: Copy {
    /// Its name in tables and JSON.
    fn name(self) -> String;
}

impl Contestant for Server {
    fn name(self) -> String {
        let name = match self {
            Self::Tidings => "tidings",
            Self::TidingsWithStalled => "tidings, some stalled",
            Self::Floor => "floor",
        };
        name.to_owned()
    }
}

impl Server {
    /// The servers of an invocation, in their turns' order.
    pub(crate) fn all(comparison: &Comparison, stalled: bool) -> Vec<Self> {
        if comparison.only_floor {
            return vec![Self::Floor];
        }
        // Each is divided by the next: how much worse the stalled make it, how far from the floor it is. The floor
        // waits for whoever does not read, so it is measured without them.
        let wanted =
            [(stalled, Self::TidingsWithStalled), (true, Self::Tidings), (comparison.floor, Self::Floor)];
        wanted.into_iter().filter_map(|(wanted, server)| wanted.then_some(server)).collect()
    }
}

impl Ground<'_> {
    /// Runs `run` for each contestant in turns, prints what came out, and returns whether all of it was clean.
    pub(crate) fn contest<C: Contestant>(
        common: &Common,
        scenario: String,
        contestants: &[C],
        mut run: impl FnMut(&mut Ground<'_>, C) -> io::Result<Outcome>,
    ) -> io::Result<bool> {
        let mut ground =
            Ground { common, scenario, label: String::new(), flags: Vec::new(), seen: Seen::default() };
        let rounds = common.rounds(contestants.len());
        let mut results: Vec<Vec<Outcome>> = vec![Vec::new(); contestants.len()];
        for round in 1..=rounds {
            for (contestant, outcomes) in contestants.iter().zip(&mut results) {
                ground.label =
                    format!("{}, {}, round {round} of {rounds}", ground.scenario, contestant.name());
                let outcome = run(&mut ground, *contestant)?;
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
        ensure_descriptors(connections)?;
        match (server, &self.common.url) {
            (Server::Floor, _) => {
                Target::floor(pin, &FloorPlan { seating, seen: self.seen.clone(), payload_bytes })
            }
            (_, Some(url)) => Target::running(url, self.common.pid),
            (_, None) => Target::tidings(&self.common.tidings()?, pin, seating, connections, &self.flags),
        }
    }

    /// Starts the workers for one server.
    pub(crate) fn crew(&self, target: &Target, seating: Seating, transport: Transport) -> io::Result<Crew> {
        let (workers, pin) = (self.common.workers(), !self.common.no_pin);
        Crew::start(&[target.address], self.label.clone(), Assignment { workers, pin, seating, transport })
    }

    /// Starts the workers for several nodes. Those and the workers are wherever the system wants them.
    pub(crate) fn crew_of(&self, nodes: &[SocketAddr], seating: Seating) -> io::Result<Crew> {
        let (workers, transport) = (self.common.workers(), Transport::Websocket);
        Crew::start(nodes, self.label.clone(), Assignment { workers, pin: false, seating, transport })
    }

    /// Remembers what Tidings sends, for the floor to send the same.
    pub(crate) fn look(&mut self, server: Server, crew: &mut Crew) -> io::Result<()> {
        if server != Server::Floor {
            let Seen { websocket, sse, poll } = crew.sample()?;
            let seen = &mut self.seen;
            for (known, new) in
                [(&mut seen.websocket, websocket), (&mut seen.sse, sse), (&mut seen.poll, poll)]
            {
                let message =
                    if new.message.is_empty() { std::mem::take(&mut known.message) } else { new.message };
                *known = Sample { greeting: new.greeting, message };
            }
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
                let ratios = ratios(first, second);
                if ratios.is_empty() {
                    continue;
                }
                let mut line = serde_json::json!({
                    "scenario": self.scenario, "ratio_of": first.server, "to": second.server,
                });
                for (figure, ratio) in ratios {
                    line[figure.key] = ((ratio * 10_000.0).round() / 10_000.0).into();
                }
                println!("{line}");
            }
            return;
        }
        let of_rounds = if rounds > 1 { format!(" (medians of {rounds} rounds)") } else { String::new() };
        println!("\n{}{of_rounds}\n\n{}", self.scenario, table(medians));
        for outcome in medians {
            if let Some(bottleneck) = outcome.bottleneck() {
                println!("Bottleneck of {}: {bottleneck}.", outcome.server);
            }
        }
    }
}

/// Makes sure that this process, and those that it starts, may have so many connections each.
pub(crate) fn ensure_descriptors(connections: usize) -> io::Result<()> {
    let needed = connections + SPARE_DESCRIPTORS;
    let granted = raise_descriptors(needed as u64);
    if granted >= needed as u64 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{needed} file descriptors are needed and {granted} allowed; use fewer connections, or raise the hard limit \
         (ulimit -Hn {needed} as root)"
    )))
}

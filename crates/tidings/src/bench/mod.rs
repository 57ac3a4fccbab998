//! `tidings bench`: measures a server from outside, with client processes of its own, and compares it in the same run
//! with a bare loop that sends the same bytes to the same sockets.
//!
//! Results go to stdout, progress to stderr. Exit code 0: measured, and every message came once and in order; 1: one
//! was lost unsaid, came twice or out of order, or a connection failed; 69: a server or worker could not be had.
//! Refuses to judge speed; that is for whoever reads the figures.

mod arguments;
mod clock;
mod cluster;
mod crew;
mod drops;
mod failover;
mod figures;
mod floor;
mod ground;
mod latency;
mod machine;
mod opening;
mod order;
mod payload;
mod plan;
mod presence;
mod target;
mod traffic;
mod wire;
mod worker;

use std::process::ExitCode;

pub(crate) use arguments::Args;
use arguments::Scenario;

/// A message was lost, came twice or out of order, or a connection failed.
const UNCLEAN: u8 = 1;
/// A server or worker could not be had.
const UNAVAILABLE: u8 = 69;

/// Runs the benchmark.
pub(crate) fn run(args: Args) -> ExitCode {
    let outcome = match &args.scenario {
        Scenario::Worker => return worker::run(),
        Scenario::Floor => return floor::run(),
        Scenario::Fanout(args) => traffic::fanout(args),
        Scenario::Rooms(args) => traffic::rooms(args),
        Scenario::Echo(args) => traffic::echo(args),
        Scenario::Idle(args) => opening::idle(args),
        Scenario::Storm(args) => opening::storm(args),
        Scenario::Drops(args) => drops::drops(args),
        Scenario::Cluster(args) => cluster::cluster(args),
        Scenario::Failover(args) => failover::failover(args),
        Scenario::Presence(args) => presence::presence(args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!(
                "tidings bench: messages were lost unsaid, came twice or out of order, or connections failed; see above"
            );
            UNCLEAN.into()
        }
        Err(error) => {
            eprintln!("tidings bench: {error}");
            UNAVAILABLE.into()
        }
    }
}

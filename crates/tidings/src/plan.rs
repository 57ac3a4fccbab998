//! `tidings plan`: how many nodes and Redis servers so many users need, as a calculation.
//!
//! Prints what it counts with and where each figure comes from. Refuses to guess what was not
//! measured, and to promise: it is arithmetic, and a machine of one's own measures better.

mod calculation;
mod constants;

use std::fmt::Write as _;
use std::io::Write as _;

use crate::exit::{self, Failure};
use calculation::{Demand, Plan};
use constants::CONSTANTS;

/// What `plan` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Users connected at once.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    users: u64,
    /// Rooms they are in, all together.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    rooms: u64,
    /// Messages that all of them together publish, per second.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    rate: u64,
    /// Rooms that each user is in.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rooms_per_user: u64,
    /// Payload bytes of a message.
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1_073_741_824))]
    bytes: u64,
    /// Messages that a room keeps; 0 for none.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    history: u64,
    /// Cores that a node has.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    cores: u64,
    /// Connections that a node holds at most, as its `connections_max`.
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    connections_max: u64,
    /// Share of a core's time that may be used, in percent: the rest is for peaks, and for the clients of a node
    /// that died.
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100))]
    load: u64,
}

/// Calculates and prints.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let demand = Demand {
        users: args.users,
        rooms: args.rooms,
        rate: args.rate,
        rooms_per_user: args.rooms_per_user,
        bytes: args.bytes,
        history: args.history,
        cores: args.cores,
        connections_max: args.connections_max,
        load: args.load,
    };
    // Whoever closed our output does not want to read more.
    let _ = std::io::stdout().lock().write_all(page(&demand, &Plan::of(&demand)).as_bytes());
    Ok(exit::DONE)
}

fn page(demand: &Demand, plan: &Plan) -> String {
    let Demand { users, rooms, rate, bytes, history, cores, load, .. } = demand;
    let mut page = format!(
        "{users} users in {rooms} rooms, {rate} messages/s of {bytes} B, {history} kept per room; \
         {cores} cores per node, {load} % of each used\n\n"
    );
    for line in plan.lines(demand) {
        writeln!(page, "{:<22}{:>16}  {}", line.name, line.value, line.because)
            .expect("writing to a string succeeds");
    }
    page += "\nCounted with\n";
    for constant in CONSTANTS {
        writeln!(
            page,
            "  {:>8} {:<4} {}\n{:16}{}",
            constant.value, constant.unit, constant.what, "", constant.source
        )
        .expect("writing to a string succeeds");
    }
    page += "\nNot counted: presence and typing, reading of logs by those who come back, TLS, what the network adds beyond \
             TCP/IP's headers.\n";
    page
}

//! `tidings doctor`: holds the settings against the machine, one line per check, each with its
//! remedy.
//!
//! Takes the same flags as `serve`. Refuses to change anything that outlives it.

mod checks;
mod redis;
mod words;

use std::io::Write as _;
use std::net::TcpListener;

use crate::exit::{self, Failure};
use crate::machine::{self, Machine};
use crate::settings::{Flags, Settings};
use checks::State;

/// What `doctor` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print each check as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Checks. Exit code 1 if the node would not be able to do what its settings say.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let settings = Settings::read(&args.flags)?;
    let open_files = machine::raise_open_files(&settings.limits);
    let mut checks = checks::of_limits(&settings.limits, open_files, &Machine::look());
    checks.extend(settings.listen.iter().map(|&address| {
        let bound = TcpListener::bind(address).map(drop);
        checks::of_address(address, bound.as_ref().map_err(std::io::Error::kind))
    }));
    if settings.io_uring {
        let allowed = tidings_shard::check_io_uring();
        checks.push(checks::of_io_uring(allowed.as_ref().map_err(ToString::to_string)));
    }
    if let Some(redis) = &settings.redis {
        checks.extend(redis::checks(redis, &settings)?);
    }
    let mut stdout = std::io::stdout().lock();
    for check in &checks {
        let told = if args.json { words::json(check) } else { words::plain(check) };
        // Whoever closed our output still wants the exit code.
        let _ = writeln!(stdout, "{told}");
    }
    let failed = checks.iter().any(|check| check.state == State::Fail);
    Ok(if failed { exit::CHECK_FAILED } else { exit::DONE })
}

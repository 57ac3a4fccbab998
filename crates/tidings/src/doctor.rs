//! `tidings doctor`: holds the settings against the machine.

use crate::exit::Failure;
use crate::settings::Flags;

/// What `doctor` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print each check as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Checks.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    Err(Failure::fault(format!("cannot check {:?} yet", args)))
}

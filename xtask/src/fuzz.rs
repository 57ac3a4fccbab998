//! `cargo xtask fuzz`: every fuzz target for a bounded time. It owns how cargo-fuzz is had and called, and refuses to run
//! without an end.

use crate::failure::{Failure, Outcome};

/// What `cargo xtask fuzz` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// Runs every target.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    Err(Failure::new(format!("there is no fuzz target to run for {} s yet", arguments.seconds)))
}

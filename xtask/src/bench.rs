//! `cargo xtask bench`: the scenarios of `tidings bench`, one after another, in a release build. It owns their order and
//! where the figures are kept, and refuses to measure anything itself.

use crate::failure::{Failure, Outcome};

/// What `cargo xtask bench` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Smaller and shorter: to see that it works, not to compare.
    #[arg(long)]
    quick: bool,
}

/// Runs the scenarios.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    Err(Failure::new(format!("there is no scenario to run yet (quick: {})", arguments.quick)))
}

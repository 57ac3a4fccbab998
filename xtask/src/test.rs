//! `cargo xtask test`: everything that a change must pass, from a fresh machine to the closing line. It owns the order of
//! the steps, and refuses to skip one without saying so.

use std::process::ExitCode;

use crate::steps::Steps;
use crate::{check, end_to_end};

/// What `cargo xtask test` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out what installs packages: the end-to-end tests and the Autobahn suite.
    #[arg(long)]
    quick: bool,
}

/// Runs all steps and prints how each went.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut steps = Steps::default();
    check::add_to(&mut steps);
    if !arguments.quick {
        steps.run("end to end", end_to_end::run);
    }
    steps.finish()
}

//! `cargo xtask check`: formatting, lints and the tests of the workspace. It owns these three steps, which `test` runs too,
//! and refuses to install what those tests start: a Redis server, which `test` installs.

use std::process::ExitCode;

use crate::command::{cargo, run as run_command};
use crate::steps::Steps;

/// Runs the three steps by themselves.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    add_to(&mut steps);
    steps.finish()
}

/// Adds the three steps to a longer run.
pub(crate) fn add_to(steps: &mut Steps) {
    steps.run("formatting", || run_command(cargo(&["fmt", "--all", "--check"])));
    steps.run("lints", || {
        run_command(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    // A crate that fails says nothing about those behind it.
    steps.run("tests of the workspace", || run_command(cargo(&["test", "--workspace", "--no-fail-fast"])));
}

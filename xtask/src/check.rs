//! `cargo xtask check`: formatting, lints and the tests of the workspace. It owns these steps, which `test` runs too, and
//! refuses anything that needs more than a Rust toolchain and a Redis.

use std::process::ExitCode;

use crate::command::{cargo, run as run_command};
use crate::install::{self, Probe};
use crate::steps::Steps;

/// What the tests run, and the Debian package that has it.
const PROGRAMS: [(Probe, &str); 1] = [(Probe::Program("redis-server"), "redis-server")];

/// Runs the steps by themselves.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    add_to(&mut steps);
    steps.finish()
}

/// Adds the steps to a longer run.
pub(crate) fn add_to(steps: &mut Steps) {
    steps.run("formatting", || run_command(cargo(&["fmt", "--all", "--check"])));
    steps.run("lints", || {
        run_command(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.run("programs for the tests of the workspace", || install::debian_packages(&PROGRAMS));
    // A crate that fails says nothing about those behind it.
    steps.run("tests of the workspace", || run_command(cargo(&["test", "--workspace", "--no-fail-fast"])));
}

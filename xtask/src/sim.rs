//! `cargo xtask sim`: the seeded scenarios of `tidings-sim`, optimised and with every assertion. It owns the build and the
//! share that `cargo xtask test` has, and leaves the arguments to the simulator.

use crate::command::{cargo, run as run_command};
use crate::failure::Outcome;
use crate::steps::Steps;

/// The share of a run of all tests: seeds that nobody has tried yet, for so many minutes.
const SHARE_MINUTES: &str = "0.4";

/// What `cargo xtask sim` may be told.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// What the simulator may be told: `--seed N`, `--seeds A..B`, `--minutes M`, `--keep-going`; `--help` tells more.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Runs what the simulator is told to.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    simulate(&words)
}

/// Adds the share to a longer run.
pub(crate) fn add_share_to(steps: &mut Steps) {
    steps.run("simulated bad weather", || simulate(&["--minutes", SHARE_MINUTES]));
}

fn simulate(words: &[&str]) -> Outcome {
    let mut simulator = cargo(&["run", "--quiet", "--profile", "sim", "--package", "tidings-sim", "--"]);
    simulator.args(words);
    run_command(simulator)
}

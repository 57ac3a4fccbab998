//! `cargo xtask`: the one door for developers. Each subcommand is a module of its own; this file only names them, and
//! refuses to hold any of their work.

#![forbid(unsafe_code)]

mod autobahn;
mod bench;
mod check;
mod command;
mod end_to_end;
mod failure;
mod fuzz;
mod install;
mod places;
mod server;
mod sim;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The one door for developers of Tidings.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything a change must pass: installs what is missing, then checks, tests, Chromium, the Autobahn suite's quick part.
    Test(test::Arguments),
    /// Formatting, lints and the tests of the workspace: what to type before each commit.
    Check,
    /// The Autobahn suite against `/echo`.
    Autobahn(autobahn::Arguments),
    /// Every fuzz target, for a bounded time each.
    Fuzz(fuzz::Arguments),
    /// The scenarios of `tidings bench` in a release build, one after another, each next to a bare send loop.
    Bench(bench::Arguments),
    /// Seeded scenarios of bad weather on a simulated network: new seeds for a minute, or those that are named.
    Sim(sim::Arguments),
    /// Browsers and foreign clients against the real binary.
    E2e,
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Check => check::run(),
        Task::Autobahn(arguments) => end(autobahn::run(&arguments)),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Sim(arguments) => end(sim::run(&arguments)),
        Task::E2e => end_to_end::run(),
    }
}

fn end(outcome: failure::Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

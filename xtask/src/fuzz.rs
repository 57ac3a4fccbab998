//! `cargo xtask fuzz`: every fuzz target for a bounded time, with AddressSanitizer. It owns how cargo-fuzz is had and
//! called, keeps what is found under `target/fuzz`, and refuses to run without an end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::command::{capture, cargo, could_not_start, is_installed, run as run_command};
use crate::failure::{Failure, Outcome};
use crate::install::{self, Probe};
use crate::places::{self, text};
use crate::steps::Steps;

/// What `cargo xtask fuzz` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for each target, after it is built.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only these targets.
    targets: Vec<String>,
}

/// Runs every target, or those that were named, and prints how each went.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut steps = Steps::default();
    let mut targets = Vec::new();
    steps.run("fuzz targets", || {
        targets = chosen_targets(&arguments.targets)?;
        Ok(())
    });
    for target in &targets {
        steps.run(target, || fuzz(target, arguments.seconds));
    }
    steps.finish()
}

/// Compiles the targets with the stable compiler as it is, so that they cannot rot between two runs of the fuzzer.
pub(crate) fn check() -> Outcome {
    install::debian_packages(&[(Probe::Program("c++"), "g++")])?;
    let folder = folder().join("check");
    let words = ["check", "--manifest-path", "fuzz/Cargo.toml", "--bins", "--target-dir", text(&folder)];
    run_command(cargo(&words))
}

fn chosen_targets(wanted: &[String]) -> Outcome<Vec<String>> {
    if !is_installed("cargo-fuzz") {
        install::twice(|| run_command(cargo(&["install", "cargo-fuzz", "--locked"])))?;
    }
    let all: Vec<String> = capture(cargo_fuzz(&["list"]))?.lines().map(str::to_owned).collect();
    if let Some(unknown) = wanted.iter().find(|target| !all.contains(target)) {
        return Err(Failure::new(format!("no fuzz target {unknown}; there are: {}", all.join(", "))));
    }
    let chosen = if wanted.is_empty() { all } else { wanted.to_vec() };
    if chosen.is_empty() { Err(Failure::new("fuzz/ has no target")) } else { Ok(chosen) }
}

fn fuzz(target: &str, seconds: u64) -> Outcome {
    let corpus = folder_of("corpus", target)?;
    let found = folder_of("found", target)?;
    let log = folder().join(format!("{target}.log"));
    run_command(cargo_fuzz(&["build", "--target-dir", text(&folder().join("build")), target]))?;

    let budget = format!("-max_total_time={seconds}");
    let prefix = format!("-artifact_prefix={}/", found.display());
    let build = folder().join("build");
    let mut words = vec!["run", "--target-dir", text(&build), target, text(&corpus)];
    let seeds = places::repository().join("fuzz/seeds").join(target);
    if seeds.is_dir() {
        words.push(text(&seeds));
    }
    words.extend(["--", &budget, &prefix, "-print_final_stats=1", "-timeout=10"]);
    let mut run = cargo_fuzz(&words);
    eprintln!("fuzzing {target} for {seconds} s, told in {}", log.display());
    let status = run
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .status()
        .map_err(|error| could_not_start(&run, &error))?;
    let told = fs::read_to_string(&log)?;
    println!(
        "{target}: {} runs, {} a second",
        statistic(&told, "number_of_executed_units"),
        statistic(&told, "average_exec_per_sec")
    );
    if status.success() { Ok(()) } else { Err(crash(target, &told, &log)) }
}

/// What was found, and the command that does it again.
fn crash(target: &str, told: &str, log: &Path) -> Failure {
    let Some((_, input)) = told.lines().find_map(|line| line.split_once("Test unit written to ")) else {
        return Failure::new(format!("{target} ended early; see {}", log.display()));
    };
    let build = folder().join("build");
    Failure::new(format!(
        "an input breaks it; see {}. Again: RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir {} {target} {input}",
        log.display(),
        build.display()
    ))
}

/// A figure of libFuzzer's closing lines, `stat::NAME: FIGURE`.
fn statistic<'told>(told: &'told str, name: &str) -> &'told str {
    let value = |line: &'told str| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':');
    told.lines().find_map(value).map_or("unknown", str::trim)
}

/// Sanitizers are unstable options of the compiler; `RUSTC_BOOTSTRAP` lets the stable one have them.
fn cargo_fuzz(words: &[&str]) -> Command {
    let mut command = cargo(&["fuzz"]);
    command.args(words).env("RUSTC_BOOTSTRAP", "1");
    command
}

fn folder_of(kind: &str, target: &str) -> Outcome<PathBuf> {
    let folder = folder().join(kind).join(target);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn folder() -> PathBuf {
    places::target().join("fuzz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_read_from_the_closing_lines() {
        let told = "#5 DONE\nstat::number_of_executed_units: 71234\nstat::average_exec_per_sec:     2374\n";
        assert_eq!(statistic(told, "average_exec_per_sec"), "2374");
        assert_eq!(statistic(told, "number_of_executed_units"), "71234");
        assert_eq!(statistic("", "average_exec_per_sec"), "unknown");
    }

    #[test]
    fn a_crash_tells_how_to_see_it_again() {
        let told = "artifact_prefix='x'; Test unit written to /x/crash-1\n";
        let failure = crash("json_frames", told, Path::new("json_frames.log")).to_string();
        assert!(
            failure.contains("cargo fuzz run") && failure.ends_with("json_frames /x/crash-1"),
            "{failure}"
        );
    }
}

//! Placeholder for the benchmark.

/// What `tidings bench` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the benchmark.
pub(crate) fn run(_args: Args) -> std::process::ExitCode {
    eprintln!("tidings bench: not there yet");
    std::process::ExitCode::from(70)
}

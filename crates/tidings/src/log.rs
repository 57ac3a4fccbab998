//! The log: named events on stderr, where they do not mix with what is meant for scripts.
//!
//! `TIDINGS_LOG` says how much (`warn`, `info`, `debug`, or per module as `tidings_shard=debug`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts writing events to stderr.
pub(crate) fn start() {
    let filter = EnvFilter::builder()
        .with_env_var("TIDINGS_LOG")
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

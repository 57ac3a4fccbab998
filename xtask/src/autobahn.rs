//! `cargo xtask autobahn`: the Autobahn suite against `/echo`. It owns how the suite is had and judged, and refuses to call
//! anything good that the suite does not.

use crate::failure::{Failure, Outcome};

/// What `cargo xtask autobahn` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Chapters 1 to 7, 9 and 10 only: all but compression.
    #[arg(long)]
    quick: bool,
    /// Only these cases, as the suite names them: `5.*` or `9.1.6`; may be given several times.
    #[arg(long, value_name = "GLOB")]
    cases: Vec<String>,
}

/// Runs the suite.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    Err(Failure::new(format!(
        "there is no suite yet (quick: {}, cases: {:?})",
        arguments.quick, arguments.cases
    )))
}

//! `cargo xtask test`: everything that a change must pass, from a fresh machine to the closing line. It owns the order of
//! the steps, and refuses to skip one without saying so.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::install::{self, Probe};
use crate::steps::Steps;
use crate::{autobahn, check, end_to_end, fuzz, sim};

/// What the tests of the workspace start, and the Debian package that has it.
const PROGRAMS: [(Probe, &str); 3] = [
    (Probe::Program("redis-server"), "redis-server"),
    (Probe::Program("redis-cli"), "redis-tools"),
    (Probe::Program("faketime"), "faketime"),
];

/// Another server that speaks as Redis does: the engine's suite is run over it as well, and leaves it out where it is
/// not there.
const VALKEY: (Probe, &str) = (Probe::Program("valkey-server"), "valkey-server");

/// What `cargo xtask test` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out what takes longest to install and to run: the end-to-end tests and the Autobahn suite.
    #[arg(long)]
    quick: bool,
}

/// Runs all steps and prints how each went.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut steps = Steps::default();
    steps.run("programs for the tests of the workspace", || install::debian_packages(&PROGRAMS));
    if let Err(failure) = install::debian_package_if_offered(&VALKEY.0, VALKEY.1) {
        steps.absent("engine over Valkey", &failure);
    }
    check::add_to(&mut steps);
    sim::add_share_to(&mut steps);
    steps.run("fuzz targets compile", fuzz::check);
    if arguments.quick {
        let left_out = Failure::new("left out by --quick");
        steps.absent("end to end", &left_out);
        steps.absent("Autobahn suite, quick part", &left_out);
    } else {
        end_to_end::add_to(&mut steps);
        autobahn::add_quick_to(&mut steps);
    }
    steps.finish()
}

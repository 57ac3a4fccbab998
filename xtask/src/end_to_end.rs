//! `cargo xtask e2e`: Chromium and other clients that nobody here wrote, and the JavaScript client, against the real binary. It owns
//! how the tests in `e2e/` and `clients/js` are installed for and started, and refuses to know what they test.

use std::fs;
use std::process::{Command, ExitCode};

use crate::command::{cargo, command, run as run_command};
use crate::failure::{Failure, Outcome};
use crate::install::{self, Probe};
use crate::places;
use crate::steps::Steps;

/// What the tests run, and the Debian package that has it.
const PROGRAMS: [(Probe, &str); 9] = [
    (Probe::Program("chromium"), "chromium"),
    (Probe::Program("node"), "nodejs"),
    (Probe::Program("npm"), "npm"),
    (Probe::Program("curl"), "curl"),
    (Probe::Program("nginx"), "nginx"),
    (Probe::Program("haproxy"), "haproxy"),
    (Probe::Program("redis-server"), "redis-server"),
    (Probe::Program("python3"), "python3"),
    (Probe::PythonModule("ensurepip"), "python3-venv"),
];

/// A browser that hangs is ended: all tests together take about a minute.
const SECONDS_MAX: &str = "900";

/// Runs the two steps by themselves.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    add_to(&mut steps);
    steps.finish()
}

/// Adds the installation and the tests to a longer run.
pub(crate) fn add_to(steps: &mut Steps) {
    let installed = steps.run("programs for the end-to-end tests", prepare);
    if installed {
        steps.run("JavaScript client", build_and_test_javascript);
        steps.run("end to end", run_tests);
    } else {
        let reason = Failure::new("what it runs could not be installed");
        steps.run("end to end", || Err(reason));
    }
}

fn prepare() -> Outcome {
    install::debian_packages(&PROGRAMS)?;
    install::twice(|| run_command(command("node", &["e2e/prepare.mjs"])))
}

/// Its size is bounded, and the page's copy of it must be what was built.
fn build_and_test_javascript() -> Outcome {
    run_command(command("node", &["clients/js/build.mjs", "--check"]))?;
    let files = test_files("clients/js/test")?;
    run_command(node_tests(&files))
}

fn run_tests() -> Outcome {
    run_command(cargo(&["build", "--package", "tidings"]))?;
    let mut node = node_tests(&test_files("e2e")?);
    node.env("TIDINGS_BIN", places::tidings_binary("debug"));
    run_command(node)
}

fn node_tests(files: &[String]) -> Command {
    let mut words = vec!["--foreground", SECONDS_MAX, "node", "--test"];
    words.extend(files.iter().map(String::as_str));
    command("timeout", &words)
}

/// Every `*.test.mjs` of a folder: named one by one, because older Nodes take no pattern.
fn test_files(folder: &str) -> Outcome<Vec<String>> {
    let names = fs::read_dir(places::repository().join(folder))?
        .flatten()
        .map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy()));
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".test.mjs")).collect();
    files.sort();
    if files.is_empty() { Err(Failure::new(format!("{folder}/ has no *.test.mjs"))) } else { Ok(files) }
}

//! `cargo xtask autobahn`: the Autobahn suite against `/echo`. It owns what is run and how the server is set for it, and
//! refuses to call anything good that the suite does not.

mod mirror;
mod suite;
mod tree;
mod verdict;

use std::path::PathBuf;

use crate::command::{cargo, run as run_command};
use crate::failure::{Failure, Outcome};
use crate::places;
use crate::server::Server;
use crate::steps::Steps;
use suite::{Part, Reports};
use tree::Tree;

/// What `cargo xtask autobahn` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Chapters 1 to 7, 9 and 10 only: all but compression.
    #[arg(long)]
    quick: bool,
    /// Only these cases, as the suite names them: `5.*` or `9.1.6`; may be given several times.
    #[arg(long, value_name = "GLOB", conflicts_with = "quick")]
    cases: Vec<String>,
    /// Ask this server instead of a `tidings` built and started for it, such as `ws://127.0.0.1:9001/`.
    #[arg(long)]
    url: Option<String>,
}

/// Chapters 1 to 7, 9 and 10, in parts of about the same length: half of the work is large messages.
const QUICK: [&[&str]; 3] = [
    &["9.1.*", "9.2.*", "9.3.*"],
    &["9.4.*", "9.5.*", "9.6.*", "9.7.*", "9.8.*"],
    &["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"],
];
/// Compression: chapters 12 and 13.
const COMPRESSION: [&[&str]; 4] = [
    &["12.1.*", "12.2.*", "12.3.*"],
    &["12.4.*", "12.5.*", "13.1.*"],
    &["13.2.*", "13.3.*", "13.4.*"],
    &["13.5.*", "13.6.*", "13.7.*"],
];
/// The suite's own count: fewer would mean that it was not the whole suite.
const QUICK_CASES: usize = 301;
const ALL_CASES: usize = 517;

/// Makes what is missing, runs the suite, prints the verdict.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let tree = Tree::had_in(&folder())?;
    if let Some(url) = &arguments.url {
        return examine(&tree, url, arguments);
    }
    run_command(cargo(&["build", "--package", "tidings"]))?;
    let mut server = start_server()?;
    let url = format!("{}/echo", server.address.replacen("http", "ws", 1));
    let verdict = examine(&tree, &url, arguments);
    if !server.is_running() {
        return Err(Failure::new(format!("the server ended during the run; see {}", server_log().display())));
    }
    verdict
}

/// Adds the quick part to a longer run. Where the suite cannot be had, that is said, and counts as neither good nor bad.
pub(crate) fn add_quick_to(steps: &mut Steps) {
    let name = "Autobahn suite, quick part";
    // Dropped here, because the step takes the tree's lock again.
    let tree = Tree::had_in(&folder()).map(drop);
    match tree {
        Ok(()) => {
            steps.run(name, || run(&Arguments { quick: true, cases: Vec::new(), url: None }));
        }
        Err(reason) => steps.absent(name, &reason),
    }
}

fn examine(tree: &Tree, url: &str, arguments: &Arguments) -> Outcome {
    let reports = suite::run(tree, url, &parts(arguments), &folder().join("reports"))?;
    eprintln!("each case's report is in {}", folder().join("reports").display());
    verdict::announce(&reports)?;
    check_count(&reports, arguments)
}

fn parts(arguments: &Arguments) -> Vec<Part> {
    if !arguments.cases.is_empty() {
        return vec![arguments.cases.clone()];
    }
    let compression = if arguments.quick { &[][..] } else { &COMPRESSION };
    // The longest first, so that no core idles at the end.
    compression.iter().chain(&QUICK).map(|part| part.iter().map(ToString::to_string).collect()).collect()
}

fn check_count(reports: &Reports, arguments: &Arguments) -> Outcome {
    let expected = match arguments {
        Arguments { cases, .. } if !cases.is_empty() => return Ok(()),
        Arguments { quick: true, .. } => QUICK_CASES,
        _ => ALL_CASES,
    };
    if reports.len() == expected {
        return Ok(());
    }
    Err(Failure::new(format!("{} cases were run where the suite has {expected}", reports.len())))
}

/// The suite sends messages of 16 MiB and one of 65,536 fragments, faster than a person would.
fn start_server() -> Outcome<Server> {
    let flags = [
        "--echo",
        "--message-bytes-max",
        "16777216",
        "--fragments-max",
        "100000",
        "--outbox-bytes-max",
        "67108864",
        "--messages-per-second-max",
        "0",
    ];
    Server::start(&places::tidings_binary("debug"), &flags, &server_log())
}

fn server_log() -> PathBuf {
    folder().join("server.log")
}

fn folder() -> PathBuf {
    places::target().join("autobahn")
}

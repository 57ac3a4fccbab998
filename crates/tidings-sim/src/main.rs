//! `tidings-sim`: scenarios of many seeds on all cores, until the time is over or one fails.
//!
//! What developers type is `cargo xtask sim`. Refuses to go on after a failure: the first seed that
//! fails is told with what happened last, and how to see it again.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use tidings_sim::Scenario;

/// Runs seeded scenarios in bad weather: shards, clients and faults on a simulated network.
#[derive(Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Arguments {
    /// Only this seed, with all that happens and is seen: to understand a failure.
    #[arg(long, conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// These seeds, the last one left out: FROM..TO. Without them, seeds that nobody has tried yet.
    #[arg(long, value_parser = range)]
    seeds: Option<Range<u64>>,
    /// Ends after so long. Without it, after the last of the seeds, or after a minute.
    #[arg(long)]
    minutes: Option<f64>,
    /// Goes on after a failure and lists all seeds that fail.
    #[arg(long)]
    keep_going: bool,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("give FROM..TO")?;
    let number = |text: &str| text.parse().map_err(|error| format!("{text:?}: {error}"));
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err("no seed lies between".to_owned()) } else { Ok(range) }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (seeds, default_minutes) = match (arguments.seed, arguments.seeds) {
        (Some(seed), _) => (seed..seed + 1, f64::INFINITY),
        (None, Some(seeds)) => (seeds, f64::INFINITY),
        (None, None) => (new_ground()..u64::MAX, 1.0),
    };
    let minutes = arguments.minutes.unwrap_or(default_minutes);
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));

    let started = Instant::now();
    let is_over = |started: Instant| started.elapsed().as_secs_f64() >= minutes * 60.0;
    let (next, done, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(0), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    eprintln!("seeds from {} on, on {threads} threads", seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over(started) && (arguments.keep_going || !failed.load(Ordering::Relaxed)) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if !passes(seed, arguments.seed.is_some()) {
                        failed.store(true, Ordering::Relaxed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });

    let done = done.into_inner();
    let elapsed = started.elapsed().max(Duration::from_millis(1));
    let per_minute = done as f64 * 60.0 / elapsed.as_secs_f64();
    println!("{done} seeds in {:.1} s, {per_minute:.0} a minute", elapsed.as_secs_f64());
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A failure is told by the panic's message, and by the scenario as it unwinds.
fn passes(seed: u64, is_loud: bool) -> bool {
    let scenario = || if is_loud { Scenario::new(seed).loud() } else { Scenario::new(seed) };
    let passed = catch_unwind(AssertUnwindSafe(|| scenario().run())).is_ok();
    if !passed {
        println!("FAILED: seed {seed}. Again: cargo xtask sim --seed {seed}");
    }
    passed
}

/// Seeds differ from run to run, so that each looks where no other did.
fn new_ground() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() * 1_000_000
}

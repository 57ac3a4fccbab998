//! `cargo xtask bench`: the scenarios of `tidings bench` in a release build, one after another, each next to its bare loop.
//! It owns which are run and where the figures are kept, and refuses to measure anything itself.

use std::fs::{self, File};
use std::io::Write;
use std::process::{ExitCode, Stdio};

use serde_json::{Value, json};

use crate::command::{cargo, command, could_not_start, run as run_command};
use crate::failure::{Failure, Outcome};
use crate::places;
use crate::steps::Steps;

/// What `cargo xtask bench` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Smaller and shorter: to see that it works, not to compare.
    #[arg(long)]
    quick: bool,
    /// Only the runs of these scenarios: fanout, rooms, idle, storm, echo, drops, presence, cluster, failover.
    scenarios: Vec<String>,
}

/// A run as it would be typed after `tidings bench`, and the sizes that `--quick` leaves to the scenario.
struct Run {
    scenario: &'static str,
    sizes: &'static str,
    /// Whether there is a bare loop to compare with.
    has_floor: bool,
}

/// One at a time: two would measure each other.
const RUNS: [Run; 17] = [
    Run { scenario: "idle", sizes: "--connections 10000", has_floor: true },
    Run { scenario: "idle --transport sse", sizes: "--connections 10000", has_floor: true },
    Run { scenario: "idle --transport poll", sizes: "--connections 10000", has_floor: true },
    Run { scenario: "fanout --burst 1", sizes: "--members 5000 --bytes 128", has_floor: true },
    Run { scenario: "fanout --burst 16", sizes: "--members 5000 --bytes 128", has_floor: true },
    Run { scenario: "fanout --flood", sizes: "--members 1000 --bytes 128", has_floor: true },
    Run { scenario: "fanout --stalled 1", sizes: "--members 1000 --bytes 128", has_floor: true },
    Run { scenario: "fanout --transport sse", sizes: "--members 5000 --bytes 128", has_floor: true },
    Run { scenario: "fanout --transport poll", sizes: "--members 1000 --bytes 128", has_floor: true },
    Run { scenario: "rooms", sizes: "--connections 1000 --size 10", has_floor: true },
    Run { scenario: "echo", sizes: "--connections 100", has_floor: true },
    Run { scenario: "storm", sizes: "--connections 9000", has_floor: true },
    Run { scenario: "presence", sizes: "--users 1000,5000,10000", has_floor: false },
    Run { scenario: "drops", sizes: "--clients 200", has_floor: false },
    Run { scenario: "cluster", sizes: "--connections 1000 --size 10", has_floor: false },
    Run { scenario: "cluster --saturate 15", sizes: "--connections 1000", has_floor: false },
    Run { scenario: "failover", sizes: "--clients 10000 --size 10", has_floor: false },
];

/// Runs the scenarios and prints what they measured.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut steps = Steps::default();
    let mut results = None;
    let is_built = steps.run("release build", || {
        run_command(cargo(&["build", "--release", "--package", "tidings"]))?;
        fs::create_dir_all(places::target().join("bench"))?;
        results = Some(File::create(places::target().join("bench/results.jsonl"))?);
        Ok(())
    });
    if let (true, Some(mut results)) = (is_built, results) {
        for run in RUNS.iter().filter(|run| run.is_wanted(&arguments.scenarios)) {
            steps.run(&run.line(arguments.quick), || measure(run, arguments.quick, &mut results));
        }
        eprintln!("\nthe figures are in {}", places::target().join("bench/results.jsonl").display());
    }
    steps.finish()
}

impl Run {
    fn is_wanted(&self, scenarios: &[String]) -> bool {
        let scenario = self.scenario.split(' ').next().unwrap_or_default();
        scenarios.is_empty() || scenarios.iter().any(|wanted| wanted == scenario)
    }

    fn line(&self, quick: bool) -> String {
        format!("bench {} {}", self.scenario, if quick { "--quick" } else { self.sizes })
    }
}

fn measure(run: &Run, quick: bool, results: &mut File) -> Outcome {
    let line = run.line(quick);
    let mut words: Vec<&str> = line.split(' ').collect();
    words.push("--json");
    if run.has_floor {
        words.push("--floor");
    }
    let mut bench = command(places::tidings_binary("release"), &words);
    bench.stderr(Stdio::inherit());
    let output = bench.output().map_err(|error| could_not_start(&bench, &error))?;
    let told = String::from_utf8_lossy(&output.stdout);
    for result in told.lines().filter(|text| text.starts_with('{')) {
        let result: Value = serde_json::from_str(result)?;
        writeln!(results, "{}", json!({ "run": line, "result": result }))?;
        print!("{}", table(&result));
    }
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`tidings {}` ended with {}", words.join(" "), output.status)))
}

/// One line for each figure, whatever the scenario calls it.
fn table(result: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", result, &mut rows);
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    rows.iter().map(|(name, figure)| format!("  {name:<width$}  {figure}\n")).collect()
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, field, rows);
            }
        }
        Value::String(text) => rows.push((prefix.to_owned(), text.clone())),
        other => rows.push((prefix.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_figure_however_deep() {
        let result = json!({ "scenario": "echo", "latency": { "p99_ms": 3.5 } });
        assert_eq!(table(&result), "  latency.p99_ms  3.5\n  scenario        echo\n");
    }

    #[test]
    fn only_the_named_scenarios_are_run() {
        let run = Run { scenario: "fanout --flood", sizes: "--members 1000", has_floor: true };
        assert!(run.is_wanted(&[]));
        assert!(run.is_wanted(&["idle".to_owned(), "fanout".to_owned()]));
        assert!(!run.is_wanted(&["idle".to_owned()]));
    }
}

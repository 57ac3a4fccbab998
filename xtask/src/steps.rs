//! A run as a list of named steps: all are run even when one fails, and a table at the end says how each went. It owns the
//! closing line `N passed, N failed`, and refuses to call a run good in which nothing was done.

use std::process::ExitCode;
use std::time::Instant;

use crate::failure::{Failure, Outcome};

enum End {
    Passed,
    /// Not run, for a reason that is said aloud. It never counts as passed.
    Absent(String),
    Failed(String),
}

struct Step {
    name: String,
    end: End,
    seconds: f64,
}

/// The steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

impl Steps {
    /// Runs one step and remembers how it went; a failure does not stop the steps after it.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Outcome) -> bool {
        eprintln!("\n=== {name}");
        let started = Instant::now();
        let end = match step() {
            Ok(()) => End::Passed,
            Err(failure) => {
                eprintln!("{name} failed: {failure}");
                End::Failed(failure.to_string())
            }
        };
        let passed = matches!(end, End::Passed);
        self.done.push(Step { name: name.to_owned(), end, seconds: started.elapsed().as_secs_f64() });
        passed
    }

    /// Notes a step that cannot be run here, and why.
    pub(crate) fn absent(&mut self, name: &str, reason: &Failure) {
        eprintln!("\n=== {name}\nNOT RUN: {reason}");
        self.done.push(Step { name: name.to_owned(), end: End::Absent(reason.to_string()), seconds: 0.0 });
    }

    /// Prints the table and the closing line; the run is good when something passed and nothing failed.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for step in &self.done {
            println!("{}", row(step));
        }
        let passed = self.count(|end| matches!(end, End::Passed));
        let failed = self.count(|end| matches!(end, End::Failed(_)));
        let absent = self.count(|end| matches!(end, End::Absent(_)));
        let skipped = if absent == 0 { String::new() } else { format!(", {absent} skipped") };
        println!("\n{passed} passed, {failed} failed{skipped}");
        if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn count(&self, is_so: impl Fn(&End) -> bool) -> usize {
        self.done.iter().filter(|step| is_so(&step.end)).count()
    }
}

fn row(step: &Step) -> String {
    let (word, detail) = match &step.end {
        End::Passed => ("passed", ""),
        End::Absent(reason) => ("NOT RUN", first_line(reason)),
        End::Failed(reason) => ("FAILED", first_line(reason)),
    };
    format!("{word:<8} {:>6.1} s  {}  {detail}", step.seconds, step.name).trim_end().to_owned()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

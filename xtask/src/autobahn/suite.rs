//! Running the suite's client against a server, in parts that run side by side. It owns the parts, their reports and how
//! long one may take, and refuses to judge.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::tree::Tree;
use crate::command::{could_not_start, run_as_root};
use crate::failure::{Failure, Outcome};
use crate::places::text;

/// Cases by pattern, as one process of the suite runs them one after another.
pub(super) type Part = Vec<String>;

/// What the suite says of one case.
pub(super) struct Report {
    pub(super) behavior: String,
    pub(super) behavior_close: String,
    /// What happened, in the suite's words.
    pub(super) result: String,
}

/// Reports by case; `None` where a case was announced and never ran.
pub(super) type Reports = BTreeMap<CaseId, Option<Report>>;

/// A case's number, such as 9.1.6, in the order in which people count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CaseId(Vec<u32>);

/// A part that takes longer is ended: the slowest takes a quarter of this on two cores.
const PART_SECONDS_MAX: &str = "1500";
/// A line of progress after so many cases.
const PROGRESS_CASES: usize = 50;

/// Runs all parts, as many at a time as there are cores, and keeps every report in `reports`.
pub(super) fn run(tree: &Tree, url: &str, parts: &[Part], reports: &Path) -> Outcome<Reports> {
    if reports.is_dir() {
        fs::remove_dir_all(reports)?;
    }
    fs::create_dir_all(reports)?;
    run_as_root("rm", &["-rf", text(&tree.host_path("/suite"))])?;
    run_as_root("mkdir", &["-p", text(&tree.host_path("/suite"))])?;
    let workers = thread::available_parallelism().map_or(2, usize::from).min(parts.len());
    let waiting = Mutex::new(parts.iter().enumerate());
    let found = Mutex::new(Ok(Reports::new()));
    let cases_run = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((number, part)) = next(&waiting) {
                    let run = PartRun {
                        tree,
                        url,
                        part,
                        name: format!("part-{number}"),
                        reports,
                        cases_run: &cases_run,
                    };
                    merge(&found, run.to_its_end());
                }
            });
        }
    });
    found.into_inner().expect("no part panicked while it held the reports")
}

fn next<'parts>(
    waiting: &Mutex<impl Iterator<Item = (usize, &'parts Part)>>,
) -> Option<(usize, &'parts Part)> {
    waiting.lock().expect("taking a part does not panic").next()
}

fn merge(found: &Mutex<Outcome<Reports>>, part: Outcome<Reports>) {
    let mut found = found.lock().expect("merging does not panic");
    match (found.as_mut(), part) {
        (Ok(all), Ok(part)) => all.extend(part),
        (Ok(_), Err(failure)) => *found = Err(failure),
        (Err(_), _) => {}
    }
}

struct PartRun<'run> {
    tree: &'run Tree,
    url: &'run str,
    part: &'run Part,
    name: String,
    reports: &'run Path,
    cases_run: &'run AtomicUsize,
}

impl PartRun<'_> {
    fn to_its_end(&self) -> Outcome<Reports> {
        self.write_specification()?;
        let announced = self.run_client()?;
        let inside = self.tree.host_path(&format!("/suite/{}", self.name));
        for file in fs::read_dir(&inside)?.flatten() {
            fs::copy(file.path(), self.reports.join(&self.name).join(file.file_name()))?;
        }
        read_reports(&inside, announced)
    }

    fn write_specification(&self) -> Outcome {
        let folder = self.reports.join(&self.name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("specification.json");
        let specification = json!({
            "outdir": format!("/suite/{}", self.name),
            "servers": [{ "agent": "tidings", "url": self.url }],
            "cases": self.part,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        });
        fs::write(&file, specification.to_string())?;
        run_as_root("cp", &[text(&file), text(&self.tree.host_path(&format!("/suite/{}.json", self.name)))])
    }

    /// Runs the suite's client; gives the cases that it said it would run.
    fn run_client(&self) -> Outcome<Vec<CaseId>> {
        let specification = format!("/suite/{}.json", self.name);
        let words = [
            "timeout",
            "--foreground",
            PART_SECONDS_MAX,
            "wstest",
            "--mode",
            "fuzzingclient",
            "--spec",
            &specification,
        ];
        let folder = self.reports.join(&self.name);
        let mut command = self.tree.command(&words)?;
        command.stdout(Stdio::piped()).stderr(fs::File::create(folder.join("stderr.log"))?);
        let mut client = command.spawn().map_err(|error| could_not_start(&command, &error))?;
        let output = client.stdout.take().expect("the client's output was piped a line above");
        let announced = self.follow(BufReader::new(output), &folder.join("stdout.log"))?;
        let status = client.wait()?;
        if status.success() && !announced.is_empty() {
            return Ok(announced);
        }
        Err(Failure::new(format!("the suite's client ended with {status}; see {}", folder.display())))
    }

    /// Reads what the client prints: the cases it will run, then a line for each.
    fn follow(&self, output: impl BufRead, log: &Path) -> Outcome<Vec<CaseId>> {
        let mut log = fs::File::create(log)?;
        let mut announced = Vec::new();
        for line in output.lines() {
            let line = line?;
            writeln!(log, "{line}")?;
            if let Some(cases) = line.strip_prefix("Cases = ") {
                announced = cases.split('\'').filter_map(CaseId::parse).collect();
            } else if line.starts_with("Running test case") {
                self.count_one();
            }
        }
        Ok(announced)
    }

    fn count_one(&self) {
        let run = self.cases_run.fetch_add(1, Ordering::Relaxed) + 1;
        if run.is_multiple_of(PROGRESS_CASES) {
            eprintln!("{run} cases run");
        }
    }
}

fn read_reports(folder: &Path, announced: Vec<CaseId>) -> Outcome<Reports> {
    let index = read_json(&folder.join("index.json"))?;
    let mut reports: Reports = announced.into_iter().map(|case| (case, None)).collect();
    for (name, entry) in index["tidings"].as_object().into_iter().flatten() {
        if let Some(case) = CaseId::parse(name) {
            reports.insert(case, Some(Report::read(folder, entry)?));
        }
    }
    Ok(reports)
}

/// Reads a report. Python writes down half a surrogate pair where a case was about one; JSON has no such character, so another
/// is put in its place.
fn read_json(file: &Path) -> Outcome<Value> {
    let text = fs::read_to_string(file)?.replace("\\ud", "\\uf");
    serde_json::from_str(&text)
        .map_err(|error| Failure::from(error).while_doing(&format!("reading {}", file.display())))
}

impl Report {
    fn read(folder: &Path, entry: &Value) -> Outcome<Self> {
        let field = |value: &Value, name: &str| value[name].as_str().unwrap_or("no word").to_owned();
        let file = folder.join(field(entry, "reportfile"));
        let details = read_json(&file)?;
        Ok(Self {
            behavior: field(entry, "behavior"),
            behavior_close: field(entry, "behaviorClose"),
            result: format!("{} {}", field(&details, "result"), field(&details, "resultClose")),
        })
    }
}

impl CaseId {
    /// Reads `9.1.6`; nothing else is a case.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
        numbers.filter(|numbers| numbers.len() > 1).map(Self)
    }

    /// The first number: what the suite groups its cases by.
    pub(super) fn chapter(&self) -> u32 {
        self.0[0]
    }
}

impl std::fmt::Display for CaseId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        formatter.write_str(&numbers.join("."))
    }
}

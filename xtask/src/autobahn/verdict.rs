//! Judging the reports: a table by chapter, and every case named that is not as it should be. It owns the list of cases
//! that may be non-strict, and refuses any other and any case that did not run.

use std::collections::BTreeMap;

use super::suite::{CaseId, Report, Reports};
use crate::failure::{Failure, Outcome};

/// Cases that may be NON-STRICT, each with its reason.
const NON_STRICT_BY_CHOICE: [(&str, &str); 0] = [];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    NonStrict,
    Informational,
    Failed,
}

/// Prints the table and the cases to look at; good when every case is OK, informational, or non-strict by choice.
pub(super) fn announce(reports: &Reports) -> Outcome {
    print!("{}", table(reports));
    let refused: Vec<&CaseId> = reports.keys().filter(|case| !is_accepted(case, &reports[*case])).collect();
    for case in &refused {
        println!("{case}: {}", complaint(&reports[*case]));
    }
    if reports.is_empty() {
        return Err(Failure::new("no case was run"));
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{} of {} cases are not as they should be", refused.len(), reports.len())))
}

fn grade(report: &Option<Report>) -> Grade {
    let Some(report) = report else { return Grade::Failed };
    match (report.behavior.as_str(), report.behavior_close.as_str()) {
        ("INFORMATIONAL", "OK" | "INFORMATIONAL") => Grade::Informational,
        ("OK", "OK" | "INFORMATIONAL") => Grade::Ok,
        ("NON-STRICT", "OK" | "INFORMATIONAL") => Grade::NonStrict,
        _ => Grade::Failed,
    }
}

fn is_accepted(case: &CaseId, report: &Option<Report>) -> bool {
    match grade(report) {
        Grade::Ok | Grade::Informational => true,
        Grade::NonStrict => NON_STRICT_BY_CHOICE.iter().any(|(chosen, _)| *chosen == case.to_string()),
        Grade::Failed => false,
    }
}

fn complaint(report: &Option<Report>) -> String {
    match report {
        None => "did not run: could the server still be reached?".to_owned(),
        Some(report) => format!("{}, closing {}: {}", report.behavior, report.behavior_close, report.result),
    }
}

fn table(reports: &Reports) -> String {
    let mut chapters: BTreeMap<u32, Vec<Grade>> = BTreeMap::new();
    for (case, report) in reports {
        chapters.entry(case.chapter()).or_default().push(grade(report));
    }
    let mut text = format!(
        "{:>8}{:>8}{:>8}{:>12}{:>15}{:>8}\n",
        "chapter", "cases", "OK", "non-strict", "informational", "failed"
    );
    for (chapter, grades) in &chapters {
        text.push_str(&row(&chapter.to_string(), grades));
    }
    text + &row("all", &chapters.into_values().flatten().collect::<Vec<_>>())
}

fn row(name: &str, grades: &[Grade]) -> String {
    let count = |wanted| grades.iter().filter(|grade| **grade == wanted).count();
    let (ok, non_strict) = (count(Grade::Ok), count(Grade::NonStrict));
    let (informational, failed) = (count(Grade::Informational), count(Grade::Failed));
    format!("{name:>8}{:>8}{ok:>8}{non_strict:>12}{informational:>15}{failed:>8}\n", grades.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(behavior: &str, behavior_close: &str) -> Option<Report> {
        Some(Report {
            behavior: behavior.to_owned(),
            behavior_close: behavior_close.to_owned(),
            result: String::new(),
        })
    }

    fn reports_of(entries: Vec<(&str, Option<Report>)>) -> Reports {
        entries.into_iter().map(|(case, report)| (CaseId::parse(case).unwrap(), report)).collect()
    }

    #[test]
    fn ok_and_informational_cases_are_good() {
        let reports = reports_of(vec![
            ("1.1.1", report("OK", "OK")),
            ("7.1.6", report("INFORMATIONAL", "INFORMATIONAL")),
        ]);
        assert!(announce(&reports).is_ok());
    }

    #[test]
    fn a_non_strict_case_a_wrong_close_and_a_missing_case_are_each_refused() {
        for bad in
            [report("NON-STRICT", "OK"), report("OK", "WRONG CODE"), report("UNIMPLEMENTED", "OK"), None]
        {
            assert!(announce(&reports_of(vec![("1.1.1", report("OK", "OK")), ("6.4.1", bad)])).is_err());
        }
    }

    #[test]
    fn a_run_without_a_case_is_not_good() {
        assert!(announce(&Reports::new()).is_err());
    }

    #[test]
    fn the_table_counts_by_chapter_in_numerical_order() {
        let reports =
            reports_of(vec![("10.1.1", report("OK", "OK")), ("9.1.1", None), ("9.1.2", report("OK", "OK"))]);
        let rows: Vec<Vec<String>> =
            table(&reports).lines().map(|row| row.split_whitespace().map(str::to_owned).collect()).collect();
        assert_eq!(rows[1], ["9", "2", "1", "0", "0", "1"]);
        assert_eq!(rows[2], ["10", "1", "1", "0", "0", "0"]);
        assert_eq!(rows[3], ["all", "3", "2", "0", "0", "1"]);
    }
}

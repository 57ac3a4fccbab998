//! How a check is told, to people and to machines.

use serde_json::json;

use super::checks::{Check, State};

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One line, and one below it for the remedy.
pub(super) fn plain(check: &Check) -> String {
    let line = format!("{:<5}{:<19}{}", check.state.name(), check.name.replace('_', " "), check.found);
    if check.remedy.is_empty() { line } else { format!("{line}\n{:5}-> {}", "", check.remedy) }
}

/// One object; `remedy` is empty where none is needed.
pub(super) fn json(check: &Check) -> String {
    let state = check.state.name().to_ascii_lowercase();
    json!({ "check": check.name, "state": state, "found": check.found, "remedy": check.remedy }).to_string()
}

/// A count with its thousands separated.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A size in the unit that fits it.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = units.into_iter().find(|&(unit, _)| bytes >= unit) else {
        return format!("{bytes} B");
    };
    // Tenths in whole numbers: a figure for people needs no more.
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_as_people_read_them() {
        assert_eq!(
            [0, 999, 1_000, 51_280, 1_048_576].map(count),
            ["0", "999", "1,000", "51,280", "1,048,576"]
        );
        assert_eq!(
            [0, 1_024, 1_572_864, 12 << 30, u64::MAX].map(size),
            ["0 B", "1.0 KiB", "1.5 MiB", "12.0 GiB", "17179869183.9 GiB"]
        );
    }
}

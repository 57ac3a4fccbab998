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

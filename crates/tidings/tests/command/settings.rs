//! Settings as an operator gives them: which source wins, and how a wrong one is answered.

use serde_json::Value;

use crate::process::{Process, command, run};

/// The states that `doctor --json` tells, by check.
fn checks(output: &std::process::Output) -> Vec<(String, Value)> {
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"))
        .map(|check| (check["check"].as_str().expect("a check has a name").to_owned(), check))
        .collect()
}

fn found(output: &std::process::Output, name: &str) -> Value {
    checks(output).into_iter().find(|(check, _)| check == name).expect("the check is made").1
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[limits]\nping_interval_ms = 1000\nconnections_max = 10\n").unwrap();
    let config = ["doctor", "--json", "--listen", "127.0.0.1:0", "--config", file.path().to_str().unwrap()];
    let ping = |output| found(&output, "ping_interval")["found"].clone();

    assert_eq!(ping(run(&config)), "ping_interval_ms 1,000");
    let with_variable = |words: &[&str]| {
        command(&[&config, words].concat()).env("TIDINGS_PING_INTERVAL_MS", "2000").output().unwrap()
    };
    assert_eq!(ping(with_variable(&[])), "ping_interval_ms 2,000");
    assert_eq!(ping(with_variable(&["--ping-interval-ms", "3000"])), "ping_interval_ms 3,000");
}

#[test]
fn variables_alone_are_enough_to_serve() {
    let environment = [("TIDINGS_LISTEN", "127.0.0.1:0,127.0.0.1:0"), ("TIDINGS_SHARDS", "1")];
    let node = Process::with_environment(&[], &environment);
    assert_ne!(node.url(), node.url());
}

#[test]
fn wrong_settings_end_with_64_wherever_they_come_from() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[limits]\nping_interval_ms = 'soon'\n").unwrap();
    let path = file.path().to_str().unwrap();
    for (words, variables, told) in [
        (vec!["--no-such-flag"], vec![], "--no-such-flag"),
        (vec!["no-such-command"], vec![], "no-such-command"),
        (vec!["serve", "--ping-interval-ms", "soon"], vec![], "--ping-interval-ms"),
        (vec!["serve"], vec![("TIDINGS_PING_INTERVAL_MS", "soon")], "TIDINGS_PING_INTERVAL_MS"),
        (vec!["serve", "--config", path], vec![], "ping_interval_ms"),
        (vec!["serve", "--config", "/nowhere"], vec![], "/nowhere"),
        (vec!["serve", "--listen", "8080"], vec![], "127.0.0.1:8080"),
        (vec!["serve", "--engine", "disk"], vec![], "memory"),
    ] {
        let output = command(&words).envs(variables).output().unwrap();
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{words:?}: {talk}");
        assert!(talk.contains(told), "{words:?}: {talk}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_succeed() {
    for (words, told) in [
        (vec!["--version"], "tidings 0."),
        (vec!["--help"], "publish"),
        (vec!["serve", "--help"], "--outbox-bytes-max"),
    ] {
        let output = run(&words);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(told), "{words:?}");
    }
}

#[test]
fn doctor_fails_where_the_node_could_not_hold_what_it_is_told_to() {
    let fits =
        ["doctor", "--json", "--listen", "127.0.0.1:0", "--connections-max", "10", "--refusals-max", "10"];
    let output = run(&fits);
    assert_eq!((output.status.code(), &found(&output, "open_files")["state"]), (Some(0), &"ok".into()));
    // More than any kernel lets a process open by default (fs.nr_open), root or not.
    let exceeds = ["doctor", "--listen", "127.0.0.1:0", "--connections-max", "10000000"];
    let output = run(&exceeds);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("FAIL open files") && told.contains("LimitNOFILE="), "{told}");
}

#[test]
fn a_plan_says_what_it_counts_with_and_what_it_does_not() {
    let output = run(&["plan", "--users", "1000000", "--rooms", "100000", "--rate", "10000"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in ["nodes", "Redis servers", "docs/benchmarks.md", "docs/scaling.md", "Not counted"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    let nothing = run(&["plan", "--users", "0", "--rooms", "1", "--rate", "1"]);
    assert_eq!(nothing.status.code(), Some(64));
}

//! What an operator sees of settings: which source wins, and what a wrong value is answered with.

use clap::Parser;
use tidings_core::SlowConsumerPolicy;
use tidings_protocol::RoomName;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn read(line: &str) -> Result<Settings, Failure> {
    let words = std::iter::once("serve").chain(line.split_whitespace());
    Settings::read(&Line::try_parse_from(words).expect("the line is well formed").flags)
}

/// The file lives as long as the handle.
fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn defaults_need_no_setting_at_all() {
    let settings = read("").unwrap();
    assert_eq!(settings.listen, [DEFAULT_ADDRESS.parse().unwrap()]);
    assert_eq!(settings.limits, Limits::default());
    assert!(
        settings.compression
            && settings.io_uring
            && !settings.echo
            && settings.shards >= 1
            && !settings.node.is_empty()
    );
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file =
        file("node = 'ams-1'\nlisten = ['127.0.0.1:1']\n[limits]\nping_interval_ms = 7\nrooms_max = 8");
    let settings = read(&format!("--config {} --ping-interval-ms 9", file.path().display())).unwrap();
    assert_eq!(settings.limits.ping_interval_ms, 9);
    assert_eq!(settings.limits.rooms_max, 8);
    assert_eq!(settings.node, "ams-1");
    assert_eq!(settings.listen, ["127.0.0.1:1".parse().unwrap()]);
}

#[test]
fn rooms_are_ruled_by_pattern_in_the_order_of_the_file() {
    let file = file(
        "[limits]\nroom_history_messages = 5\n\
         [[room]]\npattern = 'ticker:*'\nslow_consumer = 'latest'\nhistory_messages = 10\n\
         [[room]]\npattern = 't*'\nhistory_messages = 20\npresence_events = false\n",
    );
    let settings = read(&format!("--config {}", file.path().display())).unwrap();
    let of = |name: &str| settings.rules.of(&RoomName::new(name, &settings.limits).unwrap()).clone();
    assert_eq!(of("ticker:eur").slow_consumer, SlowConsumerPolicy::Latest);
    assert_eq!(of("ticker:eur").history_messages, 10);
    assert_eq!(of("tea").history_messages, 20);
    assert_eq!(of("chat").history_messages, 5);
    assert!(!of("tea").presence_events && of("chat").presence_events);
}

#[test]
fn a_wrong_value_names_setting_value_and_remedy() {
    for (line, words) in [
        ("--listen nowhere", ["listen", "nowhere", "127.0.0.1:8080"]),
        ("--shards 0", ["shards", "0", "from 1 to 64"]),
        ("--node a/b", ["node", "a/b", "letters"]),
        ("--ping-interval-ms soon", ["--ping-interval-ms", "soon", "from 1 to"]),
        ("--message-bytes-max 0", ["--message-bytes-max", "0", "from 1 to"]),
        ("--drain-timeout-ms 10", ["restart_ack_timeout_ms", "5000", "lower it"]),
        ("--config /nowhere/tidings.toml", ["config", "/nowhere/tidings.toml", "Check the path"]),
    ] {
        let failure = read(line).expect_err(line);
        let sentence = failure.to_string();
        assert!(words.iter().all(|word| sentence.contains(word)), "{line}: {sentence}");
        assert_eq!(failure, Failure::usage(sentence));
    }
}

#[test]
fn a_misspelt_key_of_the_file_is_refused() {
    for (content, word) in [
        ("lisen = ['127.0.0.1:1']", "lisen"),
        ("[limits]\npings = 1", "pings"),
        ("[limits]\nping_interval_ms = '1 s'", "ping_interval_ms"),
        ("[limits]\nping_interval_ms = -1", "ping_interval_ms"),
        ("[[room]]\npattern = 'a'\nslow_consumer = 'wait'", "wait"),
        ("engine = 'disk'", "disk"),
    ] {
        let file = file(content);
        let sentence = read(&format!("--config {}", file.path().display())).expect_err(content).to_string();
        assert!(sentence.contains(word), "{content}: {sentence}");
    }
}

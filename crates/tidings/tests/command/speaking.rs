//! `publish` and `tail`: what a script does with a room.

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, run};

fn publish(url: &str, words: &[&str]) -> String {
    let output = run(&[&["publish", "--url", url], words].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn what_is_published_is_printed_by_tail_with_the_same_id() {
    let (_node, url) = Process::node(&[]);
    let first = publish(&url, &["café", "one", "--user", "ana"]);
    let tail = Process::start(&["tail", "café", "--after", "0", "--url", &url]);
    assert_eq!(tail.line(), format!("{first}\tana\tone"));
    let second = publish(&url, &["café", "two\nlines"]);
    assert_eq!(tail.line(), format!("{second}\t-\ttwo\\nlines"));
    tail.signal(Signal::INT);
    assert_eq!(tail.end().0, Some(0), "Ctrl-C is the way it ends");
}

#[test]
fn tail_prints_json_for_machines() {
    let (_node, url) = Process::node(&[]);
    let id = publish(&url, &["a", "x", "--user", "ana"]);
    let tail = Process::start(&["tail", "a", "--after", "0", "--json", "--url", &url]);
    let line: Value = serde_json::from_str(&tail.line()).unwrap();
    assert_eq!((line["id"].to_string(), &line["user_id"], &line["text"]), (id, &"ana".into(), &"x".into()));
}

#[test]
fn tail_comes_back_after_a_restart_and_tells_what_may_be_lost() {
    let (node, url) = Process::node(&["--reconnect-after-ms", "0", "--restart-ack-timeout-ms", "0"]);
    let tail = Process::start(&["tail", "a", "--after", "0", "--url", &url]);
    publish(&url, &["a", "before"]);
    assert!(tail.line().ends_with("before"));
    node.signal(Signal::TERM);
    assert_eq!(node.end().0, Some(0));
    let _again = Process::start(&["serve", "--listen", url.strip_prefix("http://").unwrap()]);
    assert_eq!(_again.url(), url);
    publish(&url, &["a", "after"]);
    assert!(tail.line().ends_with("after"));
    tail.signal(Signal::INT);
    let (code, talk) = tail.end();
    assert_eq!(code, Some(0));
    assert!(talk.contains("may be lost"), "the log ended with the first process: {talk}");
}

#[test]
fn a_server_that_is_not_there_is_told_with_69() {
    for words in [
        ["publish", "a", "x", "--url", "http://127.0.0.1:1"].as_slice(),
        &["tail", "a", "--url", "http://127.0.0.1:1"],
    ] {
        let output = run(words);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{talk}");
        assert!(talk.contains("127.0.0.1:1") && talk.contains("tidings serve"), "{talk}");
    }
}

#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    let (_node, url) = Process::node(&["--message-bytes-max", "10"]);
    for (words, told) in [
        (["publish", "", "x", "--url", &url], "bad_room"),
        (["publish", "a", "eleven bytes", "--url", &url], "message_too_large"),
        (["publish", "a", "x", "--url", "ftp://x"], "--url"),
    ] {
        let output = run(&words);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), talk.contains(told)), (Some(64), true), "{talk}");
    }
}

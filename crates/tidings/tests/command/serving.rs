//! A node's life: where it says it listens, what ends it, and with which code.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use tidings_client::{Address, Client, Event, Options, Start, http};

use crate::process::{Process, run};

const SOON: Duration = Duration::from_secs(10);

fn get(url: &str, path: &str) -> http::Response {
    http::get(&Address::parse(url).unwrap().with_path(path)).unwrap()
}

/// A connection on which one request was answered already, as a proxy keeps it.
fn kept_alive(url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&mut stream, "\"version\"");
    stream
}

fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let mut piece = [0; 1_024];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "{text:?} does not come after {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn a_node_says_where_it_listens_serves_there_and_ends_when_asked() {
    for signal in [Signal::TERM, Signal::INT] {
        let (node, url) = Process::node(&["--node", "north"]);
        assert_eq!(get(&url, "/ready").header("tidings-node"), Some("north"));
        node.signal(signal);
        let (code, log) = node.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("NodeStarted") && log.contains("NodeStopped"), "{log}");
    }
}

#[test]
fn every_address_is_announced_and_served() {
    let node = Process::start(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let (first, second) = (node.url(), node.url());
    assert_ne!(first, second);
    for url in [first, second] {
        assert_eq!(get(&url, "/health").status, 200);
    }
}

#[test]
fn a_client_is_told_of_the_stop_and_a_second_signal_does_not_wait_for_it() {
    let patient = ["--restart-ack-timeout-ms", "3600000", "--drain-timeout-ms", "3600000"];
    let (node, url) = Process::node(&patient);
    let mut socket = kept_alive(&url);
    socket
        .write_all(
            b"GET /ws/news/ana HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    read_until(&mut socket, "\"type\":\"session\"");
    node.signal(Signal::TERM);
    read_until(&mut socket, "\"type\":\"server_restart\"");
    node.signal(Signal::TERM);
    assert_eq!(node.end().0, Some(0));
}

#[test]
fn a_websocket_on_a_kept_alive_connection_is_in_its_room() {
    let (_node, url) = Process::node(&[]);
    let mut socket = kept_alive(&url);
    socket
        .write_all(
            b"GET /ws/news/ana HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    read_until(&mut socket, "\"rooms\":[\"news\"");
    let news = Address::parse(&url).unwrap().with_path("/rooms/news/messages");
    http::post(&news, "application/json", br#"{"text":"hello"}"#).unwrap();
    read_until(&mut socket, "\"text\":\"hello\"");
}

#[test]
fn plain_requests_over_the_limit_are_told_to_come_back() {
    let (_node, url) = Process::node(&["--http-connections-max", "1"]);
    let _first = kept_alive(&url);
    let answer = get(&url, "/health");
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    assert!(answer.text().contains("\"code\":\"at_capacity\""), "{}", answer.text());
}

#[test]
fn a_client_that_missed_messages_gets_them_when_it_comes_with_its_position() {
    let (_node, url) = Process::node(&[]);
    let room = Address::parse(&url).unwrap().with_path("/rooms/news/messages");
    for text in ["one", "two", "three"] {
        http::post(&room, "application/json", format!(r#"{{"text":"{text}"}}"#).as_bytes()).unwrap();
    }
    let options = Options::new(&url).unwrap().room("news", Start::After(0));
    let mut client = Client::connect(options).unwrap();
    let mut texts = Vec::new();
    while texts.len() < 3 {
        match client.next(SOON).unwrap().expect("something comes") {
            Event::Message(message) => texts.push(format!("{:?}", message.content)),
            Event::Gap { .. } => panic!("nothing was lost"),
            _ => {}
        }
    }
    assert_eq!(texts, [r#"Text("one")"#, r#"Text("two")"#, r#"Text("three")"#]);
}

#[test]
fn an_address_in_use_ends_the_start_with_69_and_the_remedy() {
    let (_node, url) = Process::node(&[]);
    let output = run(&["serve", "--listen", url.strip_prefix("http://").unwrap()]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{talk}");
    assert!(talk.contains("listen") && talk.contains("ss -ltnp"), "{talk}");
    assert!(output.stdout.is_empty(), "nothing is announced that is not served");
}

#[test]
fn metrics_count_what_the_shards_and_the_control_plane_did() {
    let (_node, url) = Process::node(&[]);
    let room = Address::parse(&url).unwrap().with_path("/rooms/news/messages");
    http::post(&room, "text/plain", b"12345").unwrap();
    get(&url, "/metrics");
    let page = get(&url, "/metrics").text();
    // A shard counts a request once it has let go of it, so the page may lack the one for itself.
    let handed_over = |count| format!("tidings_requests_handed_over_total{{shard=\"0\"}} {count}");
    let has = |line: &str| page.lines().any(|found| found == line);
    assert!(has("tidings_history_bytes 5") && has("tidings_ready 1"), "{page}");
    assert!(has(&handed_over(2)) || has(&handed_over(3)), "{page}");
}

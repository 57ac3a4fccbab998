//! Readers of all kinds get everything, in whatever way the server hands its sends to the system.

use std::time::Duration;

use tidings_client::{Address, Client, Event, Options, Start, http};

use crate::process::Process;

const SOON: Duration = Duration::from_secs(30);
const MEMBERS: usize = 300;
const MESSAGES: usize = 40;

fn read_all(client: &mut Client) -> Vec<String> {
    let mut beginnings = Vec::new();
    while beginnings.len() < MESSAGES {
        match client.next(SOON).unwrap().expect("something comes") {
            Event::Message(message) => beginnings.push(format!("{:?}", message.content)[..12].to_owned()),
            Event::Gap { .. } => panic!("the log has everything"),
            _ => {}
        }
    }
    beginnings
}

#[test]
fn everyone_gets_everything_whether_sends_go_together_or_one_by_one() {
    for more in [&["--no-io-uring"][..], &[]] {
        let (_node, url) = Process::node(more);
        let member = |_| Client::connect(Options::new(&url).unwrap().room("news", Start::After(0))).unwrap();
        let mut members: Vec<_> = (0..MEMBERS).map(member).collect();
        let room = Address::parse(&url).unwrap().with_path("/rooms/news/messages");
        // More sends than one call carries.
        let text = "x".repeat(2_000);
        for number in 0..MESSAGES {
            let told = http::post(
                &room,
                "application/json",
                format!(r#"{{"text":"{number:04} {text}"}}"#).as_bytes(),
            )
            .unwrap();
            assert_eq!(told.status, 200, "{}", told.text());
        }
        let first = read_all(&mut members[0]);
        assert!(first.is_sorted() && first.len() == MESSAGES, "{first:?}");
        for member in &mut members[1..] {
            assert_eq!(read_all(member), first);
        }
    }
}

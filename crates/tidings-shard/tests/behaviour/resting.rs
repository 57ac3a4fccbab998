//! Between two polls on one connection: the session stays there, and nobody should notice but by the speed.

use serde_json::Value;
use tidings_core::Post;
use tidings_core::telemetry::Counter;
use tidings_protocol::{Limits, UserId};

use crate::support::client::{http, post};
use crate::support::{ClientId, Seen, Setup, World};

/// Asks on a connection and gets an answer, be it that there is nothing.
fn ask(world: &mut World, client: ClientId, path: &str) -> Value {
    world.get(client, path);
    if world.client(client).seen.is_empty() {
        world.advance(1_100);
    }
    let answer = world.answer(client);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn texts(answer: &Value) -> Vec<String> {
    let data = answer["data"].as_array().expect("a list");
    data.iter().map(|frame| frame["text"].as_str().expect("a message").to_owned()).collect()
}

fn soon(path: &str) -> String {
    format!("{path}&timeout_s=1&batch=100")
}

fn cursor(answer: &Value) -> &str {
    answer["cursor"].as_str().expect("a cursor")
}

#[test]
fn what_is_said_between_two_polls_on_one_connection_is_heard_once_and_in_order() {
    for path in ["/poll/ana?room=a", "/poll/ana?room=a&room=b", "/poll/ana?room=b&room=a&user_id=ana"] {
        for brings_cursor in [true, false] {
            for mut world in Setup::each(|_| {}) {
                let (ana, mut heard, mut said) = (world.dial(), Vec::new(), Vec::new());
                let mut from = cursor(&ask(&mut world, ana, &soon(path))).to_owned();
                for round in 0..12 {
                    for number in 0..round % 4 {
                        world.publish("a", &format!("{round}.{number}"));
                        said.push(format!("{round}.{number}"));
                    }
                    let asked = match brings_cursor {
                        true => format!("{path}&cursor={from}&batch=100"),
                        false => format!("{path}&batch=100"),
                    };
                    world.get(ana, &asked);
                    if round % 4 == 0 {
                        assert!(world.client(ana).seen.is_empty(), "there is nothing to hear yet");
                        world.publish("a", &format!("{round} while it waits"));
                        said.push(format!("{round} while it waits"));
                    }
                    let answer = world.answer(ana).json();
                    heard.extend(texts(&answer));
                    from = cursor(&answer).to_owned();
                }
                assert_eq!(heard, said, "{path}");
                assert_eq!(world.people.sessions.away(), 0, "the session was put away between polls");
            }
        }
    }
}

#[test]
fn a_poll_that_brings_an_older_cursor_is_told_again_from_there() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.dial();
        let first = ask(&mut world, ana, &soon("/poll/ana?room=a"));
        for text in ["one", "two", "three"] {
            world.publish("a", text);
        }
        let second = ask(&mut world, ana, "/poll/ana?room=a&batch=2");
        assert_eq!(texts(&second), ["one", "two"]);
        let again = format!("/poll/ana?room=a&batch=9&cursor={}", cursor(&first));
        for _ in 0..2 {
            assert_eq!(texts(&ask(&mut world, ana, &again)), ["one", "two", "three"]);
        }
        let ahead = format!("/poll/ana?room=a&batch=9&cursor={}", cursor(&second));
        assert_eq!(texts(&ask(&mut world, ana, &ahead)), ["three"]);
        world.get(ana, "/poll/ana?room=a&cursor=x");
        assert_eq!(world.answer(ana).code(), "bad_cursor");
        assert_eq!(texts(&ask(&mut world, ana, &soon("/poll/ana?room=a"))), [""; 0]);
    }
}

#[test]
fn a_loss_between_two_polls_on_one_connection_is_told() {
    for mut world in Setup::each(|setup| setup.limits.room_history_messages = 2) {
        let ana = world.dial();
        ask(&mut world, ana, &soon("/poll/ana?room=a"));
        world.publish("a", "seen");
        ask(&mut world, ana, "/poll/ana?room=a");
        for number in 0..5 {
            world.publish("a", &number.to_string());
        }
        let answer = ask(&mut world, ana, "/poll/ana?room=a&batch=9");
        let kinds = answer["data"].as_array().unwrap().iter().map(|frame| frame["type"].as_str().unwrap());
        assert_eq!(kinds.collect::<Vec<_>>(), ["gap", "message", "message"]);
    }
}

#[test]
fn a_poll_elsewhere_takes_the_session_and_the_connection_it_rested_on_may_ask_again() {
    for mut world in Setup::each(|_| {}) {
        let old = world.dial();
        let session = ask(&mut world, old, &soon("/poll/ana?room=a"))["session_id"].clone();
        world.publish("a", "between");
        let new = world.dial();
        let answer = ask(&mut world, new, "/poll/ana?room=a&batch=9");
        assert_eq!((texts(&answer), &answer["session_id"]), (vec!["between".to_owned()], &session));
        assert!(world.take(old).is_empty(), "nobody asked on this connection");
        world.publish("a", "later");
        let answer = ask(&mut world, old, "/poll/ana?room=a&batch=9");
        assert_eq!((texts(&answer), &answer["session_id"]), (vec!["later".to_owned()], &session));
        assert_eq!(world.counted(Counter::SessionTakenOver), 0, "no poll was under way");
    }
}

#[test]
fn who_does_not_poll_again_is_gone_after_a_while_and_at_once_when_its_connection_ends() {
    for ends in [false, true] {
        for mut world in Setup::each(|_| {}) {
            let ana = world.dial();
            let first = ask(&mut world, ana, &soon("/poll/ana?room=a&user_id=ana"));
            let watcher = world.enter("/ws/a/ben");
            assert_eq!(world.people.sessions.away(), 0);
            match ends {
                true => world.cut(ana),
                false => world.advance(world.limits.poll_rest_ms + 100),
            }
            assert_eq!(world.people.sessions.away(), 1);
            world.advance(world.limits.presence_grace_ms + 1_100);
            let left = world.take(watcher).into_iter().any(|seen| {
                matches!(seen, Seen::Frame(tidings_protocol::server::Received::UserLeft(event)) if event.user_id == "ana")
            });
            assert!(left, "nobody was told that ana left");
            world.publish("a", "meanwhile");
            let back = if ends { world.dial() } else { ana };
            let answer = ask(&mut world, back, "/poll/ana?room=a&user_id=ana&batch=9");
            assert_eq!(texts(&answer), ["meanwhile"]);
            assert_eq!(answer["session_id"], first["session_id"]);
        }
    }
}

#[test]
fn a_user_who_polls_again_and_again_is_not_seen_leaving() {
    for mut world in Setup::each(|setup| setup.limits.presence_grace_ms = 0) {
        let watcher = world.enter("/ws/a/ben");
        let ana = world.dial();
        ask(&mut world, ana, &soon("/poll/ana?room=a&user_id=ana"));
        world.take(watcher);
        for _ in 0..10 {
            world.get(ana, "/poll/ana?room=a&user_id=ana&timeout_s=1");
            world.advance(1_500);
            assert_eq!(world.answer(ana).status, 200);
        }
        let seen = world.take(watcher);
        assert!(seen.is_empty(), "{seen:?}");
    }
}

#[test]
fn what_a_session_says_by_post_between_two_polls_counts() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.dial();
        let first = ask(&mut world, ana, &soon("/poll/ana?room=a"));
        let path = format!("/sessions/{}/send", first["session_id"].as_str().unwrap());
        // On a connection of its own, and on the one on which the session rests.
        let other = world.dial();
        for (speaker, room) in [(other, "b"), (ana, "c")] {
            for body in [
                format!(r#"{{"type":"join","room":"{room}"}}"#),
                format!(r#"{{"type":"message","room":"{room}","text":"to {room}"}}"#),
            ] {
                world.ask(speaker, &post(&path, &body));
                assert_eq!(world.answer(speaker).status, 200);
            }
            world.publish(room, "from others");
            assert_eq!(texts(&ask(&mut world, ana, "/poll/ana?batch=9")).len(), 2);
        }
        world.ask(other, &post(&path, r#"{"type":"leave","room":"a"}"#));
        assert!(matches!(world.answer(other).status, 200 | 204));
        world.publish("a", "to who is still there");
        world.publish("c", "to c");
        assert_eq!(texts(&ask(&mut world, ana, "/poll/ana?batch=9")), ["to c"]);
        assert_eq!(texts(&ask(&mut world, ana, &soon("/poll/ana?x="))), [""; 0]);
    }
}

#[test]
fn another_name_or_other_rooms_on_the_same_connection_are_as_good_as_on_a_new_one() {
    for mut world in Setup::each(|_| {}) {
        let client = world.dial();
        let ana = ask(&mut world, client, &soon("/poll/ana?room=a&room=b&user_id=ana"));
        let ben = ask(&mut world, client, &soon("/poll/ben?room=a"));
        assert_ne!(ana["session_id"], ben["session_id"]);
        world.publish("a", "to a");
        world.publish("b", "to b");
        assert_eq!(texts(&ask(&mut world, client, "/poll/ben?batch=9")), ["to a"]);
        assert_eq!(texts(&ask(&mut world, client, "/poll/ana?batch=9")).len(), 2);
        // Who asks for some of its rooms is in these alone.
        assert_eq!(texts(&ask(&mut world, client, &soon("/poll/ana?room=b"))), [""; 0]);
        world.publish("a", "to a again");
        world.publish("b", "to b again");
        assert_eq!(texts(&ask(&mut world, client, "/poll/ana?batch=9")), ["to b again"]);
        world.get(client, "/poll/ana?user_id=eve");
        assert_eq!(world.answer(client).code(), "forbidden");
        assert_eq!(ask(&mut world, client, &soon("/poll/ana?user_id=ana"))["session_id"], ana["session_id"]);
    }
}

#[test]
fn a_session_that_rests_ends_with_its_user() {
    for mut world in Setup::each(|_| {}) {
        let client = world.dial();
        let first = ask(&mut world, client, &soon("/poll/ana?room=a&user_id=ana"));
        let user = UserId::new("ana", &Limits::default()).unwrap();
        world.people.sessions.post_to_all(|| Post::Disconnect { user: user.clone() });
        world.pump();
        assert!(world.take(client).is_empty(), "nobody asked");
        let second = ask(&mut world, client, &soon("/poll/ana?room=a&user_id=ana"));
        assert_ne!(first["session_id"], second["session_id"]);
    }
}

#[test]
fn a_connection_on_which_a_session_rests_may_become_anything_else() {
    for mut world in Setup::each(|_| {}) {
        for request in [
            http("GET", "/health", &[]),
            http("OPTIONS", "/poll/ana", &[]),
            http("GET", "/events?room=b", &[]),
            crate::support::client::handshake("/ws/b", false),
            http("GET", "/poll/ana?batch=x", &[]),
        ] {
            let client = world.dial();
            ask(&mut world, client, &soon("/poll/ana?room=a"));
            world.ask(client, &request);
            assert_eq!(world.people.sessions.away(), 1, "{}", String::from_utf8_lossy(&request));
            world.publish("a", "between");
            let other = world.dial();
            assert_eq!(texts(&ask(&mut world, other, "/poll/ana?room=a&batch=9")), ["between"]);
            world.cut(other);
        }
    }
}

#[test]
fn nothing_rests_where_the_operator_wants_it_so() {
    for mut world in Setup::each(|setup| setup.limits.poll_rest_ms = 0) {
        let ana = world.dial();
        ask(&mut world, ana, &soon("/poll/ana?room=a"));
        assert_eq!(world.people.sessions.away(), 1);
        world.publish("a", "between");
        assert_eq!(texts(&ask(&mut world, ana, "/poll/ana?room=a&batch=9")), ["between"]);
    }
}

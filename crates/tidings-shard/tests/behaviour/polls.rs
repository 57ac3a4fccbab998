//! Long polls: one question, one answer, and nothing lost in between.

use serde_json::Value;
use tidings_core::telemetry::Counter;
use tidings_protocol::SessionId;
use tidings_protocol::server::Received;

use crate::support::client::{http, post};
use crate::support::{ClientId, Held, Seen, Setup, World};

/// Asks on a new connection, on whichever shard is next.
fn poll(world: &mut World, path: &str) -> ClientId {
    let client = world.dial();
    world.get(client, path);
    client
}

fn answered(world: &mut World, client: ClientId) -> Value {
    let answer = world.answer(client);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn texts(answer: &Value) -> Vec<&str> {
    let data = answer["data"].as_array().expect("a list");
    data.iter().map(|frame| frame["text"].as_str().expect("a message")).collect()
}

#[test]
fn the_textbooks_loop_hears_everything_once() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let mut heard = Vec::new();
        let mut polling = poll(&mut world, "/poll/ana");
        for number in 0..10 {
            world.say(ben, &format!("said while it waits {number}"));
            let answer = answered(&mut world, polling);
            heard.push(answer["data"]["text"].as_str().expect("a message by itself").to_owned());
            // Between two polls.
            world.say(ben, &format!("said between {number}"));
            let between = poll(&mut world, "/poll/ana");
            heard.push(answered(&mut world, between)["data"]["text"].as_str().unwrap().to_owned());
            polling = poll(&mut world, "/poll/ana");
        }
        let said: Vec<String> = (0..10)
            .flat_map(|number| [format!("said while it waits {number}"), format!("said between {number}")])
            .collect();
        assert_eq!(heard, said);
        assert!(world.take(polling).is_empty());
    }
}

#[test]
fn a_cursor_goes_on_where_it_stands_on_any_shard() {
    for path in ["/poll/ana?room=a", "/poll/ana?room=a&room=b&user_id=ana"] {
        for mut world in Setup::each(|_| {}) {
            let ben = world.enter("/ws/a/ben");
            let polling = poll(&mut world, path);
            world.say(ben, "one");
            let first = answered(&mut world, polling);
            let cursor = first["cursor"].as_str().unwrap().to_owned();
            world.say(ben, "two");
            world.say(ben, "three");
            // The same cursor twice: an answer that got lost is asked for again.
            for _ in 0..2 {
                let polling = poll(&mut world, &format!("{path}&cursor={cursor}&batch=5"));
                assert_eq!(texts(&answered(&mut world, polling)), ["two", "three"]);
            }
            // A cursor needs no memory: another client's is as good.
            let other = poll(&mut world, &format!("{}&cursor={cursor}&batch=5", path.replace("ana?", "x?")));
            assert_eq!(texts(&answered(&mut world, other)), ["two", "three"]);
        }
    }
}

#[test]
fn a_batch_holds_what_was_asked_for_and_the_next_poll_has_the_rest() {
    for mut world in Setup::each(|setup| {
        setup.limits.poll_batch_max = 4;
        setup.limits.messages_per_second_max = 0;
    }) {
        let ben = world.enter("/ws/a/ben");
        poll(&mut world, "/poll/ana?room=a&timeout_s=0");
        world.advance(200);
        for number in 0..10 {
            world.say(ben, &number.to_string());
        }
        for (batch, expected) in [(3, &["0", "1", "2"][..]), (100, &["3", "4", "5", "6"]), (1, &["7"])] {
            let polling = poll(&mut world, &format!("/poll/ana?batch={batch}"));
            assert_eq!(texts(&answered(&mut world, polling)), expected);
        }
    }
}

#[test]
fn a_batch_is_no_larger_than_an_outbox() {
    for mut world in Setup::each(|setup| setup.limits.outbox_bytes_max = 4 * 1024) {
        let ben = world.enter("/ws/a/ben");
        poll(&mut world, "/poll/ana?room=a&timeout_s=0");
        world.advance(200);
        for number in 0..6 {
            world.say(ben, &format!("{number}{}", "x".repeat(1_500)));
        }
        world.say(ben, &format!("6{}", "x".repeat(9_000)));
        let mut heard = Vec::new();
        while heard.len() < 7 {
            let polling = poll(&mut world, "/poll/ana?batch=100");
            let answer = world.answer(polling);
            let texts: Vec<String> = texts(&answer.json()).iter().map(|text| text[..1].to_owned()).collect();
            assert!(answer.body.len() <= 5_000 || texts.len() == 1, "{} bytes", answer.body.len());
            heard.extend(texts);
        }
        assert_eq!(heard.concat(), "0123456");
    }
}

#[test]
fn a_poll_that_hears_nothing_ends_in_time() {
    for mut world in Setup::each(|_| {}) {
        for (path, ms) in [
            ("/poll/a?timeout_s=2", 2_000),
            ("/poll/b", 25_000),
            ("/poll/c?timeout_s=3600", 25_000),
            ("/poll/d?timeout_s=0", 0),
        ] {
            let polling = poll(&mut world, path);
            if ms > 0 {
                world.advance(ms - 100);
                assert!(world.take(polling).is_empty(), "{path}");
            }
            world.advance(200);
            let answer = answered(&mut world, polling);
            assert_eq!(answer["data"], Value::Null, "{path}");
            assert!(answer["cursor"].is_string() && answer["session_id"].is_string(), "{answer}");
        }
        let polling = poll(&mut world, "/poll/e?timeout_s=1&batch=2");
        world.advance(1_200);
        assert_eq!(texts(&answered(&mut world, polling)), [""; 0]);
    }
}

#[test]
fn a_newer_poll_of_the_same_client_takes_over() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let old = poll(&mut world, "/poll/ana");
        let new = poll(&mut world, "/poll/ana");
        let answer = world.answer(old);
        assert_eq!((answer.status, answer.code().as_str()), (409, "superseded"));
        world.say(ben, "for the newer one");
        assert_eq!(answered(&mut world, new)["data"]["text"], "for the newer one");
        // The older connection may ask again.
        world.get(old, "/poll/ana");
        world.say(ben, "for whoever asks");
        assert_eq!(answered(&mut world, old)["data"]["text"], "for whoever asks");
    }
}

#[test]
fn a_client_that_goes_while_it_waits_leaves_nothing_behind_and_loses_nothing() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        for ends in [true, false] {
            let polling = poll(&mut world, "/poll/ana");
            match ends {
                true => world.client(polling).pipe.finish(),
                false => world.client(polling).pipe.reset(),
            }
            world.pump();
            assert_eq!((world.connections(), world.capacity.connections()), (1, 1));
            world.say(ben, "while away");
            let polling = poll(&mut world, "/poll/ana");
            assert_eq!(answered(&mut world, polling)["data"]["text"], "while away");
            world.cut(polling);
        }
        assert_eq!(world.waiting_bytes(), 0);
    }
}

#[test]
fn polls_follow_each_other_on_one_connection() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let ana = world.dial();
        for number in 0..5 {
            world.get(ana, "/poll/ana");
            world.say(ben, &number.to_string());
            let answer = world.answer(ana);
            assert_eq!(answer.header("Connection"), None);
            assert_eq!(answer.json()["data"]["text"], number.to_string());
            world.advance(world.limits.handshake_timeout_ms + 1_000);
        }
        assert_eq!(world.counted(Counter::PollOpened), 5);
        world.advance(world.limits.http_idle_timeout_ms + 200);
        assert_eq!(world.take(ana), [Seen::End], "a kept connection is not kept for ever");
    }
}

#[test]
fn polls_that_are_sent_ahead_are_answered_in_turn() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let ana = world.dial();
        let mut ahead: Vec<u8> = Vec::new();
        for _ in 0..3 {
            ahead.extend(http("GET", "/poll/ana", &[]));
        }
        ahead.extend(http("GET", "/poll/ana?timeout_s=x", &[]));
        world.ask(ana, &ahead);
        for word in ["one", "two", "three"] {
            world.say(ben, word);
        }
        let seen = world.take(ana);
        let [Seen::Http(one), Seen::Http(two), Seen::Http(three), Seen::Http(bad), Seen::End] = &seen[..]
        else {
            panic!("{seen:?}")
        };
        let texts =
            [one, two, three].map(|answer| answer.json()["data"]["text"].as_str().unwrap().to_owned());
        assert_eq!(texts, ["one", "two", "three"]);
        assert_eq!(bad.code(), "bad_query");
    }
}

#[test]
fn requests_of_all_kinds_that_are_sent_ahead_are_answered_in_turn() {
    for mut world in Setup::each(|_| {}) {
        let feed = world.listen("/events?room=a");
        let Received::Session(session) = world.frames(feed).remove(0) else { panic!("no session") };
        let path = format!("/sessions/{}/send", session.session_id);
        for round in 0..20 {
            let client = world.dial();
            let elsewhere = http("GET", "/health", &[]);
            let ahead = [
                http("OPTIONS", "/poll/ana", &[]),
                http("GET", "/poll/ana?room=a", &[]),
                http("OPTIONS", "/events", &[]),
                post(&path, &format!(r#"{{"type":"message","text":"{round}"}}"#)),
                post(&path, "no frame"),
                http("OPTIONS", &path, &[]),
                http("GET", "/poll/ana?timeout_s=0", &[]),
                elsewhere.clone(),
            ];
            world.ask(client, &ahead.concat());
            world.publish("a", "for the poll");
            world.advance(200);
            let seen = world.take(client);
            let statuses = seen.iter().map(|seen| match seen {
                Seen::Http(answer) => answer.status,
                other => panic!("{other:?}"),
            });
            assert_eq!(statuses.collect::<Vec<_>>(), [204, 200, 204, 200, 400, 204, 200]);
            let visitor = world.reception.visitors.lock().unwrap().pop().expect("a visitor");
            assert_eq!([&visitor.prefix[..], &world.network.unread(client.0)].concat(), elsewhere);
        }
    }
}

#[test]
fn an_answer_is_out_before_its_connection_is_handed_over() {
    let mut world = Setup::default().build();
    let client = world.dial();
    world.get(client, "/poll/ana?timeout_s=1");
    world.ask(client, &http("OPTIONS", "/poll/ana", &[]));
    let now_ms = world.network.now_ms();
    world.network.set_now_ms(now_ms + 1_200);
    world.turns(1);
    // It comes while the shard looks at what was sent ahead.
    world.ask(client, &http("GET", "/health", &[]));
    let statuses = world.take(client).into_iter().map(|seen| match seen {
        Seen::Http(answer) => answer.status,
        other => panic!("{other:?}"),
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [200, 204]);
    assert_eq!(world.reception.visitors.lock().unwrap().len(), 1);
}

#[test]
fn whoever_sends_much_ahead_is_not_read_from_meanwhile() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let ana = world.dial();
        let request = http("GET", "/poll/ana", &[("X-Padding", &"x".repeat(1_000))]);
        world.ask(ana, &request.repeat(300));
        let held = world.network.unread(ana.0).len();
        assert!(held > 100 * request.len(), "{held} bytes are left in the network");
        for number in 0..300 {
            world.advance(100);
            world.say(ben, &number.to_string());
        }
        let seen = world.take(ana);
        assert_eq!(seen.len(), 300);
        for (number, seen) in seen.iter().enumerate() {
            let Seen::Http(answer) = seen else { panic!("{seen:?}") };
            assert_eq!(answer.json()["data"]["text"], number.to_string());
        }
    }
}

#[test]
fn whoever_does_not_read_its_answers_gets_no_further_ones() {
    for mut world in Setup::each(|setup| setup.limits.messages_per_second_max = 0) {
        let ben = world.enter("/ws/lobby/ben");
        let first = poll(&mut world, "/poll/ana?timeout_s=0");
        world.advance(200);
        world.take(first);
        for _ in 0..50 {
            world.say(ben, &"x".repeat(1_000));
        }
        let ana = world.dial_with(1_024);
        world.stall(ana);
        world.ask(ana, &http("GET", "/poll/ana", &[]).repeat(50));
        world.advance(1_000);
        assert!(world.waiting_bytes() < 4_000, "{}", world.waiting_bytes());
        world.unstall(ana);
        assert_eq!(world.take(ana).len(), 50);
    }
}

#[test]
fn a_kept_connection_may_ask_for_something_else() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let (ana, carl) = (poll(&mut world, "/poll/ana"), poll(&mut world, "/poll/carl"));
        world.say(ben, "heard");
        for client in [ana, carl] {
            assert_eq!(answered(&mut world, client)["data"]["text"], "heard");
        }
        world.ask(ana, &crate::support::client::handshake("/ws/lobby/ana", false));
        world.greeted(ana);
        world.say(ben, "by WebSocket");
        assert_eq!(world.texts(ana), ["by WebSocket"]);
        let elsewhere = http("GET", "/health", &[]);
        world.raw(carl, &elsewhere);
        world.pump();
        let visitors = world.reception.visitors.lock().unwrap();
        assert!(elsewhere.starts_with(&visitors[0].prefix));
    }
}

#[test]
fn a_connection_ends_where_the_client_wants_it_to() {
    let poll = |line: &str| format!("GET /poll/ana?timeout_s=0 {line}\r\n\r\n").into_bytes();
    for mut world in Setup::each(|_| {}) {
        for (request, kept) in [
            (poll("HTTP/1.1"), true),
            (poll("HTTP/1.1\r\nConnection: close"), false),
            (poll("HTTP/1.0"), false),
            (poll("HTTP/1.0\r\nConnection: Keep-Alive"), true),
            (poll("HTTP/1.1\r\nContent-Length: 3"), false),
        ] {
            let client = world.dial();
            world.ask(client, &request);
            world.advance(200);
            let seen = world.take(client);
            assert!(matches!(&seen[0], Seen::Http(answer) if answer.status == 200), "{seen:?}");
            assert_eq!(seen.len() == 1, kept, "{}", String::from_utf8_lossy(&request));
        }
    }
}

#[test]
fn a_poll_that_asks_wrongly_is_refused() {
    let long = format!("/poll/{}", "x".repeat(129));
    for mut world in Setup::each(|_| {}) {
        for (path, status, code) in [
            ("/poll/", 400, "bad_query"),
            (&long, 400, "bad_query"),
            ("/poll/%00", 400, "bad_query"),
            ("/poll/a/b", 404, "not_found"),
            ("/poll/a?room=", 400, "bad_room"),
            ("/poll/a?user_id=", 400, "bad_user"),
            ("/poll/a?batch=", 400, "bad_query"),
            ("/poll/a?batch=0", 400, "bad_query"),
            ("/poll/a?timeout_s=", 400, "bad_query"),
            ("/poll/a?timeout_s=-1", 400, "bad_query"),
        ] {
            let client = poll(&mut world, path);
            let answer = world.last_answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        }
        assert_eq!(world.counted(Counter::PollOpened), 0);
        for path in ["/poll/a?cursor=", "/poll/a?cursor=x", "/poll/a?room=a&room=b&cursor=1"] {
            let client = poll(&mut world, path);
            let answer = world.answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad_cursor"), "{path}");
        }
    }
}

#[test]
fn a_poll_is_told_what_the_log_has_lost() {
    for mut world in Setup::each(|setup| setup.limits.room_history_messages = 2) {
        let ben = world.enter("/ws/a/ben");
        let polling = poll(&mut world, "/poll/ana?room=a");
        world.say(ben, "seen");
        let cursor = answered(&mut world, polling)["cursor"].as_str().unwrap().to_owned();
        for number in 0..5 {
            world.say(ben, &number.to_string());
        }
        let path = format!("/poll/ana?room=a&cursor={cursor}");
        let polling = poll(&mut world, &path);
        let answer = answered(&mut world, polling);
        assert_eq!(answer["data"]["type"], "gap");
        let cursor = answer["cursor"].as_str().unwrap();
        let polling = poll(&mut world, &format!("/poll/ana?room=a&batch=9&cursor={cursor}"));
        assert_eq!(texts(&answered(&mut world, polling)), ["3", "4"]);
        let polling = poll(&mut world, &format!("{path}&batch=9"));
        let kinds: Vec<_> = answered(&mut world, polling)["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| frame["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds, ["gap", "message", "message"]);
    }
}

#[test]
fn losses_in_several_rooms_are_told_even_where_one_message_was_asked_for() {
    for mut world in Setup::each(|setup| setup.limits.room_history_messages = 1) {
        let ben = world.enter("/ws/a/ben");
        let path = "/poll/ana?room=a&room=b";
        world.publish("a", "before");
        world.publish("b", "before");
        let polling = poll(&mut world, &format!("{path}&timeout_s=0"));
        world.advance(200);
        let cursor = answered(&mut world, polling)["cursor"].as_str().unwrap().to_owned();
        for room in ["a", "b"] {
            for _ in 0..3 {
                world.say(ben, &format!(r#"{{"type":"message","room":"{room}","text":"x"}}"#));
            }
        }
        let (mut told, mut next) = (Vec::new(), format!("{path}&timeout_s=1&cursor={cursor}"));
        for _ in 0..4 {
            let polling = poll(&mut world, &next);
            world.advance(1_200);
            let answer = answered(&mut world, polling);
            let also = answer["also"].as_array().cloned().unwrap_or_default();
            for frame in std::iter::once(&answer["data"]).chain(&also).filter(|frame| !frame.is_null()) {
                told.push(format!("{} {}", frame["type"], frame["room"]).replace('"', ""));
            }
            next = format!("{path}&timeout_s=1&cursor={}", answer["cursor"].as_str().unwrap());
        }
        told.sort();
        assert_eq!(told, ["gap a", "gap b", "message a", "message b"]);
    }
}

#[test]
fn a_poll_hears_of_a_restart() {
    for mut world in Setup::each(|_| {}) {
        let ana = poll(&mut world, "/poll/ana");
        let idle = poll(&mut world, "/poll/ben?timeout_s=0");
        world.advance(200);
        world.take(idle);
        world.drain();
        world.pump();
        let answer = world.last_answer(ana);
        assert_eq!(answer.json()["data"]["type"], "server_restart");
        assert_eq!(answer.header("Connection"), Some("close"));
        assert_eq!(world.take(idle), [Seen::End]);
        assert!(world.is_over());
    }
}

#[test]
fn a_poll_hears_who_comes_and_who_types() {
    for mut world in Setup::each(|_| {}) {
        let ana = poll(&mut world, "/poll/ana?room=a&user_id=ana");
        let ben = world.enter("/ws/a/ben");
        assert_eq!(answered(&mut world, ana)["data"]["type"], "user_joined");
        world.get(ana, "/poll/ana?room=a&user_id=ana");
        world.say(ben, r#"{"type":"typing_start"}"#);
        assert_eq!(answered(&mut world, ana)["data"]["type"], "user_typing");
    }
}

#[test]
fn nobody_polls_in_the_name_of_somebody_else() {
    for mut world in Setup::each(|_| {}) {
        let ana = poll(&mut world, "/poll/phone?user_id=ana");
        let eve = poll(&mut world, "/poll/phone?user_id=eve");
        let answer = world.answer(eve);
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
        world.publish("@ana", "for ana");
        assert_eq!(answered(&mut world, ana)["data"]["text"], "for ana");
    }
}

#[test]
fn a_session_that_goes_on_otherwise_is_not_taken_back_by_its_polls() {
    for mut world in Setup::each(|_| {}) {
        let polling = poll(&mut world, "/poll/ana?room=a&timeout_s=0");
        world.advance(1_000);
        let session = answered(&mut world, polling)["session_id"].as_str().unwrap().to_owned();
        let ana = world.connect("/ws");
        world.say(ana, &format!(r#"{{"type":"hello","session_id":"{session}"}}"#));
        world.greeted(ana);
        // Another tab of hers polls by the same name.
        let polling = poll(&mut world, "/poll/ana?room=a&timeout_s=0");
        world.advance(1_000);
        let other = answered(&mut world, polling)["session_id"].as_str().unwrap().to_owned();
        assert_ne!(other, session);
        assert!(world.take(ana).is_empty(), "its connection was taken over");
        // When all have gone for long enough, nothing is known of any of it.
        world.cut(ana);
        world.advance(world.limits.session_window_ms + 2_000);
        let new = SessionId::from_bytes([0xEE; 16]);
        assert_eq!(world.people.sessions.of_client("ana", new), new);
    }
}

#[test]
fn a_poll_of_several_rooms_is_told_nothing_before_it_can_be_told_where_it_stands() {
    let held = Held::default();
    let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
    let ben = world.enter("/ws/a/ben");
    held.hold(true);
    // The engine has still to tell where the room of her own ends.
    let polling = poll(&mut world, "/poll/ana?room=a&user_id=ana&batch=9&timeout_s=1");
    held.hold(false);
    world.enter("/ws/a/eva");
    world.say(ben, "one");
    assert!(world.take(polling).is_empty(), "told, with nothing to come back by");
    held.release_all();
    world.pump();
    world.say(ben, "two");
    let answer = answered(&mut world, polling);
    assert_eq!(texts(&answer), ["one"]);
    let cursor = answer["cursor"].as_str().expect("where she stands").to_owned();
    let path = format!("/poll/ana?room=a&user_id=ana&batch=9&cursor={cursor}");
    let polling = poll(&mut world, &path);
    assert_eq!(texts(&answered(&mut world, polling)), ["two"]);
}

#[test]
fn a_poll_that_does_not_wait_still_gets_what_its_room_has_however_late_the_engine_tells() {
    let held = Held::default();
    let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
    let first = poll(&mut world, "/poll/ana?room=a&timeout_s=0");
    world.advance(100);
    let first = answered(&mut world, first);
    let from = first["cursor"].as_str().expect("its room's end is known");
    world.publish("a", "missed");
    held.hold(true);
    let second = poll(&mut world, &format!("/poll/ana?room=a&timeout_s=0&cursor={from}"));
    world.advance(1_000);
    assert!(world.client(second).seen.is_empty(), "that there is nothing would not be true");
    held.hold(false);
    held.release_all();
    world.advance(100);
    held.release_all();
    world.advance(100);
    assert_eq!(answered(&mut world, second)["data"]["text"], "missed");
}

//! Event streams: a browser's `EventSource`, by the textbook and in bad weather.

use tidings_core::options::Pattern;
use tidings_core::telemetry::Counter;
use tidings_core::{RoomOptions, SlowConsumerPolicy};
use tidings_protocol::server::Received;

use crate::support::client::{http, post};
use crate::support::world::text;
use crate::support::{ClientId, Held, Random, Seen, Setup, World};

/// A client that listens, after what it was greeted with.
fn listen(world: &mut World, path: &str) -> ClientId {
    let client = world.listen(path);
    greeted(world, client);
    client
}

fn greeted(world: &mut World, client: ClientId) {
    let frames = world.frames(client);
    assert!(matches!(frames[0], Received::Session(_)), "{frames:?}");
    let joined = frames[1..].iter().filter(|frame| matches!(frame, Received::Joined(_))).count();
    assert_eq!(joined, frames.len() - 1, "{frames:?}");
}

/// What a client that came back has seen besides its greeting.
fn texts_after(world: &mut World, path: &str, last_event_id: &str) -> (ClientId, Vec<String>) {
    let client = world.listen_from(path, last_event_id);
    let texts = world.texts(client);
    (client, texts)
}

#[test]
fn the_textbooks_event_source_misses_nothing_over_a_cut() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/lobby/ben");
        let ana = listen(&mut world, "/events");
        let opened = world.client(ana).opened.clone().unwrap();
        assert_eq!(opened.status, 200);
        assert_eq!(opened.header("Cache-Control"), Some("no-cache"));
        assert_eq!(opened.header("X-Accel-Buffering"), Some("no"));
        assert_eq!(opened.header("Tidings-Node"), Some("n1"));
        assert_eq!(opened.header("Connection"), Some("close"));
        assert_eq!(opened.header("Content-Length"), None);
        let retry_ms = world.client(ana).stream.retry_ms;
        assert_eq!(retry_ms, Some(world.limits.feed_retry_ms));
        world.say(ben, "one");
        world.say(ben, "two");
        let messages = world.messages(ana);
        assert_eq!(messages.iter().map(text).collect::<Vec<_>>(), ["one", "two"]);
        let last = world.last_event_id(ana);
        assert_eq!(last, messages[1].id.to_string(), "with one room, the id is the message's");
        world.cut(ana);
        world.say(ben, "three");
        world.say(ben, "four");
        let (ana, missed) = texts_after(&mut world, "/events", &last);
        assert_eq!(missed, ["three", "four"]);
        world.say(ben, "five");
        assert_eq!(world.texts(ana), ["five"]);
        assert_eq!(world.counted(Counter::FeedOpened), 2);
    }
}

#[test]
fn what_the_browser_remembers_is_newer_than_the_address() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/chat/ben");
        for word in ["one", "two", "three"] {
            world.say(ben, word);
        }
        let ids: Vec<u64> = world.messages(ben).iter().map(|message| message.id).collect();
        let path = format!("/events?room=chat&last_event_id={}", ids[0]);
        assert_eq!(texts_after(&mut world, &path, &ids[1].to_string()).1, ["three"]);
        assert_eq!(texts_after(&mut world, &path, "").1, [""; 0], "an empty id is none");
        let by_address = world.listen(&path);
        assert_eq!(world.texts(by_address), ["two", "three"]);
    }
}

#[test]
fn a_stream_of_several_rooms_comes_back_to_all_of_them() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let say = |world: &mut World, room: &str, word: &str| {
            world.say(ben, &format!(r#"{{"type":"message","room":"{room}","text":"{word}"}}"#));
        };
        let path = "/events?room=a&room=b%2Fc&room=a&user_id=ana";
        let ana = listen(&mut world, path);
        say(&mut world, "a", "one");
        say(&mut world, "b/c", "two");
        world.publish("@ana", "three");
        assert_eq!(world.texts(ana), ["one", "two", "three"]);
        let last = world.last_event_id(ana);
        world.cut(ana);
        for (room, word) in [("a", "four"), ("b/c", "five"), ("a", "six")] {
            say(&mut world, room, word);
        }
        world.publish("@ana", "seven");
        // The rooms may be named in another order.
        let path = "/events?room=b%2Fc&user_id=ana&room=a";
        let (ana, mut missed) = texts_after(&mut world, path, &last);
        missed.sort();
        assert_eq!(missed, ["five", "four", "seven", "six"]);
        let last = world.last_event_id(ana);
        world.cut(ana);
        assert_eq!(texts_after(&mut world, path, &last).1, [""; 0], "nothing comes twice");
    }
}

#[test]
fn a_stream_that_is_cut_before_its_first_message_misses_nothing() {
    for path in ["/events?room=a", "/events?room=a&room=b"] {
        for mut world in Setup::each(|_| {}) {
            let ben = world.enter("/ws/a/ben");
            world.say(ben, "before");
            let ana = listen(&mut world, path);
            let last = world.last_event_id(ana);
            assert!(!last.is_empty());
            world.cut(ana);
            world.say(ben, "missed");
            assert_eq!(texts_after(&mut world, path, &last).1, ["missed"]);
        }
    }
}

#[test]
fn a_stream_that_is_cut_while_a_room_is_not_yet_there_comes_back() {
    for seed in 0..16 {
        let held = Held::default();
        let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
        let path = "/events?room=a&room=b";
        if seed % 2 == 0 {
            world.enter("/ws/a");
        }
        held.hold(true);
        let ana = world.listen(path);
        if seed < 8 {
            held.release_any(&mut Random::new(seed));
        }
        world.publish("a", "one");
        world.publish("b", "one");
        let last = world.last_event_id(ana);
        world.cut(ana);
        held.hold(false);
        held.release_all();
        let back = match &last[..] {
            "" => world.listen(path),
            last => world.listen_from(path, last),
        };
        assert!(matches!(world.take(back)[0], Seen::Frame(Received::Session(_))), "{last}");
        world.publish("a", "two");
        assert_eq!(world.texts(back), ["two"]);
    }
}

#[test]
fn what_a_stream_of_several_rooms_tells_it_does_not_tell_again_over_a_cut() {
    let held = Held::default();
    let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
    let ben = world.enter("/ws/a/ben");
    let path = "/events?room=a&user_id=ana";
    held.hold(true);
    // The engine has still to tell where the room of her own ends.
    let ana = world.listen(path);
    held.hold(false);
    world.say(ben, "one");
    assert_eq!(world.texts(ana), Vec::<String>::new(), "told, with nothing to come back by");
    held.release_all();
    world.pump();
    assert_eq!(world.texts(ana), ["one"]);
    let last = world.last_event_id(ana);
    world.cut(ana);
    world.say(ben, "two");
    assert_eq!(texts_after(&mut world, path, &last).1, ["two"]);
}

#[test]
fn a_stream_goes_on_with_positions_while_a_room_is_joined_by_post() {
    let held = Held::default();
    let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
    let ben = world.enter("/ws/a/ben");
    let path = "/events?room=a";
    let ana = world.listen(path);
    let Some(Seen::Frame(Received::Session(session))) = world.take(ana).into_iter().next() else {
        panic!("no session")
    };
    held.hold(true);
    let body = r#"{"type":"join","room":"b"}"#;
    let joining = world.dial();
    world.ask(joining, &post(&format!("/sessions/{}/send", session.session_id), body));
    held.hold(false);
    world.say(ben, "one");
    assert_eq!(world.texts(ana), ["one"]);
    let last = world.last_event_id(ana);
    world.cut(ana);
    held.release_all();
    world.pump();
    world.say(ben, "two");
    assert_eq!(texts_after(&mut world, path, &last).1, ["two"]);
}

#[test]
fn a_position_that_is_none_is_refused() {
    for mut world in Setup::each(|_| {}) {
        let two = listen(&mut world, "/events?room=a&room=b");
        let of_two = world.last_event_id(two);
        for (path, id) in [
            ("/events", "garbage"),
            ("/events", "-1"),
            ("/events", &of_two),
            ("/events?room=a&room=b", "12"),
            ("/events?room=c&room=d", &of_two),
            ("/events?last_event_id=x", ""),
        ] {
            let client = match id {
                "" => world.listen(path),
                id => world.listen_from(path, id),
            };
            let answer = world.last_answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad_cursor"), "{path} {id}");
        }
        for (path, status, code) in [
            ("/events?room=", 400, "bad_room"),
            ("/events?user_id=", 400, "bad_user"),
            ("/events?room=%zz", 400, "bad_room"),
        ] {
            let client = world.listen(path);
            let answer = world.last_answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        }
        assert_eq!(world.connections(), 1);
    }
}

#[test]
fn more_rooms_than_a_connection_may_be_in_are_refused() {
    let mut world = Setup::default();
    world.limits.rooms_per_connection_max = 3;
    let mut world = world.build();
    let client = world.listen("/events?room=a&room=b&room=c&room=d");
    let answer = world.last_answer(client);
    assert_eq!((answer.status, answer.code().as_str()), (400, "too_many_rooms"));
}

#[test]
fn a_stream_is_told_what_the_log_has_lost() {
    for path in ["/events?room=a", "/events?room=a&room=b"] {
        for mut world in Setup::each(|setup| setup.limits.room_history_messages = 2) {
            let ben = world.enter("/ws/a/ben");
            let ana = listen(&mut world, path);
            world.say(ben, "seen");
            let last = world.last_event_id(ana);
            world.cut(ana);
            for number in 0..5 {
                world.say(ben, &number.to_string());
            }
            let back = world.listen_from(path, &last);
            let frames = world.frames(back);
            let gap = frames.iter().position(|frame| matches!(frame, Received::Gap(_)));
            let first = frames.iter().position(|frame| matches!(frame, Received::Message(_)));
            assert!(gap.is_some() && gap < first, "{frames:?}");
            let messages = frames.iter().filter(|frame| matches!(frame, Received::Message(_)));
            assert_eq!(messages.count(), 2);
            let last = world.last_event_id(back);
            assert_eq!(texts_after(&mut world, path, &last).1, [""; 0]);
        }
    }
}

#[test]
fn a_slow_reader_catches_up_without_loss() {
    for path in ["/events?room=a", "/events?room=a&room=b"] {
        for mut world in Setup::each(|setup| {
            setup.limits.outbox_bytes_max = 4 * 1024;
            setup.limits.messages_per_second_max = 0;
            setup.limits.room_history_messages = 1_000;
        }) {
            let ben = world.enter("/ws/a/ben");
            let slow = world.dial_with(2_048);
            world.ask(slow, &http("GET", path, &[]));
            greeted(&mut world, slow);
            world.stall(slow);
            for number in 0..300 {
                world.say(ben, &number.to_string());
            }
            assert!(world.waiting_bytes() <= 4 * 1024, "{}", world.waiting_bytes());
            world.unstall(slow);
            let numbers: Vec<String> = (0..300).map(|number| number.to_string()).collect();
            assert_eq!(world.texts(slow), numbers);
            world.say(ben, "live");
            assert_eq!(world.texts(slow), ["live"]);
            assert!(world.counted(Counter::SlowConsumerCaughtUp) > 0);
            let last = world.last_event_id(slow);
            assert_eq!(texts_after(&mut world, path, &last).1, [""; 0]);
        }
    }
}

#[test]
fn a_room_that_closes_slow_readers_ends_their_streams_and_says_why() {
    for mut world in Setup::each(|setup| {
        setup.limits.outbox_bytes_max = 4 * 1024;
        setup.limits.messages_per_second_max = 0;
        setup.limits.room_history_messages = 1_000;
        let options = RoomOptions {
            slow_consumer: SlowConsumerPolicy::Close,
            ..RoomOptions::from_limits(&setup.limits)
        };
        setup.rules = vec![(Pattern::new("special"), options)];
    }) {
        let ben = world.enter("/ws/special/ben");
        let slow = world.dial_with(2_048);
        world.ask(slow, &http("GET", "/events?room=special", &[]));
        greeted(&mut world, slow);
        world.stall(slow);
        for number in 0..300 {
            world.say(ben, &number.to_string());
        }
        world.unstall(slow);
        let mut seen = world.take(slow);
        assert!(matches!(&seen[seen.len() - 2..], [Seen::Close(1_013, _), Seen::End]), "{:?}", seen.last());
        seen.truncate(seen.len() - 2);
        let last = world.last_event_id(slow);
        let back = world.listen_from("/events?room=special", &last);
        assert_eq!(seen.len() + world.messages(back).len(), 300);
        assert_eq!(world.counted(Counter::SlowConsumerClosed), 1);
    }
}

#[test]
fn a_silent_stream_shows_that_the_server_lives() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = listen(&mut world, "/events?room=a");
        world.advance(world.limits.ping_interval_ms - 100);
        assert!(world.take(ana).is_empty());
        world.advance(200);
        assert!(matches!(&world.take(ana)[..], [Seen::Comment(_)]));
        world.advance(10 * world.limits.ping_interval_ms);
        let seen = world.take(ana);
        assert!(seen.len() >= 9 && seen.iter().all(|seen| matches!(seen, Seen::Comment(_))), "{seen:?}");
        for _ in 0..10 {
            world.say(ben, "hi");
            world.advance(world.limits.ping_interval_ms / 2);
        }
        assert_eq!(world.frames(ana).len(), 10, "no comment is sent where data moves");
    }
}

#[test]
fn a_stalled_stream_is_not_filled_with_signs_of_life() {
    let mut world = Setup::default().build();
    let ben = world.enter("/ws/a/ben");
    let ana = world.dial_with(1_024);
    world.ask(ana, &http("GET", "/events?room=a", &[]));
    world.stall(ana);
    for _ in 0..20 {
        world.say(ben, &"x".repeat(100));
    }
    let waiting = world.waiting_bytes();
    assert!(waiting > 0);
    world.advance(100 * world.limits.ping_interval_ms);
    assert_eq!(world.waiting_bytes(), waiting);
}

#[test]
fn a_stream_whose_client_goes_leaves_nothing_behind_but_its_session() {
    for mut world in Setup::each(|_| {}) {
        let ana = listen(&mut world, "/events?room=a&user_id=ana");
        let ben = listen(&mut world, "/events?room=a&user_id=ben");
        world.client(ana).pipe.finish();
        world.client(ben).pipe.reset();
        world.pump();
        assert_eq!((world.connections(), world.capacity.connections(), world.waiting_bytes()), (0, 0, 0));
        assert_eq!(world.people.sessions.away(), 2);
    }
}

#[test]
fn a_stream_whose_client_talks_without_end_is_ended() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = listen(&mut world, "/events?room=a");
        world.ask(ana, b"a few words");
        world.say(ben, "heard");
        assert_eq!(world.texts(ana), ["heard"]);
        world.ask(ana, &[b'x'; 40_000]);
        assert_eq!(world.take(ana), [Seen::End]);
        assert_eq!(world.connections(), 1);
    }
}

#[test]
fn a_stream_sees_who_comes_and_who_types() {
    for mut world in Setup::each(|_| {}) {
        let ana = listen(&mut world, "/events?room=a&user_id=ana");
        let last = world.last_event_id(ana);
        let ben = world.enter("/ws/a/ben");
        assert!(matches!(world.frame(ana), Received::UserJoined(_)));
        world.say(ben, r#"{"type":"typing_start"}"#);
        assert!(matches!(world.frame(ana), Received::UserTyping(_)));
        assert_eq!(world.last_event_id(ana), last, "what is not stored has no id");
    }
}

#[test]
fn a_newer_stream_of_a_session_takes_over() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let old = world.listen("/events?room=a");
        let Received::Session(session) = world.frames(old).remove(0) else { panic!("no session") };
        let new = world.listen(&format!("/events?room=a&session_id={}", session.session_id));
        assert!(matches!(&world.take(old)[..], [Seen::Close(4_000, _), Seen::End]));
        let Received::Session(resumed) = world.frames(new).remove(0) else { panic!("no session") };
        assert!(resumed.resumed);
        world.say(ben, "for the newer one");
        assert_eq!(world.texts(new), ["for the newer one"]);
    }
}

#[test]
fn nobody_listens_with_the_session_of_somebody_else() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.listen("/events?user_id=ana");
        let Received::Session(session) = world.frames(ana).remove(0) else { panic!("no session") };
        let path = format!("/events?user_id=eve&session_id={}", session.session_id);
        let eve = world.listen(&path);
        let answer = world.last_answer(eve);
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
        world.cut(ana);
        let eve = world.listen(&path);
        assert_eq!(world.last_answer(eve).status, 403);
        assert_eq!((world.connections(), world.counted(Counter::FeedOpened)), (0, 1));
    }
}

#[test]
fn a_restart_is_told_and_the_stream_ends() {
    for mut world in Setup::each(|_| {}) {
        let ana = listen(&mut world, "/events");
        world.drain();
        world.pump();
        let seen = world.take(ana);
        assert!(matches!(&seen[..], [Seen::Frame(Received::ServerRestart { .. }), Seen::End]), "{seen:?}");
        assert!(world.is_over(), "nobody else is waited for");
    }
}

#[test]
fn a_full_node_refuses_a_stream() {
    let mut world = Setup::default();
    world.limits.connections_max = 1;
    let mut world = world.build();
    world.enter("/ws/a");
    let client = world.listen("/events");
    let answer = world.last_answer(client);
    assert_eq!((answer.status, answer.code().as_str()), (503, "at_capacity"));
    assert!(answer.header("Retry-After").is_some());
    assert_eq!(world.connections(), 1);
}

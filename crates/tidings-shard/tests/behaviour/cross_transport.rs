//! One session, whatever it is carried by: a client leaves by one way and comes back by another.

use tidings_protocol::server::Received;

use crate::support::client::http;
use crate::support::{ClientId, Seen, Setup, World};

fn session(world: &mut World, client: ClientId) -> String {
    let Received::Session(session) = world.frames(client).remove(0) else { panic!("no session") };
    session.session_id
}

#[test]
fn who_leaves_a_websocket_comes_back_by_event_stream() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = world.connect("/ws/a/ana");
        let session = session(&mut world, ana);
        world.say(ben, "seen");
        let last = world.messages(ana)[0].id;
        world.cut(ana);
        world.say(ben, "missed");
        let back = world.listen(&format!("/events?session_id={session}&last_event_id={last}"));
        let frames = world.frames(back);
        let Received::Session(resumed) = &frames[0] else { panic!("{frames:?}") };
        assert!(resumed.resumed);
        assert_eq!(resumed.user_id.as_deref(), Some("ana"));
        let messages = frames.iter().filter(|frame| matches!(frame, Received::Message(_)));
        assert_eq!(messages.count(), 1);
        world.say(ben, "live");
        assert_eq!(world.texts(back), ["live"]);
    }
}

#[test]
fn who_leaves_an_event_stream_comes_back_by_websocket() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = world.listen("/events?room=a");
        let session = session(&mut world, ana);
        world.say(ben, "seen");
        let last = world.last_event_id(ana);
        world.cut(ana);
        world.say(ben, "missed");
        let back = world.connect("/ws");
        world.say(back, &format!(r#"{{"session_id":"{session}","last_message_id":{last}}}"#));
        let frames = world.frames(back);
        let [Received::Session(resumed), Received::Restore(restore)] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert!(resumed.resumed && restore.recovered);
        assert_eq!(restore.messages.len(), 1);
    }
}

#[test]
fn a_session_goes_from_poll_to_websocket_and_back() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = world.dial();
        world.get(ana, "/poll/ana?room=a");
        world.say(ben, "by poll");
        let answer = world.answer(ana).json();
        let session = answer["session_id"].as_str().unwrap().to_owned();
        world.say(ben, "between");
        let socket = world.connect("/ws");
        world.say(socket, &format!(r#"{{"session_id":"{session}"}}"#));
        assert_eq!(world.texts(socket), ["between"]);
        let last = {
            world.say(ben, "by WebSocket");
            world.messages(socket)[0].id
        };
        // It takes the session over from the WebSocket, which is still there.
        world.get(ana, &format!("/poll/ana?room=a&session_id={session}&cursor={last}"));
        world.say(ben, "by poll again");
        let answer = world.answer(ana).json();
        assert_eq!(answer["data"]["text"], "by poll again");
        assert_eq!(answer["session_id"].as_str(), Some(&session[..]));
        let seen = world.take(socket);
        assert!(seen.iter().any(|seen| matches!(seen, Seen::Close(4_000, _))), "{seen:?}");
    }
}

#[test]
fn all_ways_hear_the_same_in_the_same_order() {
    for mut world in Setup::each_tongue(|_| {}) {
        let socket = world.enter("/ws/a");
        let one = world.listen("/events?room=a");
        let many = world.listen("/events?room=a&room=b");
        let poll = world.dial();
        world.get(poll, "/poll/ana?room=a&batch=1&timeout_s=1");
        world.take(one);
        world.take(many);
        let words: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let mut polled = Vec::new();
        for word in &words {
            world.say(socket, word);
            polled.push(world.answer(poll).json()["data"][0]["text"].as_str().unwrap().to_owned());
            world.get(poll, "/poll/ana?room=a&batch=1&timeout_s=1");
        }
        assert_eq!(world.texts(socket), words);
        assert_eq!(world.texts(one), words);
        assert_eq!(world.texts(many), words);
        assert_eq!(polled, words);
    }
}

#[test]
fn what_is_read_after_its_client_has_left_takes_the_session_from_nobody() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = world.connect("/ws/a/ana");
        let session = session(&mut world, ana);
        let poll = format!("/poll/ana?room=a&session_id={session}");
        let stream = format!("/events?room=a&session_id={session}");
        for path in [poll, stream] {
            let late = world.dial();
            world.raw(late, &http("GET", &path, &[]));
            world.client(late).pipe.finish();
            world.pump();
            assert_eq!(world.connections(), 2, "{path}");
        }
        let late = world.dial();
        world.raw(late, &world.handshake("/ws"));
        world.send(late, &format!(r#"{{"session_id":"{session}"}}"#));
        world.client(late).pipe.finish();
        world.pump();
        assert_eq!(world.connections(), 2);
        world.say(ben, "still here");
        assert_eq!(world.texts(ana), ["still here"]);
    }
}

#[test]
fn an_older_attempt_that_comes_late_is_refused_and_the_newer_connection_stays() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let ana = world.connect("/ws");
        world.say(ana, r#"{"user_id":"ana","rooms":["a"],"attempt":7}"#);
        let session = session(&mut world, ana);
        let hello = format!(r#"{{"session_id":"{session}","attempt":6}}"#);
        let late_ones = |world: &mut World| {
            let poll = world.dial();
            world.get(poll, &format!("/poll/ana?room=a&session_id={session}&attempt=5"));
            assert_eq!(world.answer(poll).code(), "superseded");
            let stream = world.listen(&format!("/events?room=a&session_id={session}&attempt=6"));
            assert_eq!(world.last_answer(stream).code(), "superseded");
            let socket = world.connect("/ws");
            world.say(socket, &hello);
            let seen = world.take(socket);
            assert!(seen.iter().any(|seen| matches!(seen, Seen::Close(4_000, _))), "{seen:?}");
        };
        late_ones(&mut world);
        world.say(ben, "still here");
        assert_eq!(world.texts(ana), ["still here"]);
        // Where the newer one has left, its session waits for one that is newer still.
        world.cut(ana);
        late_ones(&mut world);
        let back = world.connect("/ws");
        world.say(back, &format!(r#"{{"session_id":"{session}","attempt":8}}"#));
        let Received::Session(resumed) = world.frames(back).remove(0) else { panic!("no session") };
        assert!(resumed.resumed);
        // Who does not count takes it over, as ever.
        let other = world.connect("/ws");
        world.say(other, &format!(r#"{{"session_id":"{session}"}}"#));
        let Received::Session(resumed) = world.frames(other).remove(0) else { panic!("no session") };
        assert!(resumed.resumed);
        // And does not make older ones young again.
        late_ones(&mut world);
    }
}

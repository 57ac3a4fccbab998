//! What sessions say by plain HTTP, because their connection only listens, or is none.

use tidings_core::telemetry::Counter;
use tidings_protocol::server::Received;

use crate::support::client::{http, post};
use crate::support::{Answer, ClientId, Seen, Setup, World};

fn listen(world: &mut World, path: &str) -> (ClientId, String) {
    let client = world.listen(path);
    let Received::Session(session) = world.frames(client).remove(0) else { panic!("no session") };
    (client, session.session_id)
}

/// Says something on a new connection, on whichever shard is next.
fn send(world: &mut World, session: &str, body: &str) -> Answer {
    let client = world.dial();
    world.ask(client, &post(&format!("/sessions/{session}/send"), body));
    let answer = world.answer(client);
    world.cut(client);
    answer
}

#[test]
fn a_stream_answers_by_post_and_is_told_the_messages_id() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/chat/ben");
        let (ana, session) = listen(&mut world, "/events?room=chat&user_id=ana");
        world.take(ben);
        let answer = send(&mut world, &session, r#"{"type":"message","text":"hi","ref":"r1"}"#);
        assert_eq!(answer.status, 200);
        let heard = world.messages(ben).remove(0);
        assert_eq!(heard.user_id.as_deref(), Some("ana"));
        let ack = answer.json();
        assert_eq!((ack["type"].as_str(), ack["ref"].as_str()), (Some("ack"), Some("r1")));
        assert_eq!(ack["id"].as_u64(), Some(heard.id));
        assert_eq!(world.texts(ana), ["hi"]);
        // The same once more: the answer may have been lost.
        let again = send(&mut world, &session, r#"{"type":"message","text":"hi","ref":"r1"}"#);
        assert_eq!(again.json()["id"].as_u64(), Some(heard.id));
        assert!(world.take(ben).is_empty());
    }
}

#[test]
fn a_room_that_is_joined_by_post_is_heard_on_the_stream() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/b/ben");
        let (ana, session) = listen(&mut world, "/events?room=a");
        assert_eq!(send(&mut world, &session, r#"{"type":"join","room":"b"}"#).json()["type"], "joined");
        world.say(ben, "in b");
        assert_eq!(world.texts(ana), ["in b"]);
        assert_eq!(send(&mut world, &session, r#"{"type":"leave","room":"b"}"#).json()["type"], "left");
        world.say(ben, "unheard");
        assert!(world.texts(ana).is_empty());
    }
}

#[test]
fn what_needs_no_answer_gets_none() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let (_, session) = listen(&mut world, "/events?room=a&user_id=ana");
        world.take(ben);
        let answer = send(&mut world, &session, r#"{"type":"typing_start"}"#);
        assert_eq!((answer.status, answer.body.as_str(), answer.header("Content-Length")), (204, "", None));
        assert!(matches!(world.frame(ben), Received::UserTyping(_)));
    }
}

#[test]
fn a_session_that_is_away_speaks_and_loses_nothing() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let (ana, session) = listen(&mut world, "/events?room=a");
        let last = world.last_event_id(ana);
        world.cut(ana);
        world.say(ben, "missed");
        world.take(ben);
        assert_eq!(send(&mut world, &session, r#"{"type":"message","text":"from afar"}"#).status, 200);
        assert_eq!(world.texts(ben), ["from afar"]);
        assert_eq!(send(&mut world, &session, r#"{"type":"join","room":"b"}"#).status, 200);
        let back = world.listen_from(&format!("/events?room=a&session_id={session}"), &last);
        let frames = world.frames(back);
        let Received::Session(resumed) = &frames[0] else { panic!("{frames:?}") };
        assert!(resumed.resumed && resumed.rooms.iter().any(|room| room == "b"), "{resumed:?}");
        let texts: Vec<String> = frames
            .iter()
            .filter_map(|frame| match frame {
                Received::Message(message) => Some(crate::support::world::text(message)),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["missed", "from afar"]);
    }
}

#[test]
fn a_session_on_a_websocket_may_speak_by_post_too() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.connect("/ws/a/ana");
        let Received::Session(session) = world.frame(ana) else { panic!("no session") };
        // Three times, so that it comes to every shard.
        for number in 0..3 {
            let body = format!(r#"{{"type":"message","text":"{number}"}}"#);
            assert_eq!(send(&mut world, &session.session_id, &body).status, 200);
        }
        assert_eq!(world.texts(ana), ["0", "1", "2"]);
    }
}

#[test]
fn sends_follow_each_other_on_one_connection_sent_ahead_or_not() {
    for mut world in Setup::each(|_| {}) {
        let (ana, session) = listen(&mut world, "/events?room=a");
        let client = world.dial();
        let path = format!("/sessions/{session}/send");
        let request = |number: usize| post(&path, &format!(r#"{{"type":"message","text":"{number}"}}"#));
        world.ask(client, &request(0));
        assert_eq!(world.answer(client).status, 200);
        let ahead: Vec<u8> = (1..5).flat_map(request).collect();
        for piece in ahead.chunks(7) {
            world.ask(client, piece);
        }
        let seen = world.take(client);
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.iter().all(|seen| matches!(seen, Seen::Http(answer) if answer.status == 200)));
        assert_eq!(world.texts(ana), ["0", "1", "2", "3", "4"]);
    }
}

#[test]
fn a_session_that_is_away_may_say_many_things_at_once() {
    for mut world in Setup::each(|_| {}) {
        let ben = world.enter("/ws/a/ben");
        let (ana, session) = listen(&mut world, "/events?room=a");
        world.cut(ana);
        let path = format!("/sessions/{session}/send");
        let clients: Vec<_> = (0..8).map(|_| world.dial()).collect();
        for (number, &client) in clients.iter().enumerate() {
            let body = match number % 4 {
                0 => format!(r#"{{"type":"join","room":"room{number}"}}"#),
                _ => format!(r#"{{"type":"message","room":"a","text":"{number}"}}"#),
            };
            world.raw(client, &post(&path, &body));
        }
        world.pump();
        for client in clients {
            let answer = world.answer(client);
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        assert_eq!(world.texts(ben).len(), 6);
    }
}

#[test]
fn a_session_that_nobody_knows_is_told() {
    for mut world in Setup::each(|_| {}) {
        let unknown = send(&mut world, &"ab".repeat(16), r#"{"type":"ping"}"#);
        assert_eq!((unknown.status, unknown.code().as_str()), (404, "session_unknown"));
        let client = world.dial();
        world.ask(client, &post("/sessions/no-id/send", r#"{"type":"ping"}"#));
        let malformed = world.last_answer(client);
        assert_eq!((malformed.status, malformed.code().as_str()), (404, "session_unknown"));
    }
}

#[test]
fn a_bad_body_is_refused_and_the_connection_lives() {
    for mut world in Setup::each(|_| {}) {
        let (_, session) = listen(&mut world, "/events?room=a");
        let client = world.dial();
        for (body, status, code) in [
            ("", 400, "bad_frame"),
            ("plain words", 400, "bad_frame"),
            (r#"{"type":"nonsense"}"#, 400, "unknown_type"),
            (r#"{"type":"message"}"#, 400, "bad_frame"),
            (r#"{"type":"hello"}"#, 400, "bad_frame"),
            (r#"{"type":"leave","room":"b"}"#, 409, "not_in_room"),
        ] {
            world.ask(client, &post(&format!("/sessions/{session}/send"), body));
            let answer = world.answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
        }
        let mut request = http("POST", &format!("/sessions/{session}/send"), &[("Content-Length", "2")]);
        request.extend([0xFF, 0xFF]);
        world.ask(client, &request);
        assert_eq!(world.answer(client).code(), "bad_frame");
        world.ask(client, &post(&format!("/sessions/{session}/send"), r#"{"type":"ping"}"#));
        assert_eq!(world.answer(client).json()["type"], "pong");
    }
}

#[test]
fn a_body_whose_length_is_not_told_or_too_great_is_refused() {
    for mut world in Setup::each(|_| {}) {
        let (_, session) = listen(&mut world, "/events?room=a");
        let path = format!("/sessions/{session}/send");
        for (headers, status, code) in [
            (&[][..], 411, "bad_head"),
            (&[("Transfer-Encoding", "chunked")], 411, "bad_head"),
            (&[("Transfer-Encoding", "chunked"), ("Content-Length", "5")], 411, "bad_head"),
            (&[("Content-Length", "5"), ("Content-Length", "6")], 400, "bad_head"),
            (&[("Content-Length", "+5")], 400, "bad_head"),
            (&[("Content-Length", "100000")], 413, "message_too_large"),
            (&[("Content-Length", "99999999999999999999999")], 413, "message_too_large"),
        ] {
            let client = world.dial();
            world.ask(client, &http("POST", &path, headers));
            let answer = world.last_answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?}");
        }
    }
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    for mut world in Setup::each(|_| {}) {
        let (_, session) = listen(&mut world, "/events?room=a");
        let client = world.dial();
        let head = http("POST", &format!("/sessions/{session}/send"), &[("Content-Length", "50")]);
        world.ask(client, &head);
        world.ask(client, b"{\"type\":");
        world.advance(world.limits.body_timeout_ms + 200);
        let answer = world.last_answer(client);
        assert_eq!((answer.status, answer.code().as_str()), (408, "timeout"));
    }
}

#[test]
fn a_client_that_asks_whether_its_body_is_wanted_is_told() {
    for mut world in Setup::each(|_| {}) {
        let (_, session) = listen(&mut world, "/events?room=a");
        let client = world.dial();
        let headers = [("Content-Length", "15"), ("Expect", "100-continue")];
        world.ask(client, &http("POST", &format!("/sessions/{session}/send"), &headers));
        assert_eq!(world.answer(client).status, 100);
        world.ask(client, br#"{"type":"ping"}"#);
        assert_eq!(world.answer(client).json()["type"], "pong");
    }
}

#[test]
fn who_says_too_much_is_told_so_whatever_the_connection() {
    for mut world in Setup::each(|setup| setup.limits.messages_per_second_max = 3) {
        let (_, session) = listen(&mut world, "/events?room=a");
        let statuses: Vec<u16> =
            (0..5).map(|_| send(&mut world, &session, r#"{"type":"message","text":"x"}"#).status).collect();
        assert_eq!(statuses, [200, 200, 200, 429, 429]);
        assert_eq!(world.counted(Counter::RateLimitReached), 2);
        world.advance(1_000);
        assert_eq!(send(&mut world, &session, r#"{"type":"ping"}"#).status, 200);
    }
}

#[test]
fn other_methods_are_refused_with_the_right_ones() {
    for mut world in Setup::each(|_| {}) {
        for (method, path, allow) in [
            ("POST", "/events", "GET, OPTIONS"),
            ("DELETE", "/poll/a", "GET, OPTIONS"),
            ("GET", "/sessions/00/send", "POST, OPTIONS"),
        ] {
            let client = world.dial();
            world.ask(client, &http(method, path, &[]));
            let answer = world.last_answer(client);
            assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"), "{path}");
            assert_eq!(answer.header("Allow"), Some(allow));
        }
    }
}

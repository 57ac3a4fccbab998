//! A restart that a client asks for to see what it is like: it happens to that client alone, and is
//! told from a real one by nothing.

use tidings_core::telemetry::Counter;
use tidings_protocol::server::Received;

use crate::support::client::post;
use crate::support::{ClientId, Seen, Setup, World};

const REHEARSE: &str = r#"{"type":"rehearse_restart"}"#;
const READY: &str = r#"{"type":"restart_ack"}"#;

/// The session a client is told of; what else it hears at the beginning is thrown away.
fn session(world: &mut World, client: ClientId) -> String {
    let frames = world.frames(client);
    let told = frames.iter().find_map(|frame| match frame {
        Received::Session(session) => Some(session.session_id.clone()),
        _ => None,
    });
    told.expect("a session")
}

/// Rehearses for a session on a connection that is not its own.
fn post_rehearsal(world: &mut World, session: &str) -> u16 {
    let client = world.dial();
    world.ask(client, &post(&format!("/sessions/{session}/send"), REHEARSE));
    let answer = world.answer(client);
    world.cut(client);
    answer.status
}

#[test]
fn whoever_asks_is_told_of_a_restart_and_closed_with_1012_when_ready() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        world.take(ana);
        world.say(ana, REHEARSE);
        let Received::ServerRestart { reconnect_after_ms } = world.frame(ana) else { panic!("not told") };
        assert_eq!(reconnect_after_ms, world.limits.reconnect_after_ms);
        world.say(ana, "one still may talk");
        assert_eq!(world.texts(ana), ["one still may talk"]);
        world.say(ana, READY);
        assert!(matches!(&world.take(ana)[..], [Seen::Close(1_012, _), Seen::End]));
        // Nobody else notices more than that.
        world.advance(world.limits.drain_timeout_ms);
        assert_eq!(world.texts(ben), ["one still may talk"]);
        assert!(!world.is_over());
        let late = world.enter("/ws/chat/carl");
        world.say(late, "the node takes newcomers");
        assert!(world.texts(ben).contains(&"the node takes newcomers".to_owned()));
        assert_eq!(world.counted(Counter::RestartRehearsed), 1);
    }
}

#[test]
fn whoever_is_not_ready_is_closed_with_1001_after_the_wait() {
    for (ping_interval_ms, pong_timeout_ms) in [(25_000, 10_000), (1_000, 60_000), (60_000, 1_000)] {
        for mut world in Setup::each_tongue(|setup| {
            setup.limits.ping_interval_ms = ping_interval_ms;
            setup.limits.pong_timeout_ms = pong_timeout_ms;
        }) {
            let ana = world.enter("/ws/chat");
            world.say(ana, REHEARSE);
            assert!(matches!(world.frame(ana), Received::ServerRestart { .. }));
            world.advance(world.limits.restart_ack_timeout_ms - 200);
            // Neither talk nor a second rehearsal puts it off.
            world.say(ana, REHEARSE);
            world.say(ana, "still here");
            assert_eq!(world.texts(ana), ["still here"]);
            world.advance(400);
            let seen = world.take(ana);
            assert!(matches!(&seen[..], [Seen::Close(1_001, _), Seen::End]), "{seen:?}");
            assert_eq!(world.counted(Counter::RestartRehearsed), 1);
        }
    }
}

#[test]
fn what_is_pending_is_sent_before_the_rehearsed_end() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/chat");
        let slow = world.dial_with(1_024);
        let handshake = world.handshake("/ws/chat");
        world.raw(slow, &handshake);
        world.pump();
        world.stall(slow);
        for number in 0..100 {
            world.say(ben, &format!("{number} {}", "x".repeat(100)));
        }
        world.say(slow, REHEARSE);
        world.say(slow, READY);
        world.unstall(slow);
        let seen = world.take(slow);
        assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Frame(Received::Message(_)))).count(), 100);
        assert!(seen.iter().any(|seen| matches!(seen, Seen::Frame(Received::ServerRestart { .. }))));
        assert!(matches!(&seen[seen.len() - 2..], [Seen::Close(1_012, _), Seen::End]));
    }
}

#[test]
fn its_session_is_resumed_and_misses_nothing() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ben = world.enter("/ws/chat/ben");
        let ana = world.connect("/ws/chat/ana");
        let id = session(&mut world, ana);
        world.say(ana, REHEARSE);
        world.say(ana, READY);
        world.say(ben, "missed");
        let back = world.connect("/ws");
        world.say(back, &format!(r#"{{"type":"hello","session_id":"{id}"}}"#));
        let frames = world.frames(back);
        let Received::Session(resumed) = &frames[0] else { panic!("{frames:?}") };
        assert!(resumed.resumed);
        let Received::Restore(restore) = &frames[1] else { panic!("{frames:?}") };
        assert_eq!(restore.messages.len(), 1);
    }
}

#[test]
fn a_session_on_a_websocket_may_rehearse_by_post() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.connect("/ws/chat/ana");
        let id = session(&mut world, ana);
        assert_eq!(post_rehearsal(&mut world, &id), 204);
        assert!(matches!(world.frame(ana), Received::ServerRestart { .. }));
        world.say(ana, READY);
        assert!(matches!(&world.take(ana)[..], [Seen::Close(1_012, _), Seen::End]));
    }
}

#[test]
fn an_event_stream_is_told_and_ends() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.listen("/events?room=chat&user_id=ana");
        let id = session(&mut world, ana);
        let other = world.listen("/events?room=chat");
        session(&mut world, other);
        assert_eq!(post_rehearsal(&mut world, &id), 204);
        let seen = world.take(ana);
        assert!(matches!(&seen[..], [Seen::Frame(Received::ServerRestart { .. }), Seen::End]), "{seen:?}");
        world.publish("chat", "missed");
        assert_eq!(world.texts(other), ["missed"]);
        let back = world.listen(&format!("/events?session_id={id}"));
        assert!(
            world.frames(back).iter().any(|frame| matches!(frame, Received::Session(told) if told.resumed))
        );
    }
}

#[test]
fn a_poll_is_answered_and_its_connection_ends() {
    for mut world in Setup::each(|_| {}) {
        let first = world.dial();
        world.get(first, "/poll/ana?room=chat&timeout_s=0");
        world.advance(1_000);
        let told = world.answer(first).json();
        let (id, cursor) = (told["session_id"].as_str().unwrap(), told["cursor"].as_str().unwrap());
        let path = format!("/poll/ana?room=chat&cursor={cursor}");
        world.get(first, &path);
        assert_eq!(post_rehearsal(&mut world, id), 204);
        let answer = world.last_answer(first);
        assert_eq!(answer.json()["data"]["type"], "server_restart");
        assert_eq!(answer.header("Connection"), Some("close"));
        world.publish("chat", "missed");
        let next = world.dial();
        world.get(next, &path);
        let answer = world.answer(next);
        assert_eq!(answer.json()["data"]["text"], "missed");
        assert_ne!(answer.header("Connection"), Some("close"));
    }
}

#[test]
fn between_two_polls_the_kept_connection_ends_as_it_does_when_a_node_stops() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.dial();
        world.get(ana, "/poll/ana?room=chat&timeout_s=0");
        world.advance(1_000);
        let told = world.answer(ana).json();
        let (id, cursor) = (told["session_id"].as_str().unwrap(), told["cursor"].as_str().unwrap());
        assert_eq!(post_rehearsal(&mut world, id), 204);
        assert_eq!(world.take(ana), [Seen::End]);
        world.publish("chat", "missed");
        let next = world.dial();
        world.get(next, &format!("/poll/ana?room=chat&cursor={cursor}"));
        assert_eq!(world.answer(next).json()["data"]["text"], "missed");
    }
}

#[test]
fn a_session_that_is_away_has_nothing_that_could_end() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.listen("/events?room=chat&user_id=ana");
        let id = session(&mut world, ana);
        world.cut(ana);
        assert_eq!(post_rehearsal(&mut world, &id), 204);
        let back = world.listen(&format!("/events?session_id={id}"));
        assert!(
            world.frames(back).iter().any(|frame| matches!(frame, Received::Session(told) if told.resumed))
        );
        world.publish("chat", "it stays");
        assert_eq!(world.texts(back), ["it stays"]);
    }
}

#[test]
fn a_node_that_stops_does_not_tell_of_it_twice() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        world.drain();
        world.pump();
        assert!(matches!(world.frame(ana), Received::ServerRestart { .. }));
        world.say(ana, REHEARSE);
        assert!(world.take(ana).is_empty());
        world.say(ana, READY);
        assert!(matches!(&world.take(ana)[..], [Seen::Close(1_012, _), Seen::End]));
        assert!(world.is_over());
    }
}

#[test]
fn whoever_rehearses_without_end_is_refused_as_with_any_frame() {
    for mut world in Setup::each_tongue(|setup| setup.limits.messages_per_second_max = 3) {
        let ana = world.enter("/ws/chat");
        for _ in 0..4 {
            world.send(ana, REHEARSE);
        }
        world.pump();
        let frames = world.frames(ana);
        let is_refusal =
            |frame: &Received| matches!(frame, Received::Error(told) if told.code == "rate_limited");
        assert!(frames.iter().any(is_refusal), "{frames:?}");
        let restarts = frames.iter().filter(|frame| matches!(frame, Received::ServerRestart { .. })).count();
        assert_eq!(restarts, 1);
    }
}

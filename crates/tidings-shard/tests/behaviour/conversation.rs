//! People in rooms: who sees what, in which order, and what each frame is answered by.

use tidings_core::telemetry::Counter;
use tidings_protocol::Payload;
use tidings_protocol::server::Received;

use crate::support::{Seen, Setup};

#[test]
fn two_clients_in_a_room_see_each_others_messages_in_order() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        for number in 0..20 {
            world.say(ana, &format!("a{number}"));
            world.say(ben, &format!("b{number}"));
        }
        let expected: Vec<_> =
            (0..20).flat_map(|number| [format!("a{number}"), format!("b{number}")]).collect();
        let seen = world.messages(ana);
        assert!(seen.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(seen[0].user_id.as_deref(), Some("ana"));
        assert_eq!(seen[1].user_id.as_deref(), Some("ben"));
        assert_eq!(seen.iter().map(crate::support::world::text).collect::<Vec<_>>(), expected);
        assert_eq!(world.texts(ben), expected);
    }
}

#[test]
fn a_room_hears_nothing_of_another() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/a");
        let ben = world.enter("/ws/b");
        world.say(ana, "for a");
        assert_eq!(world.texts(ana), ["for a"]);
        assert!(world.take(ben).is_empty());
    }
}

#[test]
fn whoever_opens_ws_is_a_silent_guest_in_the_lobby() {
    for mut world in Setup::each_tongue(|_| {}) {
        let guest = world.connect("/ws");
        assert!(world.take(guest).is_empty());
        let other = world.enter("/ws/lobby/ben");
        world.say(other, "welcome");
        world.say(guest, "plain words");
        for client in [guest, other] {
            let seen = world.messages(client);
            assert_eq!(
                seen.iter().map(crate::support::world::text).collect::<Vec<_>>(),
                ["welcome", "plain words"]
            );
            assert_eq!(seen[1].user_id, None);
        }
    }
}

#[test]
fn a_hello_makes_a_session_in_the_rooms_it_names() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.connect("/ws");
        world.say(ana, r#"{"user_id":"ana","rooms":["a","b"]}"#);
        let Received::Session(session) = world.frame(ana) else { panic!("no session") };
        assert_eq!(session.user_id.as_deref(), Some("ana"));
        assert_eq!(
            (session.rooms, session.resumed, session.node.as_str()),
            (vec!["a".into(), "b".into(), "@ana".into()], false, "n1")
        );
        assert_eq!(session.ping_interval_ms, world.limits.ping_interval_ms);
        let ben = world.enter("/ws/b/ben");
        world.say(ben, "hi");
        assert_eq!(world.texts(ana), ["hi"]);
        // It left the lobby when it named its rooms.
        let lobby = world.enter("/ws/lobby");
        world.say(lobby, "anybody?");
        assert!(world.take(ana).is_empty());
    }
}

#[test]
fn joining_and_leaving_is_answered_and_takes_effect() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/a/ana");
        let ben = world.enter("/ws/b/ben");
        world.say(ben, "before");
        world.say(ana, r#"{"type":"join","room":"b","ref":"1"}"#);
        let Received::Joined(joined) = world.frame(ana) else { panic!("not joined") };
        assert_eq!((joined.room.as_str(), joined.reference.as_deref()), ("b", Some("1")));
        let before = world.messages(ben)[0].id;
        assert_eq!(joined.last_message_id, before);
        world.say(ben, "during");
        let during = world.messages(ana);
        assert_eq!(during.len(), 1);
        world.say(ana, r#"{"type":"leave","room":"b","ref":"2"}"#);
        let Received::Left(left) = world.frame(ana) else { panic!("not left") };
        assert_eq!((left.last_message_id, left.reference.as_deref()), (during[0].id, Some("2")));
        world.say(ben, "after");
        assert!(world.take(ana).is_empty());
        world.say(ana, r#"{"type":"leave","room":"b"}"#);
        let Received::Error(error) = world.frame(ana) else { panic!("left twice") };
        assert_eq!(error.code, "not_in_room");
    }
}

#[test]
fn a_message_with_a_ref_is_acknowledged_and_its_repeat_makes_no_second() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        world.say(ana, r#"{"type":"message","data":{"n":[1, 2]},"ref":"r1"}"#);
        world.say(ana, r#"{"type":"message","data":{"n":[1, 2]},"ref":"r1"}"#);
        let seen = world.frames(ana);
        let acks: Vec<_> = seen
            .iter()
            .filter_map(|frame| match frame {
                Received::Ack(ack) => {
                    Some((ack.reference.as_deref().unwrap_or_default(), ack.room.as_str(), ack.id))
                }
                _ => None,
            })
            .collect();
        let messages = world.messages(ben);
        assert_eq!(messages.len(), 1);
        assert!(matches!(&messages[0].payload, Payload::Data(json) if json.get() == r#"{"n":[1, 2]}"#));
        assert_eq!(acks, [("r1", "chat", messages[0].id); 2]);
    }
}

#[test]
fn history_gives_what_was_said_page_by_page() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        for number in 0..5 {
            world.say(ana, &number.to_string());
        }
        world.take(ana);
        let ben = world.enter("/ws/other");
        let (mut after, mut texts) = (0, Vec::new());
        loop {
            world.say(
                ben,
                &format!(r#"{{"type":"history","room":"chat","after":{after},"limit":2,"ref":"h"}}"#),
            );
            let Received::History(page) = world.frame(ben) else { panic!("no history") };
            assert_eq!(page.reference.as_deref(), Some("h"));
            texts.extend(page.messages.iter().map(crate::support::world::text));
            after = page.messages.last().unwrap().id;
            if page.complete {
                break;
            }
        }
        assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    }
}

#[test]
fn a_ping_frame_is_answered_by_pong() {
    let mut world = Setup::default().build();
    let ana = world.enter("/ws/chat");
    world.say(ana, r#"{"type":"ping"}"#);
    assert_eq!(world.frame(ana), Received::Pong);
    world.client(ana).frame(tidings_websocket::frame::Opcode::Ping, b"abc");
    world.pump();
    assert_eq!(world.take(ana), [Seen::Pong(b"abc".to_vec())]);
}

#[test]
fn bytes_reach_json_clients_as_base64() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.enter("/ws/chat");
        let ben = world.enter("/ws/chat");
        world.client(ana).binary(&[0, 159, 146, 150]);
        world.pump();
        let seen = world.messages(ben);
        assert!(matches!(&seen[0].payload, Payload::Binary(bytes) if **bytes == [0, 159, 146, 150]));
    }
}

#[test]
fn publishing_to_an_empty_room_succeeds() {
    let mut world = Setup::default().build();
    let ana = world.enter("/ws/chat");
    world.say(ana, r#"{"type":"message","room":"nobody","text":"hello?","ref":"1"}"#);
    assert!(matches!(world.frame(ana), Received::Ack(ack) if ack.room == "nobody"));
}

#[test]
fn echo_sends_everything_back() {
    for mut world in Setup::each(|_| {}) {
        let ana = world.connect("/echo");
        world.say(ana, "words");
        world.client(ana).binary(&[1; 70_000][..60_000]);
        world.pump();
        assert_eq!(world.take(ana), [Seen::Text("words".into()), Seen::Binary(vec![1; 60_000])]);
    }
}

#[test]
fn a_compressing_client_gets_the_same_messages() {
    for mut world in Setup::each_tongue(|_| {}) {
        let long = "the same words again and again, ".repeat(100);
        let ana = world.dial();
        world.raw(ana, &crate::support::client::handshake("/ws/chat/ana", true));
        world.pump();
        world.greeted(ana);
        let ben = world.enter("/ws/chat/ben");
        world.say(ben, &long);
        world.say(ben, "short");
        assert_eq!(world.texts(ana), [long.as_str(), "short"]);
        assert_eq!(world.texts(ben), [long.as_str(), "short"]);
    }
}

#[test]
fn a_client_that_closes_gets_its_close_back_and_is_forgotten() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat");
        world.client(ana).close(3_000);
        world.pump();
        assert_eq!(world.take(ana), [Seen::Close(3_000, String::new()), Seen::End]);
        assert_eq!((world.connections(), world.capacity.connections()), (0, 0));
        assert_eq!(world.counted(Counter::ConnectionClosed), 1);
    }
}

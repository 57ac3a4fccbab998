//! Who is here, and who is typing.

use tidings_core::telemetry::Counter;
use tidings_protocol::server::Received;

use crate::support::client::Seen;
use crate::support::world::{ClientId, Setup, World};

/// What a client was told about others: the event's type and the user.
fn told(world: &mut World, client: ClientId) -> Vec<(&'static str, String)> {
    let told = world.take(client).into_iter().filter_map(|seen| match seen {
        Seen::Frame(Received::UserJoined(event)) => Some(("joined", event.user_id)),
        Seen::Frame(Received::UserLeft(event)) => Some(("left", event.user_id)),
        Seen::Frame(Received::UserTyping(event)) => Some(("typing", event.user_id)),
        Seen::Frame(Received::UserStoppedTyping(event)) => Some(("stopped", event.user_id)),
        _ => None,
    });
    told.collect()
}

fn users(world: &mut World, client: ClientId) -> Vec<(String, u64)> {
    world.take(client);
    world.say(client, r#"{"type":"presence","room":"chat"}"#);
    let frame = world.frames(client).into_iter().find_map(|frame| match frame {
        Received::Presence(presence) => Some(presence),
        _ => None,
    });
    let presence = frame.expect("presence is answered");
    presence.users.into_iter().map(|user| (user.user_id, u64::from(user.connections))).collect()
}

#[test]
fn others_see_a_user_come_with_the_first_device_and_go_with_the_last() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let phone = world.enter("/ws/chat/ben");
        assert_eq!(told(&mut world, ana), [("joined", "ben".into())]);
        let laptop = world.enter("/ws/chat/ben");
        assert_eq!(users(&mut world, ana), [("ana".into(), 1), ("ben".into(), 2)]);
        world.client(phone).pipe.reset();
        world.advance(20_000);
        assert_eq!(told(&mut world, ana), []);
        world.client(laptop).pipe.reset();
        world.advance(4_000);
        assert_eq!(told(&mut world, ana), []);
        world.advance(2_000);
        assert_eq!(told(&mut world, ana), [("left", "ben".into())]);
        assert_eq!(users(&mut world, ana), [("ana".into(), 1)]);
    }
}

#[test]
fn whoever_resumes_within_the_grace_was_never_gone() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.connect("/ws/chat/ben");
        let Some(Received::Session(session)) = world.frames(ben).into_iter().next() else { panic!() };
        told(&mut world, ana);
        world.client(ben).pipe.reset();
        world.advance(3_000);
        let back = world.connect("/ws");
        world.say(back, &format!(r#"{{"session_id":"{}"}}"#, session.session_id));
        world.advance(20_000);
        assert_eq!(told(&mut world, ana), []);
    }
}

#[test]
fn typing_is_told_once_and_ends_by_itself() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        told(&mut world, ana);
        for _ in 0..10 {
            world.say(ben, r#"{"type":"typing_start"}"#);
        }
        assert_eq!(told(&mut world, ana), [("typing", "ben".into())]);
        assert_eq!(told(&mut world, ben), [], "not to its author");
        world.advance(6_000);
        assert_eq!(told(&mut world, ana), [("stopped", "ben".into())]);
    }
}

#[test]
fn typing_ends_with_a_message_with_leaving_and_with_the_connection() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        for ending in ["message", "leave", "typing_stop", "cut"] {
            let ben = world.enter("/ws/chat/ben");
            world.say(ben, r#"{"type":"typing_start"}"#);
            world.take(ana);
            match ending {
                "message" => world.say(ben, "said"),
                "cut" => world.client(ben).pipe.reset(),
                other => world.say(ben, &format!(r#"{{"type":"{other}","room":"chat"}}"#)),
            }
            world.pump();
            assert_eq!(told(&mut world, ana), [("stopped", "ben".into())], "{ending}");
            if ending != "cut" {
                world.client(ben).pipe.reset();
            }
            world.advance(10_000);
            world.take(ana);
        }
    }
}

#[test]
fn a_big_room_is_not_told_of_typing() {
    for mut world in Setup::each_tongue(|setup| setup.limits.typing_members_max = 2) {
        let members: Vec<_> = (0..12).map(|number| world.enter(&format!("/ws/chat/user{number}"))).collect();
        for &member in &members {
            world.take(member);
        }
        world.say(members[0], r#"{"type":"typing_start"}"#);
        for &member in &members {
            assert_eq!(told(&mut world, member), []);
        }
    }
}

#[test]
fn a_big_room_is_told_of_many_at_once() {
    for mut world in Setup::each_tongue(|setup| setup.limits.presence_single_users_max = 3) {
        let ana = world.enter("/ws/chat/ana");
        for number in 0..50 {
            world.enter(&format!("/ws/chat/user{number:02}"));
        }
        world.advance(2_000);
        let frames = world.frames(ana);
        let joined: u64 =
            frames.iter().filter(|frame| matches!(frame, Received::UserJoined(_))).count() as u64;
        let changes: Vec<_> = frames
            .iter()
            .filter_map(|frame| match frame {
                Received::PresenceChanged(changed) => Some(changed),
                _ => None,
            })
            .collect();
        assert!(changes.len() <= 2, "{} events", changes.len());
        assert_eq!(joined + changes.iter().map(|changed| changed.joined as u64).sum::<u64>(), 50);
        assert_eq!(changes.last().unwrap().users, 51);
        assert!(world.counted(Counter::EventDelivered) < 51 * 10, "not everybody is told of everybody");
    }
}

#[test]
fn a_guest_who_types_is_told_that_nobody_can_be_told_its_name() {
    for mut world in Setup::each_tongue(|_| {}) {
        let guest = world.enter("/ws/chat");
        world.say(guest, r#"{"type":"typing_start"}"#);
        let Received::Error(error) = world.frame(guest) else { panic!("no error") };
        assert_eq!(error.code, "forbidden");
    }
}

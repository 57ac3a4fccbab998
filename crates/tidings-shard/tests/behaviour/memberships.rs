//! Joining and leaving in quick succession: what was asked for an earlier membership must not be
//! taken for the present one's.

use tidings_protocol::server::Received;

use crate::support::{Held, Setup};

#[test]
fn who_leaves_and_comes_back_at_once_sees_nothing_twice() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/chat/ana");
        for number in 0..10 {
            world.say(ana, &number.to_string());
        }
        let ids: Vec<u64> = world.messages(ana).iter().map(|message| message.id).collect();
        let ben = world.enter("/ws/other/ben");
        world.send(ben, &format!(r#"{{"type":"join","room":"chat","last_message_id":{}}}"#, ids[2]));
        world.send(ben, r#"{"type":"leave","room":"chat"}"#);
        world.send(ben, &format!(r#"{{"type":"join","room":"chat","last_message_id":{}}}"#, ids[7]));
        world.pump();
        let seen = world.frames(ben);
        assert!(!seen.iter().any(|frame| matches!(frame, Received::Gap(_))), "{seen:?}");
        let last_joined = seen.iter().rposition(|frame| matches!(frame, Received::Joined(_))).unwrap();
        let got = |frame: &Received| match frame {
            Received::Message(message) => Some(message.id),
            _ => None,
        };
        assert_eq!(seen[last_joined..].iter().filter_map(got).collect::<Vec<_>>(), ids[8..]);
    }
}

#[test]
fn who_comes_back_to_a_room_it_was_alone_in_is_told_where_the_room_stands_now() {
    let mut world = Setup { shards: 2, ..Setup::default() }.build();
    let ben = world.enter("/ws/other/ben");
    let ana = world.enter("/ws/chat/ana");
    world.say(ana, "one");
    // The shard loses its interest and gains it again in one turn; what is said meanwhile is not
    // announced to it.
    world.send(ben, r#"{"type":"join","room":"chat"}"#);
    world.send(ben, r#"{"type":"leave","room":"chat"}"#);
    world.send(ben, r#"{"type":"message","room":"chat","text":"two"}"#);
    world.send(ben, r#"{"type":"join","room":"chat","ref":"2"}"#);
    world.pump();
    let two = world.messages(ana)[1].id;
    let joined = world.frames(ben).into_iter().filter_map(|frame| match frame {
        Received::Joined(joined) => Some((joined.reference, joined.last_message_id)),
        _ => None,
    });
    assert_eq!({ joined }.next_back(), Some((Some("2".into()), two)));
}

#[test]
fn a_join_that_was_left_before_its_answer_is_answered_all_the_same() {
    let mut world = Setup::default().build();
    let ana = world.enter("/ws/chat/ana");
    world.send(ana, r#"{"type":"join","room":"b","ref":"in"}"#);
    world.send(ana, r#"{"type":"leave","room":"b","ref":"out"}"#);
    world.pump();
    let seen = world.frames(ana);
    assert!(
        matches!(&seen[0], Received::Error(error) if error.reference.as_deref() == Some("in")),
        "{seen:?}"
    );
    assert!(matches!(&seen[1], Received::Left(left) if left.reference.as_deref() == Some("out")), "{seen:?}");
}

#[test]
fn a_guest_of_the_lobby_that_names_its_position_there_gets_what_it_missed() {
    for mut world in Setup::each_tongue(|_| {}) {
        let ana = world.enter("/ws/lobby/ana");
        world.say(ana, "one");
        world.say(ana, "two");
        let one = world.messages(ana)[0].id;
        let ben = world.connect("/ws");
        world.say(ben, &format!(r#"{{"type":"join","room":"lobby","last_message_id":{one}}}"#));
        let seen = world.frames(ben);
        assert!(matches!(&seen[0], Received::Joined(joined) if joined.recovered == Some(true)), "{seen:?}");
        assert!(matches!(&seen[1], Received::Message(message) if message.id > one), "{seen:?}");
        world.say(ana, "three");
        assert_eq!(world.texts(ben), ["three"]);
    }
}

#[test]
fn joining_again_tells_where_the_client_stands() {
    let mut world = Setup::default().build();
    let ana = world.enter("/ws/chat/ana");
    world.say(ana, "one");
    let one = world.messages(ana)[0].id;
    world.say(ana, r#"{"type":"join","room":"chat"}"#);
    assert!(matches!(world.frame(ana), Received::Joined(joined) if joined.last_message_id == one));
    world.say(ana, "two");
    assert_eq!(world.texts(ana), ["two"]);
}

#[test]
fn a_connection_is_in_no_more_rooms_than_it_may() {
    let mut world = Setup::default();
    world.limits.rooms_per_connection_max = 2;
    let mut world = world.build();
    let ana = world.enter("/ws/a");
    world.say(ana, r#"{"type":"join","room":"b"}"#);
    assert!(matches!(world.frame(ana), Received::Joined(_)));
    world.say(ana, r#"{"type":"join","room":"c","ref":"3"}"#);
    let Received::Error(error) = world.frame(ana) else { panic!("joined a third") };
    assert_eq!((error.code.as_str(), error.reference.as_deref()), ("too_many_rooms", Some("3")));
    world.say(ana, "which room?");
    assert!(matches!(world.frame(ana), Received::Error(error) if error.code == "room_required"));
}

#[test]
fn the_limit_of_rooms_is_the_nodes_whichever_shards_they_are_in() {
    for mut world in Setup::each_tongue(|setup| setup.limits.rooms_max = 2) {
        let ana = world.enter("/ws/one");
        world.enter("/ws/two");
        let cleo = world.enter("/ws/one");
        world.send(cleo, r#"{"type":"join","room":"two","ref":"known"}"#);
        world.pump();
        assert!(matches!(world.frame(cleo), Received::Joined(_)));
        world.send(ana, r#"{"type":"join","room":"three","ref":"one too many"}"#);
        world.pump();
        let Received::Error(error) = world.frame(ana) else { panic!("a third room was opened") };
        assert_eq!(error.code, "too_many_rooms");
    }
}

#[test]
fn who_joins_twice_before_the_engine_answers_is_told_no_position_that_is_none() {
    let held = Held::default();
    let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
    let ben = world.enter("/ws/chat/ben");
    world.say(ben, "one");
    let last = world.messages(ben)[0].id;
    world.cut(ben);
    let ana = world.enter("/ws/other/ana");
    held.hold(true);
    world.say(ana, r#"{"type":"join","room":"chat","ref":"first"}"#);
    world.say(ana, r#"{"type":"join","room":"chat","ref":"second"}"#);
    held.hold(false);
    held.release_all();
    world.pump();
    let seen = world.frames(ana);
    let joined = seen.iter().filter_map(|frame| match frame {
        Received::Joined(joined) => Some((joined.reference.as_deref(), joined.last_message_id)),
        _ => None,
    });
    assert_eq!(joined.collect::<Vec<_>>(), [(Some("second"), last)], "{seen:?}");
    let refused = |frame: &Received| {
        matches!(frame, Received::Error(error)
            if error.code == "superseded" && error.reference.as_deref() == Some("first"))
    };
    assert!(seen.iter().any(refused), "{seen:?}");
}

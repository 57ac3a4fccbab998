//! Sessions: a client that comes back, to whatever shard, is who it was and where it was.

use tidings_core::telemetry::Counter;
use tidings_protocol::server::{Received, Restore};

use crate::support::client::Seen;
use crate::support::world::{ClientId, Setup, World, text};

/// A session begun as the textbook does, in the lobby.
fn begin(world: &mut World, user: &str) -> (ClientId, String) {
    let client = world.connect("/ws");
    world.say(client, &format!(r#"{{"user_id":"{user}"}}"#));
    let Received::Session(session) = world.frame(client) else { panic!("no session") };
    assert!(!session.resumed);
    (client, session.session_id)
}

fn cut(world: &mut World, client: ClientId) {
    world.client(client).pipe.reset();
    world.pump();
    world.take(client);
}

fn resume(world: &mut World, hello: &str) -> (ClientId, bool, Vec<Restore>) {
    let client = world.connect("/ws");
    world.say(client, hello);
    let mut frames = world.frames(client).into_iter();
    let Some(Received::Session(session)) = frames.next() else { panic!("no session for {hello}") };
    let restores = frames.map(|frame| match frame {
        Received::Restore(restore) => restore,
        other => panic!("{other:?}"),
    });
    (client, session.resumed, restores.collect())
}

fn of<'a>(restores: &'a [Restore], room: &str) -> &'a Restore {
    restores.iter().find(|restore| restore.room == room).expect("a restore for the room")
}

fn texts(restore: &Restore) -> Vec<String> {
    restore.messages.iter().map(text).collect()
}

#[test]
fn the_textbooks_exchange_restores_what_was_missed() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (ana, session) = begin(&mut world, "ana");
        let (ben, _) = begin(&mut world, "ben");
        world.say(ben, "seen");
        let last = world.messages(ana)[0].id;
        cut(&mut world, ana);
        world.say(ben, "missed");
        let hello = format!(r#"{{"session_id":"{session}","last_message_id":{last}}}"#);
        let (ana, resumed, restores) = resume(&mut world, &hello);
        assert!(resumed);
        let lobby = of(&restores, "lobby");
        assert_eq!((texts(lobby), lobby.recovered), (vec!["missed".to_owned()], true));
        world.take(ben);
        world.say(ana, "back");
        assert_eq!(world.messages(ben)[0].user_id.as_deref(), Some("ana"), "the session knows its user");
    }
}

#[test]
fn a_session_comes_back_to_all_its_rooms() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (ana, session) = begin(&mut world, "ana");
        world.say(ana, r#"{"type":"join","room":"a"}"#);
        world.say(ana, r#"{"type":"join","room":"b"}"#);
        let ben = world.enter("/ws/a/ben");
        let carl = world.enter("/ws/b/carl");
        world.say(ben, "in a");
        let in_a = world.messages(ana)[0].id;
        cut(&mut world, ana);
        world.say(ben, "missed in a");
        world.say(carl, "missed in b");
        let hello = format!(r#"{{"session_id":"{session}","positions":{{"a":{in_a}}}}}"#);
        let (ana, _, restores) = resume(&mut world, &hello);
        assert_eq!(
            (texts(of(&restores, "a")), of(&restores, "a").recovered),
            (vec!["missed in a".into()], true)
        );
        // Nothing had been sent to it there, so the server knows where it stands.
        assert_eq!(
            (texts(of(&restores, "b")), of(&restores, "b").recovered),
            (vec!["missed in b".into()], true)
        );
        world.say(carl, "live");
        assert_eq!(world.texts(ana), ["live"]);
    }
}

#[test]
fn what_was_sent_into_a_broken_connection_is_not_called_recovered() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (ana, session) = begin(&mut world, "ana");
        world.say(ana, r#"{"type":"join","room":"a"}"#);
        let ben = world.enter("/ws/a/ben");
        world.say(ben, "perhaps it arrived");
        cut(&mut world, ana);
        world.say(ben, "missed");
        let (_, resumed, restores) = resume(&mut world, &format!(r#"{{"session_id":"{session}"}}"#));
        assert!(resumed);
        assert_eq!((texts(of(&restores, "a")), of(&restores, "a").recovered), (vec!["missed".into()], false));
        assert!(of(&restores, "lobby").recovered, "nothing was ever sent there");
    }
}

#[test]
fn a_newer_connection_takes_over_and_nothing_is_lost_or_doubled() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (old, session) = begin(&mut world, "ana");
        let (ben, _) = begin(&mut world, "ben");
        world.say(ben, "one");
        let last = world.messages(old)[0].id;
        world.say(ben, "two");
        let (new, resumed, restores) =
            resume(&mut world, &format!(r#"{{"session_id":"{session}","positions":{{"lobby":{last}}}}}"#));
        assert!(resumed);
        assert_eq!(texts(of(&restores, "lobby")), ["two"]);
        let seen = world.take(old);
        assert!(seen.iter().any(|seen| matches!(seen, Seen::Close(4000, _))), "{seen:?}");
        world.say(ben, "three");
        assert_eq!(world.texts(new), ["three"]);
        assert_eq!(world.counted(Counter::SessionTakenOver), 1);
    }
}

#[test]
fn of_many_claimants_one_has_the_session_and_the_others_are_told() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (_, session) = begin(&mut world, "ana");
        let claimants: Vec<_> = (0..6).map(|_| world.connect("/ws")).collect();
        for &claimant in &claimants {
            world.send(claimant, &format!(r#"{{"session_id":"{session}"}}"#));
        }
        world.pump();
        let (ben, _) = begin(&mut world, "ben");
        world.say(ben, "for one");
        let mut holders = 0;
        for claimant in claimants {
            let seen = world.take(claimant);
            let resumed = seen.iter().any(|seen| {
                matches!(seen, Seen::Frame(Received::Session(found)) if found.resumed && found.session_id == session)
            });
            let closed = seen.iter().any(|seen| matches!(seen, Seen::Close(4000, _)));
            let heard = seen.iter().any(|seen| matches!(seen, Seen::Frame(Received::Message(_))));
            if resumed && !closed {
                holders += 1;
                assert!(heard, "{seen:?}");
            }
            assert!(resumed || heard, "a claimant that came too often begins a session of its own: {seen:?}");
        }
        assert_eq!(holders, 1);
    }
}

#[test]
fn a_session_that_nobody_knows_begins_anew_and_positions_still_recover() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (ben, _) = begin(&mut world, "ben");
        world.say(ben, "one");
        world.say(ben, "two");
        let first = world.messages(ben)[0].id;
        let forged = "ab".repeat(16);
        let hello = format!(r#"{{"session_id":"{forged}","positions":{{"lobby":{first}}}}}"#);
        let (_, resumed, restores) = resume(&mut world, &hello);
        assert!(!resumed);
        assert_eq!(
            (texts(of(&restores, "lobby")), of(&restores, "lobby").recovered),
            (vec!["two".into()], true)
        );
    }
}

#[test]
fn nobody_gets_the_session_of_somebody_else() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (ana, session) = begin(&mut world, "ana");
        for connected in [true, false] {
            if !connected {
                cut(&mut world, ana);
            }
            let eve = world.connect("/ws");
            world.say(eve, &format!(r#"{{"user_id":"eve","session_id":"{session}"}}"#));
            let Received::Error(error) = world.frame(eve) else { panic!("no error") };
            assert_eq!(error.code, "forbidden");
            world.say(eve, r#"{"user_id":"eve"}"#);
            let Received::Session(own) = world.frame(eve) else { panic!("it may say hello again") };
            assert!(!own.resumed && own.session_id != session);
        }
        let (_, resumed, _) = resume(&mut world, &format!(r#"{{"user_id":"ana","session_id":"{session}"}}"#));
        assert!(resumed);
    }
}

#[test]
fn a_session_ends_with_its_window() {
    for mut world in Setup::each_tongue(|setup| setup.limits.session_window_ms = 60_000) {
        for (away_ms, comes_back) in [(50_000, true), (61_000, false)] {
            let (ana, session) = begin(&mut world, "ana");
            cut(&mut world, ana);
            world.advance(away_ms);
            let (_, resumed, _) = resume(&mut world, &format!(r#"{{"session_id":"{session}"}}"#));
            assert_eq!(resumed, comes_back, "after {away_ms} ms");
        }
    }
}

#[test]
fn a_message_to_a_user_reaches_all_the_users_devices_and_waits_for_those_that_are_away() {
    for mut world in Setup::each_tongue(|_| {}) {
        let (phone, session) = begin(&mut world, "ana");
        let laptop = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        world.publish("@ana", "for ana");
        assert_eq!(world.texts(phone), ["for ana"]);
        assert_eq!(world.texts(laptop), ["for ana"]);
        assert!(world.take(ben).is_empty());
        cut(&mut world, phone);
        world.publish("@ana", "while away");
        let (_, _, restores) = resume(&mut world, &format!(r#"{{"session_id":"{session}"}}"#));
        assert_eq!(texts(of(&restores, "@ana")), ["while away"]);
        // A room of the user's own is none that plain words could be meant for.
        world.say(laptop, "plain words");
        assert_eq!(world.texts(ben), ["plain words"]);
    }
}

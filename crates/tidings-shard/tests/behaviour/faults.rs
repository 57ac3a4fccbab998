//! Faults of ours: a panic in one connection's handling costs that connection and no other. And
//! engines whose answers come late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidings_core::engine::EngineGauges;
use tidings_core::telemetry::Counter;
use tidings_core::{
    Completion, Engine, EngineError, Page, Position, Publication, Published, RoomSummary, Timestamp,
};
use tidings_protocol::server::Received;
use tidings_protocol::{MessageId, RoomName};

use crate::support::{Held, Seen, Setup};

/// Panics when somebody speaks in the room `panic`, and fails in the room `broken`.
struct Faulty {
    engine: Arc<dyn Engine>,
    /// Looks at the room `late` that fail before one does not.
    late: AtomicUsize,
}

impl Engine for Faulty {
    fn publish(&self, now: Timestamp, publication: Publication, done: Completion<Published>) {
        match publication.room.as_str() {
            "panic" => panic!("as the test wants it"),
            "broken" => done.complete(Err(EngineError::Unavailable)),
            // Dropped unanswered, as by an engine that has died.
            "dropped" => {}
            _ => self.engine.publish(now, publication, done),
        }
    }

    fn history(
        &self,
        now: Timestamp,
        room: &RoomName,
        from: Position,
        messages_max: usize,
        done: Completion<Page>,
    ) {
        self.engine.history(now, room, from, messages_max, done);
    }

    fn watch(&self, now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        match room.as_str() {
            "unwatchable" => done.complete(Err(EngineError::Unavailable)),
            "late" if self.late.load(Ordering::Relaxed) > 0 => {
                self.late.fetch_sub(1, Ordering::Relaxed);
                done.complete(Err(EngineError::Unavailable));
            }
            _ => self.engine.watch(now, room, done),
        }
    }

    fn unwatch(&self, room: &RoomName) {
        self.engine.unwatch(room);
    }

    fn rooms(
        &self,
        now: Timestamp,
        after: Option<&RoomName>,
        rooms_max: usize,
        done: Completion<Vec<RoomSummary>>,
    ) {
        self.engine.rooms(now, after, rooms_max, done);
    }

    fn tick(&self, now: Timestamp) {
        self.engine.tick(now);
    }

    fn gauges(&self) -> EngineGauges {
        self.engine.gauges()
    }
}

fn faulty(setup: &mut Setup) {
    setup.engine = Box::new(|engine| Arc::new(Faulty { engine, late: AtomicUsize::new(3) }));
}

#[test]
fn a_panic_closes_its_connection_and_nobody_elses() {
    for mut world in Setup::each_tongue(faulty) {
        let ana = world.enter("/ws/chat/ana");
        let ben = world.enter("/ws/chat/ben");
        // One on each shard, and one that goes on sending behind the message that panics.
        let victims: Vec<_> = (0..4).map(|_| world.enter("/ws/panic")).collect();
        for &victim in &victims {
            world.send(victim, "boom");
            world.send(victim, "boom again");
        }
        world.pump();
        for victim in victims {
            assert!(matches!(&world.take(victim)[..], [Seen::Close(1_011, _), Seen::End]));
        }
        assert_eq!(world.counted(Counter::PanicCaught), 4);
        world.say(ana, "undisturbed");
        assert_eq!(world.texts(ben), ["undisturbed"]);
        assert_eq!(world.connections(), 2);
    }
}

#[test]
fn what_the_engine_cannot_store_is_told_to_its_publisher() {
    for mut world in Setup::each_tongue(faulty) {
        for room in ["broken", "dropped"] {
            let ana = world.enter(&format!("/ws/{room}"));
            world.say(ana, r#"{"type":"message","text":"x","ref":"1"}"#);
            let Received::Error(error) = world.frame(ana) else { panic!("not told") };
            assert_eq!((error.code.as_str(), error.reference.as_deref()), ("engine_unavailable", Some("1")));
            // Its requests are not under way for ever: it may go on sending more than wait at once.
            for _ in 0..70 {
                world.send(ana, "x");
            }
            world.advance(2_000);
            assert_eq!(world.frames(ana).len(), 70);
        }
    }
}

#[test]
fn a_room_that_cannot_be_watched_is_not_joined() {
    let mut setup = Setup::default();
    faulty(&mut setup);
    let mut world = setup.build();
    let ana = world.enter("/ws/chat");
    world.say(ana, r#"{"type":"join","room":"unwatchable","ref":"1"}"#);
    assert!(matches!(world.frame(ana), Received::Error(error) if error.code == "engine_unavailable"));
    world.say(ana, "still in one room");
    assert_eq!(world.texts(ana), ["still in one room"]);
}

#[test]
fn who_comes_with_its_rooms_while_the_engine_is_away_is_in_them_when_it_is_back() {
    let mut setup = Setup::default();
    faulty(&mut setup);
    let mut world = setup.build();
    let ana = world.connect("/ws/late");
    assert!(world.take(ana).is_empty(), "what is said after it was let in, it must get");
    for _ in 0..5 {
        world.advance(1_000);
    }
    world.greeted(ana);
    world.say(ana, "at last");
    assert_eq!(world.texts(ana), ["at last"]);
}

#[test]
fn an_answer_that_comes_late_finds_nobody_instead_of_the_next_client() {
    let held = Held::default();
    let mut world = Setup { engine: held.engine(), ..Setup::default() }.build();
    let ana = world.enter("/ws/chat/ana");
    world.say(ana, "one");
    let ben = world.enter("/ws/other");
    held.hold(true);
    world.say(ben, r#"{"type":"history","room":"chat","after":0}"#);
    world.say(ben, r#"{"type":"join","room":"chat","last_message_id":0}"#);
    held.hold(false);
    world.client(ben).pipe.reset();
    world.pump();
    let eve = world.enter("/ws/chat/eve");
    held.release_all();
    world.pump();
    assert!(world.take(eve).is_empty());
    world.say(ana, "two");
    assert_eq!(world.texts(eve), ["two"]);
}

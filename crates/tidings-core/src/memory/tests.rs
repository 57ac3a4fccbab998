//! The memory engine in the contract suite, and against a model that is too simple to be wrong.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;
use tidings_protocol::{Limits, MessageId};

use crate::contract::Harness;
use crate::memory::MemoryEngine;
use crate::{Hub, RoomOptions, RoomRules, Timestamp};

fn make(rules: RoomRules, limits: Limits) -> Harness {
    let hub = Arc::new(Hub::new());
    let engine = MemoryEngine::new(Arc::clone(&hub), Arc::new(rules), Arc::new(limits), Timestamp(0));
    Harness::new(Arc::new(engine), hub)
}

crate::engine_contract_tests!(make);
crate::embedded_engine_contract_tests!(make);

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Publish { room: usize, bytes: usize },
    Jump { ms: i64 },
    Enter { room: usize },
    Exit { room: usize },
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..ROOMS.len(), 0..12_usize).prop_map(|(room, bytes)| Step::Publish { room, bytes }),
        2 => (-200..2_000_i64).prop_map(|ms| Step::Jump { ms }),
        1 => (0..ROOMS.len()).prop_map(|room| Step::Enter { room }),
        1 => (0..ROOMS.len()).prop_map(|room| Step::Exit { room }),
        1 => Just(Step::Tick),
    ]
}

const ROOMS: [&str; 3] = ["a", "b", "c"];
const COUNT: usize = 5;
const BYTES: usize = 30;
const AGE_MS: u64 = 1_000;

/// A room by the textbook: everything a log keeps, oldest first.
#[derive(Default)]
struct Model {
    kept: VecDeque<Kept>,
    last: MessageId,
    has_member: bool,
    /// Where the log ended, as its member was told when it came or by the last message.
    told: Option<MessageId>,
    /// Whether a tick found it silent since it last spoke.
    may_be_forgotten: bool,
}

struct Kept {
    id: MessageId,
    bytes: usize,
    stored: Timestamp,
}

impl Model {
    fn append(&mut self, id: MessageId, bytes: usize, now: Timestamp) {
        self.last = id;
        self.may_be_forgotten = false;
        self.kept.push_back(Kept { id, bytes, stored: now });
        self.expire(now);
        while self.kept.len() > COUNT || self.kept.iter().map(|kept| kept.bytes).sum::<usize>() > BYTES {
            self.kept.pop_front();
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while self.kept.front().is_some_and(|kept| kept.stored.as_ms() + AGE_MS <= now.as_ms()) {
            self.kept.pop_front();
        }
    }
}

proptest! {
    #[test]
    fn any_life_of_a_room_agrees_with_the_model(steps in prop::collection::vec(step(), 1..200)) {
        let limits = Limits { room_forgotten_after_ms: 3_000, ..Limits::default() };
        let options = RoomOptions {
            history_messages: COUNT,
            history_bytes: BYTES,
            history_age_ms: AGE_MS,
            ..RoomOptions::from_limits(&limits)
        };
        let h = make(RoomRules::new(Vec::new(), options), limits);
        let mut models: [Model; 3] = Default::default();
        for step in steps {
            take(&step, &h, &mut models)?;
            for (room, model) in ROOMS.iter().zip(&mut models) {
                model.expire(h.now());
                compare(&h, room, model)?;
            }
        }
    }
}

fn take(step: &Step, h: &Harness, models: &mut [Model]) -> Result<(), TestCaseError> {
    match *step {
        Step::Publish { room, bytes } => {
            let id = h.say(ROOMS[room], &"x".repeat(bytes));
            prop_assert!(id > models[room].last && id.0 >= h.now().0);
            models[room].append(id, bytes, h.now());
            if let Some(told) = models[room].told {
                models[room].told = Some(id);
                let newest = h.history(ROOMS[room], told).messages.pop().expect("it was just stored");
                prop_assert_eq!(newest.prev, told, "a member is never shown a break that is none");
            }
        }
        Step::Jump { ms } => h.set(Timestamp(h.now().0.saturating_add_signed(ms * 1_000))),
        Step::Enter { room } => {
            let head = h.enter(ROOMS[room]);
            prop_assert!(!models[room].has_member || models[room].told == Some(head));
            models[room].told = Some(head);
            models[room].has_member = true;
        }
        Step::Exit { room } => {
            h.exit(ROOMS[room]);
            models[room].has_member = false;
            models[room].told = None;
        }
        Step::Tick => {
            h.engine.tick(h.now());
            for model in models {
                model.may_be_forgotten |= model.kept.is_empty() && !model.has_member;
            }
        }
    }
    Ok(())
}

fn compare(h: &Harness, room: &str, model: &Model) -> Result<(), TestCaseError> {
    let page = h.history(room, MessageId::ZERO);
    let found: Vec<_> = page.messages.iter().map(|message| message.id).collect();
    let wanted: Vec<_> = model.kept.iter().map(|kept| kept.id).collect();
    prop_assert_eq!(found, wanted);
    prop_assert!(page.messages.windows(2).all(|pair| pair[1].prev == pair[0].id));
    // A forgotten or new room may seem to have gone further than it did, never less far.
    let certain = model.last > MessageId::ZERO && !model.may_be_forgotten;
    let as_told = if certain { page.head == model.last } else { page.head >= model.last };
    prop_assert!(as_told, "the log ends at {} and not at {}", page.head, model.last);
    Ok(())
}

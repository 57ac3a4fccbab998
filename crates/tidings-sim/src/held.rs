//! An engine whose calls can be held back and let go in any order, as those of one behind a network.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tidings_core::engine::EngineGauges;
use tidings_core::{Completion, Engine, Page, Position, Publication, Published, RoomSummary, Timestamp};
use tidings_protocol::{MessageId, RoomName};

use crate::random::Random;
use crate::world::Wrap;

type Call = Box<dyn FnOnce() + Send>;

/// The calls that are held back. Shared with the engine.
#[derive(Clone, Default)]
pub struct Held {
    calls: Arc<Mutex<Vec<Call>>>,
    holds: Arc<AtomicBool>,
}

struct Late {
    engine: Arc<dyn Engine>,
    held: Held,
}

impl Held {
    /// Puts itself around an engine.
    pub fn engine(&self) -> Wrap {
        let held = self.clone();
        Box::new(move |engine| Arc::new(Late { engine, held: held.clone() }))
    }

    /// Holds back what is asked from now on, or no longer.
    pub fn hold(&self, holds: bool) {
        self.holds.store(holds, Ordering::Relaxed);
    }

    /// Lets a call go, whichever.
    pub fn release_any(&self, random: &mut Random) {
        let mut calls = self.calls.lock().unwrap();
        if calls.is_empty() {
            return;
        }
        let index = random.below(calls.len());
        let call = calls.swap_remove(index);
        // The call may lead to others.
        drop(calls);
        call();
    }

    /// Lets go of everything that is held.
    pub fn release_all(&self) {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().for_each(|call| call());
    }

    /// What is held never happens: the node that asked for it is gone.
    pub fn forget_all(&self) {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        // Each answers, as it is dropped, that nothing was done.
        drop(calls);
    }

    fn call(&self, call: impl FnOnce() + Send + 'static) {
        if self.holds.load(Ordering::Relaxed) {
            self.calls.lock().unwrap().push(Box::new(call));
        } else {
            call();
        }
    }
}

impl Engine for Late {
    fn publish(&self, now: Timestamp, publication: Publication, done: Completion<Published>) {
        let engine = Arc::clone(&self.engine);
        self.held.call(move || engine.publish(now, publication, done));
    }

    fn history(
        &self,
        now: Timestamp,
        room: &RoomName,
        from: Position,
        messages_max: usize,
        done: Completion<Page>,
    ) {
        let (engine, room) = (Arc::clone(&self.engine), room.clone());
        self.held.call(move || engine.history(now, &room, from, messages_max, done));
    }

    fn watch(&self, now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        let (engine, room) = (Arc::clone(&self.engine), room.clone());
        self.held.call(move || engine.watch(now, &room, done));
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

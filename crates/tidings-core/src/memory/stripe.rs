//! The rooms behind one lock: their logs, whose turn it is to be looked at, and who has the oldest
//! message.
//!
//! Owned by the memory engine. Refuses to forget a room in a way that could give an id twice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use tidings_protocol::{Message, MessageId, RoomName};

use crate::engine::Timestamp;
use crate::memory::log::Log;
use crate::memory::totals::{Totals, Trimmed};
use crate::{Hub, RoomOptions, RoomRules};

/// Entries of the order of age that may be stale before it is made anew.
const STALE_ENTRIES_MAX: usize = 64;

pub(crate) struct Stripe {
    logs: HashMap<RoomName, Log>,
    /// Every room of `logs` once; the first is looked at next.
    turns: VecDeque<RoomName>,
    /// For every room with messages an id that its oldest message does not precede. An entry is
    /// corrected when it comes to the top, so that publishing need not touch the order.
    by_age: BinaryHeap<Reverse<(MessageId, RoomName)>>,
    /// The newest id of all rooms that were forgotten; the origin while none was.
    floor: MessageId,
    /// Where the engine's knowledge begins.
    origin: MessageId,
}

impl Stripe {
    pub(crate) fn new(origin: MessageId) -> Self {
        Self {
            logs: HashMap::new(),
            turns: VecDeque::new(),
            by_age: BinaryHeap::new(),
            floor: origin,
            origin,
        }
    }

    pub(crate) fn rooms(&self) -> usize {
        self.logs.len()
    }

    pub(crate) fn knows(&self, room: &RoomName) -> bool {
        self.logs.contains_key(room)
    }

    pub(crate) fn log(&mut self, room: &RoomName) -> Option<&mut Log> {
        self.logs.get_mut(room)
    }

    pub(crate) fn logs(&mut self) -> impl Iterator<Item = (&RoomName, &mut Log)> {
        self.logs.iter_mut()
    }

    /// The room's newest id. That of a room that is not known is the floor: it may have been
    /// forgotten, and was not beyond it then.
    pub(crate) fn head(&self, room: &RoomName) -> MessageId {
        self.logs.get(room).map_or(self.floor, Log::head)
    }

    /// Whether the floor may rise under a room that is not known. As long as nothing was
    /// forgotten, all unknown rooms end at the origin and need no record.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.floor > self.origin
    }

    /// Begins a room's log where the floor is: a client that comes back from an earlier life of the
    /// room finds that it missed something.
    pub(crate) fn add(&mut self, room: &RoomName) {
        self.logs.insert(room.clone(), Log::new(self.floor));
        self.turns.push_back(room.clone());
    }

    /// Makes the room's next message with its id and the one before it, appends it to the log, which must
    /// be there, and trims that. `None` when ids are exhausted, which takes a clock far in the future.
    pub(crate) fn append(
        &mut self,
        room: RoomName,
        options: &RoomOptions,
        now: Timestamp,
        totals: &Totals,
        message: impl FnOnce(RoomName, MessageId, MessageId) -> Message,
    ) -> Option<Arc<Message>> {
        let log = self.logs.get_mut(&room).expect("the room was added under the same lock");
        let prev = log.head();
        let id = MessageId(now.0.max(prev.0 + 1));
        if id.0 >= MessageId::LIMIT {
            return None;
        }
        let message = Arc::new(message(room, id, prev));
        if log.append(&message, options) {
            totals.add_message(message.payload.len());
        }
        totals.subtract(log.trim(options, now));
        if let (false, Some(oldest)) = (log.ranked, log.oldest()) {
            log.ranked = true;
            self.by_age.push(Reverse((oldest, message.room.clone())));
        }
        Some(message)
    }

    /// No message has a smaller id than this; `u64::MAX` if there is none.
    pub(crate) fn oldest(&self) -> u64 {
        self.by_age.peek().map_or(u64::MAX, |Reverse((id, _))| id.0)
    }

    /// One step towards less history: corrects the order of age, or drops the oldest message.
    pub(crate) fn shrink(&mut self, totals: &Totals) {
        let Some(Reverse((id, room))) = self.by_age.pop() else { return };
        let Some(log) = self.logs.get_mut(&room) else { return };
        if log.oldest() == Some(id) {
            totals.subtract(Trimmed { messages: 1, bytes: log.drop_oldest() });
        }
        match log.oldest() {
            Some(oldest) => self.by_age.push(Reverse((oldest, room))),
            None => log.ranked = false,
        }
    }

    /// Looks at the room whose turn it is: drops what is too old, and forgets the room if nothing
    /// is left, nobody is in it and its newest id is older than `grace_us`. Says whether it was
    /// forgotten.
    pub(crate) fn examine(
        &mut self,
        hub: &Hub,
        rules: &RoomRules,
        now: Timestamp,
        grace_us: u64,
        totals: &Totals,
        is_here: impl Fn(&RoomName) -> bool,
    ) -> bool {
        let Some(room) = self.turns.pop_front() else { return false };
        let log = self.logs.get_mut(&room).expect("rooms that have a turn have a log");
        totals.subtract(log.expire(rules.of(&room), now));
        let silent = log.head().0.saturating_add(grace_us) <= now.0 || grace_us == 0;
        if log.messages() > 0 || !silent || hub.has_members(&room) {
            self.turns.push_back(room);
            return false;
        }
        let head = log.head();
        if !self.has_forgotten() {
            self.record_watched(hub, totals, is_here);
        }
        self.floor = self.floor.max(head);
        self.logs.remove(&room);
        totals.remove_room();
        self.give_back();
        true
    }

    /// The floor is about to rise for the first time: rooms that are watched without a record keep
    /// the end that their members were told.
    fn record_watched(&mut self, hub: &Hub, totals: &Totals, is_here: impl Fn(&RoomName) -> bool) {
        let mut watched = Vec::new();
        hub.each_room(|room| {
            if is_here(room) && !self.knows(room) {
                watched.push(room.clone());
            }
        });
        for room in watched {
            totals.add_room();
            self.add(&room);
        }
    }

    /// Forgotten rooms leave entries and empty tables behind.
    fn give_back(&mut self) {
        let rooms = self.logs.len();
        if self.by_age.len() > 2 * rooms + STALE_ENTRIES_MAX {
            self.rank_anew();
        }
        if self.logs.capacity() > 4 * rooms + STALE_ENTRIES_MAX {
            self.logs.shrink_to(2 * rooms);
            self.turns.shrink_to(2 * rooms);
        }
    }

    fn rank_anew(&mut self) {
        let mut ranks = Vec::new();
        for (room, log) in &mut self.logs {
            log.ranked = log.oldest().is_some();
            ranks.extend(log.oldest().map(|oldest| Reverse((oldest, room.clone()))));
        }
        self.by_age = ranks.into();
    }
}

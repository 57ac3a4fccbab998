//! The ledger of one Redis server or Cluster: which rooms this node listens to there, and up to where it heard.
//!
//! A pure state machine: it says what to ask the server and is told what came of it. Redis forgets
//! subscriptions and drops announcements without a word, so nothing is taken for heard that does not
//! continue at `seen`; after any doubt the room's head is asked for, and what is missing is read
//! from the log and announced in its place. Refuses to announce anything twice or out of order.

mod entry;
mod proofs;

#[cfg(test)]
mod model;
#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tidings_core::{Completion, Doubt, EngineError, Hole, Hub, Page, Timestamp, recovery};
use tidings_protocol::{Limits, MessageId, RoomName};

use self::entry::{Ear, Entry, Lease};
use self::proofs::{Proof, Proofs};
use crate::keys::Keys;
use crate::routes::{LineNumber, Routes};
use crate::slots::Slot;
use crate::wire::Heard;

/// Messages read from a log at once to make good what was not heard.
pub(crate) const REPAIR_MESSAGES: usize = 256;

/// Which line leads to a room.
pub(crate) struct Ways {
    pub(crate) keys: Keys,
    pub(crate) routes: Arc<Routes>,
}

/// See the module.
pub(crate) struct Ledger {
    hub: Arc<Hub>,
    ways: Ways,
    linger_us: u64,
    check_us: u64,
    rooms: HashMap<RoomName, Entry>,
    proofs: Proofs,
    /// Rooms about which something has to be asked or told, by the line that led there when that was found.
    work: HashMap<LineNumber, VecDeque<RoomName>>,
    /// Lines that have got work since that was last asked for.
    calls: Vec<LineNumber>,
    /// Every room once, in the order in which their heads were checked last, and some that were given
    /// up since: the number tells which.
    checks: VecDeque<(Timestamp, RoomName, u64)>,
    /// Rooms about which the server did not answer; asked again with the next tick.
    unanswered: Vec<RoomName>,
    /// Rooms without members, in the order in which they are given up.
    left: VecDeque<(Timestamp, RoomName)>,
    /// Counts subscriptions, over all rooms; an answer to a question from an earlier one says nothing.
    connections: u64,
    /// Counts entries.
    lives: u64,
    /// Counts watches.
    watches: u64,
    repaired: HashMap<LineNumber, u64>,
}

/// What the server is to be asked or told about a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// To announce its messages; then where its log ends.
    Subscribe,
    /// To announce them no more.
    Unsubscribe,
    /// Where its log ends.
    Look,
}

/// A question for a room's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Which connection hears of the room, counted by room.
    pub(crate) connection: u64,
    /// Which watches it answers: all up to this one.
    watches: u64,
    /// An id that the server must know to have given out, or it has lost messages.
    pub(crate) proof: MessageId,
}

/// What else must be read before a room is whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) after: MessageId,
}

/// Where a room's log ends, and what it lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) head: MessageId,
    pub(crate) hole: Option<Hole>,
}

impl Ledger {
    /// Rooms are listened to for `engine_linger_ms` after their last member left, and looked at each
    /// `engine_check_ms`.
    pub(crate) fn new(hub: Arc<Hub>, limits: &Limits, ways: Ways) -> Self {
        // A third, so that a room with members never comes near to being forgotten.
        let check_ms = (limits.room_forgotten_after_ms / 3).clamp(1_000, limits.engine_check_ms);
        Self {
            hub,
            ways,
            linger_us: limits.engine_linger_ms.saturating_mul(1_000),
            check_us: check_ms.saturating_mul(1_000),
            rooms: HashMap::new(),
            proofs: Proofs::new(limits.engine_proofs_max),
            work: HashMap::new(),
            calls: Vec::new(),
            checks: VecDeque::new(),
            left: VecDeque::new(),
            unanswered: Vec::new(),
            connections: 0,
            lives: 0,
            watches: 0,
            repaired: HashMap::new(),
        }
    }

    /// The node has members in a room, whose head somebody wants to know.
    pub(crate) fn watch(&mut self, now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        if !self.rooms.contains_key(room) {
            self.lives += 1;
            let proof = self.proofs.take(room);
            self.connections += 1;
            let slot = self.ways.keys.slot(room);
            self.rooms.insert(room.clone(), Entry::new(self.lives, slot, self.connections, proof));
            self.checks.push_back((now, room.clone(), self.lives));
            self.drop_needless_checks();
        }
        let Some(entry) = self.rooms.get_mut(room) else { return };
        if std::mem::replace(&mut entry.lease, Lease::Held) != Lease::Held {
            entry.begin_anew();
        }
        self.watches += 1;
        entry.wait(self.watches, done);
        self.queue(room);
    }

    /// The node may have no members in a room any more.
    pub(crate) fn unwatch(&mut self, now: Timestamp, room: &RoomName) {
        if self.hub.has_members(room) {
            return;
        }
        if let Some(entry) = self.rooms.get_mut(room)
            && entry.lease == Lease::Held
        {
            entry.lease = Lease::Left;
            if !std::mem::replace(&mut entry.is_timed, true) {
                self.left.push_back((Timestamp(now.0 + self.linger_us), room.clone()));
            }
        }
    }

    /// A message that this node published was stored.
    pub(crate) fn stored(&mut self, room: &RoomName, id: MessageId) {
        match self.rooms.get_mut(room) {
            Some(entry) => entry.proof.raise(id),
            None => self.proofs.remember(room, Proof::of(id)),
        }
    }

    /// Gives up rooms that were left long enough ago, and looks at others whose turn it is, at most
    /// `rooms_max` of each.
    pub(crate) fn tick(&mut self, now: Timestamp, rooms_max: usize) {
        for room in std::mem::take(&mut self.unanswered) {
            match self.rooms.contains_key(&room) {
                true => self.queue(&room),
                false => self.proofs.show_again(room),
            }
        }
        for _ in 0..rooms_max {
            let Some((until, _)) = self.left.front() else { break };
            if *until > now {
                break;
            }
            let Some((_, room)) = self.left.pop_front() else { break };
            let Some(entry) = self.rooms.get_mut(&room) else { continue };
            entry.is_timed = false;
            if entry.lease == Lease::Left {
                entry.lease = Lease::Ended;
                self.queue(&room);
            }
        }
        for _ in 0..rooms_max {
            let Some((checked, ..)) = self.checks.front() else { break };
            if now.0.saturating_sub(checked.0) < self.check_us {
                break;
            }
            let Some((_, room, life)) = self.checks.pop_front() else { break };
            if self.rooms.get(&room).is_some_and(|entry| entry.life == life) {
                self.queue(&room);
                self.checks.push_back((now, room, life));
            }
        }
        self.proofs.forget(now, self.check_us, rooms_max);
    }

    /// What is to be done next by a line, for at most `rooms_max` rooms.
    pub(crate) fn next_work(&mut self, line: LineNumber, rooms_max: usize) -> Vec<(RoomName, Task)> {
        let mut tasks = Vec::new();
        while tasks.len() < rooms_max
            && let Some(room) = self.work.get_mut(&line).and_then(VecDeque::pop_front)
        {
            let Some(entry) = self.rooms.get_mut(&room) else { continue };
            entry.is_queued = false;
            if self.ways.routes.line_of(entry.slot) != line {
                self.queue(&room);
                continue;
            }
            if entry.line.is_some_and(|heard_by| heard_by != line) {
                // Its slot has gone to another master, which announces from now on.
                self.connections += 1;
                entry.go_deaf(self.connections);
            }
            if entry.lease == Lease::Ended && !self.hub.has_members(&room) {
                if entry.ear != Ear::Deaf {
                    tasks.push((room.clone(), Task::Unsubscribe));
                }
                if let Some(entry) = self.rooms.remove(&room) {
                    self.proofs.remember(&room, entry.proof);
                }
                continue;
            }
            let task = match entry.ear {
                Ear::Deaf => Task::Subscribe,
                Ear::Catching | Ear::Live => Task::Look,
            };
            // What is heard from now on may come before the answer.
            entry.ear = if entry.ear == Ear::Deaf { Ear::Catching } else { entry.ear };
            entry.line = Some(line);
            tasks.push((room, task));
        }
        while tasks.len() < rooms_max
            && let Some(room) = self.proofs.show_next()
        {
            tasks.push((room, Task::Look));
        }
        tasks
    }

    /// The lines for which [`Ledger::next_work`] has got something since this was last asked.
    pub(crate) fn calls(&mut self) -> Vec<LineNumber> {
        std::mem::take(&mut self.calls)
    }

    /// Whether [`Ledger::next_work`] has something that any line may do.
    pub(crate) fn has_to_show(&self) -> bool {
        self.proofs.has_to_show()
    }

    /// The newest id that this node knows to have been given out in a room: what is published must
    /// have a greater one.
    pub(crate) fn newest(&self, room: &RoomName) -> MessageId {
        self.proof(room).map_or(MessageId::ZERO, |proof| proof.newest)
    }

    /// A question for a room's head.
    pub(crate) fn look(&self, room: &RoomName) -> Look {
        Look {
            connection: self.rooms.get(room).map_or(0, |entry| entry.connection),
            watches: self.watches,
            proof: self.proof(room).map_or(MessageId::ZERO, Proof::to_show),
        }
    }

    fn proof(&self, room: &RoomName) -> Option<&Proof> {
        self.rooms.get(room).map(|entry| &entry.proof).or_else(|| self.proofs.of(room))
    }

    /// Something was published on a room's channel.
    pub(crate) fn heard(&mut self, room: &RoomName, heard: Heard) {
        let Some(entry) = self.rooms.get_mut(room) else { return };
        match heard {
            Heard::Hole(hole) => entry.torn(&self.hub, room, hole),
            Heard::Message(message) if entry.ear == Ear::Live => {
                if Some(message.prev) == entry.seen {
                    entry.advance(message.id);
                    self.hub.announce(&message);
                } else if entry.seen.is_none_or(|seen| message.id > seen) {
                    entry.ear = Ear::Catching;
                    entry.hold(message);
                    self.queue(room);
                }
            }
            Heard::Message(message) => entry.hold(message),
        }
    }

    /// The server said where a room's log ends. Gives what is to be read from it.
    pub(crate) fn looked(
        &mut self,
        room: &RoomName,
        look: Look,
        sight: Result<Sight, EngineError>,
    ) -> Option<Missing> {
        let Some(entry) = self.rooms.get_mut(room) else {
            match sight {
                Ok(_) => self.proofs.shown(room, look.proof),
                Err(_) => self.unanswered.push(room.clone()),
            }
            return None;
        };
        let sight = match sight {
            Ok(sight) => sight,
            Err(error) => {
                entry.answer(look.watches, Err(error));
                if entry.ear == Ear::Catching || entry.proof.is_doubted() {
                    self.unanswered.push(room.clone());
                }
                return None;
            }
        };
        entry.proof.shown(look.proof);
        entry.proof.raise(sight.head);
        let is_doubted = entry.proof.is_doubted();
        // Whoever waits waits on: what was announced since the connection broke was not heard, nor
        // before the subscription, if the question is from an earlier life of the room.
        if look.connection != entry.connection || entry.ear == Ear::Deaf {
            return None;
        }
        // A loss is told before anybody comes in: it does not concern those.
        match (entry.seen, sight.hole) {
            (None, Some(hole)) => drop(entry.learn(hole)),
            (Some(_), Some(hole)) => entry.torn(&self.hub, room, hole),
            (_, None) => {}
        }
        entry.answer(look.watches, Ok(sight.head));
        let missing = match entry.seen {
            Some(seen) if seen < sight.head => entry.read_on().map(|after| Missing { after }),
            _ if entry.ear == Ear::Live || entry.reading.is_some() => None,
            _ => {
                self.settle(room, sight.head);
                None
            }
        };
        if is_doubted {
            self.queue(room);
        }
        missing
    }

    /// What a room's log holds after a place, where [`Missing`] asked for it. Gives what else is to be
    /// read.
    pub(crate) fn filled(
        &mut self,
        now: Timestamp,
        room: &RoomName,
        connection: u64,
        after: MessageId,
        page: Result<Page, EngineError>,
    ) -> Option<Missing> {
        let entry = self.rooms.get_mut(room)?;
        if connection != entry.connection || entry.reading != Some(after) {
            return None;
        }
        entry.reading = None;
        let Ok(page) = page else {
            self.unanswered.push(room.clone());
            return None;
        };
        let mut seen = entry.seen?;
        if seen != after {
            // A loss was noticed meanwhile, which the page knows nothing of.
            return entry.read_on().map(|after| Missing { after });
        }
        if let Some(_gap) = recovery::gap(seen, &page, now) {
            // What lies between cannot be had; each member finds out what that means for it. An old
            // hole is not the reason, and who came after it has nothing to do with it.
            let hole = page.hole.filter(|&hole| entry.learn(hole));
            self.hub.doubt(&Arc::new(Doubt { room: room.clone(), head: page.head, hole }));
            seen = page.messages.first().map_or(page.head, |first| first.prev).max(seen);
        }
        for message in page.messages.iter().filter(|message| message.id > seen) {
            *self.repaired.entry(self.ways.routes.line_of(entry.slot)).or_default() += 1;
            self.hub.announce(message);
        }
        seen = page.messages.last().map_or(seen, |last| last.id).max(seen);
        entry.advance(seen);
        if seen < page.head && !page.messages.is_empty() {
            return entry.read_on().map(|after| Missing { after });
        }
        self.settle(room, page.head);
        None
    }

    /// A line's connection broke, or was never there: every room there has to be subscribed to again.
    pub(crate) fn disconnected(&mut self, line: LineNumber) {
        self.go_deaf(|entry| entry.line == Some(line));
    }

    /// Slots have other lines than before.
    pub(crate) fn rerouted(&mut self, slots: &HashSet<Slot>) {
        // A line that leads nowhere any more does not do what it was to do.
        let waiting: Vec<_> = self.work.drain().flat_map(|(_, rooms)| rooms).collect();
        for room in waiting {
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.is_queued = false;
            }
            self.queue(&room);
        }
        let routes = Arc::clone(&self.ways.routes);
        self.go_deaf(|entry| slots.contains(&entry.slot) && entry.line != Some(routes.line_of(entry.slot)));
        // A master that took over without being given the slots may lack what the one before had.
        let keys = &self.ways.keys;
        self.proofs.show_all(|room| slots.contains(&keys.slot(room)));
    }

    fn go_deaf(&mut self, concerns: impl Fn(&Entry) -> bool) {
        let rooms = self.rooms.iter().filter(|(_, entry)| concerns(entry)).map(|(room, _)| room.clone());
        let rooms: Vec<_> = rooms.collect();
        for room in rooms {
            if let Some(entry) = self.rooms.get_mut(&room) {
                self.connections += 1;
                entry.go_deaf(self.connections);
            }
            self.queue(&room);
        }
    }

    /// The server unsubscribed this node from a room by a line. Says whether it was not asked to.
    pub(crate) fn unsubscribed(&mut self, line: LineNumber, room: &RoomName) -> bool {
        let Some(entry) = self.rooms.get_mut(room).filter(|entry| entry.line == Some(line)) else {
            return false;
        };
        self.connections += 1;
        entry.go_deaf(self.connections);
        self.queue(room);
        true
    }

    /// A room was to be subscribed to by a line, and was not, or not for certain.
    pub(crate) fn not_subscribed(&mut self, line: LineNumber, room: &RoomName) {
        let leads_there = self.ways.line_of(room) == line;
        if self.unsubscribed(line, room) && leads_there {
            // The same would come of it at once.
            self.unanswered.push(room.clone());
        }
    }

    /// A server does not answer. Whoever answers next in its place may be another one, which has lost messages.
    pub(crate) fn went_away(&mut self, line: LineNumber) {
        let rooms: Vec<_> = self.rooms_by(line);
        for room in rooms {
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.proof.doubt();
            }
            self.queue(&room);
        }
        let ways = &self.ways;
        self.proofs.show_all(|room| ways.line_of(room) == line);
        self.refuse_waiting(line);
    }

    /// Nobody is left to wait.
    pub(crate) fn refuse_waiting(&mut self, line: LineNumber) {
        for entry in self.rooms.values_mut() {
            if self.ways.routes.line_of(entry.slot) == line {
                entry.answer(self.watches, Err(EngineError::Unavailable));
            }
        }
    }

    fn rooms_by(&self, line: LineNumber) -> Vec<RoomName> {
        let by = self.rooms.iter().filter(|(_, entry)| self.ways.routes.line_of(entry.slot) == line);
        by.map(|(room, _)| room.clone()).collect()
    }

    /// Rooms listened to.
    pub(crate) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// Rooms listened to by a line, and messages that had to be read there because they were not heard.
    pub(crate) fn figures(&self, line: LineNumber) -> (usize, u64) {
        let by = self.rooms.values().filter(|entry| self.ways.routes.line_of(entry.slot) == line);
        (by.count(), self.repaired.get(&line).copied().unwrap_or(0))
    }

    fn settle(&mut self, room: &RoomName, head: MessageId) {
        if self.rooms.get_mut(room).is_some_and(|entry| entry.settle(&self.hub, head)) {
            self.queue(room);
        }
    }

    fn queue(&mut self, room: &RoomName) {
        if let Some(entry) = self.rooms.get_mut(room)
            && !std::mem::replace(&mut entry.is_queued, true)
        {
            let line = self.ways.routes.line_of(entry.slot);
            self.work.entry(line).or_default().push_back(room.clone());
            if self.calls.last() != Some(&line) {
                self.calls.push(line);
            }
        }
    }

    /// Rooms that come and go leave a check behind each time.
    fn drop_needless_checks(&mut self) {
        if self.checks.len() > 2 * self.rooms.len() + 64 {
            let rooms = &self.rooms;
            self.checks.retain(|(_, room, life)| rooms.get(room).is_some_and(|entry| entry.life == *life));
        }
    }
}

impl Ways {
    pub(crate) fn line_of(&self, room: &RoomName) -> LineNumber {
        self.routes.line_of(self.keys.slot(room))
    }
}

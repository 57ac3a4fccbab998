//! The ledger of one Redis server: which rooms this node listens to there, and up to where it heard.
//!
//! A pure state machine: it says what to ask the server and is told what came of it. Redis forgets
//! subscriptions and drops announcements without a word, so nothing is taken for heard that does not
//! continue at `seen`; after any doubt the room's head is asked for, and what is missing is read
//! from the log and announced in its place. Refuses to announce anything twice or out of order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidings_core::{Completion, Doubt, EngineError, Hole, Hub, Page, Timestamp, recovery};
use tidings_protocol::{Message, MessageId, RoomName};

use crate::wire::Heard;

/// Announcements kept of one room while its log is read. Beyond: the oldest is dropped, and the log
/// is read once more.
const HELD_MAX: usize = 256;

/// Messages read from a log at once to make good what was not heard.
pub(crate) const REPAIR_MESSAGES: usize = 256;

/// See the module.
pub(crate) struct Ledger {
    hub: Arc<Hub>,
    linger_us: u64,
    check_us: u64,
    rooms: HashMap<RoomName, Entry>,
    /// Rooms about which the server has to be asked or told something.
    work: VecDeque<RoomName>,
    /// Every room once, in the order in which their heads were checked last.
    checks: VecDeque<(Timestamp, RoomName)>,
    /// Rooms about which the server did not answer; asked again with the next tick.
    unanswered: Vec<RoomName>,
    /// Rooms without members, in the order in which they are given up.
    left: VecDeque<(Timestamp, RoomName)>,
    /// Counts connections; an answer from an earlier one says nothing.
    connection: u64,
    repaired: u64,
}

/// A room that this node listens to, or is about to.
struct Entry {
    ear: Ear,
    /// The newest message announced to the hub; `None` before the first answer.
    seen: Option<MessageId>,
    /// Heard while the log is read.
    held: VecDeque<Arc<Message>>,
    /// Who wants to know where the log ends.
    waiting: Vec<Completion<MessageId>>,
    lease: Lease,
    /// It is in `work`.
    is_queued: bool,
    /// It is in `left`.
    is_timed: bool,
    /// The newest hole that members were told of.
    hole: Option<Hole>,
}

/// Whether the room is still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// The node has members in it.
    Held,
    /// It has none, but may have again in a moment.
    Left,
    /// It is to be given up.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    /// Not subscribed.
    Deaf,
    /// Subscribed; what lies between `seen` and the head is being asked for.
    Catching,
    /// Whatever continues at `seen` is announced at once.
    Live,
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
    /// Rooms are listened to for `linger_ms` after their last member left, and looked at each
    /// `check_ms`.
    pub(crate) fn new(hub: Arc<Hub>, linger_ms: u64, check_ms: u64) -> Self {
        Self {
            hub,
            linger_us: linger_ms.saturating_mul(1_000),
            check_us: check_ms.saturating_mul(1_000),
            rooms: HashMap::new(),
            work: VecDeque::new(),
            checks: VecDeque::new(),
            left: VecDeque::new(),
            unanswered: Vec::new(),
            connection: 0,
            repaired: 0,
        }
    }

    /// The node has members in a room, whose head somebody wants to know.
    pub(crate) fn watch(&mut self, now: Timestamp, room: &RoomName, done: Completion<MessageId>) {
        let entry = match self.rooms.get_mut(room) {
            Some(entry) => entry,
            None => {
                self.checks.push_back((now, room.clone()));
                self.rooms.entry(room.clone()).or_insert_with(Entry::new)
            }
        };
        // Who comes back is told the head, so nothing before it may be announced any more.
        if std::mem::replace(&mut entry.lease, Lease::Held) != Lease::Held && entry.ear == Ear::Live {
            (entry.ear, entry.seen) = (Ear::Catching, None);
        }
        entry.waiting.push(done);
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

    /// Gives up rooms that were left long enough ago, and looks at others whose turn it is, at most
    /// `rooms_max` of each.
    pub(crate) fn tick(&mut self, now: Timestamp, rooms_max: usize) {
        for room in std::mem::take(&mut self.unanswered) {
            self.queue(&room);
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
            let Some((checked, _)) = self.checks.front() else { break };
            if now.0.saturating_sub(checked.0) < self.check_us {
                break;
            }
            let Some((_, room)) = self.checks.pop_front() else { break };
            if self.rooms.contains_key(&room) {
                self.queue(&room);
                self.checks.push_back((now, room));
            }
        }
    }

    /// What is to be done next, for at most `rooms_max` rooms.
    pub(crate) fn next_work(&mut self, rooms_max: usize) -> Vec<(RoomName, Task)> {
        let mut tasks = Vec::new();
        while tasks.len() < rooms_max
            && let Some(room) = self.work.pop_front()
        {
            let Some(entry) = self.rooms.get_mut(&room) else { continue };
            entry.is_queued = false;
            if entry.lease == Lease::Ended && !self.hub.has_members(&room) {
                if entry.ear != Ear::Deaf {
                    tasks.push((room.clone(), Task::Unsubscribe));
                }
                self.rooms.remove(&room);
                continue;
            }
            let task = match entry.ear {
                Ear::Deaf => Task::Subscribe,
                Ear::Catching | Ear::Live => Task::Look,
            };
            // What is heard from now on may come before the answer.
            entry.ear = if entry.ear == Ear::Deaf { Ear::Catching } else { entry.ear };
            tasks.push((room, task));
        }
        tasks
    }

    /// Whether [`Ledger::next_work`] has something to give.
    pub(crate) fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// What somebody who asks about a room should say that this node has seen of it.
    pub(crate) fn seen(&self, room: &RoomName) -> MessageId {
        self.rooms.get(room).and_then(|entry| entry.seen).unwrap_or_default()
    }

    /// Which connection a question belongs to.
    pub(crate) const fn connection(&self) -> u64 {
        self.connection
    }

    /// Something was published on a room's channel.
    pub(crate) fn heard(&mut self, room: &RoomName, heard: Heard) {
        let Some(entry) = self.rooms.get_mut(room) else { return };
        match heard {
            Heard::Hole(hole) => entry.torn(&self.hub, room, hole),
            Heard::Message(message) if entry.ear == Ear::Live => {
                if Some(message.prev) == entry.seen {
                    entry.seen = Some(message.id);
                    self.hub.announce(&message);
                } else if entry.seen.is_none_or(|seen| message.id > seen || message.prev < seen) {
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
        connection: u64,
        sight: Result<Sight, EngineError>,
    ) -> Option<Missing> {
        let entry = self.rooms.get_mut(room)?;
        let sight = match sight {
            Ok(sight) => sight,
            Err(error) => {
                entry.waiting.drain(..).for_each(|done| done.complete(Err(error)));
                if entry.ear == Ear::Catching {
                    self.unanswered.push(room.clone());
                }
                return None;
            }
        };
        // Whoever waits waits on: what was announced since the connection broke was not heard.
        if connection != self.connection {
            return None;
        }
        for done in entry.waiting.drain(..) {
            done.complete(Ok(sight.head));
        }
        match (entry.seen, sight.hole) {
            (None, hole) => entry.hole = hole,
            (Some(seen), Some(hole)) if hole.after <= seen => entry.torn(&self.hub, room, hole),
            _ => {}
        }
        match entry.seen {
            _ if entry.ear != Ear::Catching => None,
            Some(seen) if seen < sight.head => Some(Missing { after: seen }),
            _ => {
                self.settle(room, sight.head);
                None
            }
        }
    }

    /// What a room's log holds after `seen`. Gives what else is to be read.
    pub(crate) fn filled(
        &mut self,
        now: Timestamp,
        room: &RoomName,
        connection: u64,
        page: Result<Page, EngineError>,
    ) -> Option<Missing> {
        let entry = self.rooms.get_mut(room)?;
        if connection != self.connection || entry.ear != Ear::Catching {
            return None;
        }
        let Ok(page) = page else {
            self.unanswered.push(room.clone());
            return None;
        };
        let mut seen = entry.seen?;
        if let Some(_gap) = recovery::gap(seen, &page, now) {
            // What lies between cannot be had; each member finds out what that means for it.
            self.hub.doubt(&Arc::new(Doubt { room: room.clone(), head: page.head, hole: page.hole }));
            seen = page.messages.first().map_or(page.head, |first| first.prev).max(seen);
        }
        for message in page.messages.iter().filter(|message| message.id > seen) {
            self.repaired += 1;
            self.hub.announce(message);
        }
        seen = page.messages.last().map_or(seen, |last| last.id).max(seen);
        entry.seen = Some(seen);
        if seen < page.head && !page.messages.is_empty() {
            return Some(Missing { after: seen });
        }
        self.settle(room, page.head);
        None
    }

    /// The connection broke, or was never there: every room has to be subscribed to again.
    pub(crate) fn disconnected(&mut self) {
        self.connection += 1;
        self.unanswered.clear();
        let rooms: Vec<_> = self.rooms.keys().cloned().collect();
        for room in rooms {
            if let Some(entry) = self.rooms.get_mut(&room) {
                entry.ear = Ear::Deaf;
                entry.held.clear();
            }
            self.queue(&room);
        }
    }

    /// The server does not answer: nobody is left to wait.
    pub(crate) fn refuse_waiting(&mut self) {
        for entry in self.rooms.values_mut() {
            entry.waiting.drain(..).for_each(|done| done.complete(Err(EngineError::Unavailable)));
        }
    }

    /// Rooms listened to, and messages that had to be read because they were not heard.
    pub(crate) fn figures(&self) -> (usize, u64) {
        (self.rooms.len(), self.repaired)
    }

    /// The log was read up to `head`: what was heard meanwhile follows, as far as it continues.
    fn settle(&mut self, room: &RoomName, head: MessageId) {
        let Some(entry) = self.rooms.get_mut(room) else { return };
        let mut seen = entry.seen.unwrap_or_default().max(head);
        entry.ear = Ear::Live;
        while let Some(message) = entry.held.pop_front() {
            if message.id <= seen {
                continue;
            }
            if message.prev != seen {
                entry.held.push_front(message);
                entry.ear = Ear::Catching;
                break;
            }
            seen = message.id;
            self.hub.announce(&message);
        }
        entry.seen = Some(seen);
        if entry.ear == Ear::Catching {
            self.queue(room);
        }
    }

    fn queue(&mut self, room: &RoomName) {
        if let Some(entry) = self.rooms.get_mut(room)
            && !std::mem::replace(&mut entry.is_queued, true)
        {
            self.work.push_back(room.clone());
        }
    }
}

impl Entry {
    const fn new() -> Self {
        Self {
            ear: Ear::Deaf,
            seen: None,
            held: VecDeque::new(),
            waiting: Vec::new(),
            lease: Lease::Held,
            is_queued: false,
            is_timed: false,
            hole: None,
        }
    }

    fn hold(&mut self, message: Arc<Message>) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(message);
    }

    /// The server has lost messages. The log goes on behind them.
    fn torn(&mut self, hub: &Hub, room: &RoomName, hole: Hole) {
        if self.hole.is_some_and(|known| known.before >= hole.before) {
            return;
        }
        self.hole = Some(hole);
        hub.doubt(&Arc::new(Doubt { room: room.clone(), head: hole.before, hole: Some(hole) }));
        self.seen = self.seen.map(|seen| if hole.after <= seen { seen.max(hole.before) } else { seen });
    }
}

//! What this node knows of rooms that it does not listen to: the newest id that was given out there.
//!
//! Whoever publishes to a room without members here may be the only one who knows that a message was
//! there before its server lost it. Owned by the ledger. Refuses to grow: the room remembered first
//! is forgotten. Refuses to remember for long: a room's server may forget the room as well.

use std::collections::{HashMap, VecDeque};

use tidings_core::Timestamp;
use tidings_protocol::{MessageId, RoomName};

/// See the module.
pub(super) struct Proofs {
    rooms_max: usize,
    ids: HashMap<RoomName, Proof>,
    /// Each room of `ids` once, and some that were taken out since.
    order: VecDeque<RoomName>,
    /// Rooms whose server is to be shown the proof.
    to_show: VecDeque<RoomName>,
}

/// Times that a server went away without being asked in between, each of which is remembered. Beyond:
/// the last one is taken for the one before.
const DOUBTS_MAX: usize = 8;

/// The newest id that this node knows to have been given out in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) newest: MessageId,
    /// What that was each time the server went away. Whoever speaks for it now may have lost some of
    /// it, and ids given out since would hide that; so it is asked about these first.
    doubted: Vec<MessageId>,
}

impl Proof {
    pub(super) const fn of(newest: MessageId) -> Self {
        Self { newest, doubted: Vec::new() }
    }

    pub(super) fn raise(&mut self, id: MessageId) {
        self.newest = self.newest.max(id);
    }

    /// The server went away.
    pub(super) fn doubt(&mut self) {
        if self.doubted.last() == Some(&self.newest) {
            return;
        }
        if self.doubted.len() == DOUBTS_MAX {
            self.doubted.pop();
        }
        self.doubted.push(self.newest);
    }

    pub(super) const fn is_doubted(&self) -> bool {
        !self.doubted.is_empty()
    }

    /// What the server is to be asked about.
    pub(super) fn to_show(&self) -> MessageId {
        self.doubted.first().copied().unwrap_or(self.newest)
    }

    /// The server was asked about this id.
    pub(super) fn shown(&mut self, id: MessageId) {
        if self.doubted.first() == Some(&id) {
            self.doubted.remove(0);
        }
    }
}

impl Proofs {
    pub(super) fn new(rooms_max: usize) -> Self {
        Self { rooms_max, ids: HashMap::new(), order: VecDeque::new(), to_show: VecDeque::new() }
    }

    pub(super) fn remember(&mut self, room: &RoomName, proof: Proof) {
        if let Some(known) = self.ids.get_mut(room) {
            return known.raise(proof.newest);
        }
        if proof.newest == MessageId::ZERO || self.rooms_max == 0 {
            return;
        }
        while self.order.len() >= self.rooms_max
            && let Some(first) = self.order.pop_front()
        {
            self.ids.remove(&first);
        }
        if proof.is_doubted() {
            self.to_show.push_back(room.clone());
        }
        self.ids.insert(room.clone(), proof);
        self.order.push_back(room.clone());
    }

    pub(super) fn of(&self, room: &RoomName) -> Option<&Proof> {
        self.ids.get(room)
    }

    /// Hands over what is known of a room that is listened to from now on.
    pub(super) fn take(&mut self, room: &RoomName) -> Proof {
        self.ids.remove(room).unwrap_or_default()
    }

    /// Forgets what is older than `age_us`, looking at `rooms_max` rooms at most. Ids follow the clock.
    pub(super) fn forget(&mut self, now: Timestamp, age_us: u64, rooms_max: usize) {
        for _ in 0..rooms_max.min(self.order.len()) {
            let Some(room) = self.order.pop_front() else { break };
            match self.ids.get(&room) {
                Some(proof) if now.0.saturating_sub(proof.newest.0) < age_us => self.order.push_back(room),
                _ => drop(self.ids.remove(&room)),
            }
        }
    }

    /// The server of some rooms went away: whoever comes in its place is to be asked about all of them.
    pub(super) fn show_all(&mut self, concerns: impl Fn(&RoomName) -> bool) {
        for (room, proof) in self.ids.iter_mut().filter(|(room, _)| concerns(room)) {
            proof.doubt();
            self.to_show.push_back(room.clone());
        }
        if self.to_show.len() > self.ids.len() {
            self.to_show = self
                .ids
                .iter()
                .filter(|(_, proof)| proof.is_doubted())
                .map(|(room, _)| room.clone())
                .collect();
        }
    }

    /// The server did not answer.
    pub(super) fn show_again(&mut self, room: RoomName) {
        if self.of(&room).is_some_and(Proof::is_doubted) {
            self.to_show.push_back(room);
        }
    }

    /// The server was asked about this id.
    pub(super) fn shown(&mut self, room: &RoomName, id: MessageId) {
        if let Some(proof) = self.ids.get_mut(room) {
            proof.shown(id);
            if proof.is_doubted() {
                self.to_show.push_back(room.clone());
            }
        }
    }

    /// The next room that the server is to be asked about.
    pub(super) fn show_next(&mut self) -> Option<RoomName> {
        while let Some(room) = self.to_show.pop_front() {
            if self.of(&room).is_some_and(Proof::is_doubted) {
                return Some(room);
            }
        }
        None
    }

    pub(super) fn has_to_show(&self) -> bool {
        !self.to_show.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;

    fn room(number: usize) -> RoomName {
        RoomName::new(&format!("room {number}"), &Limits::default()).unwrap()
    }

    fn proof(id: u64) -> Proof {
        Proof::of(MessageId(id))
    }

    #[test]
    fn what_was_published_since_hides_nothing_from_the_next_server() {
        let mut proof = proof(10);
        proof.doubt();
        proof.raise(MessageId(20));
        proof.doubt();
        proof.raise(MessageId(30));
        assert_eq!(proof.to_show(), MessageId(10));
        proof.shown(MessageId(30));
        proof.shown(MessageId(10));
        assert_eq!(proof.to_show(), MessageId(20));
        proof.shown(MessageId(20));
        assert_eq!((proof.to_show(), proof.is_doubted()), (MessageId(30), false));
    }

    #[test]
    fn a_node_that_publishes_everywhere_remembers_the_latest_rooms_only() {
        let mut proofs = Proofs::new(3);
        for number in 0..100 {
            proofs.remember(&room(number), proof(10));
        }
        assert_eq!((proofs.of(&room(96)), proofs.of(&room(97))), (None, Some(&proof(10))));
        assert_eq!((proofs.ids.len(), proofs.order.len()), (3, 3));
    }

    #[test]
    fn a_room_that_comes_and_goes_takes_no_more_space_each_time() {
        let mut proofs = Proofs::new(100);
        for id in 1..10_000 {
            proofs.remember(&room(1), proof(id));
            assert_eq!(proofs.take(&room(1)), proof(id));
        }
        assert!(proofs.order.len() <= 100 && proofs.ids.is_empty());
    }

    #[test]
    fn what_is_old_is_forgotten_before_the_server_may_forget_it() {
        let mut proofs = Proofs::new(100);
        proofs.remember(&room(1), proof(1_000));
        proofs.remember(&room(2), proof(1_900));
        proofs.forget(Timestamp(2_000), 1_000, 10);
        assert_eq!((proofs.of(&room(1)), proofs.of(&room(2))), (None, Some(&proof(1_900))));
    }
}

//! The rooms one shard has members in, and which rooms each connection is in.
//!
//! Owned by [`Messaging`](crate::Messaging). Pure bookkeeping: refuses to deliver, to ask the
//! engine, and to know what a client is.

mod batch;
mod room;

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use tidings_protocol::{MessageId, RoomName};

pub use batch::Batch;
pub(crate) use batch::Standing;
pub(crate) use room::{IdleFanOuts, Member, Pace, Room};

use crate::options::SlowConsumerPolicy;
use crate::slots::{Slot, SlotKey, Slots};

/// One connection's place in one room. Finds nothing once either is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriptionKey {
    /// The connection.
    pub client: SlotKey,
    /// The room's place in this shard.
    pub room: SlotKey,
}

/// A connection's own note of a room it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) room: Slot,
    /// Index among the room's members.
    pub(crate) place: u32,
}

/// The rooms of one connection. Most are in one room, which costs no allocation.
#[derive(Debug, Default)]
pub(crate) enum Subscriptions {
    #[default]
    None,
    One(Subscription),
    #[expect(clippy::box_collection, reason = "keeps the connection's record at two words")]
    Many(Box<Vec<Subscription>>),
}

impl Subscriptions {
    pub(crate) fn as_slice(&self) -> &[Subscription] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(crate) fn place_in(&self, room: Slot) -> Option<usize> {
        let found = self.as_slice().iter().find(|subscription| subscription.room == room);
        found.map(|subscription| subscription.place as usize)
    }

    fn add(&mut self, new: Subscription) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(new),
            Self::One(one) => Self::Many(Box::new(vec![one, new])),
            Self::Many(mut many) => {
                many.push(new);
                Self::Many(many)
            }
        }
    }

    fn remove(&mut self, room: Slot) -> Option<Subscription> {
        match self {
            Self::One(one) if one.room == room => {
                let removed = *one;
                *self = Self::None;
                Some(removed)
            }
            Self::Many(many) => {
                let index = many.iter().position(|subscription| subscription.room == room)?;
                Some(many.swap_remove(index))
            }
            Self::None | Self::One(_) => None,
        }
    }

    fn moved(&mut self, room: Slot, place: u32) {
        let all = match self {
            Self::None => &mut [],
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many.as_mut_slice(),
        };
        for subscription in all.iter_mut().filter(|subscription| subscription.room == room) {
            subscription.place = place;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Rooms<E> {
    /// Only the slots: the names are in the rooms.
    by_name: HashTable<Slot>,
    hasher: RandomState,
    rooms: Slots<Room<E>>,
    /// By the connection's slot.
    subscriptions: Vec<Subscriptions>,
}

impl<E: Default> Rooms<E> {
    pub(crate) fn new() -> Self {
        Self {
            by_name: HashTable::new(),
            hasher: RandomState::new(),
            rooms: Slots::new(),
            subscriptions: Vec::new(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Slot> {
        let is_called = |&slot: &Slot| self.rooms.get(slot).is_some_and(|room| room.name.as_str() == name);
        self.by_name.find(self.hasher.hash_one(name), is_called).copied()
    }

    pub(crate) fn room(&self, room: Slot) -> Option<&Room<E>> {
        self.rooms.get(room)
    }

    pub(crate) fn room_mut(&mut self, room: Slot) -> Option<&mut Room<E>> {
        self.rooms.get_mut(room)
    }

    pub(crate) fn room_key(&self, room: Slot) -> Option<SlotKey> {
        self.rooms.key(room)
    }

    pub(crate) fn open(&mut self, name: &RoomName, policy: SlowConsumerPolicy) -> Slot {
        let room = self.rooms.insert(Room::new(name.clone(), policy)).slot;
        let (rooms, hasher) = (&self.rooms, &self.hasher);
        let hash = |slot: &Slot| rooms.get(*slot).map_or(0, |room| hasher.hash_one(room.name.as_str()));
        self.by_name.insert_unique(hasher.hash_one(name.as_str()), room, hash);
        room
    }

    pub(crate) fn of(&self, client: Slot) -> &Subscriptions {
        self.subscriptions.get(client as usize).unwrap_or(&Subscriptions::None)
    }

    /// The member behind a subscription, if it still is one.
    pub(crate) fn member(&self, client: Slot, room: Slot) -> Option<&Member> {
        let place = self.of(client).place_in(room)?;
        self.rooms.get(room)?.members.get(place)
    }

    /// The same, to change it.
    pub(crate) fn member_mut(&mut self, client: Slot, room: Slot) -> Option<&mut Member> {
        let place = self.of(client).place_in(room)?;
        self.rooms.get_mut(room)?.members.get_mut(place)
    }

    pub(crate) fn holds(&self, room: SlotKey) -> bool {
        self.rooms.holds(room)
    }

    /// Makes a connection a member; the caller has checked that it is none yet.
    pub(crate) fn enter(&mut self, client: Slot, room: Slot, cursor: MessageId) {
        let members = &mut self.rooms.get_mut(room).expect("one enters a room that is open").members;
        let place = u32::try_from(members.len()).expect("members are connections, of which there are fewer");
        members.push(Member {
            slot: client,
            pace: Pace::Waiting,
            delivered: false,
            marked: false,
            seen: false,
            cursor,
        });
        let index = client as usize;
        if self.subscriptions.len() <= index {
            self.subscriptions.resize_with(index + 1, Subscriptions::default);
        }
        self.subscriptions[index].add(Subscription { room, place });
    }

    /// Marks all memberships of a connection.
    pub(crate) fn mark(&mut self, client: Slot) {
        let subscriptions = self.subscriptions.get(client as usize).map_or(&[][..], Subscriptions::as_slice);
        for subscription in subscriptions {
            let room = self.rooms.get_mut(subscription.room);
            if let Some(member) = room.and_then(|room| room.members.get_mut(subscription.place as usize)) {
                member.marked = true;
            }
        }
    }

    /// Ends a membership. Gives the room's name if it was the last one's: the room is closed.
    pub(crate) fn leave(&mut self, client: Slot, room: Slot) -> Option<RoomName> {
        let left = self.subscriptions.get_mut(client as usize)?.remove(room)?;
        let record = self.rooms.get_mut(room)?;
        for (moved, place) in record.remove(left.place as usize).into_iter().flatten() {
            let place = u32::try_from(place).expect("members are connections, of which there are fewer");
            self.subscriptions[moved as usize].moved(room, place);
        }
        if !record.members.is_empty() {
            return None;
        }
        let closed = self.rooms.remove(room)?;
        let hash = self.hasher.hash_one(closed.name.as_str());
        if let Ok(entry) = self.by_name.find_entry(hash, |&slot| slot == room) {
            entry.remove();
        }
        Some(closed.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;

    fn name(text: &str) -> RoomName {
        RoomName::new(text, &Limits::default()).unwrap()
    }

    #[test]
    fn every_member_is_found_after_others_have_left() {
        let mut rooms = Rooms::<()>::new();
        let room = rooms.open(&name("a"), SlowConsumerPolicy::CatchUp);
        let other = rooms.open(&name("b"), SlowConsumerPolicy::CatchUp);
        for client in 0..10 {
            rooms.enter(client, room, MessageId(u64::from(client)));
            rooms.enter(client, other, MessageId(100 + u64::from(client)));
        }
        for leaving in [0, 9, 4] {
            assert_eq!(rooms.leave(leaving, room), None);
            assert!(rooms.member_mut(leaving, room).is_none());
        }
        for client in [1, 2, 3, 5, 6, 7, 8] {
            assert_eq!(rooms.member_mut(client, room).unwrap().cursor, MessageId(u64::from(client)));
            assert_eq!(rooms.member_mut(client, other).unwrap().slot, client);
        }
    }

    #[test]
    fn a_room_closes_with_its_last_member() {
        let mut rooms = Rooms::<()>::new();
        let room = rooms.open(&name("a"), SlowConsumerPolicy::CatchUp);
        rooms.enter(0, room, MessageId::ZERO);
        rooms.enter(1, room, MessageId::ZERO);
        assert_eq!(rooms.leave(0, room), None);
        assert_eq!(rooms.leave(1, room), Some(name("a")));
        assert_eq!(rooms.find("a"), None);
        assert!(rooms.room(room).is_none());
    }
}

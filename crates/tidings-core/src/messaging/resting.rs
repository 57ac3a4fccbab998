//! A session that rests: between two polls on one connection it stays in its rooms, deaf.
//!
//! Owned by the connection, which keeps it for `poll_rest_ms` at most. What is announced meanwhile is
//! not gathered: the cursors stay where they are, and the next poll reads the log if they are behind.
//! Whatever is not simply the next poll puts the session away first, and goes the way of any newcomer.

use tidings_protocol::{Cursor, MessageId, RoomName};

use super::Messaging;
use super::client::{Client, Introduction, Manner, PollEnd, Standing};
use super::coming::place;
use super::subscribing::JoinRequest;
use crate::engine::Position;
use crate::outlet::Outlet;
use crate::rooms::Pace;
use crate::slots::{Slot, SlotKey};

impl<E: Default> Messaging<E> {
    /// A long poll has something to say, or was held long enough: it ends. If its connection is kept
    /// the session may rest there, else it waits for the next poll wherever that comes.
    pub fn finish_poll(&mut self, slot: Slot, kept: bool) -> PollEnd {
        let (cursor, session) = (self.cursor(slot, None), self.clients[slot as usize].session);
        let rests = kept && self.wiring.limits.poll_rest_ms > 0 && self.may_rest(slot);
        if rests {
            self.rest(slot);
        } else {
            self.closed(slot);
        }
        PollEnd { cursor, session, rests }
    }

    /// Whether it is not known yet what there is for a client: its session, its rooms' ends or their
    /// logs are being asked for.
    pub fn is_looking(&self, slot: Slot) -> bool {
        let Some(client) = self.clients.get(slot as usize) else { return false };
        client.standing == Standing::Claiming
            || client.placing
            || self.rooms.of(slot).as_slice().iter().any(|subscription| {
                let member = self.rooms.member(slot, subscription.room);
                member.is_some_and(|member| matches!(member.pace, Pace::Waiting | Pace::Reading))
            })
    }

    /// Whether the session of a poll rests on this connection.
    pub fn rests(&self, slot: Slot) -> bool {
        self.clients.get(slot as usize).is_some_and(|client| client.standing == Standing::Resting)
    }

    /// Puts a resting session away: nobody came back for it in time, or its connection is wanted for
    /// something else.
    pub fn stop_resting(&mut self, slot: Slot) {
        if self.rests(slot) {
            self.closed(slot);
        }
    }

    /// The next poll came on the connection on which its session rests: it goes on from where the
    /// client says it stands. Says no, with the session put away, if that is not simply so.
    pub fn poll_again(
        &mut self,
        key: SlotKey,
        introduction: &Introduction,
        outlet: &mut impl Outlet<Encoded = E>,
    ) -> bool {
        if !self.rests(key.slot) {
            return false;
        }
        if self.is_still(key.slot) && self.is_of_client(key.slot, introduction) {
            let client = &mut self.clients[key.slot as usize];
            client.attempt = introduction.attempt.or(client.attempt);
            if let Some(position) = self.position_in_one_room(key.slot, introduction) {
                self.wake(key);
                let room = self.rooms.of(key.slot).as_slice()[0].room;
                self.go_on(key.slot, room, position, outlet);
                return true;
            }
            if let Some(positions) = self.positions_in_rooms(key.slot, introduction) {
                self.wake(key);
                for (room, position) in positions {
                    self.go_on(key.slot, room, position, outlet);
                }
                return true;
            }
        }
        self.closed(key.slot);
        false
    }

    /// Typing ends with the poll, and an answer that is still to come needs somebody who is the same
    /// when it comes: those do not rest.
    fn may_rest(&self, slot: Slot) -> bool {
        let client = &self.clients[slot as usize];
        client.standing == Standing::Session
            && !client.typed
            && self.is_still(slot)
            && !self.rooms.of(slot).as_slice().is_empty()
    }

    /// Whether nothing is under way on behalf of a client but the reading of logs.
    fn is_still(&self, slot: Slot) -> bool {
        let client: &Client = &self.clients[slot as usize];
        let mut subscriptions = self.rooms.of(slot).as_slice().iter();
        client.pending_requests == 0
            && !client.reads_history
            && (self.requests.is_empty()
                || subscriptions.all(|subscription| !self.requests.contains_key(&(slot, subscription.room))))
    }

    fn rest(&mut self, slot: Slot) {
        self.clients[slot as usize].standing = Standing::Resting;
        self.each_member(slot, |member| member.pace = Pace::Lagging);
    }

    /// Answers to earlier requests of the connection find nobody any more.
    fn wake(&mut self, key: SlotKey) {
        let client = &mut self.clients[key.slot as usize];
        (client.key, client.standing) = (key, Standing::Session);
        self.each_member(key.slot, |member| member.delivered = false);
    }

    fn each_member(&mut self, slot: Slot, change: impl Fn(&mut crate::rooms::Member)) {
        for index in 0.. {
            let Some(subscription) = self.rooms.of(slot).as_slice().get(index).copied() else { break };
            if let Some(member) = self.rooms.member_mut(slot, subscription.room) {
                change(member);
            }
        }
    }

    fn go_on(
        &mut self,
        slot: Slot,
        room: Slot,
        position: Option<MessageId>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Some(cursor) = self.rooms.member(slot, room).map(|member| member.cursor) else { return };
        let from = Position::After(position.unwrap_or(cursor));
        self.settle(slot, room, JoinRequest::silent(from), outlet);
    }

    fn is_of_client(&self, slot: Slot, introduction: &Introduction) -> bool {
        let client = &self.clients[slot as usize];
        let Manner::Poll { client: name } = &introduction.manner else { return false };
        self.polls.get(&slot) == Some(name)
            && introduction.session.is_none_or(|session| session == client.session)
            && (introduction.identity.user.is_none() || introduction.identity == client.identity)
    }

    /// Where a client stands that is in one room and asks for that one; nearly all are and do.
    fn position_in_one_room(&self, slot: Slot, introduction: &Introduction) -> Option<Option<MessageId>> {
        let [only] = self.rooms.of(slot).as_slice() else { return None };
        let room = self.rooms.room(only.room)?;
        let is_meant = match introduction.rooms.as_slice() {
            [] => true,
            [(named, _)] => *named == room.name,
            _ => false,
        };
        match &introduction.cursor {
            _ if !is_meant => None,
            None => Some(None),
            Some(cursor) => Cursor::message_id(cursor).map(Some),
        }
    }

    /// Where a client stands that asks for the rooms it is in.
    fn positions_in_rooms(
        &self,
        slot: Slot,
        introduction: &Introduction,
    ) -> Option<Vec<(Slot, Option<MessageId>)>> {
        let mut rooms = introduction.rooms.clone();
        let named = rooms.len();
        let mut slots: Vec<Option<Slot>> = vec![None; named];
        for subscription in self.rooms.of(slot).as_slice() {
            let name: &RoomName = &self.rooms.room(subscription.room)?.name;
            match rooms[..named].iter().position(|(room, _)| room == name) {
                Some(index) => slots[index] = Some(subscription.room),
                None if named == 0 || name.is_of_a_user() => {
                    rooms.push((name.clone(), None));
                    slots.push(Some(subscription.room));
                }
                // A poll that names its rooms asks for these alone: it has to leave this one.
                None => return None,
            }
        }
        place(&mut rooms, named, introduction.cursor.as_deref()).ok()?;
        slots.into_iter().zip(rooms).map(|(slot, (_, position))| Some((slot?, position))).collect()
    }
}

//! Presence and typing: what clients say about themselves, and how events reach the others.

use std::sync::Arc;

use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{FrameError, RoomName, ServerFrame, UserId};

use super::client::Standing;
use super::{Messaging, Ticket};
use crate::engine::{Completion, EngineError};
use crate::event::{Event, EventKind};
use crate::mailbox::{Post, PresenceQuery};
use crate::outlet::{Outlet, Telling};
use crate::presence::RoomPresence;
use crate::slots::{Slot, SlotKey};
use crate::telemetry::Counter;

/// Events that wait for their turn in one shard. Reached: the oldest is dropped, as for a reader
/// who is too slow.
const EVENTS_MAX: usize = 4_096;

/// How far an event has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    room: SlotKey,
    next_member: usize,
}

impl<E: Default> Messaging<E> {
    /// Something happened in a room: queues it for the members.
    pub(super) fn told(&mut self, event: Arc<Event>) {
        let Some(slot) = self.rooms.find(event.room.as_str()) else { return };
        let (Some(key), Some(room)) = (self.rooms.room_key(slot), self.rooms.room(slot)) else { return };
        let is_typing = matches!(event.kind, EventKind::Typing(_) | EventKind::StoppedTyping(_));
        if is_typing && room.members.len() > self.wiring.limits.typing_members_max {
            return;
        }
        if self.telling.len() == EVENTS_MAX {
            self.telling.pop_front();
            self.count(Counter::EventDropped);
        }
        self.telling.push_back((Telling::new(event), Progress { room: key, next_member: 0 }));
    }

    /// Tells queued events, to about `members_max` members. A member whose place changes meanwhile
    /// may miss one: whoever must be sure asks for the present state.
    pub(super) fn tell_events(&mut self, members_max: usize, outlet: &mut impl Outlet<Encoded = E>) -> usize {
        let mut left = members_max;
        while left > 0 {
            let Some((mut telling, progress)) = self.telling.pop_front() else { break };
            let Some(room) = self.rooms.room(progress.room.slot).filter(|_| self.rooms.holds(progress.room))
            else {
                continue;
            };
            let begin = progress.next_member.min(room.members.len());
            let end = room.members.len().min(begin + left);
            let (mut told, mut dropped) = (0, 0);
            for member in &room.members[begin..end] {
                let client = &self.clients[member.slot as usize];
                let is_author =
                    telling.event.author().is_some_and(|user| client.identity.user.as_ref() == Some(user));
                // Who never introduced itself knows no frames but messages.
                if is_author || client.standing != Standing::Session {
                    continue;
                }
                // A poll that ended with the event, before there is a cursor, would not know where the next one begins.
                if client.placing && self.polls.contains_key(&member.slot) {
                    continue;
                }
                match outlet.tell(member.slot, &mut telling) {
                    true => told += 1,
                    false => dropped += 1,
                }
            }
            let more = end < room.members.len();
            left = left.saturating_sub((end - begin).max(1));
            self.wiring.counters.add(Counter::EventDelivered, told);
            self.wiring.counters.add(Counter::EventDropped, dropped);
            if more {
                self.telling.push_front((telling, Progress { next_member: end, ..progress }));
            }
        }
        left
    }

    /// `typing_start` and `typing_stop`.
    pub(super) fn typing(
        &mut self,
        slot: Slot,
        room: Option<&str>,
        starts: bool,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let room = match self.target(slot, room) {
            Ok(room) => room,
            Err(code) => return self.refuse(slot, code, ticket, outlet),
        };
        if self.rooms.find(room.as_str()).and_then(|room| self.rooms.member(slot, room)).is_none() {
            return self.refuse(slot, ErrorCode::NotInRoom, ticket, outlet);
        }
        let client = &mut self.clients[slot as usize];
        let Some(user) = &client.identity.user else {
            let advice = "a guest has no name that others could be told: connect with a user id";
            let error = FrameError::new(ErrorCode::Forbidden, advice);
            return self.refuse_frame(slot, &error, ticket, outlet);
        };
        let typing = &self.wiring.people.typing;
        if starts {
            client.typed = true;
            typing.started(self.now.wall, &room, user);
        } else {
            typing.stopped(self.now.wall, &room, user);
        }
        self.done(ticket);
    }

    /// What a user says, and leaving, ends its typing.
    pub(super) fn stop_typing(&self, slot: Slot, room: &RoomName) {
        let client = &self.clients[slot as usize];
        if let Some(user) = client.identity.user.as_ref().filter(|_| client.typed) {
            self.wiring.people.typing.stopped(self.now.wall, room, user);
        }
    }

    /// `presence`.
    pub(super) fn presence(
        &mut self,
        slot: Slot,
        room: Option<&str>,
        after: Option<&UserId>,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let room = match self.target(slot, room) {
            Ok(room) => room,
            Err(code) => return self.refuse(slot, code, ticket, outlet),
        };
        let presence = &self.wiring.people.presence;
        let users_max = self.wiring.limits.presence_page_max;
        let Some(registry) = presence.registry() else {
            let page = presence.in_room(&room, after, users_max);
            return self.answer_presence(slot, &room, &page, ticket, outlet);
        };
        let client = &mut self.clients[slot as usize];
        client.pending_requests += 1;
        client.reads_history = true;
        let asker = client.key;
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let query = PresenceQuery { room: room.clone(), ticket: ticket.clone() };
        let done = Completion::new(move |page| mailbox.post(Post::PresenceRead { asker, query, page }));
        registry.in_room(&room, after, users_max, done);
    }

    /// The registry has found what a client asked for.
    pub(super) fn presence_read(
        &mut self,
        asker: SlotKey,
        query: &PresenceQuery,
        page: Result<RoomPresence, EngineError>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if self.answered(asker) {
            self.clients[asker.slot as usize].reads_history = false;
        } else if query.ticket.errand.is_none() {
            return;
        }
        match page {
            Ok(page) => self.answer_presence(asker.slot, &query.room, &page, &query.ticket, outlet),
            Err(error) => self.refuse(asker.slot, error.code(), &query.ticket, outlet),
        }
    }

    fn answer_presence(
        &self,
        slot: Slot,
        room: &RoomName,
        page: &RoomPresence,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let frame = ServerFrame::Presence {
            room,
            users: &page.users,
            total: page.total,
            complete: page.complete,
            reference: ticket.reference(),
        };
        self.answer(slot, ticket, &frame, outlet);
    }

    /// A user's connection is in a room from now on, for others to see.
    pub(super) fn be_seen(&mut self, slot: Slot, room: Slot) {
        let Some(user) = self.clients[slot as usize].identity.user.clone() else { return };
        let Some(name) = self.rooms.room(room).map(|room| room.name.clone()) else { return };
        let Some(member) = self.rooms.member_mut(slot, room) else { return };
        if !name.is_of_a_user() && !std::mem::replace(&mut member.seen, true) {
            self.wiring.people.presence.entered(self.now.wall, &name, &user);
        }
    }

    /// It leaves.
    pub(super) fn be_gone(&self, slot: Slot, room: Slot) {
        let (Some(record), Some(member)) = (self.rooms.room(room), self.rooms.member(slot, room)) else {
            return;
        };
        let Some(user) = self.clients[slot as usize].identity.user.as_ref().filter(|_| member.seen) else {
            return;
        };
        self.stop_typing(slot, &record.name);
        self.wiring.people.presence.exited(self.now.wall, &record.name, user);
    }
}

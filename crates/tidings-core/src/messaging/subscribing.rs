//! How a connection becomes a member of a room, and ceases to be one.
//!
//! One joins first and reads afterwards: once the room is watched, everything newer is announced,
//! so nothing can fall between the log that is read and the messages that follow.

use std::sync::Arc;

use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{Message, MessageId, RoomName, ServerFrame};

use super::{Messaging, Ticket};
use crate::engine::{Completion, EngineError, Page, Position};
use crate::mailbox::Post;
use crate::outlet::Outlet;
use crate::recovery::Gap;
use crate::rooms::Pace;
use crate::slots::{Slot, SlotKey};
use crate::telemetry::Counter;

/// What a connection that joins wants to have and to be told.
#[derive(Debug)]
pub(super) struct JoinRequest {
    pub(super) from: Position,
    pub(super) answer: Answer,
    /// The position is the server's, and what was sent before it may not have arrived.
    pub(super) doubtful: bool,
}

/// How a join is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Not at all: the connection knows already that it is in.
    Silent,
    /// With `joined`, then the missed messages one by one.
    Joined { ticket: Ticket },
    /// With `restore`, which holds the missed messages.
    Restore,
}

impl<E: Default> Messaging<E> {
    /// Makes a connection a member of a room.
    pub(super) fn join(
        &mut self,
        client: Slot,
        name: &RoomName,
        request: JoinRequest,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if !self.clients[client as usize].identity.may_use(name) {
            return self.refuse(client, ErrorCode::Forbidden, &request.answer.ticket(), outlet);
        }
        if let Some(room) = self.rooms.find(name.as_str())
            && let Some(member) = self.rooms.member(client, room)
        {
            if request.from == Position::Head {
                let cursor = member.cursor;
                self.be_seen(client, room);
                return match self.requests.get(&(client, room)).map(|pending| pending.from) {
                    Some(Position::Head) => self.join_instead(client, room, request, outlet),
                    Some(Position::After(position)) => {
                        self.join_again(client, room, position, &request, outlet);
                    }
                    None => self.join_again(client, room, cursor, &request, outlet),
                };
            }
            // It wants to have what it missed before it came in: its own cursor begins anew.
            self.exit(client, room);
        }
        let Some(room) = self.enter(client, name) else {
            return self.refuse(client, ErrorCode::TooManyRooms, &request.answer.ticket(), outlet);
        };
        self.be_seen(client, room);
        if self.rooms.room(room).is_some_and(|room| room.watched) {
            self.settle(client, room, request, outlet);
        } else {
            self.requests.insert((client, room), request);
        }
    }

    /// Who joins again before it is known where the room ends is told as soon as it is: any other
    /// position would be none.
    fn join_instead(
        &mut self,
        client: Slot,
        room: Slot,
        request: JoinRequest,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if matches!(request.answer, Answer::Silent) {
            return;
        }
        let before = self.requests.insert((client, room), request);
        let ticket = before.map(|before| before.answer.ticket()).unwrap_or_default();
        if ticket.wants_ack() {
            self.refuse(client, ErrorCode::Superseded, &ticket, outlet);
        }
    }

    /// A member who joins again is told where it stands.
    fn join_again(
        &self,
        client: Slot,
        room: Slot,
        last_message_id: MessageId,
        request: &JoinRequest,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if let Some(room) = self.rooms.room(room)
            && let Answer::Joined { ticket } = &request.answer
        {
            let (room, reference) = (&room.name, ticket.reference());
            let frame = ServerFrame::Joined { room, last_message_id, recovered: None, reference };
            self.answer(client, ticket, &frame, outlet);
        }
    }

    /// Takes a place in a room, opening it if need be; `None` if a limit forbids it.
    pub(super) fn enter(&mut self, client: Slot, name: &RoomName) -> Option<Slot> {
        let limits = &self.wiring.limits;
        if self.rooms.of(client).as_slice().len() >= limits.rooms_per_connection_max {
            return None;
        }
        let room = match self.rooms.find(name.as_str()) {
            Some(room) => room,
            None if self.is_one_room_too_many(name) => return None,
            None => self.open_room(name),
        };
        self.rooms.enter(client, room, MessageId::ZERO);
        if self.clients[client as usize].feed && self.rooms.of(client).as_slice().len() > 1 {
            self.rooms.mark(client);
        }
        Some(room)
    }

    /// The limit is the node's, so a room that another shard is in already counts as known.
    fn is_one_room_too_many(&self, name: &RoomName) -> bool {
        let hub = &self.wiring.hub;
        hub.rooms() >= self.wiring.limits.rooms_max && !hub.has_members(name)
    }

    fn open_room(&mut self, name: &RoomName) -> Slot {
        let policy = self.wiring.rules.of(name).slow_consumer;
        let room = self.rooms.open(name, policy);
        self.wiring.hub.enter(name, self.wiring.shard);
        let key = self.rooms.room_key(room).expect("it was just opened");
        self.watch(key, name);
        room
    }

    fn watch(&self, key: SlotKey, name: &RoomName) {
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let done = Completion::new(move |head| mailbox.post(Post::Watched { room: key, head }));
        self.wiring.engine.watch(self.now.wall, name, done);
    }

    /// Asks again for rooms whose head the engine could not tell.
    pub(super) fn watch_again(&mut self) {
        for key in std::mem::take(&mut self.to_watch) {
            let room = Some(key.slot).filter(|_| self.rooms.holds(key));
            if let Some(room) = room.and_then(|slot| self.rooms.room(slot))
                && !room.watched
            {
                self.watch(key, &room.name);
            }
        }
    }

    /// The engine announces a room's messages from now on: whoever waited for that goes on.
    pub(super) fn watched(
        &mut self,
        key: SlotKey,
        head: Result<MessageId, EngineError>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if !self.rooms.holds(key) {
            return;
        }
        let slot = key.slot;
        let Some(room) = self.rooms.room_mut(slot) else { return };
        let waiting: Vec<Slot> = room
            .members
            .iter()
            .filter(|member| member.pace == Pace::Waiting)
            .map(|member| member.slot)
            .collect();
        if let Ok(head) = head {
            room.watched = true;
            room.head = room.head.max(head);
        }
        for client in waiting {
            let Some(request) = self.requests.remove(&(client, slot)) else { continue };
            match head {
                Ok(_) => self.settle(client, slot, request, outlet),
                Err(EngineError::Unavailable) if self.comes_with_its_rooms(client, &request) => {
                    self.requests.insert((client, slot), request);
                    self.to_watch.retain(|&other| other != key);
                    self.to_watch.push(key);
                }
                Err(error) => {
                    self.exit(client, slot);
                    self.refuse(client, error.code(), &request.answer.ticket(), outlet);
                }
            }
            self.place(client, outlet);
        }
    }

    /// Whether a connection is to be in a room because it is there, and has not asked for it by itself:
    /// it would not ask again, and be in the room no more without knowing.
    fn comes_with_its_rooms(&self, client: Slot, request: &JoinRequest) -> bool {
        match request.answer {
            Answer::Silent | Answer::Restore => true,
            Answer::Joined { .. } => self.clients[client as usize].feed,
        }
    }

    /// Sets a new member's cursor; one that comes back with an older position reads the log first.
    pub(super) fn settle(
        &mut self,
        client: Slot,
        slot: Slot,
        request: JoinRequest,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if self.is_placing(client) {
            self.requests.insert((client, slot), request);
            return;
        }
        let Some(head) = self.rooms.room(slot).map(|room| room.head) else { return };
        let Some(member) = self.rooms.member_mut(client, slot) else { return };
        match request.from {
            Position::After(position) if position != head => {
                member.cursor = position;
                self.requests.insert((client, slot), request);
                let messages_max = match self.polls.contains_key(&client) {
                    true => self.wiring.limits.poll_batch_max,
                    false => self.wiring.limits.history_page_messages_max,
                };
                self.read_log(client, slot, messages_max);
            }
            Position::Head | Position::After(_) => {
                member.cursor = head;
                member.pace = Pace::Live;
                let recovered = (request.from != Position::Head).then_some(!request.doubtful);
                self.answer_join(client, slot, &request.answer, recovered, &[], outlet);
            }
        }
    }

    /// The log was read for a new member: answers it, then delivers what it missed.
    pub(super) fn recovered(
        &mut self,
        client: Slot,
        slot: Slot,
        request: JoinRequest,
        page: &Page,
        gap: Option<Gap>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        // Whoever asks from the beginning has lost nothing it ever had.
        let told = gap.filter(|_| request.from != Position::After(MessageId::ZERO));
        let (now, later) = match request.answer {
            Answer::Restore => page.messages.split_at(self.restorable(outlet.room(client), &page.messages)),
            Answer::Silent | Answer::Joined { .. } => page.messages.split_at(0),
        };
        let recovered = gap.is_none() && !request.doubtful;
        self.answer_join(client, slot, &request.answer, Some(recovered), now, outlet);
        if let Some(gap) = told {
            self.tell_gap(client, slot, gap, outlet);
        }
        if let Some(last) = now.last()
            && let Some(member) = self.rooms.member_mut(client, slot)
        {
            (member.cursor, member.delivered) = (last.id, true);
        }
        self.deliver_log(client, slot, later.to_vec(), outlet);
    }

    /// How many messages go into one `restore` or `history` frame: about what the client's outbox
    /// has room for, and at most half of what it holds.
    pub(super) fn restorable(&self, room_bytes: usize, messages: &[Arc<Message>]) -> usize {
        let bytes_max = room_bytes.min(self.wiring.limits.outbox_bytes_max / 2);
        let sizes = messages.iter().map(|message| message.payload.len() + ENVELOPE_BYTES);
        let ends = sizes.scan(0, |sum, size| {
            *sum += size;
            Some(*sum)
        });
        ends.take_while(|&end| end <= bytes_max).count()
    }

    fn answer_join(
        &self,
        client: Slot,
        slot: Slot,
        answer: &Answer,
        recovered: Option<bool>,
        messages: &[Arc<Message>],
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Some(cursor) = self.rooms.member(client, slot).map(|member| member.cursor) else { return };
        let Some(room) = self.rooms.room(slot).map(|room| &room.name) else { return };
        match answer {
            Answer::Silent => {}
            Answer::Joined { ticket } => {
                let (last_message_id, reference) = (cursor, ticket.reference());
                let frame = ServerFrame::Joined { room, last_message_id, recovered, reference };
                self.answer(client, ticket, &frame, outlet);
                self.mark(client, outlet);
            }
            // Nobody asked for the user's own room; where nothing was missed, nothing need be said.
            Answer::Restore if room.is_of_a_user() && messages.is_empty() && recovered != Some(false) => {}
            Answer::Restore => {
                self.wiring.counters.add(Counter::MessageDelivered, messages.len() as u64);
                let recovered = recovered.unwrap_or(true);
                let last_message_id = messages.last().map_or(cursor, |last| last.id);
                let frame = ServerFrame::Restore { room, messages, last_message_id, recovered };
                outlet.answer(client, &frame);
            }
        }
    }

    /// Tells the client of a feed where it stands.
    pub(super) fn mark(&self, client: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        if self.clients[client as usize].feed
            && let Some(cursor) = self.cursor(client, None)
        {
            outlet.mark(client, &cursor);
        }
    }

    /// Ends a membership, and the shard's interest in the room if it was the last one. Gives the
    /// join that was not answered yet, if there is one.
    pub(super) fn exit(&mut self, client: Slot, room: Slot) -> Option<JoinRequest> {
        let unanswered = self.requests.remove(&(client, room));
        self.be_gone(client, room);
        if let Some(name) = self.rooms.leave(client, room)
            && self.wiring.hub.exit(&name, self.wiring.shard)
        {
            self.wiring.engine.unwatch(&name);
        }
        unanswered
    }
}

/// About what a message's JSON needs besides its payload.
const ENVELOPE_BYTES: usize = 128;

impl Answer {
    pub(super) fn ticket(&self) -> Ticket {
        match self {
            Self::Joined { ticket } => ticket.clone(),
            Self::Silent | Self::Restore => Ticket::default(),
        }
    }
}

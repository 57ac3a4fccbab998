//! What a client's frame does: one function per frame of the wire contract.

use std::borrow::Cow;
use std::sync::Arc;

use tidings_protocol::client::{Hello, Said};
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{
    ClientFrame, Decoded, FrameError, Limits, MessageId, Payload, RoomName, ServerFrame, proto,
};

use super::client::{Client, Entrance, Introduction, Manner, Standing};
use super::subscribing::{Answer, JoinRequest};
use super::{ErrandKey, LOBBY, Messaging, Ticket};
use crate::engine::{Completion, EngineError, IdempotencyKey, Page, Position, Publication, Published};
use crate::mailbox::{HistoryQuery, Post};
use crate::outlet::Outlet;
use crate::recovery;
use crate::rights::Identity;
use crate::slots::{Slot, SlotKey};
use crate::telemetry::Counter;

/// What a client's data asks of whoever holds its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Stay,
    /// It is ready for the restart: close with 1012.
    Restart,
}

impl<E: Default> Messaging<E> {
    /// A connection is open.
    pub fn opened(&mut self, key: SlotKey, entrance: Entrance, outlet: &mut impl Outlet<Encoded = E>) {
        let per_second = self.wiring.limits.messages_per_second_max;
        let index = key.slot as usize;
        self.stop_resting(key.slot);
        if self.clients.len() <= index {
            self.clients.resize_with(index + 1, Client::absent);
        }
        self.clients[index] = Client::new(key, Standing::Newcomer, per_second, self.now.monotonic_ms);
        match entrance {
            Entrance::Lobby => {
                let lobby = self.lobby();
                self.join(key.slot, &lobby, JoinRequest::silent(Position::Head), outlet);
            }
            Entrance::Session(introduction) => self.introduce(key.slot, *introduction, outlet),
            Entrance::Errand { session, frame } => self.run_errand(key.slot, session, frame, outlet),
        }
    }

    /// A client sent text.
    pub fn text(&mut self, slot: Slot, text: &str, outlet: &mut impl Outlet<Encoded = E>) -> Wish {
        if !self.admit(slot, &Ticket::default(), outlet) {
            return Wish::Stay;
        }
        let limits = Arc::clone(&self.wiring.limits);
        let decoded = match self.clients[slot as usize].standing {
            Standing::Newcomer => tidings_protocol::client::decode_first(text, &limits),
            _ => tidings_protocol::client::decode(text, &limits),
        };
        self.decoded(slot, decoded, outlet)
    }

    /// A client that speaks protobuf sent bytes: one frame.
    pub fn protobuf(&mut self, slot: Slot, bytes: &[u8], outlet: &mut impl Outlet<Encoded = E>) -> Wish {
        if !self.admit(slot, &Ticket::default(), outlet) {
            return Wish::Stay;
        }
        let limits = Arc::clone(&self.wiring.limits);
        match proto::parse(bytes) {
            Ok(frame) => self.decoded(slot, proto::decode(&frame, &limits).into(), outlet),
            Err(error) => self.decoded(slot, Decoded::Refused(error), outlet),
        }
    }

    fn decoded(&mut self, slot: Slot, decoded: Decoded<'_>, outlet: &mut impl Outlet<Encoded = E>) -> Wish {
        match decoded {
            Decoded::Frame(ClientFrame::Hello(hello)) => self.hello(slot, hello, outlet),
            Decoded::Frame(frame) => {
                self.spoke_without_hello(slot);
                return self.frame(slot, frame, None, outlet);
            }
            Decoded::Chat(text) => {
                self.spoke_without_hello(slot);
                self.chat(slot, Payload::Text(text.into()), outlet);
            }
            // Whoever mistyped its hello may say it again.
            Decoded::Refused(error) => self.refuse_frame(slot, &error, &Ticket::default(), outlet),
        }
        Wish::Stay
    }

    /// A client sent bytes: a binary message to its one room.
    pub fn binary(&mut self, slot: Slot, bytes: &[u8], outlet: &mut impl Outlet<Encoded = E>) {
        if self.admit(slot, &Ticket::default(), outlet) {
            self.spoke_without_hello(slot);
            self.chat(slot, Payload::Binary(bytes.into()), outlet);
        }
    }

    /// Whether a frame may be processed: the client sends no faster than it may.
    pub(super) fn admit(
        &mut self,
        slot: Slot,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) -> bool {
        let per_second = self.wiring.limits.messages_per_second_max;
        let Some(client) = self.clients.get_mut(slot as usize) else { return false };
        let admitted = client.rate.take(per_second, self.now.monotonic_ms);
        if !admitted {
            self.count(Counter::RateLimitReached);
            self.refuse(slot, ErrorCode::RateLimited, ticket, outlet);
        }
        admitted
    }

    fn spoke_without_hello(&mut self, slot: Slot) {
        let client = &mut self.clients[slot as usize];
        if client.standing == Standing::Newcomer {
            client.standing = Standing::Guest;
        }
    }

    /// One frame, said on the client's own connection or by an errand.
    pub(super) fn frame(
        &mut self,
        slot: Slot,
        frame: ClientFrame<'_>,
        errand: Option<ErrandKey>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) -> Wish {
        let ticket =
            |reference: Option<Cow<'_, str>>| Ticket { reference: reference.map(Into::into), errand };
        match frame {
            ClientFrame::Hello(_) if errand.is_some() => {
                let advice = "an errand is said for a session that is there already: leave hello out";
                let error = FrameError::new(ErrorCode::BadFrame, advice);
                self.refuse_frame(slot, &error, &ticket(None), outlet);
            }
            ClientFrame::Hello(hello) => self.hello(slot, hello, outlet),
            ClientFrame::Join { room, last_message_id, reference } => {
                let answer = Answer::Joined { ticket: ticket(reference) };
                let from = last_message_id.map_or(Position::Head, Position::After);
                self.join(slot, &room, JoinRequest { from, answer, doubtful: false }, outlet);
                self.record(slot);
                self.place(slot, outlet);
            }
            ClientFrame::Leave { room, reference } => {
                self.leave(slot, room.as_deref(), &ticket(reference), outlet);
            }
            ClientFrame::Message { room, payload, key, reference } => {
                let payload = match payload {
                    Said::Text(text) => Payload::Text(text.into()),
                    Said::Data(json) => Payload::Data(json.to_owned()),
                    Said::Binary(bytes) => Payload::Binary(bytes.into()),
                };
                let ticket = ticket(reference);
                match self.target(slot, room.as_deref()) {
                    Ok(room) => self.publish(slot, room, payload, key.map(Into::into), ticket),
                    Err(code) => self.refuse(slot, code, &ticket, outlet),
                }
            }
            ClientFrame::History { room, after, limit, reference } => {
                let ticket = ticket(reference);
                match self.target(slot, room.as_deref()) {
                    Ok(room) => self.history(slot, room, after, limit, ticket),
                    Err(code) => self.refuse(slot, code, &ticket, outlet),
                }
            }
            ClientFrame::TypingStart { room } => {
                self.typing(slot, room.as_deref(), true, &ticket(None), outlet);
            }
            ClientFrame::TypingStop { room } => {
                self.typing(slot, room.as_deref(), false, &ticket(None), outlet);
            }
            ClientFrame::Presence { room, after, reference } => {
                self.presence(slot, room.as_deref(), after.as_ref(), &ticket(reference), outlet);
            }
            ClientFrame::Ping => self.answer(slot, &ticket(None), &ServerFrame::Pong, outlet),
            ClientFrame::RestartAck if errand.is_none() => return Wish::Restart,
            ClientFrame::RestartAck => self.done(&ticket(None)),
            ClientFrame::RehearseRestart => {
                outlet.rehearse_restart(slot);
                self.done(&ticket(None));
            }
            ClientFrame::Unserved { reference, .. } => {
                self.refuse(slot, ErrorCode::NotSupported, &ticket(reference), outlet);
            }
        }
        Wish::Stay
    }

    /// Makes a newcomer a session: in the rooms it names, else in `lobby`; where it names its
    /// positions, it gets what it missed.
    fn hello(&mut self, slot: Slot, hello: Hello<'_>, outlet: &mut impl Outlet<Encoded = E>) {
        if self.clients[slot as usize].standing != Standing::Newcomer {
            let error = FrameError::new(
                ErrorCode::BadFrame,
                "the connection has its session already: say hello as the first frame on /ws",
            );
            return self.refuse_frame(slot, &error, &Ticket::default(), outlet);
        }
        let mut rooms: Vec<(RoomName, Option<MessageId>)> =
            hello.positions.iter().map(|(room, position)| (room.clone(), Some(*position))).collect();
        for room in hello.rooms {
            if !rooms.iter().any(|(known, _)| *known == room) {
                rooms.push((room, None));
            }
        }
        let introduction = Introduction {
            session: hello.session_id,
            attempt: hello.attempt,
            identity: Identity { user: hello.user_id },
            rooms,
            last_message_id: hello.last_message_id,
            cursor: None,
            manner: Manner::Conversation,
        };
        self.introduce(slot, introduction, outlet);
    }

    fn leave(
        &mut self,
        slot: Slot,
        room: Option<&str>,
        ticket: &Ticket,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let name = match self.target(slot, room) {
            Ok(name) if name.is_of_a_user() => {
                return self.refuse(slot, ErrorCode::Forbidden, ticket, outlet);
            }
            Ok(name) => name,
            Err(code) => return self.refuse(slot, code, ticket, outlet),
        };
        let found = self.rooms.find(name.as_str());
        let cursor = found.and_then(|room| self.rooms.member_mut(slot, room)).map(|member| member.cursor);
        let (Some(room), Some(last_message_id)) = (found, cursor) else {
            return self.refuse(slot, ErrorCode::NotInRoom, ticket, outlet);
        };
        let undone = self.exit(slot, room);
        self.record(slot);
        if let Some(Answer::Joined { ticket }) = undone.map(|request| request.answer)
            && ticket.wants_ack()
        {
            // It left before the engine had answered its join.
            self.refuse(slot, ErrorCode::NotInRoom, &ticket, outlet);
        }
        let reference = ticket.reference();
        self.answer(slot, ticket, &ServerFrame::Left { room: &name, last_message_id, reference }, outlet);
        self.place(slot, outlet);
    }

    fn chat(&mut self, slot: Slot, payload: Payload, outlet: &mut impl Outlet<Encoded = E>) {
        match self.target(slot, None) {
            Ok(room) => self.publish(slot, room, payload, None, Ticket::default()),
            Err(code) => self.refuse(slot, code, &Ticket::default(), outlet),
        }
    }

    /// The room a frame is about: the one it names, else the only one its connection is in; the
    /// user's own room does not count as one.
    pub(super) fn target(&self, slot: Slot, named: Option<&str>) -> Result<RoomName, ErrorCode> {
        let room = match named {
            Some(name) => match self.rooms.find(name).and_then(|room| self.rooms.room(room)) {
                Some(room) => room.name.clone(),
                None => RoomName::new(name, &self.wiring.limits).map_err(|_| ErrorCode::BadRoom)?,
            },
            None => {
                let subscriptions = self.rooms.of(slot).as_slice().iter();
                let rooms = subscriptions.filter_map(|subscription| self.rooms.room(subscription.room));
                let mut shared = rooms.filter(|room| !room.name.is_of_a_user());
                match (shared.next(), shared.next()) {
                    (Some(only), None) => only.name.clone(),
                    _ => return Err(ErrorCode::RoomRequired),
                }
            }
        };
        let allowed = self.clients[slot as usize].identity.may_use(&room);
        allowed.then_some(room).ok_or(ErrorCode::Forbidden)
    }

    fn publish(
        &mut self,
        slot: Slot,
        room: RoomName,
        payload: Payload,
        key: Option<Box<str>>,
        ticket: Ticket,
    ) {
        self.stop_typing(slot, &room);
        let client = &mut self.clients[slot as usize];
        let idempotency_key = client
            .session()
            .zip(ticket.reference.clone())
            .map(|(session, reference)| IdempotencyKey { session: Some(session), reference });
        let user = client.identity.user.clone();
        client.pending_requests += 1;
        let publisher = client.key;
        self.count(Counter::MessageReceived);
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let answered = room.clone();
        let done = Completion::new(move |result| {
            mailbox.post(Post::Published { publisher, room: answered, ticket, result });
        });
        let publication = Publication { room, user, key, payload, idempotency_key };
        self.wiring.engine.publish(self.now.wall, publication, done);
    }

    /// The engine has stored a client's message, or not.
    pub(super) fn published(
        &mut self,
        publisher: SlotKey,
        room: &RoomName,
        ticket: &Ticket,
        result: Result<Published, EngineError>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if !self.answered(publisher) && ticket.errand.is_none() {
            return;
        }
        match result {
            Ok(published) if ticket.wants_ack() => {
                let frame = ServerFrame::Ack { reference: ticket.reference(), room, id: published.id };
                self.answer(publisher.slot, ticket, &frame, outlet);
            }
            Ok(_) => {}
            Err(error) => self.refuse(publisher.slot, error.code(), ticket, outlet),
        }
    }

    fn history(
        &mut self,
        slot: Slot,
        room: RoomName,
        after: MessageId,
        limit: Option<usize>,
        ticket: Ticket,
    ) {
        let page_max = self.wiring.limits.history_page_messages_max;
        let messages_max = limit.unwrap_or(page_max).min(page_max);
        let client = &mut self.clients[slot as usize];
        client.pending_requests += 1;
        client.reads_history = true;
        let asker = client.key;
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let query = HistoryQuery { room: room.clone(), after, messages_max, ticket };
        let done = Completion::new(move |page| mailbox.post(Post::HistoryRead { asker, query, page }));
        self.wiring.engine.history(self.now.wall, &room, Position::After(after), messages_max, done);
    }

    /// The engine has read what a client asked for.
    pub(super) fn history_read(
        &mut self,
        asker: SlotKey,
        query: &HistoryQuery,
        page: Result<Page, EngineError>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if self.answered(asker) {
            self.clients[asker.slot as usize].reads_history = false;
        } else if query.ticket.errand.is_none() {
            return;
        }
        let ticket = &query.ticket;
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.refuse(asker.slot, error.code(), ticket, outlet),
        };
        let room_bytes = match ticket.errand {
            Some(_) => self.wiring.limits.outbox_bytes_max,
            None => outlet.room(asker.slot),
        };
        let fitting = self.restorable(room_bytes, &page.messages).max(page.messages.len().min(1));
        let messages = &page.messages[..fitting];
        let to_the_end = messages.last().map_or(query.after, |last| last.id) >= page.head;
        let complete = to_the_end && recovery::gap(query.after, &page, self.now.wall).is_none();
        let (room, reference) = (&query.room, ticket.reference());
        self.answer(
            asker.slot,
            ticket,
            &ServerFrame::History { room, messages, complete, reference },
            outlet,
        );
    }

    /// An engine call of a client was answered. Says whether the client is still there.
    pub(super) fn answered(&mut self, key: SlotKey) -> bool {
        let present = self.is_present(key);
        if present {
            let client = &mut self.clients[key.slot as usize];
            client.pending_requests = client.pending_requests.saturating_sub(1);
        }
        present
    }

    pub(super) fn is_present(&self, key: SlotKey) -> bool {
        let client = self.clients.get(key.slot as usize);
        client.is_some_and(|client| client.key == key && client.standing != Standing::Absent)
    }

    pub(super) fn lobby(&self) -> RoomName {
        let found = self.rooms.find(LOBBY).and_then(|room| self.rooms.room(room));
        found.map_or_else(
            || RoomName::new(LOBBY, &Limits::default()).expect("the lobby's name is a good one"),
            |room| room.name.clone(),
        )
    }
}

//! What a client's frame does: one function per frame of the wire contract.

use std::sync::Arc;

use tidings_protocol::client::{Hello, Said};
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{ClientFrame, Decoded, FrameError, Limits, MessageId, Payload, RoomName, ServerFrame};

use super::Messaging;
use super::client::{Client, Entrance, Standing};
use super::subscribing::{Answer, JoinRequest};
use crate::engine::{Completion, EngineError, IdempotencyKey, Page, Position, Publication, Published};
use crate::mailbox::{HistoryQuery, Post};
use crate::outlet::Outlet;
use crate::recovery;
use crate::slots::{Slot, SlotKey};
use crate::telemetry::Counter;

/// Where a connection on `/ws` is until it says otherwise.
const LOBBY: &str = "lobby";

/// What a client's data asks of whoever holds its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Stay,
    /// It is ready for the restart: close with 1012.
    Restart,
}

impl<E: Default> Messaging<E> {
    /// A connection is open and speaks messages.
    pub fn opened(&mut self, key: SlotKey, entrance: Entrance, outlet: &mut impl Outlet<Encoded = E>) {
        let standing = match entrance {
            Entrance::Lobby => Standing::Newcomer,
            Entrance::Room { .. } => Standing::Session,
        };
        let per_second = self.wiring.limits.messages_per_second_max;
        let mut client = Client::new(key, standing, per_second, self.now.monotonic_ms);
        let index = key.slot as usize;
        if self.clients.len() <= index {
            self.clients.resize_with(index + 1, Client::absent);
        }
        match entrance {
            Entrance::Lobby => {
                self.clients[index] = client;
                let lobby = self.lobby();
                self.join(
                    key.slot,
                    &lobby,
                    JoinRequest { from: Position::Head, answer: Answer::Silent },
                    outlet,
                );
            }
            Entrance::Room { room, identity, last_message_id } => {
                client.session = (self.wiring.new_session)();
                client.identity = identity;
                self.clients[index] = client;
                self.tell_session(key.slot, std::slice::from_ref(&room), false, outlet);
                self.join(key.slot, &room, JoinRequest::resuming(last_message_id), outlet);
            }
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, slot: Slot) {
        while let Some(subscription) = self.rooms.of(slot).as_slice().last().copied() {
            self.exit(slot, subscription.room);
        }
        if let Some(client) = self.clients.get_mut(slot as usize) {
            *client = Client::absent();
        }
    }

    /// A client sent text.
    pub fn text(&mut self, slot: Slot, text: &str, outlet: &mut impl Outlet<Encoded = E>) -> Wish {
        if !self.admit(slot, outlet) {
            return Wish::Stay;
        }
        let limits = Arc::clone(&self.wiring.limits);
        let decoded = match self.clients[slot as usize].standing {
            Standing::Newcomer => tidings_protocol::client::decode_first(text, &limits),
            _ => tidings_protocol::client::decode(text, &limits),
        };
        match decoded {
            Decoded::Frame(ClientFrame::Hello(hello)) => self.hello(slot, hello, outlet),
            Decoded::Frame(frame) => {
                self.spoke_without_hello(slot);
                return self.frame(slot, frame, outlet);
            }
            Decoded::Chat(text) => {
                self.spoke_without_hello(slot);
                self.chat(slot, Payload::Text(text.into()), outlet);
            }
            // Whoever mistyped its hello may say it again.
            Decoded::Refused(error) => self.refuse_frame(slot, &error, outlet),
        }
        Wish::Stay
    }

    /// A client sent bytes: a binary message to its one room.
    pub fn binary(&mut self, slot: Slot, bytes: &[u8], outlet: &mut impl Outlet<Encoded = E>) {
        if self.admit(slot, outlet) {
            self.spoke_without_hello(slot);
            self.chat(slot, Payload::Binary(bytes.into()), outlet);
        }
    }

    /// Whether a frame may be processed: the client sends no faster than it may.
    fn admit(&mut self, slot: Slot, outlet: &mut impl Outlet<Encoded = E>) -> bool {
        let per_second = self.wiring.limits.messages_per_second_max;
        let Some(client) = self.clients.get_mut(slot as usize) else { return false };
        let admitted = client.rate.take(per_second, self.now.monotonic_ms);
        if !admitted {
            self.count(Counter::RateLimitReached);
            self.refuse(slot, ErrorCode::RateLimited, None, outlet);
        }
        admitted
    }

    fn spoke_without_hello(&mut self, slot: Slot) {
        let client = &mut self.clients[slot as usize];
        if client.standing == Standing::Newcomer {
            client.standing = Standing::Guest;
        }
    }

    fn frame(&mut self, slot: Slot, frame: ClientFrame<'_>, outlet: &mut impl Outlet<Encoded = E>) -> Wish {
        match frame {
            ClientFrame::Hello(hello) => self.hello(slot, hello, outlet),
            ClientFrame::Join { room, last_message_id, reference } => {
                let answer = Answer::Joined { reference: reference.map(Into::into) };
                let from = last_message_id.map_or(Position::Head, Position::After);
                self.join(slot, &room, JoinRequest { from, answer }, outlet);
            }
            ClientFrame::Leave { room, reference } => {
                self.leave(slot, room.as_deref(), reference.as_deref(), outlet);
            }
            ClientFrame::Message { room, payload, key, reference } => {
                let payload = match payload {
                    Said::Text(text) => Payload::Text(text.into()),
                    Said::Data(json) => Payload::Data(json.to_owned()),
                    Said::Binary(bytes) => Payload::Binary(bytes.into()),
                };
                let reference = reference.map(Into::into);
                match self.target(slot, room.as_deref()) {
                    Some(room) => self.publish(slot, room, payload, key.map(Into::into), reference),
                    None => self.refuse(slot, ErrorCode::RoomRequired, reference.as_deref(), outlet),
                }
            }
            ClientFrame::History { room, after, limit, reference } => {
                let reference = reference.map(Into::into);
                match self.target(slot, room.as_deref()) {
                    Some(room) => self.history(slot, room, after, limit, reference),
                    None => self.refuse(slot, ErrorCode::RoomRequired, reference.as_deref(), outlet),
                }
            }
            ClientFrame::Ping => outlet.answer(slot, &ServerFrame::Pong),
            ClientFrame::RestartAck => return Wish::Restart,
            ClientFrame::TypingStart { .. } | ClientFrame::TypingStop { .. } => {
                self.refuse(slot, ErrorCode::NotSupported, None, outlet);
            }
            ClientFrame::Presence { reference, .. } | ClientFrame::Unserved { reference, .. } => {
                self.refuse(slot, ErrorCode::NotSupported, reference.as_deref(), outlet);
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
            return self.refuse_frame(slot, &error, outlet);
        }
        let resumed = hello.session_id.is_some();
        let session = hello.session_id.unwrap_or_else(|| (self.wiring.new_session)());
        let client = &mut self.clients[slot as usize];
        client.standing = Standing::Session;
        client.session = session;
        client.identity.user = hello.user_id.clone();
        let rooms = self.rooms_of_hello(&hello);
        self.leave_lobby_unless_in(slot, &rooms);
        let names: Vec<RoomName> = rooms.iter().map(|(room, _)| room.clone()).collect();
        self.tell_session(slot, &names, resumed, outlet);
        for (room, position) in rooms {
            self.join(slot, &room, JoinRequest::resuming(position), outlet);
        }
    }

    /// The rooms that a `hello` asks for, each with the client's position in it.
    fn rooms_of_hello(&self, hello: &Hello<'_>) -> Vec<(RoomName, Option<MessageId>)> {
        let mut rooms: Vec<(RoomName, Option<MessageId>)> =
            hello.positions.iter().map(|(room, position)| (room.clone(), Some(*position))).collect();
        for room in &hello.rooms {
            if !rooms.iter().any(|(known, _)| known == room) {
                rooms.push((room.clone(), None));
            }
        }
        if rooms.is_empty() {
            rooms.push((self.lobby(), None));
        }
        if let ([(_, position)], Some(last)) = (rooms.as_mut_slice(), hello.last_message_id) {
            position.get_or_insert(last);
        }
        rooms
    }

    fn leave_lobby_unless_in(&mut self, slot: Slot, rooms: &[(RoomName, Option<MessageId>)]) {
        let stays = rooms.iter().any(|(room, position)| room.as_str() == LOBBY && position.is_none());
        if let Some(lobby) = self.rooms.find(LOBBY).filter(|_| !stays) {
            self.exit(slot, lobby);
        }
    }

    fn leave(
        &mut self,
        slot: Slot,
        room: Option<&str>,
        reference: Option<&str>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Some(name) = self.target(slot, room) else {
            return self.refuse(slot, ErrorCode::RoomRequired, reference, outlet);
        };
        let found = self.rooms.find(name.as_str());
        let cursor = found.and_then(|room| self.rooms.member_mut(slot, room)).map(|member| member.cursor);
        let (Some(room), Some(last_message_id)) = (found, cursor) else {
            return self.refuse(slot, ErrorCode::NotInRoom, reference, outlet);
        };
        let undone = self.exit(slot, room);
        if let Some(Answer::Joined { reference: Some(reference) }) = undone.map(|request| request.answer) {
            // It left before the engine had answered its join.
            self.refuse(slot, ErrorCode::NotInRoom, Some(&reference), outlet);
        }
        outlet.answer(slot, &ServerFrame::Left { room: &name, last_message_id, reference });
    }

    fn chat(&mut self, slot: Slot, payload: Payload, outlet: &mut impl Outlet<Encoded = E>) {
        match self.target(slot, None) {
            Some(room) => self.publish(slot, room, payload, None, None),
            None => self.refuse(slot, ErrorCode::RoomRequired, None, outlet),
        }
    }

    /// The room a frame is about: the one it names, else the only one its connection is in.
    fn target(&self, slot: Slot, named: Option<&str>) -> Option<RoomName> {
        let room = match (named, self.rooms.of(slot).as_slice()) {
            (Some(name), _) => self.rooms.find(name),
            (None, [only]) => Some(only.room),
            (None, _) => return None,
        };
        match room.and_then(|room| self.rooms.room(room)) {
            Some(room) => Some(room.name.clone()),
            None => RoomName::new(named?, &self.wiring.limits).ok(),
        }
    }

    fn publish(
        &mut self,
        slot: Slot,
        room: RoomName,
        payload: Payload,
        key: Option<Box<str>>,
        reference: Option<Box<str>>,
    ) {
        let client = &mut self.clients[slot as usize];
        let idempotency_key = client
            .session()
            .zip(reference.clone())
            .map(|(session, reference)| IdempotencyKey { session: Some(session), reference });
        let user = client.identity.user.clone();
        client.pending_requests += 1;
        let publisher = client.key;
        self.count(Counter::MessageReceived);
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let answered = room.clone();
        let done = Completion::new(move |result| {
            mailbox.post(Post::Published { publisher, room: answered, reference, result });
        });
        let publication = Publication { room, user, key, payload, idempotency_key };
        self.wiring.engine.publish(self.now.wall, publication, done);
    }

    /// The engine has stored a client's message, or not.
    pub(super) fn published(
        &mut self,
        publisher: SlotKey,
        room: &RoomName,
        reference: Option<&str>,
        result: Result<Published, EngineError>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if !self.answered(publisher) {
            return;
        }
        match (result, reference) {
            (Ok(published), Some(reference)) => {
                outlet.answer(
                    publisher.slot,
                    &ServerFrame::Ack { reference: Some(reference), room, id: published.id },
                );
            }
            (Ok(_), None) => {}
            (Err(error), reference) => self.refuse(publisher.slot, error.code(), reference, outlet),
        }
    }

    fn history(
        &mut self,
        slot: Slot,
        room: RoomName,
        after: MessageId,
        limit: Option<usize>,
        reference: Option<Box<str>>,
    ) {
        let page_max = self.wiring.limits.history_page_messages_max;
        let messages_max = limit.unwrap_or(page_max).min(page_max);
        let client = &mut self.clients[slot as usize];
        client.pending_requests += 1;
        client.reads_history = true;
        let asker = client.key;
        let mailbox = Arc::clone(&self.wiring.mailbox);
        let query = HistoryQuery { room: room.clone(), after, messages_max, reference };
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
        if !self.answered(asker) {
            return;
        }
        self.clients[asker.slot as usize].reads_history = false;
        let reference = query.reference.as_deref();
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.refuse(asker.slot, error.code(), reference, outlet),
        };
        let fitting = self.restorable(asker.slot, &page.messages, outlet).max(page.messages.len().min(1));
        let messages = &page.messages[..fitting];
        let to_the_end = messages.last().map_or(query.after, |last| last.id) >= page.head;
        let complete = to_the_end && recovery::gap(query.after, &page, self.now.wall).is_none();
        outlet.answer(asker.slot, &ServerFrame::History { room: &query.room, messages, complete, reference });
    }

    /// An engine call of a client was answered. Says whether the client is still there.
    fn answered(&mut self, key: SlotKey) -> bool {
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

    fn tell_session(
        &self,
        slot: Slot,
        rooms: &[RoomName],
        resumed: bool,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let client = &self.clients[slot as usize];
        let frame = ServerFrame::Session {
            session_id: &client.session,
            user_id: client.identity.user.as_ref(),
            rooms,
            resumed,
            ping_interval_ms: self.wiring.limits.ping_interval_ms,
            node: &self.wiring.node,
        };
        outlet.answer(slot, &frame);
    }

    pub(super) fn refuse(
        &self,
        slot: Slot,
        code: ErrorCode,
        reference: Option<&str>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let message = &format!("{} What to do: {}.", code.meaning(), code.remedy());
        self.count(Counter::CommandRefused);
        outlet.answer(slot, &ServerFrame::Error { code, message, reference });
    }

    fn refuse_frame(&self, slot: Slot, error: &FrameError, outlet: &mut impl Outlet<Encoded = E>) {
        let FrameError { code, message, reference } = error;
        self.count(Counter::CommandRefused);
        let reference = reference.as_deref();
        outlet.answer(slot, &ServerFrame::Error { code: *code, message, reference });
    }

    fn lobby(&self) -> RoomName {
        let found = self.rooms.find(LOBBY).and_then(|room| self.rooms.room(room));
        found.map_or_else(
            || RoomName::new(LOBBY, &Limits::default()).expect("the lobby's name is a good one"),
            |room| room.name.clone(),
        )
    }
}

impl JoinRequest {
    /// From the client's position if it has one, else from now on.
    fn resuming(last_message_id: Option<MessageId>) -> Self {
        match last_message_id {
            Some(position) => Self { from: Position::After(position), answer: Answer::Restore },
            None => Self { from: Position::Head, answer: Answer::Silent },
        }
    }
}

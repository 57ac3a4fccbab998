//! How a session begins, moves from connection to connection, and waits while it has none.

use std::any::Any;
use std::sync::Arc;

use smallvec::SmallVec;
use tidings_protocol::codes::{CloseCode, ErrorCode};
use tidings_protocol::{
    Cursor, CursorError, FrameError, MessageId, RoomName, ServerFrame, SessionId, UserId,
};

use super::client::{Client, Introduction, Manner, Standing};
use super::subscribing::{Answer, JoinRequest};
use super::{ErrandAnswer, LOBBY, Messaging, Ticket};
use crate::engine::Position;
use crate::mailbox::Post;
use crate::outlet::Outlet;
use crate::rooms::Pace;
use crate::sessions::{Away, AwayRoom, Claim, Claimed, Place};
use crate::slots::Slot;
use crate::telemetry::Counter;

/// Claims of one session by one connection; each time, another connection was quicker.
const CLAIMS_MAX: u8 = 3;

/// Connections looked at in one turn when the registry has to be told everything again.
const RECALLED_AT_ONCE: Slot = 256;

/// What a client is to be told of its session.
#[derive(Debug)]
pub(super) struct Untold {
    rooms: Vec<RoomName>,
    resumed: bool,
}

/// A connection that waits for the session it claims.
#[derive(Debug)]
pub(super) struct Claiming {
    introduction: Introduction,
    claims: u8,
}

impl<E: Default> Messaging<E> {
    /// Lets a client in: with the session it names if that is there, else with a new one.
    pub(super) fn introduce(
        &mut self,
        slot: Slot,
        introduction: Introduction,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        // What a client said before it left may be read after what it says by its next connection, and
        // must not take the session from there.
        if introduction.may_resume() && !outlet.is_there(slot) {
            return;
        }
        match self.session_to_resume(&introduction) {
            Some(session) => {
                self.clients[slot as usize].standing = Standing::Claiming;
                self.clients[slot as usize].session = session;
                self.claim(slot, Claiming { introduction, claims: 1 }, outlet);
            }
            None => {
                let session = (self.wiring.new_session)();
                self.begin(slot, session, introduction, outlet);
            }
        }
    }

    /// The session that a client names, or that its polls have.
    fn session_to_resume(&mut self, introduction: &Introduction) -> Option<SessionId> {
        match (&introduction.session, &introduction.manner) {
            (None, Manner::Poll { client }) => {
                let new = (self.wiring.new_session)();
                Some(self.wiring.people.sessions.of_client(client, new))
            }
            (session, _) => *session,
        }
    }

    fn claim(&mut self, slot: Slot, claiming: Claiming, outlet: &mut impl Outlet<Encoded = E>) {
        let client = &self.clients[slot as usize];
        let user = claiming.introduction.identity.user.clone();
        let (session, client) = (client.session, client.key);
        let attempt = claiming.introduction.attempt;
        let claim = Claim { session, user, attempt, shard: self.shard(), client };
        match self.wiring.people.sessions.claim(&claim) {
            Claimed::Asked => {
                self.claiming.insert(slot, Box::new(claiming));
            }
            result => self.decided(slot, claiming, result, outlet),
        }
    }

    /// The connection that has a claimed session has answered.
    pub(super) fn claimed(&mut self, claim: &Claim, result: Claimed, outlet: &mut impl Outlet<Encoded = E>) {
        let slot = claim.client.slot;
        let waits = self.is_present(claim.client);
        if waits && self.errands.contains_key(&slot) {
            return self.errand_claimed(slot, claim.session, result, outlet);
        }
        match self.claiming.remove(&slot).filter(|_| waits) {
            Some(claiming) => self.decided(slot, *claiming, result, outlet),
            // The claimant is gone: the session waits for another one.
            None => {
                if let Claimed::Yours(away) = result {
                    let place = Place { shard: self.shard(), slot };
                    self.wiring.people.sessions.leave(self.now.wall, claim.session, place, away);
                }
            }
        }
    }

    fn decided(
        &mut self,
        slot: Slot,
        claiming: Claiming,
        result: Claimed,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Claiming { introduction, claims } = claiming;
        match result {
            Claimed::Yours(away) if introduction.attempt.is_before(away.attempt) => {
                let session = self.clients[slot as usize].session;
                let place = Place { shard: self.shard(), slot };
                self.wiring.people.sessions.leave(self.now.wall, session, place, away);
                self.refuse_late(slot, outlet);
            }
            Claimed::Yours(away) => self.resume(slot, introduction, away, outlet),
            Claimed::Late => self.refuse_late(slot, outlet),
            Claimed::NotYours => {
                // It may say hello again, with another session or none.
                self.clients[slot as usize].standing = Standing::Newcomer;
                let message = "the session belongs to another user: leave session_id out to begin a new one";
                let error = FrameError::new(ErrorCode::Forbidden, message);
                self.refuse_frame(slot, &error, &Ticket::default(), outlet);
                if introduction.manner != Manner::Conversation {
                    outlet.close(slot, CloseCode::PolicyViolation, "the session belongs to another user");
                }
            }
            Claimed::Left | Claimed::Unknown | Claimed::Asked => {
                let session = self.clients[slot as usize].session;
                // Its connection may have ended between the question and the answer.
                let is_somewhere =
                    matches!(result, Claimed::Left) || self.wiring.people.sessions.place(session).is_some();
                match introduction.manner {
                    _ if is_somewhere && claims < CLAIMS_MAX => {
                        self.claim(slot, Claiming { introduction, claims: claims + 1 }, outlet);
                    }
                    // The name of a client's polls stands for the session it is about to have.
                    Manner::Poll { .. } => self.begin(slot, session, introduction, outlet),
                    Manner::Conversation | Manner::Feed => {
                        let session = (self.wiring.new_session)();
                        self.begin(slot, session, introduction, outlet);
                    }
                }
            }
        }
    }

    /// A client's newer connection has the session, or had it last.
    fn refuse_late(&mut self, slot: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        self.clients[slot as usize].standing = Standing::Newcomer;
        let message = "a newer connection of this client came first: use that one";
        let error = FrameError::new(ErrorCode::Superseded, message);
        self.refuse_frame(slot, &error, &Ticket::default(), outlet);
        outlet.close(slot, CloseCode::Superseded, "a newer connection of this client came first");
    }

    /// Begins a session, in the rooms that the client names, else in `lobby`. What a client that
    /// names positions has missed, it gets.
    fn begin(
        &mut self,
        slot: Slot,
        session: SessionId,
        introduction: Introduction,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        self.count(Counter::SessionBegun);
        self.wiring.people.sessions.begin(session, Place { shard: self.shard(), slot });
        let client = &mut self.clients[slot as usize];
        client.session = session;
        client.attempt = introduction.attempt;
        client.identity = introduction.identity.clone();
        let Introduction { identity, mut rooms, last_message_id, cursor, manner, .. } = introduction;
        if rooms.is_empty() {
            rooms.push((self.lobby(), None));
        }
        if let ([(_, position)], Some(last)) = (rooms.as_mut_slice(), last_message_id) {
            position.get_or_insert(last);
        }
        let own = identity.own_room().filter(|own| !rooms.iter().any(|(room, _)| room == own));
        rooms.extend(own.map(|own| (own, None)));
        let named = rooms.len();
        if let Err(reason) = place(&mut rooms, named, cursor.as_deref()) {
            return self.refuse_cursor(slot, reason, outlet);
        }
        let requests =
            rooms.into_iter().map(|(room, position)| (room, JoinRequest::from_position(position, &manner)));
        self.settle_in(slot, requests.collect(), manner, false, outlet);
    }

    /// Goes on with a session: in the rooms it was in and those that the client names.
    fn resume(
        &mut self,
        slot: Slot,
        introduction: Introduction,
        away: Away,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Introduction { mut rooms, last_message_id, cursor, manner, attempt, .. } = introduction;
        let (mut known, named) = (away.rooms.clone(), rooms.len());
        if matches!(manner, Manner::Poll { .. }) && !rooms.is_empty() {
            // A poll that names its rooms asks for these alone.
            known.retain(|known| {
                known.room.is_of_a_user() || rooms.iter().any(|(room, _)| *room == known.room)
            });
        }
        let only = known.iter().filter(|known| !known.room.is_of_a_user()).count() == 1;
        for AwayRoom { room, .. } in &known {
            let last = last_message_id.filter(|_| only && !room.is_of_a_user());
            match rooms.iter_mut().find(|(named, _)| named == room) {
                Some((_, position)) => *position = position.or(last),
                None => rooms.push((room.clone(), last)),
            }
        }
        if rooms.is_empty() && manner != Manner::Conversation {
            rooms.push((self.lobby(), None));
        }
        if let Err(reason) = place(&mut rooms, named, cursor.as_deref()) {
            let (session, from) = (self.clients[slot as usize].session, Place { shard: self.shard(), slot });
            self.wiring.people.sessions.leave(self.now.wall, session, from, away);
            return self.refuse_cursor(slot, reason, outlet);
        }
        if let Some(name) = away.client.filter(|name| !manner.is_poll_of(name)) {
            self.wiring.people.sessions.forget_client(&name, self.clients[slot as usize].session);
        }
        // A client that looks for what it missed looks at the first room it is told of.
        rooms.sort_by_key(|(room, _)| room.is_of_a_user());
        self.count(Counter::SessionResumed);
        self.clients[slot as usize].identity = away.identity;
        self.clients[slot as usize].attempt = attempt.or(away.attempt);
        let requests = rooms.into_iter().map(|(room, position)| {
            let kept = known.iter().find(|known| known.room == room).filter(|_| position.is_none());
            let request = JoinRequest::from_position(position.or(kept.and_then(|kept| kept.cursor)), &manner);
            // Polls are answered one by one, so the server knows what the client has.
            let doubtful = kept.is_some_and(|kept| kept.delivered) && !matches!(manner, Manner::Poll { .. });
            (room, JoinRequest { doubtful, ..request })
        });
        let requests = requests.collect();
        self.settle_in(slot, requests, manner, true, outlet);
    }

    fn refuse_cursor(&mut self, slot: Slot, reason: CursorError, outlet: &mut impl Outlet<Encoded = E>) {
        let mut message = reason.to_string();
        message[..1].make_ascii_uppercase();
        let error = FrameError::new(ErrorCode::BadCursor, message + ".");
        self.refuse_frame(slot, &error, &Ticket::default(), outlet);
        outlet.close(slot, CloseCode::PolicyViolation, "the cursor is of other rooms or none at all");
    }

    fn settle_in(
        &mut self,
        slot: Slot,
        requests: Vec<(RoomName, JoinRequest)>,
        manner: Manner,
        resumed: bool,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let client = &mut self.clients[slot as usize];
        client.standing = Standing::Session;
        let reads_feed = manner == Manner::Feed;
        client.placing = true;
        if let Some(user) = &client.identity.user {
            self.wiring.people.presence.came_online(self.now.wall, user);
        }
        self.leave_lobby_unless_in(slot, &requests);
        match manner {
            Manner::Poll { client } => {
                self.polls.insert(slot, client);
            }
            Manner::Conversation | Manner::Feed => {
                let names: Vec<RoomName> = requests.iter().map(|(room, _)| room.clone()).collect();
                self.untold.insert(slot, Untold { rooms: names, resumed });
            }
        }
        for (room, request) in requests {
            self.join(slot, &room, request, outlet);
        }
        self.place(slot, outlet);
        if reads_feed {
            self.begin_to_mark(slot, outlet);
        }
        self.record(slot);
    }

    /// Whoever resumes the session on another node needs to know what it has.
    pub(super) fn record(&self, slot: Slot) {
        if let Some(session) = self.clients.get(slot as usize).and_then(Client::session) {
            self.wiring.people.sessions.keep(session, || self.away(slot));
        }
    }

    /// Tells the registry again what this shard has, a slice a turn.
    pub(super) fn recall(&self, from: Slot, until_done: Option<Arc<dyn Any + Send + Sync>>) {
        let end = from.saturating_add(RECALLED_AT_ONCE);
        (from..end).for_each(|slot| self.record(slot));
        if self.clients.len() > end as usize {
            self.wiring.mailbox.post(Post::Recall { from: end, until_done });
        }
    }

    /// From now on a feed's client is told where it stands. Not before it is in all its rooms: it
    /// would take a cursor of some of them for one of all.
    fn begin_to_mark(&mut self, slot: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        self.clients[slot as usize].feed = true;
        if self.rooms.of(slot).as_slice().len() > 1 {
            self.rooms.mark(slot);
        }
        self.mark(slot, outlet);
    }

    /// A newcomer was silently in the lobby; one who asks for it with a position enters anew.
    fn leave_lobby_unless_in(&mut self, slot: Slot, requests: &[(RoomName, JoinRequest)]) {
        let stays =
            requests.iter().any(|(room, request)| room.as_str() == LOBBY && request.from == Position::Head);
        if let Some(lobby) = self.rooms.find(LOBBY).filter(|_| !stays) {
            self.exit(slot, lobby);
        }
    }

    /// Tells a client of its session, if that is still to be done. Not before it is in its rooms:
    /// what is said after it was told, it must get.
    pub(super) fn tell_session(&mut self, slot: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        let Some(Untold { mut rooms, resumed }) = self.untold.remove(&slot) else { return };
        rooms.retain(|room| {
            self.rooms.find(room.as_str()).is_some_and(|room| self.rooms.member(slot, room).is_some())
        });
        let client = &self.clients[slot as usize];
        let frame = ServerFrame::Session {
            session_id: &client.session,
            user_id: client.identity.user.as_ref(),
            rooms: &rooms,
            resumed,
            ping_interval_ms: self.wiring.limits.ping_interval_ms,
            node: &self.wiring.node,
        };
        outlet.answer(slot, &frame);
    }

    /// Somebody claims a session that a connection of this shard has, or had until now.
    pub(super) fn asked_for(&mut self, holder: Slot, claim: &Claim, outlet: &mut impl Outlet<Encoded = E>) {
        let result = self.give_up(holder, claim, outlet);
        self.wiring.people.sessions.answer(claim, result);
    }

    fn give_up(&mut self, holder: Slot, claim: &Claim, outlet: &mut impl Outlet<Encoded = E>) -> Claimed {
        let from = Place { shard: self.shard(), slot: holder };
        // An errand's connection that only looks for the session has it not, and does not know whose it is.
        let has_it = self.wiring.people.sessions.place(claim.session) == Some(from);
        let client = self.clients.get(holder as usize).filter(|_| has_it);
        let Some(client) = client.filter(|client| client.session() == Some(claim.session)) else {
            return Claimed::Left;
        };
        if !claim.may_have(&client.identity) {
            return Claimed::NotYours;
        }
        if claim.attempt.is_before(client.attempt) {
            return Claimed::Late;
        }
        let standing = client.standing;
        let to = Place { shard: claim.shard, slot: claim.client.slot };
        let away = self.away(holder);
        if !self.wiring.people.sessions.hand_over(claim.session, from, to) {
            return Claimed::Left;
        }
        match standing {
            Standing::Session => {
                self.count(Counter::SessionTakenOver);
                self.gone(holder);
                outlet.close(holder, CloseCode::Superseded, "a newer connection of this session took over");
            }
            // Its connection has been answered, and may bring another request.
            Standing::Resting => self.gone(holder),
            // An errand goes on without the session; only who was to join cannot any more.
            _ => self.exit_all(holder),
        }
        Claimed::Yours(away)
    }

    /// What is kept of a connection's session when the connection is gone.
    pub(super) fn away(&self, slot: Slot) -> Away {
        let subscriptions = self.rooms.of(slot).as_slice().iter();
        let rooms = subscriptions.filter_map(|subscription| {
            let room = self.rooms.room(subscription.room)?;
            let member = self.rooms.member(slot, subscription.room)?;
            let request = self.requests.get(&(slot, subscription.room));
            let cursor = match request.map(|request| request.from) {
                Some(Position::After(position)) => Some(position),
                Some(Position::Head) => None,
                None => Some(member.cursor),
            };
            let delivered = member.delivered || request.is_some_and(|request| request.doubtful);
            Some(AwayRoom { room: room.name.clone(), cursor, delivered })
        });
        Away {
            identity: self.clients[slot as usize].identity.clone(),
            rooms: rooms.collect(),
            client: self.polls.get(&slot).cloned(),
            attempt: self.clients[slot as usize].attempt,
        }
    }

    /// Where a client stands in all its rooms; `at` overrides one of them. `None` before it has its
    /// places. A room that it joined since and of which it was not told yet is left out.
    pub(super) fn cursor(&self, slot: Slot, at: Option<(Slot, MessageId)>) -> Option<String> {
        if self.is_placing(slot) {
            return None;
        }
        let subscriptions = self.rooms.of(slot).as_slice();
        let mut positions: SmallVec<[(&RoomName, MessageId); 1]> = SmallVec::new();
        for subscription in subscriptions {
            let (room, member) =
                (self.rooms.room(subscription.room)?, self.rooms.member(slot, subscription.room)?);
            let overridden = at.filter(|(room, _)| *room == subscription.room).map(|(_, id)| id);
            let known = match self.requests.get(&(slot, subscription.room)).map(|request| request.from) {
                Some(Position::After(position)) => Some(position),
                // It is about to be told that it begins there.
                Some(Position::Head) => room.watched.then_some(room.head),
                None => (member.pace != Pace::Waiting).then_some(member.cursor),
            };
            positions.extend(overridden.or(known).map(|position| (&room.name, position)));
        }
        // The position in a user's own room alone would be taken for one in the other room.
        let is_misleading = matches!(positions[..], [(only, _)] if only.is_of_a_user())
            && positions.len() < subscriptions.len();
        (!positions.is_empty() && !is_misleading).then(|| Cursor::encode(&positions))
    }

    /// A connection is gone; its session, if it has one, waits for the next.
    pub fn closed(&mut self, slot: Slot) {
        let Some(client) = self.clients.get(slot as usize) else { return };
        if let Some(session) = client.session() {
            let away = self.away(slot);
            let place = Place { shard: self.shard(), slot };
            self.wiring.people.sessions.leave(self.now.wall, session, place, away);
        }
        self.gone(slot);
    }

    /// Takes a connection out of everything.
    fn gone(&mut self, slot: Slot) {
        self.exit_all(slot);
        let client = std::mem::replace(&mut self.clients[slot as usize], Client::absent());
        if matches!(client.standing, Standing::Session | Standing::Resting)
            && let Some(user) = &client.identity.user
        {
            self.wiring.people.presence.went_offline(self.now.wall, user);
        }
        self.claiming.remove(&slot);
        self.polls.remove(&slot);
        self.untold.remove(&slot);
        self.errands.remove(&slot);
    }

    /// Takes a connection out of all rooms. An errand that waits to join one of them is told that it
    /// cannot any more.
    fn exit_all(&mut self, slot: Slot) {
        while let Some(subscription) = self.rooms.of(slot).as_slice().last().copied() {
            if let Some(Answer::Joined { ticket }) =
                self.exit(slot, subscription.room).map(|request| request.answer)
                && let Some(errand) = ticket.errand
            {
                self.finish_errand(errand, ErrandAnswer::superseded());
            }
        }
    }

    /// Closes the connections of a user, and ends those of the user's sessions that are away.
    pub(super) fn disconnect(&mut self, user: &UserId, outlet: &mut impl Outlet<Encoded = E>) {
        let theirs: Vec<Slot> = (0..)
            .zip(&self.clients)
            .filter(|(_, client)| {
                matches!(client.standing, Standing::Session | Standing::Resting)
                    && client.identity.user.as_ref() == Some(user)
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in theirs {
            let place = Place { shard: self.shard(), slot };
            let name = self.polls.get(&slot).map(|name| &**name);
            self.wiring.people.sessions.end(self.clients[slot as usize].session, place, name);
            match self.rests(slot) {
                true => self.gone(slot),
                false => {
                    outlet.close(slot, CloseCode::PolicyViolation, "disconnected by the application");
                }
            }
        }
    }

    pub(super) fn shard(&self) -> u32 {
        u32::try_from(self.wiring.shard).expect("a node has at most 64 shards")
    }

    /// Lets an errand have a session that is away: in its rooms, but deaf.
    pub(super) fn wake_for_errand(&mut self, slot: Slot, away: Away) {
        let client = &mut self.clients[slot as usize];
        (client.identity, client.attempt) = (away.identity, away.attempt);
        if let Some(name) = away.client {
            self.polls.insert(slot, name);
        }
        for AwayRoom { room, cursor, delivered } in away.rooms {
            let Some(place) = self.enter(slot, &room) else { continue };
            if let (Some(member), Some(cursor)) = (self.rooms.member_mut(slot, place), cursor) {
                (member.cursor, member.pace, member.delivered) = (cursor, Pace::Lagging, delivered);
            } else {
                self.requests.insert((slot, place), JoinRequest::silent(Position::Head));
            }
        }
    }
}

/// Fills in the positions that a cursor tells of rooms, of which the client named the first ones.
pub(super) fn place(
    rooms: &mut [(RoomName, Option<MessageId>)],
    named: usize,
    cursor: Option<&str>,
) -> Result<(), CursorError> {
    let Some(cursor) = cursor else { return Ok(()) };
    let names: Vec<RoomName> = rooms.iter().map(|(room, _)| room.clone()).collect();
    let positions = Cursor::decode(cursor, &names).or_else(|error| match error {
        // An id from before the session was in several rooms.
        CursorError::OneOfSeveral if named > 0 => Cursor::decode(cursor, &names[..named]),
        error => Err(error),
    })?;
    for ((_, position), told) in rooms.iter_mut().zip(positions) {
        *position = told.or(*position);
    }
    Ok(())
}

impl JoinRequest {
    /// From the client's position if it has one, else from now on.
    pub(super) fn from_position(position: Option<MessageId>, manner: &Manner) -> Self {
        let from = position.map_or(Position::Head, Position::After);
        let answer = match manner {
            Manner::Conversation if position.is_some() => Answer::Restore,
            Manner::Conversation | Manner::Poll { .. } => Answer::Silent,
            Manner::Feed => Answer::Joined { ticket: Ticket::default() },
        };
        Self { from, answer, doubtful: false }
    }

    pub(super) const fn silent(from: Position) -> Self {
        Self { from, answer: Answer::Silent, doubtful: false }
    }
}

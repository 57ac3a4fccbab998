//! Errands: what a session says by `POST`, on a connection that is not its own.
//!
//! The shard that the errand came to asks the shard that has the session's connection; if the
//! session is away, the errand's connection has it meanwhile. Each gets exactly one answer.

use std::sync::Arc;

use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{Attempt, Decoded, FrameError, SessionId};

use super::client::{Client, Standing};
use super::{ErrandAnswer, ErrandKey, Messaging, Ticket};
use crate::mailbox::Post;
use crate::outlet::Outlet;
use crate::sessions::{Claim, Claimed, Found, Place};
use crate::slots::{Slot, SlotKey};

/// Times a session is looked for; each time it was somewhere else by then.
const LOOKS_MAX: u8 = 4;

/// An errand under way.
#[derive(Debug)]
pub(super) struct Errand {
    frame: Arc<str>,
    looks: u8,
}

impl<E: Default> Messaging<E> {
    /// A connection came to say one thing for a session.
    pub(super) fn run_errand(
        &mut self,
        slot: Slot,
        session: SessionId,
        frame: Arc<str>,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let client = &mut self.clients[slot as usize];
        client.standing = Standing::Errand;
        client.session = session;
        self.look_for_session(slot, Errand { frame, looks: 1 }, outlet);
    }

    fn look_for_session(&mut self, slot: Slot, errand: Errand, outlet: &mut impl Outlet<Encoded = E>) {
        let client = &self.clients[slot as usize];
        let (session, client) = (client.session, client.key);
        let key = self.errand_key(slot);
        let attempt = Attempt::UNKNOWN;
        let claim = Claim { session, user: None, attempt, shard: self.shard(), client };
        match self.wiring.people.sessions.look(&claim) {
            Found::Here(place) => {
                let post = Post::Errand {
                    holder: place.slot,
                    session,
                    frame: Arc::clone(&errand.frame),
                    errand: key,
                };
                self.errands.insert(slot, errand);
                self.wiring.people.sessions.post(place.shard, post);
            }
            Found::Away(away) => {
                self.wake_for_errand(slot, away);
                self.say(slot, &errand.frame, key, outlet);
            }
            Found::Nowhere if self.wiring.people.sessions.errand(&claim, &errand.frame) => {
                self.errands.insert(slot, errand);
            }
            Found::Nowhere | Found::NotYours => self.refuse_errand(slot, outlet),
        }
    }

    /// The registry found the session away, or not at all.
    pub(super) fn errand_claimed(
        &mut self,
        slot: Slot,
        session: SessionId,
        result: Claimed,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let Some(errand) = self.errands.remove(&slot) else { return };
        match result {
            Claimed::Yours(away) => {
                self.wake_for_errand(slot, away);
                self.say(slot, &errand.frame, self.errand_key(slot), outlet);
            }
            result => {
                // A connection here was quicker, or is gone since.
                let is_somewhere =
                    matches!(result, Claimed::Left) || self.wiring.people.sessions.place(session).is_some();
                if is_somewhere && errand.looks < LOOKS_MAX {
                    self.look_for_session(slot, Errand { looks: errand.looks + 1, ..errand }, outlet);
                } else {
                    self.refuse_errand(slot, outlet);
                }
            }
        }
    }

    fn refuse_errand(&self, slot: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        let ticket = Ticket { reference: None, errand: Some(self.errand_key(slot)) };
        self.refuse(slot, ErrorCode::SessionUnknown, &ticket, outlet);
    }

    fn errand_key(&self, slot: Slot) -> ErrandKey {
        ErrandKey { shard: self.shard(), client: self.clients[slot as usize].key }
    }

    /// An errand for a session whose connection this shard has.
    pub(super) fn errand(
        &mut self,
        holder: Slot,
        session: SessionId,
        frame: &str,
        errand: ErrandKey,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        let place = Place { shard: self.shard(), slot: holder };
        // It may be another errand's connection that has the session at the moment.
        if self.wiring.people.sessions.place(session) == Some(place)
            && self.clients.get(holder as usize).and_then(Client::session) == Some(session)
        {
            self.say(holder, frame, errand, outlet);
        } else {
            self.finish_errand(errand, ErrandAnswer::NotHere);
        }
    }

    fn say(&mut self, slot: Slot, text: &str, errand: ErrandKey, outlet: &mut impl Outlet<Encoded = E>) {
        let ticket = Ticket { reference: None, errand: Some(errand) };
        if !self.admit(slot, &ticket, outlet) {
            return;
        }
        let limits = Arc::clone(&self.wiring.limits);
        match tidings_protocol::client::decode(text, &limits) {
            Decoded::Frame(frame) => {
                self.frame(slot, frame, Some(errand), outlet);
            }
            Decoded::Chat(_) => {
                let advice = "the body is no frame: send a JSON object with a type of docs/protocol.md";
                let error = FrameError::new(ErrorCode::BadFrame, advice);
                self.refuse_frame(slot, &error, &ticket, outlet);
            }
            Decoded::Refused(error) => self.refuse_frame(slot, &error, &ticket, outlet),
        }
    }

    /// An errand of this shard's was answered.
    pub(super) fn errand_done(
        &mut self,
        errand: SlotKey,
        answer: ErrandAnswer,
        outlet: &mut impl Outlet<Encoded = E>,
    ) {
        if !self.is_present(errand) {
            return;
        }
        let slot = errand.slot;
        let pending = self.errands.remove(&slot);
        let answer = match (answer, pending) {
            (ErrandAnswer::NotHere, Some(errand)) if errand.looks < LOOKS_MAX => {
                return self.look_for_session(slot, Errand { looks: errand.looks + 1, ..errand }, outlet);
            }
            (ErrandAnswer::NotHere, _) => ErrandAnswer::superseded(),
            (answer, _) => answer,
        };
        if let ErrandAnswer::Done { status, json } = answer {
            outlet.relay(slot, status, &json);
        }
    }
}

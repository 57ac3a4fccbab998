//! The sessions of a node: where each one's connection is, and what is kept of those that are away.
//!
//! Shared by the shards. A session belongs to one connection at a time: whoever resumes it claims
//! it, from the shard that holds it, from here, or from the registry that several nodes have in common.
//! Refuses to know rooms' logs and connections.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tidings_protocol::{Attempt, Limits, MessageId, RoomName, SessionId, UserId};

use crate::engine::Timestamp;
use crate::mailbox::{Mailbox, Post};
use crate::rights::Identity;
use crate::slots::{Slot, SlotKey};

/// Stands for a shard of another node: what is posted there, the registry carries.
pub const ELSEWHERE: u32 = u32::MAX;

/// What several nodes keep together of their sessions. No call waits; each is about a session that
/// this node has, had, or is asked for.
pub trait Registry: Send + Sync + 'static {
    /// A connection of this node has the session, and would leave this behind. If another node has
    /// it by now, the registry lets this one [give it up](Sessions::supersede).
    fn keep(&self, session: SessionId, record: &Away);

    /// The connection is gone: whoever claims the session gets this.
    fn leave(&self, session: SessionId, record: &Away);

    /// The session is over.
    fn end(&self, session: SessionId);

    /// Answers by [`Sessions::granted`] or [`Sessions::answer`].
    fn claim(&self, claim: Claim);

    /// Lets a session that may be on another node say something. Answers with a [`Post::ErrandDone`],
    /// or, if the session is away, as a claim.
    fn errand(&self, claim: Claim, frame: &Arc<str>);

    /// Carries an answer to the node that asked.
    fn carry(&self, post: Post);

    /// Every session of a user is over, on whichever node.
    fn end_all_of(&self, user: &UserId);

    /// Whether other nodes may have taken sessions that connections of this node have: until that is known,
    /// nothing is read from clients or sent to them. Asked in each turn of a shard.
    fn is_in_doubt(&self) -> bool;
}

/// A connection's place on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The shard's number.
    pub shard: u32,
    /// The connection's slot there.
    pub slot: Slot,
}

/// What is kept of a session while no connection has it.
#[derive(Debug, Clone, Default)]
pub struct Away {
    /// Whose it is.
    pub identity: Identity,
    /// The rooms it is in.
    pub rooms: Vec<AwayRoom>,
    /// The client id that its long polls name, if it has one.
    pub client: Option<Box<str>>,
    /// The newest of its connections.
    pub attempt: Attempt,
}

/// A membership of a session that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwayRoom {
    /// The room.
    pub room: RoomName,
    /// The last message that was sent to the client, or what it had when it joined; `None` if it
    /// left before the room's end was known.
    pub cursor: Option<MessageId>,
    /// Whether anything was sent to it: then the client alone knows what has arrived.
    pub delivered: bool,
}

/// Somebody asks for a session.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which.
    pub session: SessionId,
    /// Who the claimant says it is; `None` says nothing, as the textbook's clients do.
    pub user: Option<UserId>,
    /// Which of the session's connections the claimant is.
    pub attempt: Attempt,
    /// The shard of the claimant's connection, or [`ELSEWHERE`].
    pub shard: u32,
    /// The claimant's connection, or what stands for it on another node.
    pub client: SlotKey,
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// The session is the claimant's.
    Yours(Away),
    /// Another connection, or the registry, has it and was asked; the answer is a [`Post::Claimed`].
    Asked,
    /// It is somebody else's.
    NotYours,
    /// A newer connection of the same client has it.
    Late,
    /// The connection that was asked does not have it any more: whoever has it now has to be asked,
    /// or it waits.
    Left,
    /// No such session is known.
    Unknown,
}

/// Where a session is.
#[derive(Debug)]
pub enum Found {
    /// It was away, and is the claimant's now.
    Away(Away),
    /// A connection has it.
    Here(Place),
    /// It is away, and somebody else's.
    NotYours,
    /// No such session is known.
    Nowhere,
}

/// Sessions are spread over this many locks.
const STRIPES: usize = 64;

/// See the module.
pub struct Sessions {
    mailboxes: OnceLock<Vec<Arc<Mailbox>>>,
    registry: OnceLock<Arc<dyn Registry>>,
    stripes: Vec<Mutex<Stripe>>,
    /// Sessions of long polls, by the id that the client chose.
    clients: Mutex<HashMap<Box<str>, SessionId>>,
    window_us: u64,
    away_max: usize,
}

#[derive(Default)]
struct Stripe {
    /// By the first half of the id: the shard compares the whole, and memory is counted by the byte.
    here: HashMap<u64, Place>,
    away: HashMap<SessionId, Box<Kept>>,
    /// When sessions that went away end, soonest first. Holds entries of those that came back, too,
    /// but never more than twice as many as there are sessions.
    ending: VecDeque<(Timestamp, SessionId)>,
}

struct Kept {
    away: Away,
    ends: Timestamp,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            mailboxes: OnceLock::new(),
            registry: OnceLock::new(),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            clients: Mutex::default(),
            window_us: limits.session_window_ms.saturating_mul(1_000),
            away_max: limits.sessions_away_max.div_ceil(STRIPES),
        }
    }

    /// Names the shards' mailboxes, in the order of their numbers.
    ///
    /// # Panics
    /// If called twice: wiring is ours to get right.
    pub fn connect(&self, mailboxes: Vec<Arc<Mailbox>>) {
        assert!(self.mailboxes.set(mailboxes).is_ok(), "the sessions are connected once");
    }

    /// From now on sessions that are away are kept by a registry.
    ///
    /// # Panics
    /// If called twice: wiring is ours to get right.
    pub fn share(&self, registry: Arc<dyn Registry>) {
        assert!(self.registry.set(registry).is_ok(), "the sessions are shared once");
    }

    /// Whether connections of this node may have lost their sessions without knowing.
    pub fn are_in_doubt(&self) -> bool {
        self.registry.get().is_some_and(|registry| registry.is_in_doubt())
    }

    /// Tells the registry, if there is one, what a connection's session would leave behind.
    pub fn keep(&self, session: SessionId, record: impl FnOnce() -> Away) {
        if let Some(registry) = self.registry.get() {
            registry.keep(session, &record());
        }
    }

    /// A connection has begun a session.
    pub fn begin(&self, session: SessionId, place: Place) {
        self.stripe(session).here.insert(short(session), place);
    }

    /// Asks for a session on behalf of a connection, which has it afterwards or is told later.
    pub fn claim(&self, claim: &Claim) -> Claimed {
        match self.look(claim) {
            Found::Away(away) => Claimed::Yours(away),
            Found::Here(holder) => {
                self.post(holder.shard, Post::Claim { holder: holder.slot, claim: claim.clone() });
                Claimed::Asked
            }
            Found::NotYours => Claimed::NotYours,
            Found::Nowhere => match self.registry.get() {
                Some(registry) => {
                    registry.claim(claim.clone());
                    Claimed::Asked
                }
                None => Claimed::Unknown,
            },
        }
    }

    /// Lets a session say something that no shard here has. Says whether an answer will come.
    pub fn errand(&self, claim: &Claim, frame: &Arc<str>) -> bool {
        let registry = self.registry.get();
        registry.inspect(|registry| registry.errand(claim.clone(), frame)).is_some()
    }

    /// The registry gives a session to a claimant of this node. If another connection here has it by
    /// now, that one is asked.
    pub fn granted(&self, claim: &Claim, away: Away) {
        let to = Place { shard: claim.shard, slot: claim.client.slot };
        let holder = match self.stripe(claim.session).here.entry(short(claim.session)) {
            Entry::Occupied(entry) if *entry.get() != to => Some(*entry.get()),
            entry => {
                entry.insert_entry(to);
                None
            }
        };
        match holder {
            Some(holder) => {
                self.post(holder.shard, Post::Claim { holder: holder.slot, claim: claim.clone() })
            }
            None => self.answer(claim, Claimed::Yours(away)),
        }
    }

    /// Another node has the session: the connection that had it here is closed.
    pub fn supersede(&self, session: SessionId) {
        if let Some(place) = self.place(session) {
            let nobody = SlotKey { slot: 0, generation: 0 };
            let claim =
                Claim { session, user: None, attempt: Attempt::UNKNOWN, shard: ELSEWHERE, client: nobody };
            self.post(place.shard, Post::Claim { holder: place.slot, claim });
        }
    }

    /// Looks for a session; one that is away is the claimant's from now on.
    pub fn look(&self, claim: &Claim) -> Found {
        let to = Place { shard: claim.shard, slot: claim.client.slot };
        let mut stripe = self.stripe(claim.session);
        if self.registry.get().is_some() {
            let place = stripe.here.get(&short(claim.session)).copied();
            return place.filter(|place| *place != to).map_or(Found::Nowhere, Found::Here);
        }
        if let Some(kept) = stripe.away.get(&claim.session)
            && !claim.may_have(&kept.away.identity)
        {
            return Found::NotYours;
        }
        if let Some(kept) = stripe.away.remove(&claim.session) {
            stripe.here.insert(short(claim.session), to);
            return Found::Away(kept.away);
        }
        let place = stripe.here.get(&short(claim.session)).copied();
        place.filter(|place| *place != to).map_or(Found::Nowhere, Found::Here)
    }

    /// The holder of a session gives it to a claimant. Says whether it was the holder.
    pub fn hand_over(&self, session: SessionId, from: Place, to: Place) -> bool {
        match self.stripe(session).here.entry(short(session)) {
            Entry::Occupied(mut entry) if *entry.get() == from => {
                if to.shard == ELSEWHERE {
                    entry.remove();
                } else {
                    entry.insert(to);
                }
                true
            }
            _ => false,
        }
    }

    /// Answers a claimant.
    pub fn answer(&self, claim: &Claim, result: Claimed) {
        self.post(claim.shard, Post::Claimed { claim: claim.clone(), result });
    }

    /// Leaves something for a shard.
    pub fn post(&self, shard: u32, post: Post) {
        if shard == ELSEWHERE {
            if let Some(registry) = self.registry.get() {
                registry.carry(post);
            }
            return;
        }
        if let Some(mailbox) = self.mailboxes.get().and_then(|mailboxes| mailboxes.get(shard as usize)) {
            mailbox.post(post);
        }
    }

    /// Leaves something for every shard.
    pub fn post_to_all(&self, post: impl Fn() -> Post) {
        for mailbox in self.mailboxes.get().into_iter().flatten() {
            mailbox.post(post());
        }
    }

    /// Where a session's connection is.
    pub fn place(&self, session: SessionId) -> Option<Place> {
        self.stripe(session).here.get(&short(session)).copied()
    }

    /// A session's connection is gone; the session waits for the next one. Nothing happens if
    /// another connection has it by now.
    pub fn leave(&self, now: Timestamp, session: SessionId, from: Place, away: Away) {
        let mut stripe = self.stripe(session);
        if stripe.here.get(&short(session)) != Some(&from) {
            return;
        }
        stripe.here.remove(&short(session));
        let away = match self.registry.get() {
            Some(registry) => {
                registry.leave(session, &away);
                if away.client.is_none() {
                    return;
                }
                // What is kept here is when the name of its polls ends.
                Away { client: away.client, ..Away::default() }
            }
            None => away,
        };
        let ends = Timestamp(now.0.saturating_add(self.window_us));
        stripe.away.insert(session, Box::new(Kept { away, ends }));
        stripe.ending.push_back((ends, session));
        let ended = stripe.end_surplus(self.away_max);
        drop(stripe);
        self.forget_clients(ended);
    }

    /// A session ends with its connection, and so does the name of its polls.
    pub fn end(&self, session: SessionId, from: Place, client: Option<&str>) {
        let mut stripe = self.stripe(session);
        if stripe.here.get(&short(session)) == Some(&from) {
            stripe.here.remove(&short(session));
            if let Some(registry) = self.registry.get() {
                registry.end(session);
            }
        }
        drop(stripe);
        if let Some(client) = client {
            self.forget_client(client, session);
        }
    }

    /// The session of a client's long polls: the one it has, or else `new` from now on.
    pub fn of_client(&self, client: &str, new: SessionId) -> SessionId {
        *self.clients().entry(client.into()).or_insert(new)
    }

    /// Disconnects a user: closes the user's connections, and ends every session that is away.
    pub fn disconnect(&self, user: &UserId) {
        self.disconnect_here(user);
        if let Some(registry) = self.registry.get() {
            registry.end_all_of(user);
        }
    }

    /// The same, on this node.
    pub fn disconnect_here(&self, user: &UserId) {
        self.post_to_all(|| Post::Disconnect { user: user.clone() });
        for stripe in &self.stripes {
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = |kept: &Kept| kept.away.identity.user.as_ref() == Some(user);
            let ended = stripe.away.extract_if(|_, kept| theirs(kept));
            let ended = ended.map(|(session, kept)| (session, *kept)).collect();
            drop(stripe);
            self.forget_clients(ended);
        }
    }

    /// Sessions that wait for a connection.
    pub fn away(&self) -> usize {
        let stripes = self.stripes.iter();
        stripes.map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).away.len()).sum()
    }

    /// About once a second: ends sessions whose window is over.
    pub fn tick(&self, now: Timestamp) {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = stripe.end_due(now);
            drop(stripe);
            self.forget_clients(ended);
        }
    }

    /// A client's polls do not stand for this session any more.
    pub fn forget_client(&self, client: &str, session: SessionId) {
        let mut clients = self.clients();
        // By another session's id, a client may have polled for that one meanwhile.
        if clients.get(client) == Some(&session) {
            clients.remove(client);
        }
    }

    fn forget_clients(&self, ended: Vec<(SessionId, Kept)>) {
        for (session, kept) in ended {
            if let Some(client) = &kept.away.client {
                self.forget_client(client, session);
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Box<str>, SessionId>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stripe(&self, session: SessionId) -> MutexGuard<'_, Stripe> {
        let stripe = usize::from(session.as_bytes()[15]) % STRIPES;
        // Each step under the lock leaves the maps whole, so a panic does not poison them.
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    fn end_due(&mut self, now: Timestamp) -> Vec<(SessionId, Kept)> {
        let mut ended = Vec::new();
        while self.ending.front().is_some_and(|(ends, _)| *ends <= now) {
            ended.extend(self.end_first());
        }
        ended
    }

    fn end_surplus(&mut self, away_max: usize) -> Vec<(SessionId, Kept)> {
        let mut ended = Vec::new();
        while self.away.len() > away_max {
            ended.extend(self.end_first());
        }
        if self.ending.len() > 2 * self.away.len() + 16 {
            let away = &self.away;
            self.ending.retain(|(ends, session)| away.get(session).is_some_and(|kept| kept.ends == *ends));
        }
        ended
    }

    /// Ends the session that has been away longest, unless it came back meanwhile.
    fn end_first(&mut self) -> Option<(SessionId, Kept)> {
        let (ends, session) = self.ending.pop_front()?;
        match self.away.entry(session) {
            Entry::Occupied(entry) if entry.get().ends == ends => Some((session, *entry.remove())),
            _ => None,
        }
    }
}

impl Claim {
    /// Whether a session of this identity may be the claimant's. Without authentication its id is
    /// proof enough; a claimant who names a user must name the right one.
    pub fn may_have(&self, identity: &Identity) -> bool {
        self.user.is_none() || self.user == identity.user
    }
}

fn short(session: SessionId) -> u64 {
    let (first, _) = session.as_bytes().split_first_chunk().expect("an id has 16 bytes");
    u64::from_ne_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: SessionId = SessionId::from_bytes([1; 16]);
    const BEN: SessionId = SessionId::from_bytes([2; 16]);

    fn place(slot: Slot) -> Place {
        Place { shard: 0, slot }
    }

    fn claim(session: SessionId, slot: Slot, user: Option<&str>) -> Claim {
        let user = user.map(|user| UserId::new(user, &Limits::default()).unwrap());
        Claim { session, user, attempt: Attempt::UNKNOWN, shard: 0, client: SlotKey { slot, generation: 0 } }
    }

    fn of(user: &str) -> Away {
        let user = UserId::new(user, &Limits::default()).unwrap();
        Away { identity: Identity { user: Some(user) }, ..Away::default() }
    }

    fn sessions(window_ms: u64, away_max: usize) -> Sessions {
        let limits =
            Limits { session_window_ms: window_ms, sessions_away_max: away_max, ..Limits::default() };
        Sessions::new(&limits)
    }

    #[test]
    fn a_session_waits_for_its_client_until_its_window_is_over() {
        let sessions = sessions(10, 1_000);
        sessions.begin(ANA, place(1));
        sessions.leave(Timestamp::from_ms(0), ANA, place(1), of("ana"));
        sessions.tick(Timestamp::from_ms(9));
        assert!(matches!(sessions.claim(&claim(ANA, 2, None)), Claimed::Yours(_)));
        sessions.leave(Timestamp::from_ms(9), ANA, place(2), of("ana"));
        sessions.tick(Timestamp::from_ms(18));
        assert_eq!(sessions.away(), 1);
        sessions.tick(Timestamp::from_ms(19));
        assert!(matches!(sessions.claim(&claim(ANA, 3, None)), Claimed::Unknown));
    }

    #[test]
    fn nobody_gets_the_session_of_somebody_else() {
        let sessions = sessions(10, 1_000);
        sessions.begin(ANA, place(1));
        sessions.leave(Timestamp(0), ANA, place(1), of("ana"));
        assert!(matches!(sessions.claim(&claim(ANA, 2, Some("ben"))), Claimed::NotYours));
        assert!(matches!(sessions.claim(&claim(BEN, 2, Some("ben"))), Claimed::Unknown));
        assert!(matches!(sessions.claim(&claim(ANA, 2, Some("ana"))), Claimed::Yours(_)));
    }

    #[test]
    fn a_connection_that_lost_its_session_leaves_nothing_behind() {
        let sessions = sessions(10, 1_000);
        sessions.begin(ANA, place(1));
        assert!(sessions.hand_over(ANA, place(1), place(2)));
        assert!(!sessions.hand_over(ANA, place(1), place(3)));
        sessions.leave(Timestamp(0), ANA, place(1), of("ana"));
        assert_eq!(sessions.away(), 0);
        assert_eq!(sessions.place(ANA), Some(place(2)));
    }

    #[test]
    fn the_memory_of_sessions_that_come_and_go_is_bounded() {
        let sessions = sessions(1_000_000, 64);
        for turn in 0..10_000 {
            sessions.claim(&claim(ANA, 1, None));
            sessions.begin(ANA, place(1));
            sessions.leave(Timestamp(turn), ANA, place(1), of("ana"));
        }
        let stripe = sessions.stripe(ANA);
        assert!(stripe.ending.len() < 32, "{} entries for one session", stripe.ending.len());
        drop(stripe);
        for other in 0..200_u8 {
            let session = SessionId::from_bytes([other; 16]);
            sessions.begin(session, place(2));
            sessions.leave(Timestamp(20_000), session, place(2), of("ben"));
        }
        assert_eq!(sessions.away(), 64);
    }

    #[test]
    fn a_poll_that_comes_again_finds_its_session_until_that_has_ended() {
        let sessions = sessions(10, 1_000);
        assert_eq!(sessions.of_client("c", ANA), ANA);
        assert_eq!(sessions.of_client("c", BEN), ANA);
        sessions.begin(ANA, place(1));
        sessions.leave(Timestamp(0), ANA, place(1), Away { client: Some("c".into()), ..of("ana") });
        sessions.tick(Timestamp::from_ms(10));
        assert_eq!(sessions.of_client("c", BEN), BEN);
    }

    #[test]
    fn a_session_that_ends_takes_no_name_along_that_stands_for_another_one() {
        let sessions = sessions(10, 1_000);
        sessions.of_client("c", ANA);
        sessions.begin(ANA, place(1));
        sessions.leave(Timestamp(0), ANA, place(1), Away { client: Some("c".into()), ..of("ana") });
        sessions.forget_client("c", ANA);
        assert_eq!(sessions.of_client("c", BEN), BEN);
        sessions.tick(Timestamp::from_ms(10));
        assert_eq!(sessions.of_client("c", ANA), BEN);
        sessions.end(ANA, place(1), Some("c"));
        assert_eq!(sessions.of_client("c", ANA), BEN);
    }
}

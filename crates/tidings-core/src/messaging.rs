//! The rules of messaging for the connections of one shard: who is in which room, what each has
//! read, what a client's frame does.
//!
//! Owned by the shard, driven by its turns: clients open, send frames, drain and close; posts from
//! the mailbox come in; batches go out through an [`Outlet`]. A state machine: refuses to wait, to
//! read a clock, and to touch a socket.

mod answering;
mod client;
mod coming;
mod commands;
mod delivering;
mod errands;
mod placing;
mod resting;
mod subscribing;
mod telling;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidings_protocol::{Limits, SessionId};

use self::client::Client;
use self::coming::{Claiming, Untold};
use self::errands::Errand;
use self::subscribing::JoinRequest;
use self::telling::Progress;
use crate::engine::{Engine, Timestamp};
use crate::hub::Hub;
use crate::mailbox::{Mailbox, Post};
use crate::options::RoomRules;
use crate::outlet::{Outlet, Telling};
use crate::people::People;
use crate::rooms::{IdleFanOuts, Rooms};
use crate::slots::{Slot, SlotKey};
use crate::telemetry::{Counter, Counters};

pub use self::answering::{ErrandAnswer, ErrandKey, Ticket};
pub use self::client::{Entrance, Introduction, Manner, PollEnd};
pub use self::commands::Wish;

/// Where a connection is that names no room.
const LOBBY: &str = "lobby";

/// What a shard's messaging works with.
pub struct Wiring {
    /// The shard's number, as the hub knows it.
    pub shard: usize,
    /// The node's name, told to clients.
    pub node: Arc<str>,
    /// All maxima.
    pub limits: Arc<Limits>,
    /// Options of rooms by their names.
    pub rules: Arc<RoomRules>,
    /// Keeper of the logs.
    pub engine: Arc<dyn Engine>,
    /// Told when this shard enters and exits a room.
    pub hub: Arc<Hub>,
    /// Sessions, presence and typing.
    pub people: Arc<People>,
    /// Where the engine's answers and announcements arrive.
    pub mailbox: Arc<Mailbox>,
    /// What happened.
    pub counters: Arc<Counters>,
    /// Where session ids come from: the system's randomness, or a seed.
    pub new_session: Box<dyn FnMut() -> SessionId>,
}

/// The time of a turn, read once by whoever owns the clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Milliseconds of a clock that never goes back, from any beginning.
    pub monotonic_ms: u64,
    /// The wall clock, for ids.
    pub wall: Timestamp,
}

/// See the module. `E` is what the outlet keeps of a batch, see [`Outlet::Encoded`].
pub struct Messaging<E> {
    wiring: Wiring,
    now: Now,
    /// By slot.
    clients: Vec<Client>,
    rooms: Rooms<E>,
    /// What was asked for by memberships that wait for a room's head or log. At most one each.
    requests: HashMap<(Slot, Slot), JoinRequest>,
    /// Rooms with batches on their way, served in turn.
    fanning: VecDeque<SlotKey>,
    /// Used by the next rooms that have something on its way.
    idle_fan_outs: IdleFanOuts<E>,
    /// Memberships (connection, room) that fell behind although their connection flows.
    to_read: Vec<(Slot, Slot)>,
    /// Memberships whose log could not be read; tried again by [`Messaging::tick`].
    to_retry: Vec<(Slot, Slot)>,
    /// Rooms that the engine could not be asked about; tried again by [`Messaging::tick`]. Each once.
    to_watch: Vec<SlotKey>,
    /// Connections that wait for the session they claim.
    claiming: HashMap<Slot, Box<Claiming>>,
    /// What the clients that poll call themselves.
    polls: HashMap<Slot, Box<str>>,
    /// Connections that are not in all their rooms yet, and so have not been told of their session.
    untold: HashMap<Slot, Untold>,
    /// Connections that came to say one thing.
    errands: HashMap<Slot, Errand>,
    /// Events on their way to the members of their rooms.
    telling: VecDeque<(Telling<E>, Progress)>,
}

impl<E: Default> Messaging<E> {
    /// Nobody is there yet.
    pub fn new(wiring: Wiring) -> Self {
        Self {
            wiring,
            now: Now::default(),
            clients: Vec::new(),
            rooms: Rooms::new(),
            requests: HashMap::new(),
            fanning: VecDeque::new(),
            idle_fan_outs: Vec::new(),
            to_read: Vec::new(),
            to_retry: Vec::new(),
            to_watch: Vec::new(),
            claiming: HashMap::new(),
            polls: HashMap::new(),
            untold: HashMap::new(),
            errands: HashMap::new(),
            telling: VecDeque::new(),
        }
    }

    /// A turn begins: this is the time until the next one.
    pub fn begin_turn(&mut self, now: Now) {
        self.now = now;
    }

    /// Something arrived in the mailbox.
    pub fn receive(&mut self, post: Post, outlet: &mut impl Outlet<Encoded = E>) {
        match post {
            Post::Announced(message) => self.announced(message),
            Post::Doubted(doubt) => self.doubted(&doubt, outlet),
            Post::Told(event) => self.told(event),
            Post::Watched { room, head } => self.watched(room, head, outlet),
            Post::PageRead { subscription, after, page } => {
                self.page_read(subscription, after, page, outlet);
            }
            Post::Published { publisher, room, ticket, result } => {
                self.published(publisher, &room, &ticket, result, outlet);
            }
            Post::HistoryRead { asker, query, page } => self.history_read(asker, &query, page, outlet),
            Post::PresenceRead { asker, query, page } => self.presence_read(asker, &query, page, outlet),
            Post::Claim { holder, claim } => self.asked_for(holder, &claim, outlet),
            Post::Claimed { claim, result } => self.claimed(&claim, result, outlet),
            Post::Errand { holder, session, frame, errand } => {
                self.errand(holder, session, &frame, errand, outlet);
            }
            Post::ErrandDone { errand, answer } => self.errand_done(errand, answer, outlet),
            Post::Recall { from, until_done } => self.recall(from, until_done),
            Post::Disconnect { user } => self.disconnect(&user, outlet),
        }
    }

    /// About once a second: tries again what the engine could not answer.
    pub fn tick(&mut self, outlet: &mut impl Outlet<Encoded = E>) {
        for (client, room) in std::mem::take(&mut self.to_retry) {
            self.read_on(client, room, outlet);
        }
        self.watch_again();
    }

    /// Whether a client may be read from: it has fewer requests under way than it may.
    pub fn may_read(&self, client: Slot) -> bool {
        let Some(client) = self.clients.get(client as usize) else { return true };
        usize::from(client.pending_requests) < self.wiring.limits.pending_requests_max
            && !client.reads_history
            && client.standing != client::Standing::Claiming
            && !client.placing
    }

    fn count(&self, counter: Counter) {
        self.wiring.counters.add(counter, 1);
    }
}

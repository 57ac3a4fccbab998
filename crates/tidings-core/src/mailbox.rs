//! A shard's mailbox: what other threads (and the engine, inline) leave for it.
//!
//! Owned by the shard, which empties it once a turn; anybody may post. It refuses to grow: past
//! `inbox_messages_max` announcements it keeps only the newest of each room. That message's `prev`
//! then fits no cursor, so every subscription reads the room's log: late, but nothing is lost.
//! Answers to the shard's own requests are always taken; the shard bounds how many it asks for.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_protocol::{Message, MessageId, RoomName, SessionId, UserId};

use crate::engine::{EngineError, Page, Published};
use crate::event::Event;
use crate::hub::{Doubt, Inbox};
use crate::messaging::{ErrandAnswer, ErrandKey, Ticket};
use crate::presence::RoomPresence;
use crate::rooms::SubscriptionKey;
use crate::sessions::{Claim, Claimed};
use crate::slots::{Slot, SlotKey};

/// Something posted to a shard, in the order of posting.
#[derive(Debug)]
pub enum Post {
    /// The engine stored a message in a room that this shard has members in.
    Announced(Arc<Message>),
    /// Announcements of such a room may be missing.
    Doubted(Arc<Doubt>),
    /// Something happened in such a room.
    Told(Arc<Event>),
    /// Answer to `watch`: the room's newest id.
    Watched {
        /// The room; a later life of it has another generation.
        room: SlotKey,
        /// Its head, or why it cannot be watched.
        head: Result<MessageId, EngineError>,
    },
    /// Answer to reading a log for a subscription.
    PageRead {
        /// Whose cursor it was read for.
        subscription: SubscriptionKey,
        /// Where that cursor stood.
        after: MessageId,
        /// What was read.
        page: Result<Page, EngineError>,
    },
    /// Answer to a client's `message`.
    Published {
        /// Who published.
        publisher: SlotKey,
        /// Where.
        room: RoomName,
        /// Where the `ack` goes, if one is wanted.
        ticket: Ticket,
        /// The message's id.
        result: Result<Published, EngineError>,
    },
    /// Answer to a client's `history`.
    HistoryRead {
        /// Who asked.
        asker: SlotKey,
        /// What was asked.
        query: HistoryQuery,
        /// What was read.
        page: Result<Page, EngineError>,
    },
    /// Answer to a client's `presence`, where other nodes know of users too.
    PresenceRead {
        /// Who asked.
        asker: SlotKey,
        /// What was asked.
        query: PresenceQuery,
        /// What was found.
        page: Result<RoomPresence, EngineError>,
    },
    /// Somebody asks for a session that a connection of this shard has, or had.
    Claim {
        /// That connection's slot.
        holder: Slot,
        /// Who asks.
        claim: Claim,
    },
    /// Answer to a claim of this shard's.
    Claimed {
        /// What was claimed.
        claim: Claim,
        /// What became of it.
        result: Claimed,
    },
    /// A session that a connection of this shard has, or had, says something by another connection.
    Errand {
        /// The slot of the connection that has the session.
        holder: Slot,
        /// The session.
        session: SessionId,
        /// The client's frame, as JSON.
        frame: Arc<str>,
        /// Where the answer goes.
        errand: ErrandKey,
    },
    /// Answer to an errand of this shard's.
    ErrandDone {
        /// The connection that came with it.
        errand: SlotKey,
        /// What it is to be told.
        answer: ErrandAnswer,
    },
    /// The registry has lost what it knew: it is told again of the sessions of this shard's
    /// connections, from a slot on.
    Recall {
        /// Where to go on.
        from: Slot,
        /// Dropped when it is done: then whoever waits for it knows.
        until_done: Option<Arc<dyn Any + Send + Sync>>,
    },
    /// A user's connections are to be closed.
    Disconnect {
        /// Whose.
        user: UserId,
    },
}

/// A client's question for a stretch of a room's log.
#[derive(Debug)]
pub struct HistoryQuery {
    /// The room.
    pub room: RoomName,
    /// Messages after this id.
    pub after: MessageId,
    /// At most so many.
    pub messages_max: usize,
    /// Where the answer goes.
    pub ticket: Ticket,
}

/// A client's question for the users of a room.
#[derive(Debug)]
pub struct PresenceQuery {
    /// The room.
    pub room: RoomName,
    /// Where the answer goes.
    pub ticket: Ticket,
}

/// See the module.
pub struct Mailbox {
    state: Mutex<State>,
    announcements_max: usize,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    announcements: usize,
    newest_of_overflowed: BTreeMap<RoomName, Arc<Message>>,
    /// The owner is at work and will look again before it sleeps.
    awake: bool,
}

/// What was in a mailbox.
#[derive(Debug, Default)]
pub struct Collected {
    /// In the order of posting. Cleared and reused by the next collection.
    pub posts: Vec<Post>,
    /// Whether announcements had to be left out.
    pub overflowed: bool,
}

impl Mailbox {
    /// A mailbox for a shard; `wake` ends the shard's sleep and may be called from any thread.
    pub fn new(announcements_max: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), announcements_max, wake: Box::new(wake) }
    }

    /// Leaves an answer for the shard.
    pub fn post(&self, post: Post) {
        let mut state = self.state();
        state.posts.push(post);
        self.wake_if_asleep(state);
    }

    /// Takes everything. `into.posts` is swapped in as the next buffer.
    pub fn collect(&self, into: &mut Collected) {
        into.posts.clear();
        let mut state = self.state();
        std::mem::swap(&mut state.posts, &mut into.posts);
        state.announcements = 0;
        into.overflowed = !state.newest_of_overflowed.is_empty();
        let newest = std::mem::take(&mut state.newest_of_overflowed);
        into.posts.extend(newest.into_values().map(Post::Announced));
    }

    /// The shard is about to sleep. Says whether it may: with mail waiting it must not.
    pub fn may_sleep(&self) -> bool {
        let mut state = self.state();
        let empty = state.posts.is_empty() && state.newest_of_overflowed.is_empty();
        state.awake = !empty;
        empty
    }

    /// The shard is at work: posting need not wake it.
    pub fn woken(&self) {
        self.state().awake = true;
    }

    fn wake_if_asleep(&self, mut state: MutexGuard<'_, State>) {
        let asleep = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if asleep {
            (self.wake)();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves the state whole: each step under it is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Mailbox {
    fn announce(&self, message: &Arc<Message>) {
        let mut state = self.state();
        if state.announcements < self.announcements_max {
            state.announcements += 1;
            state.posts.push(Post::Announced(Arc::clone(message)));
        } else {
            state.newest_of_overflowed.insert(message.room.clone(), Arc::clone(message));
        }
        self.wake_if_asleep(state);
    }

    /// Always taken: an engine doubts a room when its store was away or has lost something, and then
    /// each room once.
    fn doubt(&self, doubt: &Arc<Doubt>) {
        self.post(Post::Doubted(Arc::clone(doubt)));
    }

    fn tell(&self, event: &Arc<Event>) {
        let mut state = self.state();
        if state.announcements < self.announcements_max {
            state.announcements += 1;
            state.posts.push(Post::Told(Arc::clone(event)));
            self.wake_if_asleep(state);
        }
    }
}

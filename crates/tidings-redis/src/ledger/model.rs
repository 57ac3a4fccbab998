//! A server, its wires and two shards with a member each, all too simple to be wrong, around the ledger.
//!
//! Owned by one test, which decides what happens next. Refuses what cannot happen: that one wire
//! delivers out of order, unless the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tidings_core::recovery::{self, Gap};
use tidings_core::{Completion, Doubt, EngineError, Event, Hole, Hub, Inbox, Page, Timestamp};
use tidings_protocol::{GapReason, Limits, Message, MessageId, Payload, RoomName};

use super::Ways;
use super::{Ledger, Look, Missing, Sight, Task};
use crate::keys::Keys;
use crate::routes::Routes;
use crate::wire::Heard;

/// Messages in one page of the model's log: few, so that pages follow each other.
const PAGE: usize = 3;

pub(super) fn room() -> RoomName {
    RoomName::new("general", &Limits::default()).unwrap()
}

/// One line leads everywhere.
fn ways() -> Ways {
    Ways { keys: Keys::new("t"), routes: Arc::new(Routes::all_by(0)) }
}

/// What a channel carries.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Message(Arc<Message>),
    Hole(Hole),
}

/// The room in Redis: what the scripts do, in a few lines.
#[derive(Debug, Default, Clone)]
pub(super) struct Store {
    pub(super) log: Vec<Arc<Message>>,
    pub(super) head: u64,
    pub(super) hole: Option<Hole>,
    said: Vec<Said>,
}

impl Store {
    fn tear(&mut self, mut after: u64, before: u64) {
        if self.hole.is_some_and(|known| known.before.0 >= before) {
            return;
        }
        let told = Hole { after: MessageId(after), before: MessageId(before) };
        if let Some(known) = self.hole.filter(|known| known.before.0 >= after) {
            after = known.after.0;
        }
        self.hole = Some(Hole { after: MessageId(after), before: MessageId(before) });
        self.said.push(Said::Hole(told));
    }

    fn shown(&mut self, proof: u64) {
        if proof > self.head {
            let lost_after = std::mem::replace(&mut self.head, proof + 1);
            self.tear(lost_after, proof);
        }
    }

    pub(super) fn publish(&mut self, now: u64, proof: u64) -> u64 {
        self.shown(proof);
        let id = now.max(self.head + 1);
        let message = message(id, self.head);
        self.head = id;
        self.log.push(Arc::clone(&message));
        self.said.push(Said::Message(message));
        id
    }

    pub(super) fn look(&mut self, proof: u64) -> Sight {
        self.shown(proof);
        let next = self.log.iter().find(|message| message.id.0 > proof).map(|message| message.prev.0);
        if let Some(prev) = next.filter(|&prev| proof > 0 && prev < proof) {
            self.tear(prev, proof);
        }
        Sight { head: MessageId(self.head), hole: self.hole }
    }

    fn read(&self, after: MessageId) -> Page {
        let (head, origin) = (MessageId(self.head), MessageId(1));
        let mut page = Page { messages: Vec::new(), head, origin, hole: self.hole };
        for message in self.log.iter().filter(|message| message.id > after).take(PAGE) {
            let is_torn = page.hole.is_some_and(|hole| hole.is_led_over_by(message));
            if page.messages.last().is_some_and(|last| last.id != message.prev || is_torn) {
                break;
            }
            page.messages.push(Arc::clone(message));
        }
        page
    }
}

pub(super) fn message(id: u64, prev: u64) -> Arc<Message> {
    Arc::new(Message {
        room: room(),
        id: MessageId(id),
        prev: MessageId(prev),
        user: None,
        key: None,
        payload: Payload::Text("".into()),
        stored_at_ms: 0,
    })
}

#[derive(Debug)]
enum Post {
    Announced(Arc<Message>),
    Doubted(Arc<Doubt>),
    Watched(u64, Result<MessageId, EngineError>),
}

#[derive(Default)]
struct Letters(Mutex<Vec<Post>>);

impl Letters {
    fn put(&self, post: Post) {
        self.0.lock().unwrap().push(post);
    }
}

impl Inbox for Letters {
    fn announce(&self, message: &Arc<Message>) {
        self.put(Post::Announced(Arc::clone(message)));
    }

    fn doubt(&self, doubt: &Arc<Doubt>) {
        self.put(Post::Doubted(Arc::clone(doubt)));
    }

    fn tell(&self, _event: &Arc<Event>) {}
}

/// A subscriber, and all it ever got.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) cursor: Option<MessageId>,
    /// Where it began.
    pub(super) start: u64,
    pub(super) delivered: Vec<u64>,
    pub(super) gaps: Vec<Gap>,
    /// The loss was known when it came.
    pub(super) came_after_loss: bool,
    is_behind: bool,
}

#[derive(Default)]
struct Shard {
    letters: Arc<Letters>,
    head: MessageId,
    member: Option<Member>,
}

enum Question {
    Look(Look),
    Read { connection: u64, after: MessageId },
}

enum Reply {
    Looked(Look, Result<Sight, EngineError>),
    Read { connection: u64, after: MessageId, page: Result<Page, EngineError> },
}

/// See the module.
pub(super) struct World {
    pub(super) hub: Arc<Hub>,
    pub(super) ledger: Ledger,
    pub(super) now: u64,
    pub(super) store: Store,
    shards: [Shard; 2],
    members: u64,
    /// Those who went.
    pub(super) past: Vec<Member>,
    subscribed: bool,
    pub(super) ear: VecDeque<Said>,
    asked: VecDeque<Question>,
    replies: VecDeque<Reply>,
    /// Questions so far.
    pub(super) questions: usize,
    /// Ids that somebody who is still there knows of, and how many members there had been by then.
    pub(super) known: BTreeMap<u64, u64>,
    other_newest: u64,
    other_to_prove: Option<u64>,
    /// The newest id that was given out when the server lost some.
    pub(super) lost_up_to: Option<u64>,
    pub(super) lost: Vec<u64>,
}

impl World {
    pub(super) fn new() -> Self {
        let hub = Arc::new(Hub::new());
        let shards: [Shard; 2] = Default::default();
        hub.connect(shards.iter().map(|shard| Arc::clone(&shard.letters) as Arc<dyn Inbox>).collect());
        let limits = Limits { engine_linger_ms: 0, engine_check_ms: 1_000, ..Limits::default() };
        Self {
            ledger: Ledger::new(Arc::clone(&hub), &limits, ways()),
            hub,
            now: 1_000,
            store: Store { head: 1, ..Store::default() },
            shards,
            members: 0,
            past: Vec::new(),
            subscribed: false,
            ear: VecDeque::new(),
            asked: VecDeque::new(),
            replies: VecDeque::new(),
            questions: 0,
            known: BTreeMap::new(),
            other_newest: 0,
            other_to_prove: None,
            lost_up_to: None,
            lost: Vec::new(),
        }
    }

    pub(super) fn member(&self, shard: usize) -> &Member {
        self.shards[shard].member.as_ref().expect("somebody is there")
    }

    pub(super) fn present(&self) -> impl Iterator<Item = &Member> {
        self.shards.iter().filter_map(|shard| shard.member.as_ref())
    }

    pub(super) fn enter(&mut self, shard: usize) {
        if self.shards[shard].member.is_some() {
            return;
        }
        self.members += 1;
        let number = self.members;
        let hole = self.store.hole.map_or(0, |hole| hole.before.0);
        let came_after_loss = self.lost_up_to.is_some_and(|lost| hole >= lost);
        self.shards[shard].member = Some(Member { number, came_after_loss, ..Member::default() });
        self.shards[shard].head = MessageId::ZERO;
        self.hub.enter(&room(), shard);
        let letters = Arc::clone(&self.shards[shard].letters);
        let done = Completion::new(move |head| letters.put(Post::Watched(number, head)));
        self.ledger.watch(Timestamp(self.now), &room(), done);
    }

    pub(super) fn exit(&mut self, shard: usize) {
        let Some(member) = self.shards[shard].member.take() else { return };
        self.past.extend(Some(member).filter(|member| member.cursor.is_some()));
        if self.hub.exit(&room(), shard) {
            self.ledger.unwatch(Timestamp(self.now), &room());
        }
    }

    /// This node publishes, and says so when it is asked for more.
    pub(super) fn publish(&mut self) -> u64 {
        let id = self.store.publish(self.now, self.ledger.newest(&room()).0);
        self.ledger.stored(&room(), MessageId(id));
        self.known.insert(id, self.members);
        self.spread();
        id
    }

    /// Another node publishes.
    pub(super) fn other_publishes(&mut self) -> u64 {
        self.other_newest = self.store.publish(self.now, self.other_newest);
        self.known.insert(self.other_newest, self.members);
        self.spread();
        self.other_newest
    }

    /// Somebody publishes who knows nothing of the past.
    pub(super) fn stranger_publishes(&mut self) -> u64 {
        let id = self.store.publish(self.now, 0);
        self.spread();
        id
    }

    /// Another node shows what it knows.
    pub(super) fn other_shows(&mut self) {
        self.store.look(self.other_to_prove.take().unwrap_or(self.other_newest));
        self.spread();
    }

    fn spread(&mut self) {
        for said in self.store.said.drain(..) {
            if self.subscribed {
                self.ear.push_back(said);
            }
        }
    }

    /// The next announcement arrives.
    pub(super) fn hear(&mut self) -> bool {
        let Some(said) = self.ear.pop_front() else { return false };
        self.hear_of(said);
        true
    }

    pub(super) fn hear_of(&mut self, said: Said) {
        let heard = match said {
            Said::Message(message) => {
                self.known.entry(message.id.0).or_insert(self.members);
                Heard::Message(message)
            }
            Said::Hole(hole) => Heard::Hole(hole),
        };
        self.ledger.heard(&room(), heard);
    }

    /// The ear does some work.
    pub(super) fn work(&mut self) -> bool {
        let tasks = self.ledger.next_work(0, 2);
        for (_, task) in &tasks {
            if *task != Task::Look {
                self.subscribed = *task == Task::Subscribe;
            }
            if *task != Task::Unsubscribe {
                self.asked.push_back(Question::Look(self.ledger.look(&room())));
            }
        }
        !tasks.is_empty()
    }

    /// The server answers its next question; the answer is on its way.
    pub(super) fn serve(&mut self) -> bool {
        let Some(question) = self.asked.pop_front() else { return false };
        self.questions += 1;
        let reply = match question {
            Question::Look(look) => Reply::Looked(look, Ok(self.store.look(look.proof.0))),
            Question::Read { connection, after } => {
                Reply::Read { connection, after, page: Ok(self.store.read(after)) }
            }
        };
        self.spread();
        self.replies.push_back(reply);
        true
    }

    /// The next answer arrives.
    pub(super) fn answer(&mut self) -> bool {
        let Some(reply) = self.replies.pop_front() else { return false };
        self.take(reply);
        true
    }

    fn take(&mut self, reply: Reply) {
        let (connection, missing) = match reply {
            Reply::Looked(look, sight) => (look.connection, self.ledger.looked(&room(), look, sight)),
            Reply::Read { connection, after, page } => {
                let now = Timestamp(self.now);
                (connection, self.ledger.filled(now, &room(), connection, after, page))
            }
        };
        if let Some(Missing { after }) = missing {
            self.asked.push_back(Question::Read { connection, after });
        }
    }

    /// The connection for questions breaks: nothing under way is answered.
    pub(super) fn break_voice(&mut self) {
        // What was answered before is heard before.
        while self.answer() {}
        self.refuse_all();
        self.ledger.went_away(0);
    }

    /// No question under way is answered.
    pub(super) fn refuse_all(&mut self) {
        for question in std::mem::take(&mut self.asked) {
            self.take(match question {
                Question::Look(look) => Reply::Looked(look, Err(EngineError::Unavailable)),
                Question::Read { connection, after } => {
                    Reply::Read { connection, after, page: Err(EngineError::Unavailable) }
                }
            });
        }
        self.asked.clear();
    }

    /// The connection for announcements breaks: what was on its way is lost.
    pub(super) fn break_ear(&mut self) {
        self.subscribed = false;
        self.ear.clear();
        self.ledger.disconnected(0);
    }

    /// A replica takes over that lacks the last messages.
    pub(super) fn roll_back(&mut self, count: usize) {
        self.lost_up_to = Some(self.store.head);
        let left = self.store.log.len().saturating_sub(count);
        if let Some(first_lost) = self.store.log.get(left) {
            self.store.head = first_lost.prev.0;
        }
        self.lost.extend(self.store.log.drain(left..).map(|message| message.id.0));
        self.other_to_prove = Some(self.other_newest);
        self.break_voice();
        self.break_ear();
    }

    /// Older messages leave the log.
    pub(super) fn trim(&mut self, left: usize) {
        let count = self.store.log.len().saturating_sub(left);
        self.store.log.drain(..count);
    }

    pub(super) fn tick(&mut self) {
        self.now += 400_000;
        self.ledger.tick(Timestamp(self.now), 64);
    }

    /// The shards do what they are there for.
    pub(super) fn turn(&mut self) {
        for index in 0..self.shards.len() {
            let posts = std::mem::take(&mut *self.shards[index].letters.0.lock().unwrap());
            for post in posts {
                self.receive(index, post);
            }
            self.catch_up(index);
        }
    }

    fn receive(&mut self, index: usize, post: Post) {
        let shard = &mut self.shards[index];
        let Some(member) = &mut shard.member else { return };
        match post {
            Post::Watched(number, _) if number != member.number => {}
            Post::Watched(_, Err(_)) => {
                shard.member = None;
                if self.hub.exit(&room(), index) {
                    self.ledger.unwatch(Timestamp(self.now), &room());
                }
            }
            Post::Watched(_, Ok(head)) => {
                shard.head = shard.head.max(head);
                member.start = shard.head.0;
                member.cursor = Some(shard.head);
            }
            Post::Announced(message) if message.id <= shard.head => {}
            Post::Announced(message) => {
                shard.head = message.id;
                match member.cursor {
                    Some(cursor) if cursor == message.prev && !member.is_behind => {
                        member.delivered.push(message.id.0);
                        member.cursor = Some(message.id);
                    }
                    Some(cursor) => member.is_behind |= cursor < message.id,
                    None => {}
                }
            }
            Post::Doubted(doubt) => {
                shard.head = shard.head.max(doubt.head);
                let Some(cursor) = member.cursor else { return };
                member.is_behind |= cursor < doubt.head || doubt.hole.is_some_and(|hole| hole.holds(cursor));
                if let Some(hole) = doubt.hole.filter(|hole| hole.before < cursor) {
                    let before = MessageId(hole.before.0 + 1);
                    member.gaps.push(Gap { after: hole.after, before, reason: GapReason::RolledBack });
                }
            }
        }
    }

    fn catch_up(&mut self, index: usize) {
        let shard = &mut self.shards[index];
        let Some(member) = &mut shard.member else { return };
        while member.is_behind
            && let Some(cursor) = member.cursor
        {
            let page = self.store.read(cursor);
            member.gaps.extend(recovery::gap(cursor, &page, Timestamp(self.now)));
            member.delivered.extend(page.messages.iter().map(|message| message.id.0));
            let last = page.messages.last().map_or(page.head, |last| last.id);
            member.cursor = Some(last);
            member.is_behind = last < shard.head;
            if page.messages.is_empty() {
                break;
            }
        }
    }

    /// Everything works again, and goes on until nothing is left to do. Says whether that ends.
    pub(super) fn heal(&mut self) -> bool {
        self.other_shows();
        (0..5).all(|_| {
            self.tick();
            self.calm()
        })
    }

    /// Goes on until nothing is left to do. Says whether that ends.
    pub(super) fn calm(&mut self) -> bool {
        (0..1_000).any(|_| {
            let mut busy = self.work();
            while self.serve() || self.answer() || self.hear() {
                busy = true;
            }
            self.turn();
            !busy
        })
    }
}

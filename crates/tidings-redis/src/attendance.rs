//! Attendance: who is in a room, who is online and who types, over all nodes.
//!
//! Owned by the registry. One task per server sends what the node's tables report, many changes with one
//! script a room, and then asks what clients want to know, so that whoever asks finds their own coming.
//! The scripts decide who came first of all and who went last, and tell all nodes on the room's channel.
//! Refuses to count connections, and to trust that a server still has what it was told: when one was
//! away, all is entered once more and what is there is compared.

mod asking;
mod mending;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use redis::{Cmd, Value};
use tidings_core::{EngineError, People, Presence, Registry as Shared, RoomRules, Timestamp};
use tidings_protocol::{Limits, RoomName, UserId};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::hearsay::{self, Hearsay};
use crate::listing::{answered, ask};
use crate::placement::Placement;
use crate::reports::{Reports, Work};
use crate::scripts::Script;
use crate::server::Server;

/// Users in one call of a script, so that none keeps a server from others for long.
const CALL_USERS: usize = 128;

/// Users in one page of a room, however many were asked for, and users whose being online is asked for
/// with one call.
const PAGE_USERS: usize = 1_000;

/// Users of dead nodes taken out by one call.
const BURY_USERS: usize = 256;

/// See the module.
pub(crate) struct Attendance {
    /// This node's name.
    pub(super) node: Box<str>,
    pub(super) parts: Vec<Part>,
    placement: Arc<Placement>,
    rules: Arc<RoomRules>,
    pub(super) limits: Arc<Limits>,
    people: OnceLock<Weak<People>>,
    refreshing: Mutex<Refreshing>,
}

/// What there is for each server.
pub(crate) struct Part {
    pub(super) server: Arc<Server>,
    reports: Reports,
    /// Rooms that the server knows to look for users of this node in. A room is entered there before its first
    /// user and taken out after its last, so that whoever buries this node finds all of them.
    entered: Mutex<HashSet<RoomName>>,
    /// When to enter everything once more, after this node was taken for dead.
    once_more: Mutex<Option<Instant>>,
    burying: AtomicBool,
    auditing: AtomicBool,
}

/// How far the keys of those who are online have been refreshed.
#[derive(Default)]
struct Refreshing {
    since: Timestamp,
    slices: u64,
}

impl Attendance {
    pub(crate) fn start(
        node: &str,
        servers: &[Arc<Server>],
        placement: &Arc<Placement>,
        rules: &Arc<RoomRules>,
        limits: &Arc<Limits>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let part = |server: &Arc<Server>| Part {
            server: Arc::clone(server),
            reports: Reports::new(limits.presence_changes_max),
            entered: Mutex::default(),
            once_more: Mutex::new(None),
            burying: AtomicBool::new(false),
            auditing: AtomicBool::new(false),
        };
        let attendance = Arc::new(Self {
            node: node.into(),
            parts: servers.iter().map(part).collect(),
            placement: Arc::clone(placement),
            rules: Arc::clone(rules),
            limits: Arc::clone(limits),
            people: OnceLock::new(),
            refreshing: Mutex::default(),
        });
        for index in 0..servers.len() {
            runtime.spawn(Arc::clone(&attendance).report(index));
        }
        attendance
    }

    /// The tables of this node report here from now on, and hear from here.
    pub(crate) fn connect(self: &Arc<Self>, people: &Arc<People>) {
        assert!(self.people.set(Arc::downgrade(people)).is_ok(), "there is one set of tables");
        people.presence.share(Arc::clone(self) as Arc<dyn Shared>);
        people.typing.share(Arc::clone(self) as Arc<dyn Shared>);
    }

    fn people(&self) -> Option<Arc<People>> {
        self.people.get()?.upgrade()
    }

    fn part(&self, name: &str) -> &Part {
        &self.parts[self.placement.of(name)]
    }

    fn part_of_user(&self, user: &UserId) -> &Part {
        self.part(RoomName::of_user(user).as_str())
    }

    /// Where members are told; empty for a room that is silent.
    fn channel(&self, part: &Part, room: &RoomName) -> String {
        match self.rules.of(room).presence_events {
            true => part.server.keys.channel(room),
            false => String::new(),
        }
    }

    /// About once a second.
    pub(crate) fn tick(self: &Arc<Self>, now: Timestamp, runtime: &Handle) {
        for (index, part) in self.parts.iter().enumerate() {
            part.reports.remind();
            if part.once_more().take_if(|due| *due <= Instant::now()).is_some() {
                part.enter_all();
            }
            if !part.server.gone_nodes().is_empty() && !part.burying.swap(true, Ordering::AcqRel) {
                runtime.spawn(Arc::clone(self).bury(index));
            }
        }
        self.refresh(now);
    }

    /// Something was told in a room that this node listens to.
    pub(crate) fn event(&self, room: &RoomName, event: &[u8]) {
        let Some(people) = self.people() else { return };
        let now = SystemTime::now().into();
        match hearsay::read(event, &self.limits) {
            Some(Hearsay::Presence(changes)) => people.presence.heard(now, room, &changes),
            Some(Hearsay::Typing { node, user, types }) if node != self.node.as_bytes() => {
                people.typing.heard(now, room, &user, types);
            }
            Some(Hearsay::Typing { .. }) => {}
            None => tracing::warn!(%room, "RedisStrangeEvent"),
        }
    }

    /// A server answers again that may have forgotten this node.
    pub(crate) fn returned(&self, server: &Server) {
        for part in self.parts.iter().filter(|part| std::ptr::eq(&*part.server, server)) {
            part.auditing.store(true, Ordering::Release);
            part.enter_all();
            // Others may take this node for dead until they have asked who lives, and take its users out after
            // these were entered.
            let lease = Duration::from_millis(self.limits.node_lease_ms);
            *part.once_more() = Some(Instant::now() + lease / 2);
        }
    }

    /// Sends what is reported to a server, for ever.
    async fn report(self: Arc<Self>, index: usize) {
        let part = &self.parts[index];
        loop {
            part.reports.bell.notified().await;
            while let Some(work) = part.reports.take() {
                let Some(people) = self.people() else { break };
                let was_last_slice = work.slice == Some(Presence::SLICES - 1);
                let undone = self.send(index, work, &people.presence).await;
                if !undone.is_empty() {
                    part.reports.put_back(undone);
                    break;
                }
                if was_last_slice {
                    self.all_entered(index);
                }
            }
        }
    }

    /// Gives back what the server did not take.
    async fn send(self: &Arc<Self>, index: usize, work: Work, presence: &Presence) -> Work {
        let part = &self.parts[index];
        let mut undone = Work::default();
        let here: Vec<_> = chunks(work.here).collect();
        if !self.enter_rooms(part, here.iter().map(|changes| &changes[0].0)).await {
            undone.here.extend(here.into_iter().flatten());
            undone.online = work.online;
            undone.questions = work.questions;
            undone.slice = work.slice;
            return undone;
        }
        let mut calls = Vec::new();
        for changes in here {
            calls.push((ask(&part.server, self.stay(part, presence, &changes, false)), changes));
        }
        let mut online = Vec::new();
        for user in work.online {
            online.push((self.say_online(part, presence, &user), user));
        }
        for question in work.questions {
            self.ask_roll(index, question);
        }
        let entered = match work.slice {
            Some(slice) => self.enter_again(part, presence, slice).await,
            None => true,
        };
        undone.slice = work.slice.filter(|_| !entered);
        for (answer, changes) in calls {
            match answered(answer).await {
                Ok(users) => self.leave_room_without(part, &changes[0].0, &users).await,
                Err(_) => undone.here.extend(changes),
            }
        }
        for (answers, user) in online {
            for answer in answers {
                if answered(answer).await.is_err() {
                    undone.online.insert(user.clone());
                }
            }
        }
        undone
    }

    /// Users of one room as they are now. `again`: they were entered before, and the others have been told
    /// unless this node was buried since.
    fn stay(&self, part: &Part, presence: &Presence, changes: &[(RoomName, UserId)], again: bool) -> Cmd {
        let (room, keys) = (&changes[0].0, &part.server.keys);
        let node = &*self.node;
        let names = [keys.here(room), keys.here_by(room, node), keys.nodes_in(room)];
        let mut command = Script::Stay.call(&names);
        command.arg(node).arg(self.channel(part, room)).arg(u8::from(!again));
        for (_, user) in changes {
            command.arg(user.as_str());
            match presence.connections(room, user) {
                Some(connections) => command.arg(connections),
                None => command.arg("-"),
            };
        }
        command
    }

    /// Sees to it that whoever buries this node looks into these rooms. Says whether the server took it.
    async fn enter_rooms(&self, part: &Part, rooms: impl Iterator<Item = &RoomName>) -> bool {
        let news: Vec<_> = {
            let entered = part.entered();
            let mut news: Vec<_> = rooms.filter(|room| !entered.contains(*room)).cloned().collect();
            news.dedup();
            news
        };
        for rooms in news.chunks(CALL_USERS) {
            let mut command = redis::cmd("SADD");
            command.arg(part.server.keys.rooms_of(&self.node));
            rooms.iter().for_each(|room| _ = command.arg(room.as_str()));
            if answered(ask(&part.server, command)).await.is_err() {
                return false;
            }
            part.entered().extend(rooms.iter().cloned());
        }
        true
    }

    /// The server says how many users this node has in a room, after a change there.
    async fn leave_room_without(&self, part: &Part, room: &RoomName, users: &Value) {
        if *users == Value::Int(0) && part.entered().remove(room) {
            let mut command = redis::cmd("SREM");
            command.arg(part.server.keys.rooms_of(&self.node)).arg(room.as_str());
            // If nobody hears it, somebody looks into a room in vain.
            let _ = answered(ask(&part.server, command)).await;
        }
    }

    fn say_online(&self, part: &Part, presence: &Presence, user: &UserId) -> Vec<crate::listing::Answering> {
        let key = part.server.keys.online(user);
        if presence.is_online_here(user) {
            let (mut set, mut expire) = (redis::cmd("HSET"), redis::cmd("PEXPIRE"));
            set.arg(&key).arg(&*self.node).arg(1);
            expire.arg(&key).arg(self.limits.presence_ttl_ms);
            vec![ask(&part.server, set), ask(&part.server, expire)]
        } else {
            let mut delete = redis::cmd("HDEL");
            delete.arg(&key).arg(&*self.node);
            let deleted = ask(&part.server, delete);
            forget_dead(&part.server, key);
            vec![deleted]
        }
    }

    /// Enters a slice of all that this node has on a server. Says whether the server took it.
    async fn enter_again(&self, part: &Part, presence: &Presence, slice: usize) -> bool {
        let (mut here, mut online) = (BTreeSet::new(), Vec::new());
        presence.slice_of_rooms(slice, |room, user| {
            // Who has just come is not entered again: the others have yet to be told.
            let change = (room.clone(), user.clone());
            if std::ptr::eq(self.part(room.as_str()), part) && !part.reports.waits(&change) {
                here.insert(change);
            }
        });
        presence.slice_of_people(slice, |user| {
            if std::ptr::eq(self.part_of_user(user), part) {
                online.push(user.clone());
            }
        });
        let here: Vec<_> = chunks(here).collect();
        if !self.enter_rooms(part, here.iter().map(|changes| &changes[0].0)).await {
            return false;
        }
        let mut answers: Vec<_> = here
            .into_iter()
            .map(|changes| ask(&part.server, self.stay(part, presence, &changes, true)))
            .collect();
        for user in online {
            answers.extend(self.say_online(part, presence, &user));
        }
        for answer in answers {
            if answered(answer).await.is_err() {
                return false;
            }
        }
        true
    }
}

impl Part {
    fn entered(&self) -> MutexGuard<'_, HashSet<RoomName>> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn once_more(&self) -> MutexGuard<'_, Option<Instant>> {
        self.once_more.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server may know nothing of this node any more.
    fn enter_all(&self) {
        self.entered().clear();
        self.reports.again();
    }
}

/// What dead nodes said must not keep the key of a user who is online nowhere.
fn forget_dead(server: &Arc<Server>, key: String) {
    let mut command = redis::cmd("HKEYS");
    command.arg(&key);
    let asked = Arc::clone(server);
    let answer = move |nodes: Result<Value, EngineError>| {
        let Ok(Value::Array(nodes)) = nodes else { return };
        let nodes: Vec<_> = nodes.iter().filter_map(text).collect();
        if nodes.iter().all(|node| asked.counts(node)) {
            return;
        }
        // A node that has just begun is not known yet.
        let server = Arc::clone(&asked);
        asked.renew_lease(move |is_known| {
            let dead: Vec<_> = nodes.into_iter().filter(|node| !server.counts(node)).collect();
            if is_known && !dead.is_empty() {
                let mut forget = redis::cmd("HDEL");
                forget.arg(key).arg(dead);
                server.ask(forget, Box::new(|_| ()));
            }
        });
    };
    server.ask(command, Box::new(answer));
}

/// Changes of one room each, and not too many.
fn chunks(here: BTreeSet<(RoomName, UserId)>) -> impl Iterator<Item = Vec<(RoomName, UserId)>> {
    let mut rest = here.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut changes = vec![rest.next()?];
        while changes.len() < CALL_USERS
            && let Some(change) = rest.next_if(|(room, _)| *room == changes[0].0)
        {
            changes.push(change);
        }
        Some(changes)
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

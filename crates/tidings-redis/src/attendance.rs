//! Attendance: who is in a room, who is online and who types, over all nodes.
//!
//! Owned by the registry. One task per server sends what the node's tables report, many changes with one
//! script a room, and then asks what clients want to know, so that whoever asks finds their own coming.
//! The scripts decide who came first of all and who went last, and tell all nodes on the room's channel.
//! Refuses to count connections, and to trust that a server still has what it was told: when one was
//! away, all is entered once more and what is there is compared.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use redis::{Cmd, Value};
use tidings_core::{
    Completion, EngineError, People, Presence, Registry as Shared, RoomPresence, RoomRules, Timestamp,
};
use tidings_protocol::{Limits, RoomName, UserId};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use crate::hearsay::{self, Hearsay};
use crate::listing::{answered, ask};
use crate::placement::Placement;
use crate::reports::{Question, Reports, Work};
use crate::scripts::Script;
use crate::server::{Server, numbers};

/// Users in one call of a script, so that none keeps a server from others for long.
const CALL_USERS: usize = 128;

/// Users in one page of a room, however many were asked for, and users whose being online is asked for
/// with one call.
const PAGE_USERS: usize = 1_000;

/// Users of dead nodes taken out by one call.
const BURY_USERS: usize = 256;

/// How long a node that stops waits until its last reports are out.
const FAREWELL: Duration = Duration::from_secs(1);

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
    /// Since when the server can be trusted to know who lives.
    returned: Mutex<Instant>,
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
            returned: Mutex::new(Instant::now()),
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
            if part.is_settled(&self.limits)
                && !part.server.dead_nodes().is_empty()
                && !part.burying.swap(true, Ordering::AcqRel)
            {
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
            *part.returned.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            part.auditing.store(true, Ordering::Release);
            part.reports.again();
        }
    }

    /// This node stops. Its users count as there for the grace, in which they can come to other nodes.
    /// Called before its lease ends.
    pub(crate) async fn farewell(&self) {
        let sent = async {
            while self.parts.iter().any(|part| !part.reports.is_empty()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // What is not out by then is found by those who bury this node.
        let _ = timeout(FAREWELL, sent).await;
        let answers: Vec<_> = self
            .parts
            .iter()
            .map(|part| {
                let mut command = redis::cmd("SET");
                let grace_ms = self.limits.presence_grace_ms.max(1);
                command.arg(part.server.keys.leaving(&self.node)).arg("").arg("PX").arg(grace_ms);
                ask(&part.server, command)
            })
            .collect();
        for answer in answers {
            let _ = timeout(FAREWELL, answered(answer)).await;
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
                let undone = self.send(part, work, &people.presence).await;
                if !undone.is_empty() {
                    part.reports.put_back(undone);
                    break;
                }
                if was_last_slice && part.auditing.load(Ordering::Acquire) {
                    tokio::spawn(Arc::clone(&self).audit(index));
                }
            }
        }
    }

    /// Gives back what the server did not take.
    async fn send(&self, part: &Part, work: Work, presence: &Presence) -> Work {
        let mut calls = Vec::new();
        for changes in chunks(work.here) {
            calls.push((ask(&part.server, self.stay(part, presence, &changes, false)), changes));
        }
        let mut online = Vec::new();
        for user in work.online {
            online.push((self.say_online(part, presence, &user), user));
        }
        for question in work.questions {
            self.ask_roll(part, question);
        }
        let entered = match work.slice {
            Some(slice) => self.enter_again(part, presence, slice).await,
            None => true,
        };
        let mut undone = Work { slice: work.slice.filter(|_| !entered), ..Work::default() };
        for (answer, changes) in calls {
            if answered(answer).await.is_err() {
                undone.here.extend(changes);
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
        let mut names =
            vec![keys.here(room), keys.here_by(room, node), keys.nodes_in(room), keys.rooms_of(node)];
        names.extend(again.then(|| keys.reaped(node)));
        let mut command = Script::Stay.call(&names);
        command.arg(node).arg(room.as_str()).arg(self.channel(part, room));
        for (_, user) in changes {
            command.arg(user.as_str());
            match presence.connections(room, user) {
                Some(connections) => command.arg(connections),
                None => command.arg("-"),
            };
        }
        command
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
            vec![ask(&part.server, delete)]
        }
    }

    /// Enters a slice of all that this node has on a server. Says whether the server took it.
    async fn enter_again(&self, part: &Part, presence: &Presence, slice: usize) -> bool {
        let (mut here, mut online) = (BTreeSet::new(), Vec::new());
        presence.slice_of_rooms(slice, |room, user| {
            if std::ptr::eq(self.part(room.as_str()), part) {
                here.insert((room.clone(), user.clone()));
            }
        });
        presence.slice_of_people(slice, |user| {
            if std::ptr::eq(self.part_of_user(user), part) {
                online.push(user.clone());
            }
        });
        let mut answers: Vec<_> = chunks(here)
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

    /// Refreshes the keys of those who are online, as many slices as the time that passed is worth.
    fn refresh(&self, now: Timestamp) {
        let Some(people) = self.people() else { return };
        let interval_us = (self.limits.presence_ttl_ms / 3).saturating_mul(1_000).max(1);
        let slices_max = Presence::SLICES as u64;
        let (first, due) = {
            let mut refreshing = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
            if now < refreshing.since || refreshing.since == Timestamp(0) {
                *refreshing = Refreshing { since: now, slices: 0 };
            }
            let target = (now.0 - refreshing.since.0).saturating_mul(slices_max) / interval_us;
            let first = std::mem::replace(&mut refreshing.slices, target);
            (first, (target - first).min(slices_max))
        };
        for slice in first..first + due {
            let mut users = Vec::new();
            let slice = usize::try_from(slice % slices_max).unwrap_or(0);
            people.presence.slice_of_people(slice, |user| users.push(user.clone()));
            for user in users {
                self.refresh_online(user, &people);
            }
        }
    }

    fn refresh_online(&self, user: UserId, people: &Arc<People>) {
        let part = self.part_of_user(&user);
        let mut expire = redis::cmd("PEXPIRE");
        expire.arg(part.server.keys.online(&user)).arg(self.limits.presence_ttl_ms);
        let people = Arc::downgrade(people);
        let answer = move |value: Result<Value, EngineError>| {
            // The key is gone: somebody else deleted it, or it expired while the server was away.
            if matches!(value, Ok(Value::Int(0)))
                && let Some(people) = people.upgrade()
                && let Some(registry) = people.presence.registry()
            {
                registry.online_changed(&user);
            }
        };
        part.server.voice.ask(expire, Box::new(answer));
    }

    fn ask_roll(&self, part: &Part, question: Question) {
        let Question { room, after, users_max, done } = question;
        let keys = &part.server.keys;
        let mut command = Script::Roll.call(&[keys.here(&room), keys.nodes_in(&room)]);
        command
            .arg(&*self.node)
            .arg(room.as_str())
            .arg(self.channel(part, &room))
            .arg(after.as_ref().map_or("", |user| user.as_str()))
            .arg(users_max.min(PAGE_USERS))
            .arg(keys.lease(""))
            .arg(if part.is_settled(&self.limits) { BURY_USERS } else { 0 });
        let limits = Arc::clone(&self.limits);
        let answer = move |value: Result<Value, EngineError>| {
            done.complete(value.and_then(|value| page(&value, &limits).ok_or(EngineError::Unavailable)));
        };
        part.server.voice.ask(command, Box::new(answer));
    }

    /// Takes the users of dead nodes out of a server's rooms, and tells who has gone.
    async fn bury(self: Arc<Self>, index: usize) {
        let part = &self.parts[index];
        let keys = &part.server.keys;
        let mut calls_left = self.limits.examined_per_tick.div_ceil(BURY_USERS);
        'nodes: for node in part.server.dead_nodes() {
            loop {
                if calls_left == 0 {
                    break 'nodes;
                }
                calls_left -= 1;
                let mut command = Script::Bury.call(&[keys.nodes()]);
                command.arg(&node).arg(keys.lease(&node)).arg(keys.prefix()).arg(BURY_USERS);
                match answered(ask(&part.server, command)).await {
                    Ok(Value::Int(1)) => {}
                    Ok(_) => break,
                    Err(_) => break 'nodes,
                }
            }
        }
        part.burying.store(false, Ordering::Release);
    }

    /// Compares what a server has of this node with what is so. A server that came back with an old state
    /// knows users who have gone since.
    async fn audit(self: Arc<Self>, index: usize) {
        let part = &self.parts[index];
        if !part.auditing.swap(false, Ordering::AcqRel) {
            return;
        }
        let keys = &part.server.keys;
        let Ok(rooms) = self.scan(part, "SSCAN", &keys.rooms_of(&self.node), 1).await else {
            return self.returned(&part.server);
        };
        for room in rooms.iter().filter_map(|room| RoomName::new(room, &self.limits).ok()) {
            let Ok(users) = self.scan(part, "HSCAN", &keys.here_by(&room, &self.node), 2).await else {
                return self.returned(&part.server);
            };
            let Some(people) = self.people() else { return };
            for user in users.iter().filter_map(|user| UserId::new(user, &self.limits).ok()) {
                if people.presence.connections(&room, &user).is_none() {
                    part.reports.changed(&room, &user);
                }
            }
        }
    }

    /// The names in a set, or in the fields of a hash, where each comes with its value.
    async fn scan(
        &self,
        part: &Part,
        scan: &str,
        key: &str,
        step: usize,
    ) -> Result<Vec<String>, EngineError> {
        let (mut names, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let mut command = redis::cmd(scan);
            command.arg(key).arg(&cursor).arg("COUNT").arg(BURY_USERS);
            let Value::Array(parts) = answered(ask(&part.server, command)).await? else {
                return Err(EngineError::Unavailable);
            };
            let [Value::BulkString(next), Value::Array(found)] = parts.as_slice() else {
                return Err(EngineError::Unavailable);
            };
            names.extend(found.iter().step_by(step).filter_map(text));
            cursor = String::from_utf8_lossy(next).into_owned();
            if cursor == "0" {
                return Ok(names);
            }
        }
    }
}

impl Part {
    /// Whether all nodes that live have had time to say so since the server answers. Before that, a node
    /// that could not renew its lease must not be taken for dead.
    fn is_settled(&self, limits: &Limits) -> bool {
        let returned = *self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.elapsed() > Duration::from_millis(limits.node_lease_ms / 2)
    }
}

impl Shared for Attendance {
    fn changed(&self, room: &RoomName, user: &UserId) {
        self.part(room.as_str()).reports.changed(room, user);
    }

    fn online_changed(&self, user: &UserId) {
        self.part_of_user(user).reports.online_changed(user);
    }

    /// Ephemeral, so that nothing is kept for a server that is away.
    fn typing(&self, room: &RoomName, user: &UserId, types: bool) {
        let part = self.part(room.as_str());
        let keys = &part.server.keys;
        let mut command = Script::Typing.call(&[keys.typing(room)]);
        command
            .arg(keys.channel(room))
            .arg(&*self.node)
            .arg(user.as_str())
            .arg(u8::from(types))
            .arg(self.limits.typing_timeout_ms.saturating_add(self.limits.typing_interval_ms))
            .arg(self.limits.typists_max);
        part.server.voice.ask(command, Box::new(|_| ()));
    }

    fn in_room(
        &self,
        room: &RoomName,
        after: Option<&UserId>,
        users_max: usize,
        done: Completion<RoomPresence>,
    ) {
        let part = self.part(room.as_str());
        if !part.server.voice.is_up() {
            return done.complete(Err(EngineError::Unavailable));
        }
        part.reports.ask(Question { room: room.clone(), after: after.cloned(), users_max, done });
    }

    /// Who is online here need not be asked for.
    fn who_is_online(&self, users: Vec<UserId>, done: Completion<Vec<UserId>>) {
        let Some(people) = self.people() else { return };
        let online: Vec<_> = users.iter().map(|user| people.presence.is_online_here(user)).collect();
        let gathering = Arc::new(Gathering::new(users, online, done));
        for (index, part) in self.parts.iter().enumerate() {
            let places: Vec<_> = gathering.unknown(|user| std::ptr::eq(self.part_of_user(user), part));
            for places in places.chunks(PAGE_USERS) {
                let keys: Vec<_> =
                    places.iter().map(|&place| part.server.keys.online(&gathering.users[place])).collect();
                let mut command = Script::Online.call(&keys);
                command.arg(self.parts[index].server.keys.lease(""));
                let (gathering, places) = (Arc::clone(&gathering), places.to_vec());
                let answer = move |value| gathering.answer(&places, value);
                part.server.voice.ask(command, Box::new(answer));
            }
        }
    }

    fn typists(&self, now: Timestamp, room: &RoomName, done: Completion<Vec<UserId>>) {
        let part = self.part(room.as_str());
        let here = self.people().map(|people| people.typing.typists(now, room)).unwrap_or_default();
        let mut command = Script::Typists.call(&[part.server.keys.typing(room)]);
        command.arg(self.limits.typists_max);
        let limits = Arc::clone(&self.limits);
        let answer = move |value: Result<Value, EngineError>| {
            let typists = value.and_then(|value| {
                let Value::Array(names) = value else { return Err(EngineError::Unavailable) };
                let told = names.iter().filter_map(|name| user(name, &limits));
                let all: BTreeSet<UserId> = told.chain(here).collect();
                Ok(all.into_iter().take(limits.typists_max).collect())
            });
            done.complete(typists);
        };
        part.server.voice.ask(command, Box::new(answer));
    }
}

/// An answer that comes from several servers. Complete when nobody holds it any more.
struct Gathering {
    users: Vec<UserId>,
    /// Whether each is online; or what went wrong.
    online: Mutex<Result<Vec<bool>, EngineError>>,
    done: Mutex<Option<Completion<Vec<UserId>>>>,
}

impl Gathering {
    fn new(users: Vec<UserId>, online: Vec<bool>, done: Completion<Vec<UserId>>) -> Self {
        Self { users, online: Mutex::new(Ok(online)), done: Mutex::new(Some(done)) }
    }

    /// The places of those who are not known to be online and of whom something holds.
    fn unknown(&self, holds: impl Fn(&UserId) -> bool) -> Vec<usize> {
        let online = self.online.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(online) = &*online else { return Vec::new() };
        (0..self.users.len()).filter(|&place| !online[place] && holds(&self.users[place])).collect()
    }

    fn answer(&self, places: &[usize], value: Result<Value, EngineError>) {
        let answers = value.and_then(|value| match value {
            Value::Array(answers) if answers.len() == places.len() => Ok(answers),
            _ => Err(EngineError::Unavailable),
        });
        let mut online = self.online.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *online, answers) {
            (Ok(online), Ok(answers)) => {
                for (&place, answer) in places.iter().zip(answers) {
                    online[place] = answer == Value::Int(1);
                }
            }
            (online, Err(error)) => *online = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let users = std::mem::take(&mut self.users);
        let online = self.online.get_mut().unwrap_or_else(PoisonError::into_inner);
        let found = online.as_ref().map(|online| {
            users.into_iter().zip(online).filter(|(_, online)| **online).map(|(user, _)| user).collect()
        });
        if let Some(done) = done {
            done.complete(found.map_err(|error| *error));
        }
    }
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

fn page(value: &Value, limits: &Limits) -> Option<RoomPresence> {
    let Value::Array(parts) = value else { return None };
    let [total @ Value::Int(_), complete @ Value::Int(_), Value::Array(entries)] = parts.as_slice() else {
        return None;
    };
    let [total, complete] = numbers(&Value::Array(vec![total.clone(), complete.clone()])).ok()?;
    let entry = |entry: &[Value]| match entry {
        [name, Value::Int(connections)] => {
            Some((user(name, limits)?, u32::try_from(*connections).unwrap_or(u32::MAX)))
        }
        _ => None,
    };
    Some(RoomPresence {
        users: entries.chunks(2).filter_map(entry).collect(),
        total: usize::try_from(total).unwrap_or(usize::MAX),
        complete: complete == 1,
    })
}

fn user(value: &Value, limits: &Limits) -> Option<UserId> {
    UserId::new(&text(value)?, limits).ok()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

//! Attendance: who is in a room, who is online and who types, over all nodes.
//!
//! Owned by the registry. One task per server sends what the node's tables report, many changes with one
//! script a room, and then asks what clients want to know, so that whoever asks finds their own coming.
//! The scripts decide who came first of all and who went last, and tell all nodes on the room's channel.
//! Refuses to count connections, and to trust that a server still has what it was told: when one was
//! away, all is entered once more and what is there is compared.

mod asking;
mod mending;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use redis::{Cmd, Value};
use tidings_core::{People, Presence, Registry as Shared, RoomRules, Timestamp};
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
                if was_last_slice {
                    self.all_entered(index);
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
            // What dead nodes said must not keep the key.
            let mut clean = Script::Online.call(std::slice::from_ref(&key));
            clean.arg(part.server.keys.lease(""));
            vec![ask(&part.server, delete), ask(&part.server, clean)]
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
}

impl Part {
    /// Whether all nodes that live have had time to say so since the server answers. Before that, a node
    /// that could not renew its lease must not be taken for dead.
    fn is_settled(&self, limits: &Limits) -> bool {
        let returned = *self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        returned.elapsed() > Duration::from_millis(limits.node_lease_ms / 2)
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

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

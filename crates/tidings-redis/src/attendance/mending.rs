//! What attendance sees to besides reports: keys that must not expire, users of dead nodes, servers that
//! came back, and the end of this node.
//!
//! Refuses to do more than a bounded piece a second.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use redis::Value;
use tidings_core::{EngineError, People, Presence, Timestamp};
use tidings_protocol::{RoomName, UserId};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Attendance, BURY_USERS, Part, Refreshing, text};
use crate::keys::SESSION_GROUPS;
use crate::listing::{answered, ask};
use crate::scripts::Script;
use crate::server::numbers;

/// How long a node that stops waits until its last reports are out, and then for its last answers.
const FAREWELL: Duration = Duration::from_secs(1);

impl Attendance {
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
        let mut answers = Vec::new();
        let grace_ms = self.limits.presence_grace_ms.max(1);
        for part in &self.parts {
            let mut command = redis::cmd("SET");
            command.arg(part.server.keys.leaving(&self.node)).arg(grace_ms).arg("PX").arg(grace_ms);
            answers.push(ask(&part.server, command));
            for key in self.online_on(part) {
                let mut command = Script::OnlineEnds.call(&[key]);
                command.arg(&*self.node).arg(grace_ms);
                answers.push(ask(&part.server, command));
            }
        }
        let done = async {
            for answer in answers {
                // A server that is away learns it from the lease.
                let _ = answered(answer).await;
            }
        };
        let _ = timeout(FAREWELL, done).await;
    }

    /// The keys on a server of those who are online by this node.
    fn online_on(&self, part: &Part) -> Vec<String> {
        let Some(people) = self.people() else { return Vec::new() };
        let mut keys = Vec::new();
        for slice in 0..Presence::SLICES {
            people.presence.slice_of_people(slice, |user| {
                if std::ptr::eq(self.part_of_user(user), part) {
                    keys.push(part.server.keys.online(user));
                }
            });
        }
        keys
    }

    /// Refreshes the keys of those who are online, as many slices as the time that passed is worth.
    pub(super) fn refresh(&self, now: Timestamp) {
        let Some(people) = self.people() else { return };
        let interval_us = (self.limits.presence_ttl_ms / 3).saturating_mul(1_000).max(1);
        let slices_max = Presence::SLICES as u64;
        let (first, due) = {
            let mut refreshing = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
            if now < refreshing.since || refreshing.since == Timestamp(0) {
                *refreshing = Refreshing { since: now, slices: 0 };
            }
            // The clock may be set back a little, and what is done stays done.
            let target = (now.0 - refreshing.since.0).saturating_mul(slices_max) / interval_us;
            let target = target.max(refreshing.slices);
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
        part.server.ask(expire, Box::new(answer));
    }

    /// Takes the users of dead nodes out of a server's rooms, and tells who has gone.
    pub(super) async fn bury(self: Arc<Self>, index: usize) {
        let part = &self.parts[index];
        let (sender, asked) = oneshot::channel();
        // One of those may have come back.
        part.server.renew_lease(move |is_known| _ = sender.send(is_known));
        let is_known = asked.await.unwrap_or(false);
        let gone = if is_known { part.server.gone_nodes() } else { Vec::new() };
        let mut calls_left = self.limits.examined_per_tick.div_ceil(BURY_USERS);
        for node in gone {
            match self.bury_node(part, &node, &mut calls_left).await {
                Ok(true) => self.forget_node(part, &node).await,
                Ok(false) => {}
                Err(_) => break,
            }
        }
        part.burying.store(false, Ordering::Release);
    }

    /// Says whether the node has no users any more.
    async fn bury_node(&self, part: &Part, node: &str, calls_left: &mut usize) -> Result<bool, EngineError> {
        let keys = &part.server.keys;
        while *calls_left > 0 {
            let mut command = redis::cmd("SRANDMEMBER");
            command.arg(keys.rooms_of(node));
            let Some(name) = text(&answered(ask(&part.server, command)).await?) else { return Ok(true) };
            let is_left = match RoomName::new(&name, &self.limits) {
                Ok(room) => self.bury_in(part, node, &room, calls_left).await?,
                Err(_) => true,
            };
            if is_left {
                let mut command = redis::cmd("SREM");
                command.arg(keys.rooms_of(node)).arg(&name);
                answered(ask(&part.server, command)).await?;
            }
        }
        Ok(false)
    }

    /// Says whether the node has no users in the room any more.
    async fn bury_in(
        &self,
        part: &Part,
        node: &str,
        room: &RoomName,
        calls_left: &mut usize,
    ) -> Result<bool, EngineError> {
        let keys = &part.server.keys;
        while *calls_left > 0 {
            *calls_left -= 1;
            let mut command = Script::Bury.call(&[keys.here(room), keys.nodes_in(room)]);
            command.arg(node).arg(self.channel(part, room)).arg(BURY_USERS);
            let [_, has_more] = numbers(&answered(ask(&part.server, command)).await?)?;
            if has_more == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a node that has no users out of all nodes, if it has no sessions either.
    async fn forget_node(&self, part: &Part, node: &str) {
        let keys = &part.server.keys;
        let asked = |group| {
            let mut command = redis::cmd("EXISTS");
            command.arg(keys.sessions_of(group, node));
            ask(&part.server, command)
        };
        let answers: Vec<_> = (0..SESSION_GROUPS).map(asked).collect();
        for answer in answers {
            if answered(answer).await != Ok(Value::Int(0)) {
                return;
            }
        }
        let mut forget = redis::cmd("SREM");
        forget.arg(keys.nodes()).arg(node);
        let _ = answered(ask(&part.server, forget)).await;
    }

    /// All that this node has is on a server again.
    pub(super) fn all_entered(self: &Arc<Self>, index: usize) {
        let part = &self.parts[index];
        if part.auditing.load(Ordering::Acquire) {
            tokio::spawn(Arc::clone(self).audit(index));
        }
    }

    /// Compares what a server has of this node with what is so. A server that came back with an old state
    /// knows users who have gone since.
    pub(super) async fn audit(self: Arc<Self>, index: usize) {
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

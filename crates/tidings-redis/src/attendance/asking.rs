//! What attendance is asked: by the tables of this node, on behalf of clients.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use redis::Value;
use tidings_core::{Completion, EngineError, Registry as Shared, RoomPresence, Timestamp};
use tidings_protocol::{Limits, RoomName, UserId};

use super::{Attendance, BURY_USERS, PAGE_USERS, text};
use crate::reports::Question;
use crate::scripts::Script;
use crate::server::{Server, numbers};

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
            .arg(self.typing_max_ms())
            .arg(self.limits.typists_max);
        part.server.ask(command, Box::new(|_| ()));
    }

    fn in_room(
        &self,
        room: &RoomName,
        after: Option<&UserId>,
        users_max: usize,
        done: Completion<RoomPresence>,
    ) {
        let part = self.part(room.as_str());
        if !part.server.is_up_for(room) {
            return done.complete(Err(EngineError::Unavailable));
        }
        part.reports.ask(Question { room: room.clone(), after: after.cloned(), users_max, done });
    }

    /// Who is online here need not be asked for.
    fn who_is_online(&self, users: Vec<UserId>, done: Completion<Vec<UserId>>) {
        let Some(people) = self.people() else { return };
        let online: Vec<_> = users.iter().map(|user| people.presence.is_online_here(user)).collect();
        let gathering = Arc::new(Gathering::new(users, online, done));
        for part in &self.parts {
            let places: Vec<_> = gathering.unknown(|user| std::ptr::eq(self.part_of_user(user), part));
            for place in places {
                let key = part.server.keys.online(&gathering.users[place]);
                let mut command = redis::cmd("HKEYS");
                command.arg(&key);
                let (gathering, server) = (Arc::clone(&gathering), Arc::clone(&part.server));
                let answer = move |value: Result<Value, EngineError>| {
                    gathering.answer(place, value.map(|nodes| is_online(&server, key, &nodes)));
                };
                part.server.ask(command, Box::new(answer));
            }
        }
    }

    fn typists(&self, now: Timestamp, room: &RoomName, done: Completion<Vec<UserId>>) {
        let part = self.part(room.as_str());
        let here = self.people().map(|people| people.typing.typists(now, room)).unwrap_or_default();
        let mut command = Script::Typists.call(&[part.server.keys.typing(room)]);
        command.arg(self.limits.typists_max).arg(self.typing_max_ms());
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
        part.server.ask(command, Box::new(answer));
    }
}

impl Attendance {
    /// How long somebody types at most, after it was last said: those who hear it end it by themselves then.
    fn typing_max_ms(&self) -> u64 {
        self.limits.typing_timeout_ms.saturating_add(self.limits.typing_interval_ms)
    }

    /// Asks who is in a room.
    pub(super) fn ask_roll(self: &Arc<Self>, index: usize, question: Question) {
        let server = &self.parts[index].server;
        if server.gone_nodes().is_empty() {
            return self.ask_roll_of(index, question);
        }
        // One of those may have come back.
        let attendance = Arc::clone(self);
        server.renew_lease(move |is_known| match is_known {
            true => attendance.ask_roll_of(index, question),
            false => question.done.complete(Err(EngineError::Unavailable)),
        });
    }

    fn ask_roll_of(&self, index: usize, question: Question) {
        let Question { room, after, users_max, done } = question;
        let part = &self.parts[index];
        let keys = &part.server.keys;
        let mut command = Script::Roll.call(&[keys.here(&room), keys.nodes_in(&room)]);
        command
            .arg(self.channel(part, &room))
            .arg(after.as_ref().map_or("", |user| user.as_str()))
            .arg(users_max.min(PAGE_USERS))
            .arg(BURY_USERS)
            .arg(part.server.gone_nodes());
        let (limits, server) = (Arc::clone(&self.limits), Arc::clone(&part.server));
        let answer = move |value: Result<Value, EngineError>| {
            let page = value.and_then(|value| {
                let (page, nodes) = page(&value, &limits).ok_or(EngineError::Unavailable)?;
                server.met(nodes.iter().map(|node| &**node));
                Ok(page)
            });
            done.complete(page);
        };
        part.server.ask(command, Box::new(answer));
    }
}

/// Whether some node that counts says that a user is online. What others said is forgotten.
fn is_online(server: &Server, key: String, nodes: &Value) -> bool {
    let Value::Array(nodes) = nodes else { return false };
    let (gone, counting): (Vec<_>, Vec<_>) = {
        let gone = server.gone_nodes();
        nodes.iter().filter_map(text).partition(|node| gone.contains(node))
    };
    server.met(counting.iter().map(|node| &**node));
    if !gone.is_empty() {
        let mut forget = redis::cmd("HDEL");
        forget.arg(key).arg(gone);
        server.ask(forget, Box::new(|_| ()));
    }
    !counting.is_empty()
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

    fn answer(&self, place: usize, is_online: Result<bool, EngineError>) {
        let mut online = self.online.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *online, is_online) {
            (Ok(online), Ok(is_online)) => online[place] = is_online,
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

/// A page, and the nodes that it was put together from.
fn page(value: &Value, limits: &Limits) -> Option<(RoomPresence, Vec<String>)> {
    let Value::Array(parts) = value else { return None };
    let [total @ Value::Int(_), complete @ Value::Int(_), Value::Array(entries), Value::Array(nodes)] =
        parts.as_slice()
    else {
        return None;
    };
    let [total, complete] = numbers(&Value::Array(vec![total.clone(), complete.clone()])).ok()?;
    let entry = |entry: &[Value]| match entry {
        [name, Value::Int(connections)] => {
            Some((user(name, limits)?, u32::try_from(*connections).unwrap_or(u32::MAX)))
        }
        _ => None,
    };
    let presence = RoomPresence {
        users: entries.chunks(2).filter_map(entry).collect(),
        total: usize::try_from(total).unwrap_or(usize::MAX),
        complete: complete == 1,
    };
    Some((presence, nodes.iter().filter_map(text).collect()))
}

fn user(value: &Value, limits: &Limits) -> Option<UserId> {
    UserId::new(&text(value)?, limits).ok()
}

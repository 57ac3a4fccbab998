//! What attendance is asked: by the tables of this node, on behalf of clients.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use redis::Value;
use tidings_core::{Completion, EngineError, Registry as Shared, RoomPresence, Timestamp};
use tidings_protocol::{Limits, RoomName, UserId};

use super::{Attendance, BURY_USERS, PAGE_USERS, Part, text};
use crate::reports::Question;
use crate::scripts::Script;
use crate::server::numbers;

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

impl Attendance {
    /// Asks who is in a room.
    pub(super) fn ask_roll(&self, part: &Part, question: Question) {
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

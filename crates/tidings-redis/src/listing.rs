//! The list of rooms, put together from the servers' indexes and this node's members.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::{Cmd, Value};
use tidings_core::{EngineError, Hub, RoomRules, RoomSummary, Timestamp};
use tidings_protocol::{Limits, MessageId, RoomName};
use tokio::sync::oneshot;

use crate::placement::Placement;
use crate::scripts::Script;
use crate::server::{Server, expired_up_to, numbers};

/// What a list is made from.
pub(crate) struct Listing {
    pub(crate) hub: Arc<Hub>,
    pub(crate) servers: Vec<Arc<Server>>,
    pub(crate) placement: Arc<Placement>,
    pub(crate) rules: Arc<RoomRules>,
    pub(crate) now: Timestamp,
}

impl Listing {
    /// The first rooms after a name that hold a message or have a member here. Names of rooms whose
    /// messages have expired are skipped, so that it may take several looks to find enough.
    pub(crate) async fn read(
        &self,
        mut after: Option<RoomName>,
        rooms_max: usize,
        limits: &Limits,
    ) -> Result<Vec<RoomSummary>, EngineError> {
        let mut rooms = Vec::new();
        while rooms.len() < rooms_max {
            let names = self.names(after.as_ref(), rooms_max - rooms.len(), limits).await?;
            let Some((last, _)) = names.last_key_value() else { break };
            after = Some(last.clone());
            rooms.extend(self.summaries(names).await?);
        }
        Ok(rooms)
    }

    /// The first names after one, and whether this node has members there.
    async fn names(
        &self,
        after: Option<&RoomName>,
        names_max: usize,
        limits: &Limits,
    ) -> Result<BTreeMap<RoomName, bool>, EngineError> {
        let mut names = BTreeMap::new();
        self.hub.each_room(|room| {
            if after.is_none_or(|after| room > after) {
                names.insert(room.clone(), true);
                if names.len() > names_max {
                    names.pop_last();
                }
            }
        });
        let answers: Vec<_> = self
            .servers
            .iter()
            .map(|server| {
                let mut command = redis::cmd("ZRANGEBYLEX");
                let from = after.map_or("-".to_owned(), |after| format!("({after}"));
                command.arg(server.keys.index()).arg(from).arg("+").arg("LIMIT").arg(0).arg(names_max);
                ask(server, command)
            })
            .collect();
        for answer in answers {
            let Value::Array(listed) = answered(answer).await? else { return Err(EngineError::Unavailable) };
            for name in listed {
                let Value::BulkString(name) = name else { continue };
                let name = str::from_utf8(&name).ok().and_then(|name| RoomName::new(name, limits).ok());
                if let Some(name) = name {
                    names.entry(name).or_insert(false);
                }
            }
        }
        while names.len() > names_max {
            names.pop_last();
        }
        Ok(names)
    }

    async fn summaries(&self, names: BTreeMap<RoomName, bool>) -> Result<Vec<RoomSummary>, EngineError> {
        let answers: Vec<_> = names
            .into_iter()
            .map(|(room, is_here)| {
                let server = &self.servers[self.placement.of(room.as_str())];
                let keys = &server.keys;
                let mut command = Script::Summary.call(&[keys.log(&room), keys.meta(&room)]);
                command.arg(expired_up_to(&self.rules, &room, self.now).0);
                (room, is_here, ask(server, command))
            })
            .collect();
        let mut rooms = Vec::new();
        for (room, is_here, answer) in answers {
            let [head, messages, bytes] = numbers(&answered(answer).await?)?;
            if messages == 0 {
                leave(&self.servers[self.placement.of(room.as_str())], &room);
            }
            if messages > 0 || is_here {
                let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                let (messages, bytes) = (count(messages), count(bytes));
                rooms.push(RoomSummary { room, head: MessageId(head), messages, bytes });
            }
        }
        Ok(rooms)
    }
}

/// Enters a room in the list: it has its first message, or a later one, should the first time have failed.
pub(crate) fn enter(server: &Server, room: &RoomName) {
    let mut command = redis::cmd("ZADD");
    command.arg(server.keys.index()).arg(0).arg(room.as_str());
    server.ask(command, Box::new(|_| ()));
}

/// Takes a room without messages out of the list. Who publishes just now may have entered it before, and is
/// asked for once more.
fn leave(server: &Arc<Server>, room: &RoomName) {
    let mut command = redis::cmd("ZREM");
    command.arg(server.keys.index()).arg(room.as_str());
    let (asked, room) = (Arc::clone(server), room.clone());
    let answer = move |removed| {
        if !matches!(removed, Ok(Value::Int(1))) {
            return;
        }
        let mut messages = redis::cmd("XLEN");
        messages.arg(asked.keys.log(&room));
        let again = Arc::clone(&asked);
        let answer = move |messages| {
            if matches!(messages, Ok(Value::Int(1..))) {
                enter(&again, &room);
            }
        };
        asked.ask(messages, Box::new(answer));
    };
    server.ask(command, Box::new(answer));
}

pub(crate) type Answering = oneshot::Receiver<Result<Value, EngineError>>;

pub(crate) fn ask(server: &Server, command: Cmd) -> Answering {
    let (sender, receiver) = oneshot::channel();
    // Nobody waits any more if the runtime is gone.
    server.ask(command, Box::new(move |value| drop(sender.send(value))));
    receiver
}

pub(crate) async fn answered(answer: Answering) -> Result<Value, EngineError> {
    answer.await.unwrap_or(Err(EngineError::Unavailable))
}

//! Somebody who is in every room, never stalls, and believes what events tell: who is here, and who
//! is typing.
//!
//! Refuses news that are none: who joined was not here, who left was, who stopped typing typed.

use std::collections::{BTreeMap, BTreeSet};

use tidings_protocol::server::Received;

use super::ROOMS;
use crate::{ClientId, Seen, World};

/// See the module.
pub(super) struct Watcher {
    id: ClientId,
    here: BTreeMap<String, BTreeSet<String>>,
    typing: BTreeMap<String, BTreeSet<String>>,
    /// What it was told that it cannot be true.
    contradiction: Option<String>,
}

impl Watcher {
    /// Comes in before anybody else does.
    pub(super) fn new(world: &mut World) -> Self {
        let id = world.dial();
        world.client(id).pipe.smooth();
        world.raw(id, &crate::client::handshake("/ws", false));
        world.send(id, &format!(r#"{{"type":"hello","rooms":["{}"]}}"#, ROOMS.join("\",\"")));
        world.network.deliver_wakes();
        world.pump();
        Self { id, here: BTreeMap::new(), typing: BTreeMap::new(), contradiction: None }
    }

    pub(super) fn look(&mut self, world: &mut World) {
        world.client(self.id).look(usize::MAX);
        for seen in world.take(self.id) {
            match seen {
                Seen::Frame(frame) => self.hear(frame),
                Seen::End | Seen::Reset | Seen::Close(..) => {
                    panic!("the watcher's connection ended: {seen:?}")
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, frame: Received) {
        match frame {
            Received::UserJoined(event) => self.joined(&event.room, event.user_id),
            Received::UserLeft(event) => self.left(&event.room, &event.user_id),
            Received::PresenceChanged(changed) => {
                changed.left_ids.iter().for_each(|user| self.left(&changed.room, user));
                changed.joined_ids.into_iter().for_each(|user| self.joined(&changed.room, user));
            }
            Received::UserTyping(event) => {
                self.typing.entry(event.room).or_default().insert(event.user_id);
            }
            Received::UserStoppedTyping(event) => {
                let typists = self.typing.entry(event.room).or_default();
                if !typists.remove(&event.user_id) {
                    self.contradict(format!("{} stopped typing and had not begun", event.user_id));
                }
            }
            _ => {}
        }
    }

    fn joined(&mut self, room: &str, user: String) {
        if !self.here.entry(room.to_owned()).or_default().insert(user.clone()) {
            self.contradict(format!("{user} joined {room} and had not left"));
        }
    }

    fn left(&mut self, room: &str, user: &str) {
        if !self.here.entry(room.to_owned()).or_default().remove(user) {
            self.contradict(format!("{user} left {room} and had not joined"));
        }
    }

    fn contradict(&mut self, what: String) {
        self.contradiction.get_or_insert(what);
    }

    /// In clear weather, events alone tell who is where, and that nobody types any more.
    pub(super) fn check(&self, room: &str, users: &BTreeSet<String>) {
        assert_eq!(self.contradiction, None);
        let believed = self.here.get(room).cloned().unwrap_or_default();
        assert_eq!(&believed, users, "what events told of who is in {room}, and who is");
        let typists = self.typing.get(room).cloned().unwrap_or_default();
        assert!(typists.is_empty(), "events left {typists:?} typing in {room}");
    }
}

//! For tests: somebody who is in every room they name and writes down what is told there.

use std::sync::{Arc, Mutex};

use tidings_protocol::{Limits, Message, RoomName, UserId};

use crate::event::Event;
use crate::hub::{Doubt, Hub, Inbox};

#[derive(Default)]
pub(crate) struct Listener(Mutex<Vec<Arc<Event>>>);

impl Listener {
    /// A hub with one shard that has members in these rooms.
    pub(crate) fn in_rooms(rooms: &[RoomName]) -> (Arc<Hub>, Arc<Self>) {
        let (hub, listener) = (Arc::new(Hub::new()), Arc::new(Self::default()));
        hub.connect(vec![listener.clone()]);
        for room in rooms {
            hub.enter(room, 0);
        }
        (hub, listener)
    }

    /// What was told since the last call.
    pub(crate) fn take(&self) -> Vec<Arc<Event>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Inbox for Listener {
    fn announce(&self, _: &Arc<Message>) {
        unreachable!("these tests store no messages");
    }

    fn doubt(&self, _: &Arc<Doubt>) {
        unreachable!("these tests lose no messages");
    }

    fn tell(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Arc::clone(event));
    }
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::new(id, &Limits::default()).unwrap()
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::new(name, &Limits::default()).unwrap()
}

//! By what a person listens: a WebSocket, an event stream, or one poll after the other.
//!
//! Who changes from one way to another brings along where it stood, as the contract says. On
//! streams and polls a person only listens.

use serde_json::Value;
use tidings_protocol::server::decode;
use tidings_protocol::{Cursor, Limits, MessageId, RoomName};

use super::{Person, Storm};
use crate::support::client::http;
use crate::support::{Answer, Seen};

/// See the module.
pub(super) enum Way {
    Socket,
    /// What the browser asks for, and what it remembers.
    Feed {
        path: String,
        last_event_id: String,
    },
    /// What the client asks for besides its cursor, which it has from the last answer.
    Poll {
        path: String,
        cursor: String,
    },
}

impl Storm {
    /// By cursor, on any shard, mostly in the way it came before.
    pub(super) fn come_back(&mut self, number: usize) {
        let changes = self.random.chance(40);
        let person = &mut self.people[number];
        person.sent_away = false;
        person.rooms.retain(|_, known| known.is_in());
        if changes || person.rooms.is_empty() {
            person.way = Way::Socket;
            if !person.rooms.is_empty() {
                let rooms: Vec<String> = person.rooms.keys().map(|room| format!("room={room}")).collect();
                let (rooms, cursor) = (rooms.join("&"), cursor(person));
                // Whoever begins at zero is told by one word what the log has lost; polls lack it.
                let from_zero = person.rooms.values().any(|known| known.cursor() == 0);
                match self.random.below(3) {
                    0 => {}
                    2 if from_zero => {}
                    1 => person.way = Way::Feed { path: format!("/events?{rooms}"), last_event_id: cursor },
                    _ => {
                        let batch = 1 + self.random.below(20);
                        let path = format!("/poll/p{number}?{rooms}&timeout_s=1&batch={batch}");
                        person.way = Way::Poll { path, cursor };
                    }
                }
            }
        }
        match &self.people[number].way {
            Way::Socket => self.come_back_by_socket(number),
            Way::Feed { path, last_event_id } => {
                let request = http("GET", path, &[("Last-Event-ID", last_event_id)]);
                self.people[number].id = self.dial(&request);
            }
            Way::Poll { .. } => {
                let request = self.poll(number);
                self.people[number].id = self.dial(&request);
            }
        }
    }

    fn poll(&self, number: usize) -> Vec<u8> {
        let Way::Poll { path, cursor } = &self.people[number].way else { panic!("{number} does not poll") };
        http("GET", &format!("{path}&cursor={cursor}"), &[])
    }

    /// What a browser remembers outlives its connection.
    pub(super) fn remember(&mut self, number: usize) {
        let person = &mut self.people[number];
        let remembered = &self.world.client(person.id).stream.last_event_id;
        if let Way::Feed { last_event_id, .. } = &mut person.way
            && !remembered.is_empty()
        {
            last_event_id.clone_from(remembered);
        }
    }

    /// A poll was answered: the next one follows, mostly on the same connection.
    pub(super) fn answered(&mut self, number: usize, answer: &Answer) {
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        for frame in answer["data"].as_array().expect("a batch was asked for") {
            self.note(number, Seen::Frame(decode(&frame.to_string()).expect("a frame of the contract")));
        }
        let Way::Poll { cursor, .. } = &mut self.people[number].way else { panic!("{number} does not poll") };
        // While a room is not yet there, nothing was told that the old cursor would tell again.
        match &answer["cursor"] {
            Value::String(newer) => cursor.clone_from(newer),
            _ => assert_eq!(answer["data"], Value::Array(Vec::new()), "told, and where it stands is not"),
        }
        let request = self.poll(number);
        if self.random.chance(80) {
            self.world.raw(self.people[number].id, &request);
        } else {
            self.world.client(self.people[number].id).pipe.finish();
            self.people[number].id = self.dial(&request);
        }
    }
}

fn cursor(person: &Person) -> String {
    let name = |room: &str| RoomName::new(room, &Limits::default()).expect("a name");
    let rooms: Vec<_> =
        person.rooms.iter().map(|(room, known)| (name(room), MessageId(known.cursor()))).collect();
    let positions: Vec<_> = rooms.iter().map(|(room, id)| (room, *id)).collect();
    Cursor::encode(&positions)
}

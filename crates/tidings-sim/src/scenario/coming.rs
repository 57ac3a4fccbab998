//! How people come back: by cursor, with or without their session, on any shard, mostly in the way
//! they came before.

use super::Scenario;
use super::person::Way;
use crate::ClientId;
use crate::client::http;

impl Scenario {
    pub(super) fn come_back(&mut self, number: usize) {
        let changes = self.random.chance(40);
        let person = &mut self.people[number];
        person.rooms.retain(|_, known| known.is_in());
        if changes || person.rooms.is_empty() {
            self.choose_way(number);
        }
        let session = self.people[number].session.clone().filter(|_| self.random.chance(70));
        let id = match self.people[number].way {
            Way::Socket => self.come_back_by_socket(number, session.as_deref()),
            Way::Feed { .. } => self.come_back_by_feed(number, session.as_deref()),
            Way::Poll { .. } => {
                let request = self.poll(number, session.as_deref());
                self.dial(&request)
            }
        };
        self.trace.note(|| format!("{number} comes back as {id:?} with {session:?}"));
        let person = &mut self.people[number];
        person.claims += usize::from(session.is_some() || matches!(person.way, Way::Poll { .. }));
        person.begins(id);
    }

    fn choose_way(&mut self, number: usize) {
        let choice = self.random.below(3);
        let batch = 1 + self.random.below(20);
        let person = &mut self.people[number];
        let mut query: Vec<String> = person.rooms.keys().map(|room| format!("room={room}")).collect();
        query.extend(person.user.map(|user| format!("user_id={user}")));
        let query = query.join("&");
        person.way = match choice {
            1 if !person.rooms.is_empty() => {
                Way::Feed { path: format!("/events?{query}"), last_event_id: person.cursor() }
            }
            2 if !person.rooms.is_empty() => Way::Poll {
                path: format!("/poll/p{number}?{query}&timeout_s=1&batch={batch}"),
                cursor: person.cursor(),
            },
            _ => Way::Socket,
        };
    }

    fn come_back_by_socket(&mut self, number: usize, session: Option<&str>) -> ClientId {
        let id = self.dial_socket("/ws");
        let person = &self.people[number];
        let positions = person.rooms.iter().map(|(room, known)| format!(r#""{room}":{}"#, known.cursor()));
        let positions = positions.collect::<Vec<_>>().join(",");
        let word = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| format!(r#""{name}":"{value}","#))
        };
        let (session, user) = (word("session_id", session), word("user_id", person.user));
        let hello =
            format!(r#"{{"type":"hello",{session}{user}"positions":{{{positions}}},"rooms":["nowhere"]}}"#);
        self.world.send(id, &hello);
        id
    }

    fn come_back_by_feed(&mut self, number: usize, session: Option<&str>) -> ClientId {
        let Way::Feed { path, last_event_id } = &self.people[number].way else {
            panic!("{number} has no feed")
        };
        let path = with_session(path, session);
        let request = http("GET", &path, &[("Last-Event-ID", last_event_id)]);
        self.dial(&request)
    }

    /// The request of somebody who polls.
    pub(super) fn poll(&self, number: usize, session: Option<&str>) -> Vec<u8> {
        let Way::Poll { path, cursor } = &self.people[number].way else { panic!("{number} does not poll") };
        http("GET", &with_session(&format!("{path}&cursor={cursor}"), session), &[])
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
}

fn with_session(path: &str, session: Option<&str>) -> String {
    session.map_or_else(|| path.to_owned(), |session| format!("{path}&session_id={session}"))
}

//! What people make of what they are told.

use serde_json::Value;
use tidings_core::SlowConsumerPolicy;
use tidings_protocol::server::{MessageBody, Received, Session, decode};

use super::known::Known;
use super::person::Way;
use super::{ROOMS, Scenario};
use crate::{Answer, Seen};

/// Codes that tell to come back: too slow, silent for too long, the session is elsewhere by now.
const TOO_SLOW: u16 = 1_013;
const SILENT: u16 = 4_001;
const SUPERSEDED: u16 = 4_000;
/// The `ref` of a `leave` by somebody who may be out already.
const IN_ANY_CASE: &str = "in any case";

impl Scenario {
    /// A person sees something on the connection it has.
    pub(super) fn note(&mut self, number: usize, seen: Seen) {
        self.trace.detail(|| format!("{number} sees {seen:?}"));
        self.noted += usize::from(matches!(seen, Seen::Frame(_)));
        match seen {
            Seen::Http(answer) => self.answered(number, &answer),
            Seen::Frame(frame) => {
                self.people[number].is_greeted = true;
                self.frame(number, frame);
            }
            Seen::Close(code, reason) => {
                let too_slow =
                    self.weather.policies.values().any(|&policy| policy == SlowConsumerPolicy::Close);
                // Two of its own connections may ask for its session in either order.
                let has_rivals = self.people[number].claims > 1;
                assert!(
                    (code == TOO_SLOW && too_slow) || code == SILENT || (code == SUPERSEDED && has_rivals),
                    "{number} is closed with {code} {reason}"
                );
                self.people[number].sent_away = Some(code);
            }
            Seen::End => {
                let person = &self.people[number];
                // What was not yet let in may have taken too long, and a connection between two polls too.
                let is_to_expect = person.sent_away.is_some()
                    || !person.is_greeted
                    || matches!(person.way, Way::Poll { .. });
                assert!(is_to_expect, "{number} was not told why it is sent away");
                self.come_back(number);
            }
            _ => {}
        }
    }

    fn frame(&mut self, number: usize, frame: Received) {
        match frame {
            Received::Session(session) => self.begins(number, session),
            Received::Message(message) => self.see(number, &message),
            Received::Restore(restore) => {
                self.knows(number, &restore.room, |known| known.restore(&restore));
                restore.messages.iter().for_each(|message| self.see(number, message));
            }
            Received::Joined(joined) => self.knows(number, &joined.room, |known| known.join(&joined)),
            Received::Gap(gap) => self.knows(number, &gap.room, |known| known.lose(&gap)),
            // It was out already when it heard that it might be in.
            Received::Error(error) if error.reference.as_deref() == Some(IN_ANY_CASE) => {
                assert_eq!(error.code, "not_in_room");
            }
            Received::Error(error) => panic!("{number} is told {error:?}"),
            _ => {}
        }
    }

    fn begins(&mut self, number: usize, session: Session) {
        let person = &mut self.people[number];
        assert_eq!(session.user_id.as_deref(), person.user, "{number} is somebody else");
        person.session = Some(session.session_id);
        // It may have joined and not heard of it, or left and the word was lost.
        let also_in = ROOMS.into_iter().filter(|&room| {
            session.rooms.iter().any(|name| name == room) && !person.rooms.contains_key(room)
        });
        let also_in: Vec<_> = also_in.collect();
        if matches!(person.way, Way::Socket) {
            let id = person.id;
            for room in also_in {
                self.world.send(id, &format!(r#"{{"type":"leave","room":"{room}","ref":"{IN_ANY_CASE}"}}"#));
            }
        } else {
            person.also_in.extend(also_in);
        }
    }

    fn see(&mut self, number: usize, message: &MessageBody) {
        self.knows(number, &message.room, |known| known.see(message.id));
        let said = self.said.iter_mut().find(|(room, _)| **room == message.room);
        said.expect("nobody is elsewhere").1.insert(message.id, message.key.as_deref().map(Into::into));
    }

    fn knows(&mut self, number: usize, room: &str, learn: impl FnOnce(&mut Known)) {
        // Who has just left hears the rest.
        self.people[number].rooms.get_mut(room).map(learn);
    }

    /// A request was answered: a poll, of which the next one follows, mostly on the same
    /// connection, or something that could not be had.
    fn answered(&mut self, number: usize, answer: &Answer) {
        if answer.status != 200 {
            // It took too long to say, or to be found out, or it was overtaken by an earlier one.
            let is_to_expect = match answer.status {
                408 | 503 => true,
                409 => self.people[number].claims > 1,
                _ => false,
            };
            assert!(is_to_expect, "{number} is told {answer:?}");
            return self.come_back(number);
        }
        let answer = answer.json();
        for frame in answer["data"].as_array().expect("a batch was asked for") {
            self.note(number, Seen::Frame(decode(&frame.to_string()).expect("a frame of the contract")));
        }
        self.people[number].session = answer["session_id"].as_str().map(str::to_owned);
        let moves = |frame: &&Value| frame["type"] == "message" || frame["type"] == "gap";
        let told = answer["data"].as_array().into_iter().flatten().find(moves);
        let person = &mut self.people[number];
        let own_cursor = person.cursor();
        let Way::Poll { cursor, .. } = &mut person.way else { panic!("{number} does not poll") };
        match (&answer["cursor"], told) {
            (Value::String(newer), _) => cursor.clone_from(newer),
            // While a room is not yet there, nothing was told that the old cursor would tell again.
            (_, None) => {}
            // Another poll of its own took over. What that one is answered may be lost, so it goes by what it has.
            (_, told) => {
                assert!(person.claims > 1, "told {told:?}, and where it stands is not");
                *cursor = own_cursor;
            }
        }
        let session = self.people[number].session.clone().filter(|_| self.random.chance(50));
        let request = self.poll(number, session.as_deref());
        let id = self.people[number].id;
        if self.random.chance(80) {
            self.world.raw(id, &request);
        } else {
            self.world.client(id).pipe.finish();
            let id = self.dial(&request);
            self.people[number].begins(id);
        }
    }
}

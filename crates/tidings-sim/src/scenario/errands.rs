//! What sessions say by POST, whether they have a connection or are away. An answer that is lost
//! is asked for again, as the contract says, with the same `ref`.
//!
//! Refuses a message that is stored twice, and an `ack` of another message.

use std::collections::{BTreeMap, BTreeSet};

use tidings_protocol::{Message, Payload};

use super::Scenario;
use super::known::Known;
use crate::client::post;
use crate::{Answer, ClientId, Seen};

const TRIES_MAX: usize = 3;
/// Why it need not have been done: nobody knows the session any more, it moved too often, or it
/// took too long.
const EXCUSES: [&str; 4] = ["session_unknown", "superseded", "engine_unavailable", "timeout"];

struct Errand {
    id: ClientId,
    path: String,
    body: String,
    /// What is said, which nobody says twice.
    words: Option<String>,
    tries: usize,
}

/// Those under way, and what became of the others.
#[derive(Default)]
pub(super) struct Errands {
    under_way: Vec<Errand>,
    begun: usize,
    stored: BTreeMap<String, BTreeSet<u64>>,
    acknowledged: BTreeMap<String, u64>,
}

impl Errands {
    /// The log holds a message.
    pub(super) fn stored(&mut self, message: &Message) {
        if let Payload::Text(text) = &message.payload
            && text.starts_with("errand ")
        {
            let ids = self.stored.entry(text.to_string()).or_default();
            ids.insert(message.id.0);
            assert_eq!(ids.len(), 1, "{text} was said once and stored twice: {ids:?}");
        }
    }

    /// The node is gone, and with it whoever would recognise what was said before.
    pub(super) fn give_up(&mut self) {
        self.under_way.clear();
    }

    pub(super) fn check(&self) {
        for (words, id) in &self.acknowledged {
            let stored = self.stored.get(words);
            assert!(
                stored.is_none_or(|ids| ids.contains(id)),
                "{words}: {id} acknowledged, {stored:?} stored"
            );
        }
    }
}

impl Scenario {
    pub(super) fn say_by_post(&mut self, number: usize, room: &'static str) {
        let person = &self.people[number];
        let Some(session) = &person.session else { return };
        let path = format!("/sessions/{session}/send");
        let is_in = person.rooms.get(room).is_some_and(Known::is_in);
        let types = person.user.is_some() && is_in && self.random.chance(30);
        self.errands.begun += 1;
        let words = (!types).then(|| format!("errand {}", self.errands.begun));
        let body = match &words {
            Some(words) => {
                format!(r#"{{"type":"message","room":"{room}","text":"{words}","ref":"{words}"}}"#)
            }
            None => format!(r#"{{"type":"typing_start","room":"{room}"}}"#),
        };
        self.trace.note(|| format!("{number} posts {body}"));
        let id = self.dial(&post(&path, &body));
        self.errands.under_way.push(Errand { id, path, body, words, tries: 1 });
    }

    pub(super) fn look_at_errands(&mut self) {
        for mut errand in std::mem::take(&mut self.errands.under_way) {
            if self.random.chance(3) {
                self.world.client(errand.id).pipe.reset();
            }
            self.world.client(errand.id).look(usize::MAX);
            let answer = match self.world.take(errand.id).into_iter().next() {
                None => {
                    self.errands.under_way.push(errand);
                    continue;
                }
                Some(Seen::Http(answer)) => Some(answer),
                Some(Seen::End | Seen::Reset) => None,
                Some(other) => panic!("an errand is told {other:?}"),
            };
            self.world.client(errand.id).pipe.finish();
            let is_over = answer.is_some_and(|answer| self.errands.answered(&errand, &answer));
            if !is_over && errand.words.is_some() && errand.tries < TRIES_MAX {
                errand.id = self.dial(&post(&errand.path, &errand.body));
                errand.tries += 1;
                self.errands.under_way.push(errand);
            }
        }
    }
}

impl Errands {
    /// Says whether it need not be tried again.
    fn answered(&mut self, errand: &Errand, answer: &Answer) -> bool {
        match (answer.status, &errand.words) {
            (200, Some(words)) => {
                let id = answer.json()["id"].as_u64().expect("an ack has an id");
                let before = *self.acknowledged.entry(words.clone()).or_insert(id);
                assert_eq!(before, id, "{words} was acknowledged twice");
                true
            }
            (204, None) => true,
            _ => {
                let code = answer.code();
                // Its session may have been let in to fewer rooms meanwhile.
                let excused =
                    EXCUSES.contains(&code.as_str()) || (errand.words.is_none() && code == "not_in_room");
                assert!(excused, "{} is refused: {answer:?}", errand.body);
                false
            }
        }
    }
}

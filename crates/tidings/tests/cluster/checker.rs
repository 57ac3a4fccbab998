//! What a subscriber was given, and whether that is right.

use std::collections::{BTreeMap, BTreeSet};

/// A message that its publisher was told is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) room: String,
    pub(crate) id: u64,
    pub(crate) text: String,
}

/// What a subscriber was told may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) after: u64,
    pub(crate) before: u64,
    pub(crate) reason: String,
}

/// All that one subscriber of one room was given.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    pub(crate) room: String,
    /// Where it began to listen.
    pub(crate) start: u64,
    /// Where it stands.
    pub(crate) position: u64,
    pub(crate) messages: Vec<(u64, String)>,
    pub(crate) gaps: Vec<Gap>,
    /// How often it connected.
    pub(crate) connections: usize,
}

impl Record {
    pub(crate) fn was_rolled_back(&self) -> bool {
        self.gaps.iter().any(|gap| gap.reason == "rolled_back")
    }

    pub(crate) fn has_gap_over(&self, id: u64) -> bool {
        self.gaps.iter().any(|gap| gap.after < id && id < gap.before)
    }

    /// Holds the record against what was stored. The subscriber has caught up with all of that.
    pub(crate) fn check(&self, stored: &[Stored]) {
        let ids: Vec<_> = self.messages.iter().map(|(id, _)| *id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once: {ids:?}");
        let texts: BTreeSet<_> = self.messages.iter().map(|(_, text)| text).collect();
        assert_eq!(texts.len(), ids.len(), "no text twice");
        let given: BTreeMap<_, _> = self.messages.iter().map(|(id, text)| (*id, text)).collect();
        for message in stored.iter().filter(|message| message.room == self.room && message.id > self.start) {
            match given.get(&message.id) {
                Some(text) => assert_eq!(**text, message.text, "one id is one message"),
                None => assert!(
                    self.has_gap_over(message.id),
                    "{message:?} is missing without a word: {:?}, from {} to {}",
                    self.gaps,
                    self.start,
                    self.position,
                ),
            }
        }
    }
}

/// No id was given out twice in a room.
pub(crate) fn check_ids(stored: &[Stored]) {
    let mut known = BTreeMap::new();
    for message in stored {
        let other = known.insert((&message.room, message.id), &message.text);
        assert!(other.is_none(), "{message:?} has the id of {other:?}");
    }
}

//! Where the client stands in each of its rooms: the cursor that decides what is new, what was seen and what to ask
//! for after a reconnect. Pure. Refuses a message that is not behind its cursor, which is how duplicates end.

use std::collections::BTreeMap;

use crate::options::Start;

/// A cursor per room.
#[derive(Debug, Default)]
pub(crate) struct Positions(BTreeMap<String, Place>);

#[derive(Debug, Default)]
struct Place {
    /// The id last delivered; `None` for a room that is wanted live and has not said yet where that begins.
    cursor: Option<u64>,
    /// The gap last told, as the ids around it: a server may say one both in `gap` and in `restore`.
    gap: Option<(u64, Option<u64>)>,
}

impl Positions {
    pub(crate) fn new(rooms: &[(String, Start)]) -> Self {
        let mut positions = Self::default();
        rooms.iter().for_each(|(room, start)| positions.join(room, *start));
        positions
    }

    /// Joining again changes nothing, here as on the server.
    pub(crate) fn join(&mut self, room: &str, start: Start) {
        let cursor = match start {
            Start::Live => None,
            Start::After(id) => Some(id),
        };
        self.0.entry(room.to_owned()).or_insert(Place { cursor, gap: None });
    }

    pub(crate) fn leave(&mut self, room: &str) {
        self.0.remove(room);
    }

    /// Every room, with its cursor if that is known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        self.0.iter().map(|(room, place)| (room.as_str(), place.cursor))
    }

    pub(crate) fn cursor(&self, room: &str) -> Option<u64> {
        self.0.get(room).and_then(|place| place.cursor)
    }

    /// The server said where a subscription begins; counts only while nothing else is known.
    pub(crate) fn learn_start(&mut self, room: &str, id: u64) {
        if let Some(place) = self.0.get_mut(room) {
            place.cursor.get_or_insert(id);
        }
    }

    /// The server said where the client stands although no message may have come: a room that was
    /// empty is not "from the beginning" any more.
    pub(crate) fn advance(&mut self, room: &str, id: u64) {
        if let Some(place) = self.0.get_mut(room) {
            place.cursor = place.cursor.max(Some(id));
        }
    }

    /// Whether the message is new; moves the cursor if so. What comes from a room one is not in, or before a live
    /// room said where it begins, was on its way when that was decided.
    pub(crate) fn accept(&mut self, room: &str, id: u64) -> bool {
        // Nobody joins a user's own room: its first message says where it begins.
        if room.starts_with('@') {
            self.join(room, Start::Live);
            self.learn_start(room, id.saturating_sub(1));
        }
        match self.0.get_mut(room).and_then(|place| place.cursor.as_mut()) {
            Some(cursor) if id > *cursor => {
                *cursor = id;
                true
            }
            _ => false,
        }
    }

    /// Whether a gap is news. A log that was rolled back moves a cursor that stands in the gap back, or all that follows
    /// would count as seen. A cursor behind the gap stays: what it counts as seen is in the log.
    pub(crate) fn accept_gap(&mut self, room: &str, after: u64, before: Option<u64>, reason: &str) -> bool {
        let Some(place) = self.0.get_mut(room) else { return false };
        let is_behind = before.is_some_and(|before| place.cursor >= Some(before));
        if reason == "rolled_back" && !is_behind {
            let back = before.map_or(after, |before| after.min(before.saturating_sub(1)));
            place.cursor = place.cursor.map(|cursor| cursor.min(back));
        }
        let news = place.gap.is_none_or(|(told_after, told_before)| {
            told_after != after || (told_before.is_some() && before.is_some() && told_before != before)
        });
        place.gap = Some((after, before));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cursor: u64) -> Positions {
        Positions::new(&[("a".to_owned(), Start::After(cursor))])
    }

    #[test]
    fn a_message_is_delivered_once() {
        let mut positions = at(5);
        assert!(!positions.accept("a", 5));
        assert!(positions.accept("a", 7));
        assert!(!positions.accept("a", 7));
        assert!(!positions.accept("a", 6));
        assert_eq!(positions.cursor("a"), Some(7));
    }

    #[test]
    fn a_live_room_begins_where_the_server_says_and_not_before() {
        let mut positions = Positions::new(&[("a".to_owned(), Start::Live)]);
        assert!(!positions.accept("a", 8));
        positions.learn_start("a", 9);
        positions.learn_start("a", 12);
        positions.join("a", Start::Live);
        assert_eq!(positions.cursor("a"), Some(9));
        assert!(positions.accept("a", 10));
    }

    #[test]
    fn one_gap_is_told_once_even_if_the_server_says_it_twice() {
        let mut positions = at(5);
        assert!(positions.accept_gap("a", 5, Some(9), "expired"));
        assert!(!positions.accept_gap("a", 5, None, "expired"));
        assert!(positions.accept_gap("a", 9, Some(12), "expired"));
    }

    #[test]
    fn after_a_rollback_the_messages_with_smaller_ids_are_new() {
        let mut positions = at(1_000);
        assert!(positions.accept_gap("a", 40, Some(1_050), "rolled_back"));
        assert!(positions.accept("a", 50));
    }

    #[test]
    fn a_loss_long_ago_does_not_bring_back_what_was_seen_since() {
        let mut positions = at(1_000);
        assert!(positions.accept_gap("a", 40, Some(50), "rolled_back"));
        assert_eq!(positions.cursor("a"), Some(1_000));
        assert!(!positions.accept("a", 60));
    }
}

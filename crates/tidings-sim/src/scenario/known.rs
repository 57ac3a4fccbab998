//! What one person knows of a room, whichever connection it had: what it saw, and what it was told that it lost.
//!
//! Owned by the person. Refuses what comes twice or late.

use std::collections::{BTreeMap, BTreeSet};

use tidings_protocol::server::{Gap, Joined, Restore};

/// What was said in a room: the messages' keys by their ids.
pub(super) type Said = BTreeMap<u64, Option<Box<str>>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// From where on it may expect everything. `None` until it was let in.
    since: Option<u64>,
    cursor: u64,
    /// Every id it saw, and every stretch in which it was told that something may be lost.
    seen: BTreeSet<u64>,
    gaps: Vec<(u64, u64)>,
}

impl Known {
    /// Whether it is surely in the room.
    pub(super) fn is_in(&self) -> bool {
        self.since.is_some()
    }

    /// With which position it comes back.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// It is told where the room begins for it, or goes on.
    pub(super) fn join(&mut self, joined: &Joined) {
        if self.since.is_none() {
            self.since = Some(joined.last_message_id);
            self.cursor = joined.last_message_id;
        } else if joined.recovered == Some(false) {
            // A `gap` follows, but the connection may break before it comes.
            self.goes_on_after(joined.last_message_id);
        }
    }

    /// A message came. What comes before it was let in is from an earlier stay.
    pub(super) fn see(&mut self, id: u64) {
        if !self.is_in() {
            return;
        }
        assert!(self.seen.last().is_none_or(|&last| id > last), "{id} twice or late");
        self.seen.insert(id);
        self.cursor = self.cursor.max(id);
    }

    /// It came back.
    pub(super) fn restore(&mut self, restore: &Restore) {
        if self.is_in() && !restore.recovered {
            let first = restore.messages.first().map(|message| message.id - 1);
            self.goes_on_after(first.unwrap_or(restore.last_message_id));
        }
    }

    /// It is told that it did not get everything up to here.
    fn goes_on_after(&mut self, id: u64) {
        self.gaps.push((self.cursor, id + 1));
        self.cursor = self.cursor.max(id);
    }

    /// It is told that something may be lost.
    pub(super) fn lose(&mut self, gap: &Gap) {
        assert!(gap.after < gap.before, "{gap:?}");
        self.cursor = self.cursor.max(gap.before - 1);
        self.gaps.push((gap.after, gap.before));
    }

    /// What was said while it was in, and it neither has nor was told to have lost. Where only the latest counts, a
    /// newer message that it has or knows of stands for the older ones of its key.
    pub(super) fn silently_lost(&self, said: &Said, latest_counts: bool) -> Vec<u64> {
        let Some(since) = self.since else { return Vec::new() };
        let is_told = |id| self.gaps.iter().any(|&(after, before)| after < id && id < before);
        let mut replaced = BTreeSet::new();
        let mut lost = Vec::new();
        for (&id, key) in said.range(since + 1..).rev() {
            if self.seen.contains(&id) || is_told(id) {
                replaced.insert(key);
            } else if !(latest_counts && replaced.contains(key)) {
                lost.push(id);
            }
        }
        lost
    }
}

//! The names that things have in Redis. They are part of the contract with other programs, see
//! `docs/redis.md`.
//!
//! What one script touches has one tag in braces, so that a Cluster has it in one slot. Refuses names
//! that only one server alone could serve.

use tidings_core::engine::IdempotencyKey;
use tidings_protocol::{RoomName, UserId};

use crate::slots::Slot;

/// Sessions lie in so many groups, each with all that its scripts touch. More make less wait while a
/// Cluster moves one of them; fewer make it cheaper to bury a node.
pub(crate) const SESSION_GROUPS: u16 = 64;

/// Makes names under a prefix, so that several systems can share a server.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Box<str>,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The room's log, a stream whose ids are `<message id>-0`.
    pub(crate) fn log(&self, room: &RoomName) -> String {
        self.of(room, "log")
    }

    /// What is known of the room, a hash.
    pub(crate) fn meta(&self, room: &RoomName) -> String {
        self.of(room, "meta")
    }

    /// Where the room's messages are announced, a channel.
    pub(crate) fn channel(&self, room: &RoomName) -> String {
        self.of(room, "live")
    }

    /// The room that a channel is for.
    pub(crate) fn room_of<'a>(&self, channel: &'a str) -> Option<&'a str> {
        let tagged = channel.strip_prefix(&*self.prefix)?.strip_prefix(":{")?.strip_suffix("}:live")?;
        Some(if begins_empty(tagged) { tagged.strip_prefix(FILL)? } else { tagged })
    }

    /// Where all that is of a room lies in a Cluster.
    pub(crate) fn slot(&self, room: &RoomName) -> Slot {
        Slot::of(self.of(room, "").as_bytes())
    }

    /// What an idempotency key stored, a string.
    pub(crate) fn idempotency(&self, room: &RoomName, key: &IdempotencyKey) -> String {
        let session = key.session.map(|session| session.to_string()).unwrap_or_default();
        self.of(room, &format!("ref:{session}:{}", key.reference))
    }

    /// The names of the rooms that have a log on this server, a sorted set.
    pub(crate) fn index(&self) -> String {
        format!("{}:rooms", self.prefix)
    }

    /// Where other nodes write to a node, a channel.
    pub(crate) fn letters(&self, node: &str) -> String {
        format!("{}:letters:{node}", self.prefix)
    }

    /// What a node says to itself, to hear whether the path works, a channel. Any tag does.
    pub(crate) fn probe(&self, tag: u32, node: &str) -> String {
        format!("{}:{{{tag}}}:probe:{node}", self.prefix)
    }

    /// All nodes, a set.
    pub(crate) fn nodes(&self) -> String {
        format!("{}:{{nodes}}", self.prefix)
    }

    /// There while a node lives, a string: what it says of itself, as JSON.
    pub(crate) fn lease(&self, node: &str) -> String {
        format!("{}:{{nodes}}:{node}", self.prefix)
    }

    /// Users of a room, a sorted set in the order of their names.
    pub(crate) fn here(&self, room: &RoomName) -> String {
        self.of(room, "here")
    }

    /// Those that a node has, a hash from user to connections.
    pub(crate) fn here_by(&self, room: &RoomName, node: &str) -> String {
        self.of(room, &format!("here:{node}"))
    }

    /// Nodes that have users in a room, a set.
    pub(crate) fn nodes_in(&self, room: &RoomName) -> String {
        self.of(room, "nodes")
    }

    /// Rooms in which a node has users, a set.
    pub(crate) fn rooms_of(&self, node: &str) -> String {
        format!("{}:node:{node}:rooms", self.prefix)
    }

    /// There for the grace after a node stopped, a string: its users count as there until it ends.
    pub(crate) fn leaving(&self, node: &str) -> String {
        format!("{}:{{nodes}}:{node}:leaving", self.prefix)
    }

    /// There while a user is online, a hash: its fields are the nodes by which they are, its values `1`.
    /// Other programs may look whether it exists; after a node was killed that may be late by
    /// `presence_ttl_ms`.
    pub(crate) fn online(&self, user: &UserId) -> String {
        self.of(&RoomName::of_user(user), "online")
    }

    /// Who types in a room, a sorted set scored by when that ends.
    pub(crate) fn typing(&self, room: &RoomName) -> String {
        self.of(room, "typing")
    }

    /// A session, a hash: `owner` (the node that has it, or empty), `record` (what it has, as JSON),
    /// `user`, `began` (ms since 1970). An empty id gives what the names in the group begin with.
    pub(crate) fn session(&self, group: u16, id: &str) -> String {
        format!("{}:{{s{group}}}:session:{id}", self.prefix)
    }

    /// The sessions of a group that a node has, a set.
    pub(crate) fn sessions_of(&self, group: u16, node: &str) -> String {
        format!("{}:{{s{group}}}:node:{node}", self.prefix)
    }

    /// There for a session's window after a user was disconnected, a string: when (ms since 1970).
    /// Sessions of the group that began before are over.
    pub(crate) fn ended(&self, group: u16, user: &str) -> String {
        format!("{}:{{s{group}}}:ended:{user}", self.prefix)
    }

    /// In braces the part that a Cluster hashes, so that a room's keys lie together.
    fn of(&self, room: &RoomName, what: &str) -> String {
        let fill = if begins_empty(room.as_str()) { FILL } else { "" };
        format!("{}:{{{fill}{room}}}:{what}", self.prefix)
    }
}

/// Put before a room's name that would leave nothing between the braces.
const FILL: &str = "!";

/// Whether a Cluster would find an empty tag before the name's first closing brace, and then hash the whole
/// key; or whether the name could be taken for one that was filled because of that.
fn begins_empty(name: &str) -> bool {
    name.trim_start_matches(FILL).starts_with('}')
}

/// The group that a session belongs to, by its id.
pub(crate) fn session_group(id: &str) -> u16 {
    Slot::of(id.as_bytes()).number() % SESSION_GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;

    #[test]
    fn a_channel_tells_its_room_whatever_the_name() {
        let keys = Keys::new("tidings");
        for name in ["general", "}:live", "!}:live", "!!}", "!a", "{a}", ":", "ä b"] {
            let room = RoomName::new(name, &Limits::default()).unwrap();
            assert_eq!(keys.room_of(&keys.channel(&room)), Some(name));
        }
        assert_eq!(keys.room_of("other:{general}:live"), None);
        assert_eq!(keys.room_of("tidings:letters:a"), None);
    }

    #[test]
    fn all_that_is_of_a_room_lies_in_one_slot_whatever_the_name() {
        let keys = Keys::new("tidings");
        for name in ["general", "}", "}a}", "!}a", "{", "{}", "a}b{c}"] {
            let room = RoomName::new(name, &Limits::default()).unwrap();
            let names = [keys.log(&room), keys.meta(&room), keys.channel(&room), keys.here_by(&room, "n{1}")];
            for name in names {
                assert_eq!(Slot::of(name.as_bytes()), keys.slot(&room), "{name}");
            }
        }
    }

    #[test]
    fn what_is_of_a_group_of_sessions_lies_in_one_slot() {
        let keys = Keys::new("tidings");
        let group = session_group("0123");
        assert!(group < SESSION_GROUPS);
        let names = [keys.session(group, "0123"), keys.sessions_of(group, "a"), keys.ended(group, "ana")];
        let slots = names.map(|name| Slot::of(name.as_bytes()));
        assert!(slots.iter().all(|slot| *slot == slots[0]));
    }
}

//! The names that a room has in Redis. They are part of the contract with other programs, see
//! `docs/redis.md`.

use tidings_core::engine::IdempotencyKey;
use tidings_protocol::{RoomName, UserId};

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
        channel.strip_prefix(&*self.prefix)?.strip_prefix(":{")?.strip_suffix("}:live")
    }

    /// What an idempotency key stored, a string.
    pub(crate) fn idempotency(&self, room: &RoomName, key: &IdempotencyKey) -> String {
        let session = key.session.map(|session| session.to_string()).unwrap_or_default();
        format!("{}:{{{room}}}:ref:{session}:{}", self.prefix, key.reference)
    }

    /// The names of the rooms that have a log on this server, a sorted set.
    pub(crate) fn index(&self) -> String {
        format!("{}:rooms", self.prefix)
    }

    /// Where a node is written to: letters of other nodes, and nothing but its own name by itself, to
    /// hear whether the path works.
    pub(crate) fn letters(&self, node: &str) -> String {
        format!("{}:letters:{node}", self.prefix)
    }

    /// All nodes, a set.
    pub(crate) fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// There while a node lives, a string: what it says of itself, as JSON.
    pub(crate) fn lease(&self, node: &str) -> String {
        format!("{}:node:{node}", self.prefix)
    }

    /// Users of a room, a sorted set in the order of their names.
    pub(crate) fn here(&self, room: &RoomName) -> String {
        self.of(room, "here")
    }

    /// Those that a node has, a hash from user to connections.
    pub(crate) fn here_by(&self, room: &RoomName, node: &str) -> String {
        format!("{}:{{{room}}}:here:{node}", self.prefix)
    }

    /// Nodes that have users in a room, a set.
    pub(crate) fn nodes_in(&self, room: &RoomName) -> String {
        self.of(room, "nodes")
    }

    /// Rooms in which a node has users, a set.
    pub(crate) fn rooms_of(&self, node: &str) -> String {
        format!("{}:node:{node}:rooms", self.prefix)
    }

    /// There after users of a node were told to have left because its lease had ended, until they are
    /// entered again, or for a day; a string.
    pub(crate) fn reaped(&self, node: &str) -> String {
        format!("{}:node:{node}:reaped", self.prefix)
    }

    /// There for the grace after a node stopped, a string: its users count as there until it ends.
    pub(crate) fn leaving(&self, node: &str) -> String {
        format!("{}:node:{node}:leaving", self.prefix)
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

    /// What all names begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A session, a hash: `owner` (the node that has it, or empty), `record` (what it has, as JSON),
    /// `user`, `began` (ms since 1970).
    pub(crate) fn session(&self, id: &str) -> String {
        format!("{}:session:{id}", self.prefix)
    }

    /// The sessions that a node has, a set.
    pub(crate) fn sessions_of(&self, node: &str) -> String {
        format!("{}:node:{node}:sessions", self.prefix)
    }

    /// There for a session's window after a user was disconnected, a string: when (ms since 1970).
    /// Sessions that began before are over.
    pub(crate) fn ended(&self, user: &str) -> String {
        format!("{}:ended:{user}", self.prefix)
    }

    /// In braces the part that a Cluster hashes, so that a room's keys lie together.
    fn of(&self, room: &RoomName, what: &str) -> String {
        format!("{}:{{{room}}}:{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;

    #[test]
    fn a_channel_tells_its_room_whatever_the_name() {
        let keys = Keys::new("tidings");
        for name in ["general", "}:live", "{a}", ":", "ä b"] {
            let room = RoomName::new(name, &Limits::default()).unwrap();
            assert_eq!(keys.room_of(&keys.channel(&room)), Some(name));
        }
        assert_eq!(keys.room_of("other:{general}:live"), None);
        assert_eq!(keys.room_of("tidings:letters:a"), None);
    }
}

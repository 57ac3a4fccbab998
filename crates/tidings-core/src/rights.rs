//! Who a client is and what it may do: a value, whoever made it.
//!
//! While authentication is off, the path, the query or the `hello` names the user.

use tidings_protocol::{RoomName, UserId};

/// A client's identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user; `None` is a guest.
    pub user: Option<UserId>,
}

impl Identity {
    /// The user's own room.
    pub fn own_room(&self) -> Option<RoomName> {
        self.user.as_ref().map(RoomName::of_user)
    }

    /// Whether the client may join, read and write a room: every one but other users' own.
    pub fn may_use(&self, room: &RoomName) -> bool {
        !room.is_of_a_user() || self.own_room().as_ref() == Some(room)
    }
}

//! Events: what is told to those who are there, and never stored.
//!
//! An event has no id and no place in a log. Whoever reads too slowly is spared it; whoever comes
//! later asks for the present state instead.

use tidings_protocol::{RoomName, ServerFrame, UserId};

/// Something that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where.
    pub room: RoomName,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A user began to type.
    Typing(UserId),
    /// A user ceased to type.
    StoppedTyping(UserId),
    /// A user's first connection came in.
    Joined(UserId),
    /// A user's last connection went out, and none came back within the grace.
    Left(UserId),
    /// The same for a big room, where each one's coming and going would be too many events.
    Changed(Changes),
}

/// What changed in a big room since the last event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Users who are in now.
    pub users: usize,
    /// Users who came in and are still there.
    pub joined: usize,
    /// Users who went out and have stayed away.
    pub left: usize,
    /// Some of those who came in, at most `presence_names_max`.
    pub joined_names: Vec<UserId>,
    /// Some of those who went out, at most `presence_names_max`.
    pub left_names: Vec<UserId>,
}

impl Event {
    /// The user whose own connections need not be told.
    pub fn author(&self) -> Option<&UserId> {
        match &self.kind {
            EventKind::Typing(user)
            | EventKind::StoppedTyping(user)
            | EventKind::Joined(user)
            | EventKind::Left(user) => Some(user),
            EventKind::Changed(_) => None,
        }
    }

    /// What the members are told.
    pub fn frame(&self) -> ServerFrame<'_> {
        let room = &self.room;
        match &self.kind {
            EventKind::Typing(user) => ServerFrame::UserTyping { room, user },
            EventKind::StoppedTyping(user) => ServerFrame::UserStoppedTyping { room, user },
            EventKind::Joined(user) => ServerFrame::UserJoined { room, user },
            EventKind::Left(user) => ServerFrame::UserLeft { room, user },
            EventKind::Changed(Changes { users, joined, left, joined_names, left_names }) => {
                ServerFrame::PresenceChanged {
                    room,
                    users: *users,
                    joined: *joined,
                    left: *left,
                    joined_names,
                    left_names,
                }
            }
        }
    }
}

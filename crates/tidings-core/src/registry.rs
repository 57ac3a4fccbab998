//! What nodes that share a store know together of people: who is in a room, who is online, who types.
//!
//! Implemented beside an engine that several nodes share. The node's own tables count connections and
//! report what changed; the registry tells them what changed on any node, their own changes too. A
//! node without one is alone, and its tables say all there is.

use tidings_protocol::{RoomName, UserId};

use crate::engine::{Completion, Timestamp};
use crate::presence::RoomPresence;

/// See the module. Reports come under the lock of the table that they are about: they must be short and
/// must not call back. They say whom to look at and not what to find there, so that the registry may
/// take several at once, and each again.
pub trait Registry: Send + Sync + 'static {
    /// A user's connections to a room changed in number on this node, see
    /// [`Presence::connections`](crate::Presence::connections).
    fn changed(&self, room: &RoomName, user: &UserId);

    /// A user came online on this node or went offline, see
    /// [`Presence::is_online_here`](crate::Presence::is_online_here).
    fn online_changed(&self, user: &UserId);

    /// The members on this node were told that a user types, or does not any more. The others are to
    /// be told by [`Typing::heard`](crate::Typing::heard).
    fn typing(&self, room: &RoomName, user: &UserId, types: bool);

    /// The same question as [`Presence::in_room`](crate::Presence::in_room), to all nodes. What this
    /// node reported before counts. A page may be shorter than asked for.
    fn in_room(
        &self,
        room: &RoomName,
        after: Option<&UserId>,
        users_max: usize,
        done: Completion<RoomPresence>,
    );

    /// The same as [`Presence::who_is_online`](crate::Presence::who_is_online), of all nodes.
    fn who_is_online(&self, users: Vec<UserId>, done: Completion<Vec<UserId>>);

    /// The same as [`Typing::typists`](crate::Typing::typists), of all nodes.
    fn typists(&self, now: Timestamp, room: &RoomName, done: Completion<Vec<UserId>>);
}

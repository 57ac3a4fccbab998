//! The people of a node: their sessions, who of them is where, and who is typing.
//!
//! Shared by the shards and the control plane.

use std::sync::Arc;

use tidings_protocol::Limits;

use crate::engine::Timestamp;
use crate::hub::Hub;
use crate::options::RoomRules;
use crate::presence::Presence;
use crate::sessions::Sessions;
use crate::typing::Typing;

/// See the module.
pub struct People {
    /// The sessions.
    pub sessions: Sessions,
    /// Who is in which room, and who is online.
    pub presence: Presence,
    /// Who is typing.
    pub typing: Typing,
}

impl People {
    /// Nobody is there yet.
    pub fn new(hub: &Arc<Hub>, limits: &Arc<Limits>, rules: &Arc<RoomRules>) -> Arc<Self> {
        Arc::new(Self {
            sessions: Sessions::new(limits),
            presence: Presence::new(Arc::clone(hub), Arc::clone(limits), Arc::clone(rules)),
            typing: Typing::new(Arc::clone(hub), Arc::clone(limits)),
        })
    }

    /// About once a second: ends what has lasted long enough.
    pub fn tick(&self, now: Timestamp) {
        self.sessions.tick(now);
        self.presence.tick(now);
        self.typing.tick(now);
    }
}

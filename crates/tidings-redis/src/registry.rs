//! The registry: what nodes that share Redis know together of people. Presence and typing of a room
//! lie on the room's server, a session on the server of its id.
//!
//! Owned by the node. Refuses to know connections: the node's own tables count them, and tell the
//! registry when a user comes first or goes last.

use std::sync::Arc;

use tidings_protocol::RoomName;

use crate::placement::Placement;
use crate::server::{Correspondent, Server};

/// See the module.
pub struct Registry {
    servers: Vec<Arc<Server>>,
    placement: Arc<Placement>,
}

impl Registry {
    pub(crate) fn start(servers: &[Arc<Server>], placement: &Arc<Placement>) -> Arc<Self> {
        let registry = Arc::new(Self { servers: servers.to_vec(), placement: Arc::clone(placement) });
        for server in servers {
            let correspondent = Arc::clone(&registry) as Arc<dyn Correspondent>;
            assert!(server.correspondent.set(correspondent).is_ok(), "a server has one correspondent");
        }
        registry
    }

    /// The server that has what goes by a name.
    #[expect(dead_code, reason = "presence and sessions are to come")]
    fn server(&self, name: &str) -> &Arc<Server> {
        &self.servers[self.placement.of(name)]
    }
}

impl Correspondent for Registry {
    fn letter(&self, _letter: &[u8]) {}

    fn event(&self, _room: &RoomName, _event: &[u8]) {}

    fn returned(&self, _server: &Server) {}
}

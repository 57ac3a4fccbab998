//! The registry: what nodes that share Redis know together of people. Presence and typing of a room
//! lie on the room's server, a session on the server of its id.
//!
//! Owned by the node. Refuses to know connections: the node's own tables count them, and tell the
//! registry when a user comes first or goes last.

use std::sync::Arc;

use tidings_core::{People, RoomRules, Timestamp};
use tidings_protocol::{Limits, RoomName};
use tokio::runtime::Handle;

use crate::attendance::Attendance;
use crate::placement::Placement;
use crate::server::{Correspondent, Server};

/// See the module.
pub struct Registry {
    servers: Vec<Arc<Server>>,
    placement: Arc<Placement>,
    attendance: Arc<Attendance>,
    runtime: Handle,
}

impl Registry {
    pub(crate) fn start(
        node: &str,
        servers: &[Arc<Server>],
        placement: &Arc<Placement>,
        rules: &Arc<RoomRules>,
        limits: &Arc<Limits>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let registry = Arc::new(Self {
            servers: servers.to_vec(),
            placement: Arc::clone(placement),
            attendance: Attendance::start(node, servers, placement, rules, limits, runtime),
            runtime: runtime.clone(),
        });
        for server in servers {
            let correspondent = Arc::clone(&registry) as Arc<dyn Correspondent>;
            assert!(server.correspondent.set(correspondent).is_ok(), "a server has one correspondent");
        }
        registry
    }

    /// The node's tables report here from now on, and hear from here. Called once, before anybody comes.
    pub fn connect(&self, people: &Arc<People>) {
        self.attendance.connect(people);
    }

    /// This node stops: its users can go to other nodes unseen within the grace. Called when its clients
    /// are gone and nobody ticks any more.
    pub async fn farewell(&self) {
        self.attendance.farewell().await;
    }

    /// About once a second.
    pub(crate) fn tick(&self, now: Timestamp) {
        self.attendance.tick(now, &self.runtime);
    }

    /// The server that has what goes by a name.
    #[expect(dead_code, reason = "sessions are to come")]
    fn server(&self, name: &str) -> &Arc<Server> {
        &self.servers[self.placement.of(name)]
    }
}

impl Correspondent for Registry {
    fn letter(&self, _letter: &[u8]) {}

    fn event(&self, room: &RoomName, event: &[u8]) {
        self.attendance.event(room, event);
    }

    fn returned(&self, server: &Server) {
        self.attendance.returned(server);
    }
}

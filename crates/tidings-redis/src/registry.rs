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
use crate::sessions::SharedSessions;
use crate::standing::Doubt;

/// See the module.
pub struct Registry {
    servers: Vec<Arc<Server>>,
    sessions: Arc<SharedSessions>,
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
            sessions: Arc::new(SharedSessions::start(node, servers, placement, limits, runtime)),
            attendance: Attendance::start(node, servers, placement, rules, limits, runtime),
            runtime: runtime.clone(),
        });
        for server in servers {
            let correspondent = Arc::clone(&registry) as Arc<dyn Correspondent>;
            assert!(server.correspondent.set(correspondent).is_ok(), "a server has one correspondent");
        }
        registry
    }

    /// From now on the nodes have these people in common.
    pub fn connect(&self, people: &Arc<People>) {
        self.sessions.connect(people);
        self.attendance.connect(people);
    }

    /// Time passes.
    pub(crate) fn tick(&self, now: Timestamp) {
        self.sessions.desk().tick(now);
        self.attendance.tick(now, &self.runtime);
    }

    /// This node stops: says so where it said that it lives, after all that it said before.
    pub async fn farewell(&self) {
        self.attendance.farewell().await;
        let said: Vec<_> = self.servers.iter().map(|server| server.end_lease()).collect();
        for said in said {
            // A server that is away learns it from the lease.
            let _ = said.await;
        }
    }
}

impl Correspondent for Registry {
    fn letter(&self, server: &Arc<Server>, letter: &[u8]) {
        self.sessions.desk().letter(server, letter);
    }

    fn event(&self, room: &RoomName, event: &[u8]) {
        self.attendance.event(room, event);
    }

    fn returned(&self, server: &Arc<Server>, doubt: Option<Doubt>) {
        self.attendance.returned(server);
        self.sessions.desk().returned(doubt);
    }

    fn heard_again(&self) {
        self.sessions.desk().returned(None);
    }
}

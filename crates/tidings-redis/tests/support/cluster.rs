//! A real Redis Cluster for tests: three masters with a replica each.

use std::path::Path;

use super::{Manner, Redis, wait_for};

/// See the module. Fails over within seconds.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Redis>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_in(Manner::default(), None)
    }

    /// With certificates, in a directory, one that speaks TLS with everybody but the test.
    pub(crate) fn start_in(manner: Manner, certificates: Option<&Path>) -> Self {
        let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let start = |_| Redis::start_member(manner, &settings, certificates);
        let servers: Vec<_> = (0..6).map(start).collect();
        let port = |server: &Redis| server.tls_port.unwrap_or(server.port);
        let addresses: Vec<_> =
            servers.iter().map(|server| format!("{}:{}", manner.host, port(server))).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        let root = certificates.map(|certificates| certificates.join("root.pem"));
        if let Some(root) = &root {
            create.extend(["--tls", "--cacert", root.to_str().expect("a path is text")]);
        }
        let made = servers[0].command(&create);
        assert!(made.contains("All 16384 slots covered"), "{made}");
        let cluster = Self { servers };
        for server in &cluster.servers {
            wait_for("all members are content", || {
                let info = server.command(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            });
            wait_for("all members know the replicas", || {
                server.command(&["CLUSTER", "NODES"]).matches("slave").count() == 3
            });
            wait_for("every replica follows", || {
                let info = server.command(&["INFO", "replication"]);
                info.contains("master_link_status:up") || info.contains("connected_slaves:1")
            });
        }
        cluster
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.servers.iter().map(Redis::address).collect()
    }

    /// In which slot a name lies.
    pub(crate) fn slot_of(&self, name: &str) -> u16 {
        let told = self.living().command(&["CLUSTER", "KEYSLOT", name]);
        told.parse().expect("a slot is a number")
    }

    fn living(&self) -> &Redis {
        self.servers.iter().find(|server| server.command(&["PING"]) == "PONG").expect("one lives")
    }

    /// The number of the server that follows a master.
    pub(crate) fn replica_of(&self, master: usize) -> usize {
        let id = self.servers[master].command(&["CLUSTER", "MYID"]);
        let follows = |server: &Redis| {
            let nodes = server.command(&["CLUSTER", "NODES"]);
            nodes.lines().any(|line| line.contains("myself,slave") && line.contains(&id))
        };
        self.servers.iter().position(follows).expect("each master has a replica")
    }

    /// The number of the server that is the master of a slot, as the others see it.
    pub(crate) fn master_of(&self, slot: u16) -> usize {
        let nodes = self.living().command(&["CLUSTER", "NODES"]);
        let port = nodes
            .lines()
            .filter(|line| line.contains("master") && !line.contains("fail"))
            .find(|line| {
                line.split(' ').skip(8).any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
                        return false;
                    };
                    (first..=last).contains(&slot)
                })
            })
            .and_then(|line| line.split([' ', '@']).nth(1)?.rsplit(':').next()?.parse::<u16>().ok())
            .expect("somebody has it");
        self.servers.iter().position(|server| server.port == port).expect("it is one of them")
    }
}

//! What nodes are put around, so that a test which is written once is run over a single server and over a
//! Cluster.
//!
//! Servers of tests that run at the same time may be the same ones: each store has a prefix of its own, and
//! refuses to touch what others keep.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cluster::Cluster;
use super::{Manner, Redis};

/// See the module.
pub(crate) struct Store {
    servers: Servers,
    /// What names on the servers begin with.
    pub(crate) prefix: String,
}

enum Servers {
    One(Redis),
    Cluster(&'static Cluster),
}

impl Store {
    pub(crate) fn one_server() -> Self {
        Self::of(Servers::One(Redis::start(&[])))
    }

    /// One whose clock can be set.
    pub(crate) fn one_server_with_clock() -> Self {
        Self::of(Servers::One(Redis::start_in(Manner { has_clock: true, ..Manner::default() }, &[])))
    }

    /// The Cluster of all tests of this program.
    pub(crate) fn a_cluster() -> Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        Self::of(Servers::Cluster(CLUSTER.get_or_init(Cluster::start)))
    }

    fn of(servers: Servers) -> Self {
        static STORES: AtomicU64 = AtomicU64::new(0);
        Self { servers, prefix: format!("store-{}", STORES.fetch_add(1, Ordering::Relaxed)) }
    }

    /// What a node has to be told to keep its rooms and people here.
    pub(crate) fn flags(&self) -> Vec<String> {
        let addresses = match &self.servers {
            Servers::One(redis) => vec![redis.address()],
            Servers::Cluster(cluster) => cluster.addresses(),
        };
        let flags = addresses.into_iter().flat_map(|address| ["--redis".to_owned(), address]);
        let shared = ["--engine", "redis", "--redis-prefix", &self.prefix].map(str::to_owned);
        shared.into_iter().chain(flags).collect()
    }

    /// The server, if there is one.
    pub(crate) fn server(&self) -> &Redis {
        match &self.servers {
            Servers::One(redis) => redis,
            Servers::Cluster(_) => panic!("a Cluster is many servers"),
        }
    }

    pub(crate) fn server_mut(&mut self) -> &mut Redis {
        match &mut self.servers {
            Servers::One(redis) => redis,
            Servers::Cluster(_) => panic!("a Cluster is many servers"),
        }
    }

    /// A name on the servers.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// The server that has a name, or would have it.
    pub(crate) fn server_of(&self, name: &str) -> &Redis {
        match &self.servers {
            Servers::One(redis) => redis,
            Servers::Cluster(cluster) => &cluster.servers[cluster.master_of(cluster.slot_of(name))],
        }
    }

    /// Runs a command about one name, where that lies.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.server_of(words[1]).command(words)
    }

    /// All names like this one, which may have `*` in it, each with the server that has it.
    pub(crate) fn names(&self, pattern: &str) -> Vec<(&Redis, String)> {
        let masters: Vec<&Redis> = match &self.servers {
            Servers::One(redis) => vec![redis],
            Servers::Cluster(cluster) => {
                let is_master = |server: &&Redis| server.command(&["ROLE"]).starts_with("master");
                cluster.servers.iter().filter(is_master).collect()
            }
        };
        let named = |redis| {
            let names = Redis::command(redis, &["--scan", "--pattern", &self.name(pattern)]);
            names.lines().map(|name| (redis, name.to_owned())).collect::<Vec<_>>()
        };
        masters.into_iter().flat_map(named).collect()
    }

    /// All that is kept under the prefix is lost.
    pub(crate) fn forget(&self) {
        for (redis, name) in self.names("*") {
            redis.command(&["UNLINK", &name]);
        }
    }
}

/// Makes of each function a test over a single server and one over a Cluster. Each takes the store.
macro_rules! over_every_store {
    ($($name:ident,)*) => {
        mod over_one_server {
            $(#[test] fn $name() { super::$name(crate::redis::store::Store::one_server()) })*
        }

        mod over_a_cluster {
            $(#[test] fn $name() { super::$name(crate::redis::store::Store::a_cluster()) })*
        }
    };
}
pub(crate) use over_every_store;

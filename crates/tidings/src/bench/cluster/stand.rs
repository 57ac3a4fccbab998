//! Nodes and the Redis servers that they share, as processes of a run, and what each of them has done. Killed with the run.

use std::io;
use std::net::SocketAddr;

use super::Setup;
use super::leash::Leash;
use super::redis::{RedisServer, RedisWork};
use crate::bench::ground::{Ground, SPARE_CONNECTIONS, ensure_descriptors};
use crate::bench::machine::cpu_time;
use crate::bench::plan::Seating;
use crate::bench::target::Target;

/// See the module. Nodes go before what they stand on.
#[derive(Debug)]
pub(crate) struct Stand {
    /// A node that was killed is not there any more.
    pub(crate) nodes: Vec<Option<Target>>,
    leashes: Vec<Leash>,
    pub(crate) redis: Vec<RedisServer>,
}

/// What everybody has done until a moment, or between two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effort {
    /// CPU time of each node that runs, by its place; 0 of those that do not.
    pub(crate) nodes: Vec<u64>,
    pub(crate) redis: Vec<RedisWork>,
}

impl Stand {
    /// Starts servers, then nodes with room for so many connections each.
    pub(crate) fn start(ground: &Ground<'_>, setup: Setup, connections: usize) -> io::Result<Self> {
        let room = connections + SPARE_CONNECTIONS;
        ensure_descriptors(room)?;
        let redis = (0..setup.redis).map(|_| RedisServer::start()).collect::<io::Result<Vec<_>>>()?;
        let mut shared = Vec::new();
        for server in &redis {
            shared.extend(["--redis".to_owned(), server.url()]);
        }
        if !redis.is_empty() {
            shared.extend(["--engine", "redis"].map(str::to_owned));
        }
        let binary = ground.common.tidings()?;
        let start = |number: usize| {
            let flags = [&shared[..], &["--node".to_owned(), format!("node-{number}")]].concat();
            Target::tidings(&binary, false, Seating::Shared, room, &flags).map(Some)
        };
        let nodes = (0..setup.nodes).map(start).collect::<io::Result<_>>()?;
        Ok(Self { nodes, leashes: Vec::new(), redis })
    }

    /// Where the nodes that run listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.running().map(|node| node.address).collect()
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Target> {
        self.nodes.iter().flatten()
    }

    /// Waits until nobody does anything but for the others.
    pub(crate) fn settle(&self) -> io::Result<()> {
        self.running().try_for_each(Target::settle)
    }

    /// From now on each Redis server gets only this share of a core.
    pub(crate) fn hold_back(&mut self, percent: f64) -> io::Result<()> {
        self.leashes = self
            .redis
            .iter()
            .map(|redis| Leash::hold(redis.process(), percent))
            .collect::<io::Result<_>>()?;
        Ok(())
    }

    pub(crate) fn effort(&mut self) -> io::Result<Effort> {
        let node = |node: &Option<Target>| match node.as_ref().and_then(Target::process) {
            Some(process) => Ok(cpu_time(process)?.total_ns),
            None => Ok(0),
        };
        Ok(Effort {
            nodes: self.nodes.iter().map(node).collect::<io::Result<_>>()?,
            redis: self.redis.iter_mut().map(RedisServer::work).collect::<io::Result<_>>()?,
        })
    }
}

impl Effort {
    /// What was done since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let nodes = self.nodes.iter().zip(&before.nodes);
        let redis = self.redis.iter().zip(&before.redis);
        Self {
            nodes: nodes.map(|(now, then)| now.saturating_sub(*then)).collect(),
            redis: redis.map(|(now, then)| now.since(*then)).collect(),
        }
    }

    pub(crate) fn nodes_ns(&self) -> u64 {
        self.nodes.iter().sum()
    }

    pub(crate) fn redis_ns(&self) -> u64 {
        self.redis.iter().map(|redis| redis.cpu_ns).sum()
    }
}

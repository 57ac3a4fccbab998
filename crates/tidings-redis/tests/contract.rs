//! The engine over Redis in the suite that every engine passes: over one server, over three, and over a
//! Cluster.

#[allow(dead_code, reason = "the other tests over Redis use the rest")]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use support::cluster::Cluster;
use support::{Redis, runtime, wait_for};
use tidings_core::contract::Harness;
use tidings_core::{Engine, Hub, RoomRules};
use tidings_protocol::{Limits, MessageId};
use tidings_redis::{Beginning, Config, RedisEngine};

/// An engine that has these servers for itself.
fn engine_over(addresses: Vec<String>, rules: RoomRules, limits: Limits) -> Harness {
    static ENGINES: AtomicU64 = AtomicU64::new(0);
    let number = ENGINES.fetch_add(1, Ordering::Relaxed);
    let hub = Arc::new(Hub::new());
    let config = Config {
        addresses,
        root_certificate: None,
        replicas_min: 0,
        prefix: format!("suite-{number}"),
        node: format!("node-{number}"),
        // As for an engine in memory that has just begun.
        beginning: Beginning::At(MessageId::ZERO),
        patience: Duration::from_secs(10),
    };
    let engine = RedisEngine::start(&config, &hub, &Arc::new(rules), &Arc::new(limits), runtime().handle())
        .expect("the addresses are right");
    wait_for("the engine is ready", || engine.is_ready());
    Harness::new(Arc::new(engine), hub)
}

mod one_server {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVERS: OnceLock<[Redis; 1]> = OnceLock::new();
        let servers = SERVERS.get_or_init(|| [Redis::start(&[])]);
        engine_over(servers.iter().map(Redis::address).collect(), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod three_servers {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVERS: OnceLock<[Redis; 3]> = OnceLock::new();
        let servers = SERVERS.get_or_init(|| std::array::from_fn(|_| Redis::start(&[])));
        engine_over(servers.iter().map(Redis::address).collect(), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod a_cluster {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        engine_over(CLUSTER.get_or_init(Cluster::start).addresses(), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

//! The engine over Redis in the suite that every engine passes: over one server and over three.

#[allow(dead_code, reason = "the tests of a whole cluster use all of it")]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use support::{Redis, runtime, wait_for};
use tidings_core::contract::Harness;
use tidings_core::{Engine, Hub, RoomRules};
use tidings_protocol::{Limits, MessageId};
use tidings_redis::{Beginning, Config, RedisEngine};

/// An engine that has these servers for itself.
fn engine_over(servers: &[Redis], rules: RoomRules, limits: Limits) -> Harness {
    static ENGINES: AtomicU64 = AtomicU64::new(0);
    let number = ENGINES.fetch_add(1, Ordering::Relaxed);
    let hub = Arc::new(Hub::new());
    let config = Config {
        addresses: servers.iter().map(Redis::address).collect(),
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
        engine_over(SERVERS.get_or_init(|| [Redis::start(&[])]), rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

mod three_servers {
    use super::*;

    fn make(rules: RoomRules, limits: Limits) -> Harness {
        static SERVERS: OnceLock<[Redis; 3]> = OnceLock::new();
        let servers = SERVERS.get_or_init(|| std::array::from_fn(|_| Redis::start(&[])));
        engine_over(servers, rules, limits)
    }

    tidings_core::engine_contract_tests!(make);
}

//! The engine that the settings ask for, and the remedy when it cannot be had.

use std::sync::Arc;
use std::time::Duration;

use tidings_core::memory::MemoryEngine;
use tidings_core::{Engine, Hub, RoomRules};
use tidings_protocol::Limits;
use tidings_redis::{Beginning, Config, ConfigError, RedisEngine, Registry};
use tokio::runtime::Runtime;
use tokio::time::{interval, timeout};

use super::now;
use crate::exit::Failure;
use crate::settings::{RedisSettings, Settings};

/// A starting node waits at least so long for its servers, however little patience it has later: it
/// has to connect, load scripts and hear itself.
const START_MIN: Duration = Duration::from_secs(3);

/// How often a starting node looks whether its servers are there.
const LOOK: Duration = Duration::from_millis(10);

/// An engine, and what the nodes around it have in common.
pub(super) struct Started {
    pub(super) engine: Arc<dyn Engine>,
    /// None where there is only one node.
    pub(super) registry: Option<Arc<Registry>>,
}

/// Starts the engine, and waits until it can be used.
pub(super) fn start(
    settings: &Settings,
    hub: &Arc<Hub>,
    rules: &Arc<RoomRules>,
    limits: &Arc<Limits>,
    runtime: &Runtime,
) -> Result<Started, Failure> {
    let Some(redis) = &settings.redis else {
        let engine = MemoryEngine::new(Arc::clone(hub), Arc::clone(rules), Arc::clone(limits), now());
        return Ok(Started { engine: Arc::new(engine), registry: None });
    };
    let patience = Duration::from_millis(limits.redis_timeout_ms);
    let config = Config {
        addresses: redis.addresses.clone(),
        root_certificate: redis.root_certificate.clone(),
        replicas_min: limits.redis_replicas_min,
        prefix: redis.prefix.clone(),
        // Two nodes may have one name by mistake; each must hear only itself.
        node: format!("{}:{}:{}", settings.node, std::process::id(), now().0),
        beginning: Beginning::Now,
        patience,
    };
    let engine =
        RedisEngine::start(&config, hub, rules, limits, runtime.handle()).map_err(|error| refused(&error))?;
    let ready = async {
        let mut looks = interval(LOOK);
        while !engine.is_ready() {
            looks.tick().await;
        }
    };
    match runtime.block_on(async { timeout(patience.max(START_MIN), ready).await }) {
        Ok(()) => {
            // The others know that this node lives before they see anything of it.
            engine.tick(now());
            let registry = Some(Arc::clone(engine.registry()));
            Ok(Started { engine: Arc::new(engine), registry })
        }
        Err(_) => Err(unavailable(redis, &engine)),
    }
}

fn refused(error: &ConfigError) -> Failure {
    Failure::usage(format!("redis: {error}"))
}

fn unavailable(redis: &RedisSettings, engine: &RedisEngine) -> Failure {
    let away: Vec<_> =
        engine.stores().into_iter().filter(|store| !store.is_up).map(|store| store.name).collect();
    Failure::unavailable(format!(
        "redis: no answer from {} of {}: {}. Check that it runs, the password, and that this machine may \
         reach it: redis-cli -u redis://{} ping",
        away.len(),
        redis.addresses.len(),
        away.join(", "),
        away.first().map_or("", String::as_str),
    ))
}

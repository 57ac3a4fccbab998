//! What `doctor` says of the Redis servers: the engine's own judgement, in the words of the others.
//!
//! Refuses to judge.

use std::time::Duration;

use tidings_core::RoomOptions;
use tidings_redis::examine::{Examined, Grade, Needs, Verdict, examine};

use super::checks::{Check, State};
use crate::exit::Failure;
use crate::settings::{RedisSettings, Settings};

/// Asks each server that the settings name.
pub(super) fn checks(redis: &RedisSettings, settings: &Settings) -> Result<Vec<Check>, Failure> {
    let limits = &settings.limits;
    let needs = Needs {
        message_bytes_max: u64::try_from(limits.message_bytes_max).unwrap_or(u64::MAX),
        history_age_ms: RoomOptions::from_limits(limits).history_age_ms,
    };
    let patience = Duration::from_millis(limits.redis_timeout_ms);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("the threads to ask Redis with cannot be had: {error}")))?;
    let root = redis.root_certificate.as_deref();
    let examined = runtime
        .block_on(examine(&redis.addresses, root, patience, &needs))
        .map_err(|error| Failure::usage(format!("redis: {error}")))?;
    Ok(examined.into_iter().flat_map(of_server).collect())
}

fn of_server(examined: Examined) -> Vec<Check> {
    let Examined { server, verdicts } = examined;
    verdicts.into_iter().map(|verdict| check(&server, verdict)).collect()
}

fn check(server: &str, verdict: Verdict) -> Check {
    let state = match verdict.grade {
        Grade::Good => State::Ok,
        Grade::Doubtful => State::Warn,
        Grade::Unfit => State::Fail,
    };
    let found = format!("{server}: {}", verdict.found);
    Check { name: verdict.name, state, found, remedy: verdict.remedy }
}

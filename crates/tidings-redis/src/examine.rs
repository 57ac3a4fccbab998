//! What an operator should know of a Redis server before nodes rely on it.
//!
//! Asking is here, judging in `judgement.rs`. Refuses to change anything on the server, and a setting
//! that cannot be read is said to be unknown, not taken for good.

mod judgement;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisError};

use crate::engine::ConfigError;
use crate::source::Source;

pub use judgement::{Grade, Needs, Verdict};

/// What is known of a server; `None` is what it does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Findings {
    /// `redis_version`, which Valkey tells as well: the version of Redis it stands for.
    version: Option<String>,
    /// The version of Valkey, if it is one.
    valkey_version: Option<String>,
    is_cluster: Option<bool>,
    is_replica: Option<bool>,
    appendonly: Option<bool>,
    appendfsync: Option<String>,
    /// When snapshots are made, as `3600 1 300 100`; empty for never.
    save: Option<String>,
    maxmemory_bytes: Option<u64>,
    maxmemory_policy: Option<String>,
    /// All classes, as `normal 0 0 0 … pubsub 33554432 8388608 60`.
    output_buffers: Option<String>,
    /// How far the server's clock is before this machine's, negative if it is behind.
    clock_ahead_ms: Option<i64>,
}

/// What was found of one server.
#[derive(Debug)]
pub struct Examined {
    /// The server, without secrets.
    pub server: String,
    /// One per check; the only one says that the server does not answer, if it does not.
    pub verdicts: Vec<Verdict>,
}

/// Asks each server, one after the other. `root_certificate` and `patience` as in
/// [`Config`](crate::Config).
pub async fn examine(
    addresses: &[String],
    root_certificate: Option<&[u8]>,
    patience: Duration,
    needs: &Needs,
) -> Result<Vec<Examined>, ConfigError> {
    crate::engine::choose_cryptography();
    let mut examined = Vec::new();
    for address in addresses {
        let source = Source::read(address, root_certificate)?;
        // An address that leads to something silent may take as long as it likes to say nothing.
        let findings = tokio::time::timeout(patience, ask(&source, patience)).await;
        let verdicts = match findings {
            Ok(Ok(findings)) => judgement::judge(&findings, needs),
            Ok(Err(error)) => vec![Verdict::unreachable(&error.to_string())],
            Err(_) => vec![Verdict::unreachable(&format!("no answer within {} ms", patience.as_millis()))],
        };
        examined.push(Examined { server: source.name(), verdicts });
    }
    Ok(examined)
}

async fn ask(source: &Source, patience: Duration) -> Result<Findings, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    let mut connection =
        source.find(patience).await?.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    let clock_ahead_ms = clock_ahead_ms(&mut connection).await;
    // One question more than there are settings would do, but older servers take one name at a time.
    let info = fields(&answer::<String>(&mut connection, "INFO", &[]).await.unwrap_or_default());
    let told = |name: &str| info.get(name).cloned();
    let mut settings = HashMap::new();
    for name in ["appendonly", "appendfsync", "save", "maxmemory-policy", "client-output-buffer-limit"] {
        let words = ["GET", name];
        let answer = answer::<HashMap<String, String>>(&mut connection, "CONFIG", &words).await;
        settings.extend(answer.unwrap_or_default());
    }
    let set = |name: &str| settings.get(name).cloned();
    let is_one = |value: String| value == "1";
    Ok(Findings {
        version: told("redis_version"),
        valkey_version: told("valkey_version"),
        is_cluster: told("cluster_enabled").map(is_one),
        is_replica: told("role").map(|role| role != "master"),
        appendonly: told("aof_enabled").map(is_one),
        appendfsync: set("appendfsync"),
        save: set("save"),
        maxmemory_bytes: told("maxmemory").and_then(|bytes| bytes.parse().ok()),
        maxmemory_policy: told("maxmemory_policy").or_else(|| set("maxmemory-policy")),
        output_buffers: set("client-output-buffer-limit"),
        clock_ahead_ms,
    })
}

/// `None` where the server does not let us ask.
async fn answer<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &str,
    words: &[&str],
) -> Option<T> {
    redis::cmd(command).arg(words).query_async(connection).await.ok()
}

/// The server's clock against ours in the middle of the question.
async fn clock_ahead_ms(connection: &mut MultiplexedConnection) -> Option<i64> {
    let before = now_us();
    let (seconds, micros): (i64, i64) = answer(connection, "TIME", &[]).await?;
    let ours = before.midpoint(now_us());
    Some((seconds.checked_mul(1_000_000)?.checked_add(micros)? - ours) / 1_000)
}

fn now_us() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
}

/// The fields of `INFO`.
fn fields(info: &str) -> HashMap<String, String> {
    let pairs = info.lines().filter_map(|line| line.trim_end().split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

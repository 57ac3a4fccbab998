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
    /// What a member of a Cluster says of all of it.
    cluster: Option<ClusterFindings>,
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

/// What is known of a Cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ClusterFindings {
    /// `cluster_state`: `ok` or `fail`.
    state: Option<String>,
    /// Slots that have a master, and that master is not failing.
    slots_ok: Option<u64>,
    /// Masters with slots, each with how many replicas it has.
    replicas: Vec<(String, usize)>,
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
    let cluster = match info.get("cluster_enabled").map(String::as_str) {
        Some("1") => Some(of_cluster(&mut connection).await),
        _ => None,
    };
    Ok(Findings {
        cluster,
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

/// What a member of a Cluster says of all of it.
async fn of_cluster(connection: &mut MultiplexedConnection) -> ClusterFindings {
    let info = fields(&answer::<String>(connection, "CLUSTER", &["INFO"]).await.unwrap_or_default());
    // Not CLUSTER SLOTS, which leaves out replicas that have nothing yet.
    let nodes = answer::<String>(connection, "CLUSTER", &["NODES"]).await.unwrap_or_default();
    ClusterFindings {
        state: info.get("cluster_state").cloned(),
        slots_ok: info.get("cluster_slots_ok").and_then(|slots| slots.parse().ok()),
        replicas: replicas(&nodes),
    }
}

/// The masters that have slots, by address, and how many replicas follow each, by the lines
/// `<id> <address>@<port> <flags> <master or -> … <slots>…`.
fn replicas(nodes: &str) -> Vec<(String, usize)> {
    let lines: Vec<Vec<&str>> = nodes.lines().map(|line| line.split_whitespace().collect()).collect();
    let is = |line: &[&str], flag: &str| line.get(2).is_some_and(|flags| flags.split(',').any(|f| f == flag));
    let masters = lines.iter().filter(|line| is(line, "master") && line.len() > 8);
    let of = |master: &[&str]| {
        let follows =
            |line: &&Vec<&str>| is(line, "slave") && !is(line, "fail") && line.get(3) == master.first();
        lines.iter().filter(follows).count()
    };
    let address = |line: &[&str]| line[1].split(['@', ',']).next().unwrap_or_default().to_owned();
    masters.map(|master| (address(master), of(master))).collect()
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

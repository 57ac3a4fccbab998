//! Which master of a Cluster has which slots, and the task that keeps asking.
//!
//! One for each Cluster, for as long as the process lives. Refuses to ask without a pause, and to let a master
//! that the others have given up speak for all, where another one answers.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Value};
use tokio::time::{sleep, timeout};

use crate::server::Server;
use crate::slots::{SLOTS, Slot};
use crate::source::Source;

/// Pauses while something is amiss, growing from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A stretch of slots and the master that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    first: u16,
    last: u16,
    /// `host:port`; `None` if nobody has them.
    pub(crate) address: Option<String>,
    /// What the master and its replicas are known by in the Cluster.
    pub(crate) members: Vec<String>,
}

/// All of them, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) ranges: Vec<Range>,
}

impl Range {
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        (self.first..=self.last).filter_map(Slot::new)
    }
}

impl Topology {
    /// Reads the answer to `CLUSTER SLOTS`. `asked` is the host that gave it, for masters that do not know
    /// by what name they are reached. Stretches that nobody has are put in between.
    pub(crate) fn read(value: &Value, asked: &str) -> Option<Self> {
        let Value::Array(entries) = value else { return None };
        let mut ranges = entries.iter().map(|entry| range(entry, asked)).collect::<Option<Vec<_>>>()?;
        ranges.sort_unstable_by_key(|range| range.first);
        let mut all = Vec::new();
        let mut next = 0;
        for range in ranges {
            all.extend(nobodys(next, range.first));
            next = usize::from(range.last) + 1;
            all.push(range);
        }
        all.extend(nobodys(next, SLOTS as u16));
        Some(Self { ranges: all })
    }

    pub(crate) fn is_covered(&self) -> bool {
        !self.ranges.is_empty() && self.ranges.iter().all(|range| range.address.is_some())
    }

    /// Whether anybody has a slot.
    fn has_masters(&self) -> bool {
        self.ranges.iter().any(|range| range.address.is_some())
    }
}

/// From the first slot up to, not with, the second one.
fn nobodys(first: usize, end: u16) -> Option<Range> {
    let first = u16::try_from(first).ok().filter(|first| *first < end)?;
    Some(Range { first, last: end - 1, address: None, members: Vec::new() })
}

/// `[first, last, [host, port, id, …], [replica's host, …], …]`.
fn range(entry: &Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = entry else { return None };
    let [Value::Int(first), Value::Int(last), members @ ..] = parts.as_slice() else { return None };
    let (first, last) = (Slot::new(u16::try_from(*first).ok()?)?, Slot::new(u16::try_from(*last).ok()?)?);
    let member = |member: &Value| match member {
        Value::Array(parts) => match parts.as_slice() {
            [host, Value::Int(port), id, ..] => {
                let host = text(host).filter(|host| !host.is_empty() && host != "?");
                let host = host.unwrap_or_else(|| asked.to_owned());
                Some((format!("{host}:{port}"), text(id)?))
            }
            _ => None,
        },
        _ => None,
    };
    let members = members.iter().map(member).collect::<Option<Vec<_>>>()?;
    Some(Range {
        first: first.number(),
        last: last.number(),
        address: members.first().map(|(address, _)| address.clone()),
        members: members.into_iter().map(|(_, id)| id).collect(),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// Keeps the lines of a Cluster as its masters are, for ever.
pub(crate) async fn follow(server: Arc<Server>) {
    let mut pause = PAUSE_MIN;
    loop {
        match find(&server).await {
            Ok(topology) => server.apply(&topology),
            Err(error) => tracing::warn!(%error, "RedisClusterUnknown"),
        }
        if server.lines.are_ready() {
            pause = PAUSE_MIN;
            // Nobody has to doubt: a master that got slots may not be spoken with yet.
            let _ = timeout(server.topology_interval(), server.lines.doubted.notified()).await;
            sleep(PAUSE_MIN).await;
        } else {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Asks one after the other, those first with which this node can speak, until one is content with the Cluster.
async fn find(server: &Arc<Server>) -> Result<Topology, RedisError> {
    let lines = server.lines.all();
    let (up, away): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.voice.is_up());
    let mut discontent = None;
    let mut last = None;
    let known = up.iter().chain(&away).map(|line| &line.source);
    for source in known.chain(server.lines.seeds().iter().map(Arc::as_ref)) {
        match ask(source, server.patience).await {
            Ok((topology, true)) => return Ok(topology),
            Ok((topology, false)) => discontent = discontent.or(Some(topology)),
            Err(error) => last = Some(error),
        }
    }
    discontent
        .ok_or_else(|| last.unwrap_or_else(|| RedisError::from((redis::ErrorKind::Io, "nobody to ask"))))
}

/// The topology as one member knows it, and whether it is content with that.
async fn ask(source: &Source, patience: Duration) -> Result<(Topology, bool), RedisError> {
    let mut connection = connection(source, patience).await?;
    let topology = topology(&mut connection, source).await?;
    let info: Result<String, _> = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await;
    // Who may not ask takes the first one's word.
    let is_content = info.map_or(true, |info| info.contains("cluster_state:ok"));
    Ok((topology, is_content))
}

pub(crate) async fn connection(
    source: &Source,
    patience: Duration,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    source.find(patience).await?.get_multiplexed_async_connection_with_config(&config).await
}

/// The topology as the member at the other end knows it.
pub(crate) async fn topology(
    connection: &mut MultiplexedConnection,
    source: &Source,
) -> Result<Topology, RedisError> {
    let name = source.name();
    let host = name.rsplit_once(':').map_or("", |(host, _)| host);
    let slots: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(connection).await?;
    let nothing = || RedisError::from((redis::ErrorKind::UnexpectedReturnType, "CLUSTER SLOTS"));
    Topology::read(&slots, host).filter(Topology::has_masters).ok_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(word: &str) -> Value {
        Value::BulkString(word.as_bytes().to_vec())
    }

    fn member(host: Value, port: i64, id: &str) -> Value {
        Value::Array(vec![host, Value::Int(port), word(id), Value::Array(Vec::new())])
    }

    fn entry(first: i64, last: i64, members: Vec<Value>) -> Value {
        Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(members).collect())
    }

    #[test]
    fn what_nobody_has_and_who_does_not_know_its_host_are_understood() {
        let value = Value::Array(vec![
            entry(8_192, 16_000, vec![member(Value::Nil, 7_001, "b")]),
            entry(0, 8_000, vec![member(word("10.0.0.1"), 7_000, "a"), member(word("x"), 7_003, "c")]),
        ]);
        let topology = Topology::read(&value, "10.0.0.9").unwrap();
        let ranges: Vec<_> =
            topology.ranges.iter().map(|range| (range.first, range.last, range.address.as_deref())).collect();
        assert_eq!(
            ranges,
            [
                (0, 8_000, Some("10.0.0.1:7000")),
                (8_001, 8_191, None),
                (8_192, 16_000, Some("10.0.0.9:7001")),
                (16_001, 16_383, None),
            ]
        );
        assert_eq!(topology.ranges[0].members, ["a", "c"]);
        assert!(!topology.is_covered());
    }

    #[test]
    fn a_cluster_is_covered_when_every_slot_has_a_master() {
        let whole = Value::Array(vec![entry(0, 16_383, vec![member(word("a"), 1, "a")])]);
        assert!(Topology::read(&whole, "").unwrap().is_covered());
        assert!(!Topology::read(&Value::Array(Vec::new()), "").unwrap().is_covered());
    }

    #[test]
    fn what_is_no_topology_is_refused() {
        for value in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![entry(0, 20_000, Vec::new())]),
            Value::Array(vec![entry(0, 1, vec![Value::Int(1)])]),
        ] {
            assert_eq!(Topology::read(&value, "a"), None, "{value:?}");
        }
    }
}

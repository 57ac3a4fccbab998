//! What the addresses in the settings lead to: independent servers, or members of one Cluster.
//!
//! Asked once, when a node starts. A server that does not answer is taken for what the others are. Refuses to
//! mix.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::engine::ConfigError;
use crate::server::Whereabouts;
use crate::source::Source;
use crate::topology;

/// What one address leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Independent,
    /// Members that it knows.
    Member(HashSet<String>),
}

/// Asks all of them at once.
pub(crate) async fn survey(
    sources: Vec<Source>,
    patience: Duration,
) -> Result<Vec<Whereabouts>, ConfigError> {
    let sources: Vec<_> = sources.into_iter().map(Arc::new).collect();
    let mut asking = JoinSet::new();
    for (index, source) in sources.iter().enumerate() {
        let source = Arc::clone(source);
        asking.spawn(async move { (index, timeout(patience, kind(&source, patience)).await) });
    }
    let mut kinds = vec![None; sources.len()];
    while let Some(answer) = asking.join_next().await {
        // Who does not answer now is waited for later.
        if let Ok((index, Ok(Ok(kind)))) = answer {
            kinds[index] = Some(kind);
        }
    }
    let named: Vec<_> = sources.iter().map(|source| source.name()).zip(kinds).collect();
    if is_cluster(&named, &sources)? {
        return Ok(vec![Whereabouts::Cluster(sources)]);
    }
    Ok(sources.into_iter().filter_map(Arc::into_inner).map(Box::new).map(Whereabouts::Independent).collect())
}

fn is_cluster(named: &[(String, Option<Kind>)], sources: &[Arc<Source>]) -> Result<bool, ConfigError> {
    let mut first: Option<(&str, &HashSet<String>)> = None;
    for (name, kind) in named {
        let Some(Kind::Member(members)) = kind else { continue };
        match first {
            None => first = Some((name, members)),
            Some((other, known)) if known.is_disjoint(members) => {
                return Err(ConfigError::TwoClusters { one: other.to_owned(), other: name.clone() });
            }
            Some(_) => {}
        }
    }
    let Some((member, _)) = first else { return Ok(false) };
    let mixed = |name: &str| ConfigError::Mixed { member: member.to_owned(), independent: name.to_owned() };
    if let Some((name, _)) = named.iter().find(|(_, kind)| *kind == Some(Kind::Independent)) {
        return Err(mixed(name));
    }
    match sources.iter().find(|source| matches!(***source, Source::Sentinels { .. })) {
        Some(source) => Err(mixed(&source.name())),
        None => Ok(true),
    }
}

/// What one source leads to.
pub(crate) async fn kind(source: &Source, patience: Duration) -> Result<Kind, RedisError> {
    let mut connection = topology::connection(source, patience).await?;
    // Every user may ask this.
    let hello: HashMap<String, Value> = redis::cmd("HELLO").query_async(&mut connection).await?;
    let mode = match hello.get("mode") {
        Some(Value::BulkString(mode)) => mode.as_slice(),
        Some(Value::SimpleString(mode)) => mode.as_bytes(),
        _ => b"",
    };
    if mode != b"cluster" {
        return Ok(Kind::Independent);
    }
    let topology = topology::topology(&mut connection, source).await?;
    Ok(Kind::Member(topology.ranges.into_iter().flat_map(|range| range.members).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kinds: &[Option<Kind>]) -> Result<bool, String> {
        let addresses = (1..).map(|port| format!("redis://a:{port}")).take(kinds.len());
        let sources: Vec<_> =
            addresses.map(|address| Arc::new(Source::read(&address, None).unwrap())).collect();
        let named: Vec<_> = sources.iter().map(|source| source.name()).zip(kinds.iter().cloned()).collect();
        is_cluster(&named, &sources).map_err(|error| error.to_string())
    }

    fn member(members: &[&str]) -> Option<Kind> {
        Some(Kind::Member(members.iter().map(|&member| member.to_owned()).collect()))
    }

    #[test]
    fn addresses_are_of_one_cluster_or_of_independent_servers() {
        let independent = Some(Kind::Independent);
        assert_eq!(judged(&[independent.clone(), None, independent.clone()]), Ok(false));
        assert_eq!(judged(&[None]), Ok(false));
        assert_eq!(judged(&[member(&["a", "b"]), None, member(&["b", "c"])]), Ok(true));
        let error = judged(&[independent, member(&["a"])]).unwrap_err();
        assert!(error.contains("a:1") && error.contains("a:2"), "{error}");
        let error = judged(&[member(&["a"]), member(&["b"])]).unwrap_err();
        assert!(error.contains("two Clusters"), "{error}");
    }
}

//! The nodes that share a server, as this one knows them: who lives, and whose lease has ended.
//!
//! A node that is killed says nothing, so each says that it lives, every third of a lease. Refuses to
//! decide what becomes of what a dead node had.

use redis::Value;
use serde::{Deserialize, Serialize};
use tidings_core::Timestamp;
use tidings_core::engine::NodeReport;

/// See the module.
pub(crate) struct Nodes {
    own: Box<str>,
    renewed: Timestamp,
    said: Said,
    census: Census,
    /// The node said goodbye.
    has_gone: bool,
}

/// What a node says of itself, in its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    name: String,
    connections: usize,
    rooms: usize,
    /// How long the lease lasts from when this was said.
    lease_ms: u64,
}

/// Who was there when last asked.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// This node's lease had not ended.
    pub(crate) had_lived: bool,
    live: Vec<String>,
    /// With when its users cease to count; past, unless it stopped in order.
    dead: Vec<(String, Timestamp)>,
    /// Of the live nodes, those whose words were understood, with the age of these then.
    reports: Vec<(String, NodeReport)>,
    at: Timestamp,
}

impl Nodes {
    pub(crate) fn new(own: &str, lease_ms: u64) -> Self {
        let said = Said { name: own.to_owned(), connections: 0, rooms: 0, lease_ms };
        Self { own: own.into(), renewed: Timestamp(0), said, census: Census::default(), has_gone: false }
    }

    /// From now on this is what the node says of itself.
    pub(crate) fn report(&mut self, report: &NodeReport) {
        let NodeReport { name, connections, rooms, .. } = report.clone();
        if name != self.said.name {
            // Whoever asks the others is to read that name, and not in a third of a lease.
            self.renewed = Timestamp(0);
        }
        self.said = Said { name, connections, rooms, ..self.said };
    }

    /// What the node says of itself when it says that it lives: nothing once it said goodbye.
    pub(crate) fn said(&self) -> Option<String> {
        (!self.has_gone).then(|| serde_json::to_string(&self.said).expect("our own words are JSON"))
    }

    /// The node says goodbye, and nothing afterwards: its clock ticks until the process ends.
    pub(crate) fn go(&mut self) {
        self.has_gone = true;
    }

    /// What the others said of themselves, by what they are known by, unless their leases have ended
    /// since.
    pub(crate) fn reports(&self, now: Timestamp) -> impl Iterator<Item = (&str, NodeReport)> {
        let since_ms = now.as_ms().saturating_sub(self.census.at.as_ms());
        let lease_ms = self.said.lease_ms;
        let others = self.census.reports.iter().filter(|(node, _)| **node != *self.own);
        others.filter_map(move |(node, report)| {
            let age_ms = report.age_ms.saturating_add(since_ms);
            // The census itself may be old, if the server is away.
            let lives = age_ms <= lease_ms.saturating_mul(2);
            lives.then(|| (node.as_str(), NodeReport { age_ms, ..report.clone() }))
        })
    }

    /// This node's name.
    pub(crate) fn own(&self) -> &str {
        &self.own
    }

    /// Whether it is time to say that this node lives. Says so once.
    pub(crate) fn is_due(&mut self, now: Timestamp, interval_ms: u64) -> bool {
        // A clock that was set back must not keep the node from saying so.
        let since = now.0.abs_diff(self.renewed.0);
        let is_due = since >= interval_ms.saturating_mul(1_000);
        if is_due {
            self.renewed = now;
        }
        is_due
    }

    pub(crate) fn count(&mut self, census: Census) {
        self.census = census;
    }

    pub(crate) fn others(&self) -> Vec<String> {
        self.census.live.iter().filter(|node| **node != *self.own).cloned().collect()
    }

    /// Whether a node lived when last asked.
    pub(crate) fn lives(&self, node: &str) -> bool {
        *node == *self.own || self.census.live.iter().any(|live| live == node)
    }

    /// Whether a node was not among all nodes when last asked.
    pub(crate) fn is_stranger(&self, node: &str) -> bool {
        !self.lives(node) && !self.census.dead.iter().any(|(dead, _)| dead == node)
    }

    /// Those that do not live.
    pub(crate) fn dead(&self) -> impl Iterator<Item = &str> {
        self.census.dead.iter().map(|(node, _)| &**node)
    }

    /// Those that do not live and whose users do not count either.
    pub(crate) fn gone(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.census.dead.iter().filter(move |(_, counts_until)| *counts_until <= now).map(|(node, _)| &**node)
    }
}

impl Census {
    /// Reads the script's answer.
    pub(crate) fn read(value: &Value, at: Timestamp) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [Value::Int(lived), live, dead, said, Value::Array(left), Value::Array(leaving)] =
            parts.as_slice()
        else {
            return None;
        };
        let live = names(live)?;
        let reports = live.iter().zip(names(said)?).zip(left);
        let reports =
            reports.filter_map(|((node, said), left)| Some((node.clone(), report(&said, left)?))).collect();
        let until = |left: &Value| match left {
            Value::Int(left_ms) => {
                u64::try_from(*left_ms).map(|ms| Timestamp(at.0.saturating_add(ms * 1_000)))
            }
            _ => Ok(at),
        };
        let dead =
            names(dead)?.into_iter().zip(leaving.iter().map(|left| until(left).unwrap_or(at))).collect();
        Some(Self { had_lived: *lived == 1, live, dead, reports, at })
    }
}

/// What a node said, `None` if it is of another version and says nothing that is known here.
fn report(said: &str, left: &Value) -> Option<NodeReport> {
    let Said { name, connections, rooms, lease_ms } = serde_json::from_str(said).ok()?;
    let Value::Int(left_ms) = left else { return None };
    let age_ms = lease_ms.saturating_sub(u64::try_from(*left_ms).ok()?);
    Some(NodeReport { name, connections, rooms, age_ms })
}

fn names(value: &Value) -> Option<Vec<String>> {
    let Value::Array(values) = value else { return None };
    let name = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    values.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn census(said: &[(&str, &str, i64)], at: Timestamp) -> Census {
        let (mut live, mut words, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for &(node, said, left_ms) in said {
            live.push(text(node));
            words.push(text(said));
            left.push(Value::Int(left_ms));
        }
        let lists = [live, vec![text("x:1"), text("y:1")], words, left, vec![Value::Int(0), Value::Int(500)]];
        let lists = lists.map(Value::Array);
        let value = Value::Array([Value::Int(1)].into_iter().chain(lists).collect());
        Census::read(&value, at).unwrap()
    }

    #[test]
    fn what_another_node_said_ages_and_ends_with_it() {
        let mut other = Nodes::new("b:1", 9_000);
        other.report(&NodeReport { name: "b".to_owned(), connections: 7, rooms: 3, age_ms: 0 });
        let said = other.said().unwrap();
        let mut nodes = Nodes::new("a:1", 9_000);
        nodes.count(census(&[("a:1", "{}", 9_000), ("b:1", &said, 7_000)], Timestamp::from_ms(1_000)));
        let at = |ms| nodes.reports(Timestamp::from_ms(ms)).map(|(_, report)| report).collect::<Vec<_>>();
        let expected = NodeReport { name: "b".to_owned(), connections: 7, rooms: 3, age_ms: 2_500 };
        assert_eq!(at(1_500), [expected]);
        assert_eq!(at(17_001), []);
    }

    #[test]
    fn the_users_of_a_node_that_stopped_in_order_count_for_its_grace() {
        let mut nodes = Nodes::new("a:1", 9_000);
        nodes.count(census(&[("b:1", "{}", 7_000)], Timestamp::from_ms(1_000)));
        let gone = |ms| nodes.gone(Timestamp::from_ms(ms)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(gone(1_499), ["x:1"]);
        assert_eq!(gone(1_500), ["x:1", "y:1"]);
        assert_eq!(nodes.dead().collect::<Vec<_>>(), ["x:1", "y:1"]);
        assert!(nodes.lives("a:1") && nodes.lives("b:1") && !nodes.lives("y:1"));
        assert!(nodes.is_stranger("z:1") && !nodes.is_stranger("y:1") && !nodes.is_stranger("a:1"));
    }

    #[test]
    fn a_node_whose_words_are_strange_lives_all_the_same() {
        let mut nodes = Nodes::new("a:1", 9_000);
        nodes.count(census(&[("b:1", "", 7_000), ("c:1", r#"{"name":4}"#, 7_000)], Timestamp(0)));
        assert_eq!(nodes.others(), ["b:1", "c:1"]);
        assert_eq!(nodes.reports(Timestamp(0)).count(), 0);
    }
}

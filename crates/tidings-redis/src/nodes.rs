//! The nodes that share a server, as this one knows them: who lives, and whose lease has ended.
//!
//! A node that is killed says nothing, so each says that it lives, every third of a lease. Refuses to
//! decide what becomes of what a dead node had.

use redis::Value;
use tidings_core::Timestamp;

/// See the module.
pub(crate) struct Nodes {
    own: Box<str>,
    renewed: Timestamp,
    census: Census,
}

/// Who was there when last asked.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// This node's lease had not ended.
    pub(crate) had_lived: bool,
    live: Vec<String>,
    dead: Vec<String>,
}

impl Nodes {
    pub(crate) fn new(own: &str) -> Self {
        Self { own: own.into(), renewed: Timestamp(0), census: Census::default() }
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

    pub(crate) fn dead(&self) -> &[String] {
        &self.census.dead
    }
}

impl Census {
    /// Reads the script's answer.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [Value::Int(lived), live, dead] = parts.as_slice() else { return None };
        Some(Self { had_lived: *lived == 1, live: names(live)?, dead: names(dead)? })
    }
}

fn names(value: &Value) -> Option<Vec<String>> {
    let Value::Array(values) = value else { return None };
    let name = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    values.iter().map(name).collect()
}

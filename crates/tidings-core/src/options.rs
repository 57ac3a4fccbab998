//! What a room keeps, what it tells and how it treats slow readers, by the pattern of its name.
//!
//! Made from settings at start; refuses to change while the node runs.

use tidings_protocol::{Limits, RoomName};

/// What happens to a subscriber whose outbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowConsumerPolicy {
    /// Keep the cursor, read the log again when the socket drains.
    #[default]
    CatchUp,
    /// Skip to the newest message of each key; for tickers.
    Latest,
    /// Drop what does not fit, and say so with one `gap` when the socket drains.
    Drop,
    /// Close with 1013; the client reconnects and recovers by cursor.
    Close,
}

/// How a room behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOptions {
    /// Messages its log keeps. 0 keeps none.
    pub history_messages: usize,
    /// Payload bytes its log keeps.
    pub history_bytes: usize,
    /// Age up to which its log keeps a message.
    pub history_age_ms: u64,
    /// What happens to slow readers.
    pub slow_consumer: SlowConsumerPolicy,
    /// Whether its members are told who comes and goes. The list of who is there can be asked for either way.
    pub presence_events: bool,
}

impl RoomOptions {
    /// The options of a room that no rule names.
    pub fn from_limits(limits: &Limits) -> Self {
        Self {
            history_messages: limits.room_history_messages,
            history_bytes: limits.room_history_bytes,
            history_age_ms: limits.room_history_age_ms,
            slow_consumer: SlowConsumerPolicy::default(),
            presence_events: true,
        }
    }

    /// Whether the log keeps any message at all.
    pub const fn keeps_history(&self) -> bool {
        self.history_messages > 0 && self.history_bytes > 0 && self.history_age_ms > 0
    }
}

/// Options by pattern of the room's name; the first pattern that matches wins.
#[derive(Debug, Clone)]
pub struct RoomRules {
    rules: Vec<(Pattern, RoomOptions)>,
    default: RoomOptions,
}

/// A room name in which `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is a pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole name fits. Linear in practice: goes back only to the last `*`.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while n < name.len() {
            if pattern.get(p) == Some(&b'*') {
                p += 1;
                retry = Some((p, n));
            } else if pattern.get(p) == Some(&name[n]) {
                p += 1;
                n += 1;
            } else if let Some((after_star, start)) = retry {
                p = after_star;
                n = start + 1;
                retry = Some((after_star, n));
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

impl RoomRules {
    /// Rules in order of precedence, and what holds where none matches.
    pub fn new(rules: Vec<(Pattern, RoomOptions)>, default: RoomOptions) -> Self {
        Self { rules, default }
    }

    /// The options of a room.
    pub fn of(&self, room: &RoomName) -> &RoomOptions {
        self.rules
            .iter()
            .find(|(pattern, _)| pattern.matches(room.as_str()))
            .map_or(&self.default, |(_, options)| options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, fits) in [
            ("ticker:*", "ticker:eur", true),
            ("ticker:*", "ticker:", true),
            ("ticker:*", "chat", false),
            ("*", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("chat", "chat", true),
            ("chat", "chats", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), fits, "{pattern} on {name}");
        }
    }
}

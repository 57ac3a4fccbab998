//! The settings file, in TOML: the flags' names with underscores, a table `limits`, and a table
//! `[[room]]` per rule.
//!
//! Refuses keys it does not know: a misspelt setting must not be silently without effect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tidings_core::options::Pattern;
use tidings_core::{RoomOptions, SlowConsumerPolicy};
use tidings_protocol::Limits;

use super::flags::EngineKind;
use crate::exit::Failure;

/// What a settings file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<Vec<String>>,
    pub(super) node: Option<String>,
    pub(super) engine: Option<EngineKind>,
    pub(super) redis: Option<Vec<String>>,
    pub(super) redis_prefix: Option<String>,
    pub(super) redis_ca: Option<PathBuf>,
    pub(super) shards: Option<usize>,
    pub(super) io_uring: Option<bool>,
    pub(super) echo: Option<bool>,
    pub(super) compression: Option<bool>,
    pub(super) allowed_origins: Option<Vec<String>>,
    #[serde(default)]
    limits: BTreeMap<String, toml::Value>,
    #[serde(default, rename = "room")]
    rooms: Vec<RoomRule>,
}

/// What holds for the rooms whose names fit a pattern; what is left out is as the limits say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomRule {
    pattern: String,
    slow_consumer: Option<Policy>,
    history_messages: Option<usize>,
    history_bytes: Option<usize>,
    history_age_ms: Option<u64>,
    presence_events: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Policy {
    CatchUp,
    Latest,
    Drop,
    Close,
}

impl File {
    /// Reads a file whole.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!(
                "config {:?} cannot be read: {error}. Check the path and who may read it.",
                path.display()
            ))
        })?;
        Self::parse(&text).map_err(|why| {
            let place = path.display();
            Failure::usage(format!("config {place:?}: {why}\nEvery key is described in docs/settings.md."))
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }

    /// Sets the limits that the file names.
    pub(super) fn apply_limits(&self, limits: &mut Limits) -> Result<(), Failure> {
        self.limits.iter().try_for_each(|(name, value)| {
            // What is no number at all gets the same answer as a number that makes no sense.
            let number = value.as_integer().and_then(|number| u64::try_from(number).ok()).unwrap_or(u64::MAX);
            limits.set(name, number).map_err(|error| {
                Failure::usage(format!("limits.{name} {value} in the settings file: {error}"))
            })
        })
    }

    /// The rules for rooms, in the order of the file.
    pub(super) fn rules(&self, limits: &Limits) -> Vec<(Pattern, RoomOptions)> {
        self.rooms.iter().map(|rule| (Pattern::new(rule.pattern.as_str()), rule.options(limits))).collect()
    }
}

impl RoomRule {
    fn options(&self, limits: &Limits) -> RoomOptions {
        let default = RoomOptions::from_limits(limits);
        RoomOptions {
            history_messages: self.history_messages.unwrap_or(default.history_messages),
            history_bytes: self.history_bytes.unwrap_or(default.history_bytes),
            history_age_ms: self.history_age_ms.unwrap_or(default.history_age_ms),
            slow_consumer: self.slow_consumer.map_or(default.slow_consumer, Policy::into_core),
            presence_events: self.presence_events.unwrap_or(default.presence_events),
        }
    }
}

impl Policy {
    const fn into_core(self) -> SlowConsumerPolicy {
        match self {
            Self::CatchUp => SlowConsumerPolicy::CatchUp,
            Self::Latest => SlowConsumerPolicy::Latest,
            Self::Drop => SlowConsumerPolicy::Drop,
            Self::Close => SlowConsumerPolicy::Close,
        }
    }
}

//! The rules of messaging: rooms that are logs, subscriptions that are cursors.
//!
//! State machines with `now` passed in. Refuses to know sockets, tokio, HTTP, Redis, and the clock.
#![forbid(unsafe_code)]

pub mod engine;
pub mod hub;
pub mod memory;
pub mod options;
pub mod rights;
pub mod telemetry;

pub use engine::{Completion, Engine, EngineError, Page, Position, Publication, Published, RoomSummary};
pub use hub::{Hub, Inbox, ShardSet};
pub use options::{RoomOptions, RoomRules, SlowConsumerPolicy};
pub use rights::Identity;

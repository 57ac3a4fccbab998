//! The rules of messaging: rooms that are logs, subscriptions that are cursors.
//!
//! State machines with `now` passed in. Refuses to know sockets, tokio, HTTP, Redis, and the clock.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod engine;
pub mod event;
pub mod hub;
#[cfg(test)]
mod listener;
pub mod mailbox;
pub mod memory;
pub mod messaging;
pub mod options;
pub mod outlet;
pub mod people;
pub mod presence;
pub mod recovery;
pub mod registry;
pub mod rights;
pub mod rooms;
mod schedule;
pub mod sessions;
pub mod slots;
mod stripes;
pub mod telemetry;
pub mod typing;

pub use engine::{
    Completion, Engine, EngineError, Hole, Page, Position, Publication, Published, RoomSummary, Timestamp,
};
pub use event::{Changes, Event, EventKind};
pub use hub::{Doubt, Hub, Inbox, ShardSet};
pub use mailbox::{Collected, Mailbox, Post};
pub use messaging::{Entrance, Introduction, Manner, Messaging, Now, PollEnd, Wiring, Wish};
pub use options::{RoomOptions, RoomRules, SlowConsumerPolicy};
pub use outlet::{Outlet, Telling};
pub use people::People;
pub use presence::{Presence, RoomChanges, RoomPresence};
pub use registry::Registry;
pub use rights::Identity;
pub use rooms::Batch;
pub use slots::{Slot, SlotKey, Slots};
pub use typing::Typing;

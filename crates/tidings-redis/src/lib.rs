//! The engine over Redis (7.0 and newer, or Valkey): rooms that several nodes share.
//!
//! A stream per room is the truth, a channel per room is for speed, and one script per message does
//! both in one step. What a node hears is checked against what it saw before; what it did not hear,
//! it reads. Refuses to know transports and sessions.
#![forbid(unsafe_code)]

mod attendance;
mod ear;
mod engine;
pub mod examine;
mod hearsay;
mod keys;
mod ledger;
mod line;
mod lines;
mod listing;
mod nodes;
mod placement;
mod registry;
mod reports;
mod routes;
mod scripts;
mod server;
mod sessions;
mod slots;
mod source;
mod standing;
mod survey;
mod topology;
mod voice;
mod wire;

pub use engine::{Beginning, Config, ConfigError, RedisEngine};
pub use registry::Registry;

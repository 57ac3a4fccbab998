//! The event loop: one thread a core, each with its own connections, which never change thread.
//!
//! In reading order: what a shard is given ([`context`]), what it calls the system for ([`io`],
//! [`tcp`], `ring`, [`foreign`]), a connection's few bytes ([`connection`], [`pending`], [`outbox`], [`wheel`]),
//! what one turn sends ([`cork`], [`encoding`], [`http`]), what requests ask for ([`head`]), and the
//! turn itself ([`shard`]). Refuses to know Redis, axum, and settings files.
#![deny(unsafe_code)]

pub mod capacity;
pub mod connection;
pub mod context;
pub mod cork;
pub mod encoding;
pub mod foreign;
pub mod gate;
pub mod head;
pub mod http;
pub mod io;
pub mod outbox;
pub mod pending;
mod ring;
pub mod shard;
pub mod start;
pub mod tcp;
pub mod wheel;

pub use capacity::{Capacity, Seat};
pub use context::{Context, Reception, Visitor};
pub use foreign::ByteStream;
pub use gate::{Arrival, Handshake, Purpose};
pub use shard::Shard;
pub use start::{Running, Shards, ShardsHandle, check_io_uring, start};
pub use tcp::{Arriving, Listeners, bind};

//! A server in a box: shards, an engine and clients on a simulated network with a clock to turn.
//!
//! Everything happens in one thread and follows from a seed. A shard that forgets to read again, or
//! is not woken, hangs here as it would in production, and the test sees it.

pub(crate) mod client;
pub(crate) mod held;
pub(crate) mod network;
pub(crate) mod protobuf;
pub(crate) mod random;
pub(crate) mod stream;
pub(crate) mod world;

pub(crate) use client::{Answer, Seen};
pub(crate) use held::Held;
pub(crate) use random::Random;
pub(crate) use world::{ClientId, Setup, World};

//! A server in a box: shards, an engine and clients on a simulated network with a clock to turn.
//!
//! Everything happens in one thread and follows from a seed. A shard that forgets to read again, or
//! is not woken, hangs here as it would in production, and the test sees it.

pub mod client;
pub mod held;
pub mod network;
pub mod protobuf;
pub mod random;
pub mod scenario;
pub mod stream;
pub mod world;

pub use client::{Answer, Seen};
pub use held::Held;
pub use random::Random;
pub use scenario::Scenario;
pub use world::{ClientId, Setup, World};

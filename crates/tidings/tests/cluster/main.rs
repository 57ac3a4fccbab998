//! Several nodes over real Redis servers, with subscribers and publishers on each, while things break.
//!
//! One checker judges every subscriber's record: in order, nothing twice, and nothing acknowledged is
//! missing unless a gap names the stretch.

#[allow(dead_code, reason = "the tests of the command use all of it")]
#[path = "../command/process.rs"]
mod process;
#[allow(dead_code, reason = "the engine's own tests use all of it")]
#[path = "../../../tidings-redis/tests/support/mod.rs"]
mod redis;

mod checker;
mod clocks;
mod connections;
mod crowd;
mod failover;
mod going;
mod nodes;
mod servers;
mod slots;

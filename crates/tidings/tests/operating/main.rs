//! What an operator sees of nodes around Redis.

mod doctor;
mod nodes;
#[path = "../command/process.rs"]
#[allow(dead_code, reason = "the other tests of the binary use the rest")]
mod process;
#[path = "../../../tidings-redis/tests/support/mod.rs"]
#[allow(dead_code, reason = "the other tests over Redis use the rest")]
mod redis;

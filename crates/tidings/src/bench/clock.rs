//! One clock for all processes of a benchmark: `CLOCK_MONOTONIC`, which is the same everywhere on a machine, so that a
//! stamp written by one process can be read by another.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment before any process of the benchmark began.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

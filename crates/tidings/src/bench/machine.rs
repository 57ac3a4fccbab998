//! What the kernel knows about a process, from `/proc`, and what it grants us: descriptors and CPUs.
//!
//! Refuses to guess: a figure that cannot be read is an error, not a zero.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPU time a process has used, over all its threads that are alive.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    /// All threads together.
    pub(crate) total_ns: u64,
    /// The thread that used most.
    pub(crate) busiest_thread_ns: u64,
}

/// Reads the CPU time from the scheduler's own count, which is in nanoseconds where `/proc/PID/stat` has 10 ms ticks.
pub(crate) fn cpu_time(process: u32) -> io::Result<CpuTime> {
    let mut time = CpuTime::default();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between being listed and being read.
        let Ok(line) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let first = line.split_whitespace().next().unwrap_or_default();
        let ns: u64 = first.parse().map_err(|_| io::Error::other("schedstat is not as expected"))?;
        time.total_ns += ns;
        time.busiest_thread_ns = time.busiest_thread_ns.max(ns);
    }
    Ok(time)
}

/// Anonymous memory of a process in bytes: what its user space has allocated and touched. Counted page by page by the
/// kernel; the figure in `status` lags behind by up to some hundred pages.
pub(crate) fn anonymous_bytes(process: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kilobytes = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other("smaps_rollup is not as expected"))
}

/// Memory of a process that is in the machine, in bytes: now, or at its most since it began.
pub(crate) fn resident_bytes(process: u32, most: bool) -> io::Result<u64> {
    let name = if most { "VmHWM:" } else { "VmRSS:" };
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("status is not as expected"))
}

/// Makes sure, if it can, that this process and its children may hold `count` descriptors; returns how many they may.
pub(crate) fn raise_descriptors(count: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let wanted = Rlimit { current: Some(count.max(hard)), maximum: Some(count.max(hard)) };
    // Beyond the hard limit only root gets, and not everywhere; up to it everybody.
    let within = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, wanted).is_err() && setrlimit(Resource::Nofile, within).is_err() {
        return limit.current.unwrap_or(u64::MAX);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Runs `start` on one CPU, so that the process it starts stays there: the first for the server, the others for the
/// workers. Neither then takes time from the other, and two runs compare. Without a second CPU nothing is pinned.
pub(crate) fn on_cpu<T>(index: Option<usize>, start: impl FnOnce() -> T) -> T {
    let Some(index) = index else { return start() };
    let Ok(allowed) = sched_getaffinity(None) else { return start() };
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let wraps = |index: usize| if index == 0 { 0 } else { 1 + (index - 1) % (cpus.len() - 1) };
    if cpus.len() < 2 {
        return start();
    }
    let mut one = CpuSet::new();
    one.set(cpus[wraps(index)]);
    let pinned = sched_setaffinity(None, &one).is_ok();
    let started = start();
    if pinned {
        // It was our mask before, so it is allowed.
        let _ = sched_setaffinity(None, &allowed);
    }
    started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let me = std::process::id();
        assert!(cpu_time(me).unwrap().total_ns >= cpu_time(me).unwrap().busiest_thread_ns / 2);
        assert!(anonymous_bytes(me).unwrap() > 0);
        assert!(resident_bytes(me, false).unwrap() > 0);
        assert!(resident_bytes(me, true).unwrap() > 0);
    }
}

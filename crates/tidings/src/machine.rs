//! What this machine allows: open files, memory, the listen queue, ports.
//!
//! Read when it is needed. Refuses to guess: what cannot be read is `None`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidings_protocol::Limits;

/// Files a node needs beside its connections: listeners, event queues, the log, the engine.
const FILES_BESIDE_CONNECTIONS: u64 = 256;

/// What the machine allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Open files of all processes together.
    pub(crate) open_files_system: Option<u64>,
    /// Most that the kernel queues per listener.
    pub(crate) listen_queue_max: Option<u64>,
    /// Memory that can be had without swapping.
    pub(crate) memory_available_bytes: Option<u64>,
    /// First and last port given to outgoing connections.
    pub(crate) outgoing_ports: Option<(u64, u64)>,
}

impl Machine {
    /// Looks.
    pub(crate) fn look() -> Self {
        let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let ports = numbers(&text("/proc/sys/net/ipv4/ip_local_port_range"));
        Self {
            open_files_system: numbers(&text("/proc/sys/fs/file-max")).first().copied(),
            listen_queue_max: numbers(&text("/proc/sys/net/core/somaxconn")).first().copied(),
            memory_available_bytes: available(&text("/proc/meminfo")),
            outgoing_ports: ports.first().copied().zip(ports.get(1).copied()),
        }
    }
}

/// Open files a node with these limits needs.
pub(crate) fn open_files_needed(limits: &Limits) -> u64 {
    let connections = limits.connections_max.saturating_add(limits.refusals_max);
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(FILES_BESIDE_CONNECTIONS)
}

/// Raises the limit of open files as far as it goes, and returns it: shells and systemd start
/// programs with 1,024 for the sake of `select`, which nothing here uses.
pub(crate) fn raise_open_files(limits: &Limits) -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let needed = open_files_needed(limits);
    // Privileged processes may go beyond what they were started with; others are refused, and keep it.
    let beyond = maximum.filter(|&maximum| maximum < needed).map(|_| Some(needed));
    for wanted in beyond.into_iter().chain([maximum]) {
        if setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: wanted }).is_ok() {
            return wanted.unwrap_or(u64::MAX);
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2 kB\n"), Some(2_048));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}

//! The checks: what the settings need, what the machine has, and what to do about the difference.
//!
//! Pure: what was found is passed in. Refuses a complaint without a remedy.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tidings_protocol::Limits;

use crate::machine::{self, Machine};
use crate::words::{count, size};

/// What the kernel keeps for a connection on which nothing moves, measured.
const KERNEL_BYTES_PER_CONNECTION: u64 = 4_200;
/// What we keep for it, the bound that the benchmark holds us to.
const OUR_BYTES_PER_CONNECTION: u64 = 256;
/// nginx gives up on a connection after this silence, unless told otherwise.
const PROXY_SILENCE_MS: u64 = 60_000;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// The node runs, but something may go worse than expected.
    Warn,
    /// The node cannot do what its settings say.
    Fail,
}

/// One check.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What was found, and what is needed.
    pub(super) found: String,
    /// What to do; empty if nothing.
    pub(super) remedy: String,
}

impl Check {
    fn new(name: &'static str, good: bool, otherwise: State, found: String, remedy: String) -> Self {
        let (state, remedy) = if good { (State::Ok, String::new()) } else { (otherwise, remedy) };
        Self { name, state, found, remedy }
    }
}

/// Everything that follows from the limits and the machine. `open_files` is what the process was
/// given when it asked for as many as it needs.
pub(super) fn of_limits(limits: &Limits, open_files: u64, machine: &Machine) -> Vec<Check> {
    let mut checks = vec![of_open_files(limits, open_files)];
    checks.extend(machine.open_files_system.map(|found| of_system_files(limits, found)));
    checks.extend(machine.listen_queue_max.map(|found| of_listen_queue(limits, found)));
    checks.extend(machine.memory_available_bytes.into_iter().flat_map(|found| of_memory(limits, found)));
    checks.extend(machine.outgoing_ports.map(of_ports));
    checks.extend([of_outbox(limits), of_room_history(limits), of_silence(limits)]);
    checks
}

fn of_open_files(limits: &Limits, found: u64) -> Check {
    let needed = machine::open_files_needed(limits);
    Check::new(
        "open_files",
        found >= needed,
        State::Fail,
        format!(
            "{} needed for connections_max {}, {} allowed",
            count(needed),
            count(wide(limits.connections_max)),
            count(found)
        ),
        format!(
            "set LimitNOFILE={needed} in the systemd unit, or `ulimit -Hn {needed}` as root before the start, \
             or lower connections_max"
        ),
    )
}

fn of_system_files(limits: &Limits, found: u64) -> Check {
    let needed = machine::open_files_needed(limits);
    Check::new(
        "system_files",
        found >= needed,
        State::Fail,
        format!("{} needed, {} allowed for all processes", count(needed), count(found)),
        format!("sysctl -w fs.file-max={}", needed.saturating_mul(2)),
    )
}

fn of_listen_queue(limits: &Limits, found: u64) -> Check {
    let needed = wide(limits.listen_backlog);
    Check::new(
        "listen_queue",
        found >= needed,
        State::Warn,
        format!("listen_backlog {}, the kernel allows {}", count(needed), count(found)),
        format!("sysctl -w net.core.somaxconn={needed}: clients that come at once would wait for seconds"),
    )
}

/// From what is sure to be needed to what a bad day needs.
fn of_memory(limits: &Limits, found: u64) -> [Check; 3] {
    let connections = wide(limits.connections_max);
    let idle = connections.saturating_mul(KERNEL_BYTES_PER_CONNECTION + OUR_BYTES_PER_CONNECTION);
    let full = idle.saturating_add(wide(limits.history_bytes_max));
    let stalled = full.saturating_add(connections.saturating_mul(wide(limits.outbox_bytes_max)));
    let told = |needed, when| format!("{} needed {when}, {} available", size(needed), size(found));
    [
        Check::new(
            "memory_idle",
            found >= idle,
            State::Fail,
            told(idle, "for connections_max idle connections"),
            "lower connections_max, or use a machine with more memory".to_owned(),
        ),
        Check::new(
            "memory_history",
            found >= full,
            State::Warn,
            told(full, "with history_bytes_max full as well"),
            "lower history_bytes_max".to_owned(),
        ),
        Check::new(
            "memory_stalled",
            found >= stalled,
            State::Warn,
            told(stalled, "if every client stopped reading at once"),
            "lower outbox_bytes_max or connections_max, or take the risk: waiting bytes of a room are shared, \
             so that it is rarely so much"
                .to_owned(),
        ),
    ]
}

/// For the benchmark, whose clients all come from this machine; a server needs no such ports.
fn of_ports((first, last): (u64, u64)) -> Check {
    let found = last.saturating_sub(first).saturating_add(1);
    Check::new(
        "outgoing_ports",
        found >= 10_000,
        State::Warn,
        format!("{} connections can be made from one address here (for `tidings bench`)", count(found)),
        "sysctl -w net.ipv4.ip_local_port_range='10240 65535' before a large benchmark".to_owned(),
    )
}

fn of_outbox(limits: &Limits) -> Check {
    Check::new(
        "outbox",
        limits.outbox_bytes_max >= limits.message_bytes_max,
        State::Warn,
        format!(
            "outbox_bytes_max {}, message_bytes_max {}",
            size(wide(limits.outbox_bytes_max)),
            size(wide(limits.message_bytes_max))
        ),
        "raise outbox_bytes_max: one large message makes every reader a slow one".to_owned(),
    )
}

fn of_room_history(limits: &Limits) -> Check {
    let keeps_none = limits.room_history_messages == 0;
    Check::new(
        "room_history",
        keeps_none || limits.room_history_bytes >= limits.message_bytes_max,
        State::Warn,
        format!(
            "room_history_bytes {}, message_bytes_max {}",
            size(wide(limits.room_history_bytes)),
            size(wide(limits.message_bytes_max))
        ),
        "raise room_history_bytes: a message that large is refused or never kept".to_owned(),
    )
}

fn of_silence(limits: &Limits) -> Check {
    Check::new(
        "ping_interval",
        limits.ping_interval_ms < PROXY_SILENCE_MS,
        State::Warn,
        format!("ping_interval_ms {}", count(limits.ping_interval_ms)),
        "lower ping_interval_ms to 25000: proxies close connections that are silent for a minute".to_owned(),
    )
}

/// Whether a turn's sends can go to the system in one call.
pub(super) fn of_io_uring(allowed: Result<&(), String>) -> Check {
    Check::new(
        "io_uring",
        allowed.is_ok(),
        State::Warn,
        allowed.err().map_or_else(|| "can be used".to_owned(), |error| format!("cannot be used: {error}")),
        "nothing is lost but some CPU: to win it back, set kernel.io_uring_disabled=0, let the container's \
         seccomp profile allow io_uring_setup, io_uring_enter and io_uring_register, or say --no-io-uring"
            .to_owned(),
    )
}

/// Whether the node could listen there.
pub(super) fn of_address(address: SocketAddr, bound: Result<&(), ErrorKind>) -> Check {
    let (state, found, remedy) = match bound {
        Ok(()) => (State::Ok, "is free".to_owned(), String::new()),
        Err(ErrorKind::AddrInUse) => (
            State::Warn,
            "is in use".to_owned(),
            format!("fine if this node runs already; `ss -ltnp sport = :{}` says who it is", address.port()),
        ),
        Err(kind) => (
            State::Fail,
            format!("cannot be had: {kind}"),
            "choose another with --listen; `ip address` lists those of this machine".to_owned(),
        ),
    };
    Check { name: "listen", state, found: format!("{address} {found}"), remedy }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large_machine() -> Machine {
        Machine {
            open_files_system: Some(u64::MAX),
            listen_queue_max: Some(65_536),
            memory_available_bytes: Some(64 << 30),
            outgoing_ports: Some((32_768, 60_999)),
        }
    }

    fn state(checks: &[Check], name: &str) -> State {
        checks.iter().find(|check| check.name == name).expect("the check is made").state
    }

    #[test]
    fn a_large_machine_passes_with_the_defaults() {
        let checks = of_limits(&Limits::default(), 1 << 20, &large_machine());
        assert!(checks.iter().all(|check| check.state == State::Ok), "{checks:?}");
    }

    #[test]
    fn each_shortage_is_found_where_it_is() {
        let machine = Machine {
            open_files_system: Some(1_000),
            listen_queue_max: Some(128),
            memory_available_bytes: Some(1 << 30),
            outgoing_ports: Some((60_000, 61_000)),
        };
        let limits = Limits { message_bytes_max: 16 << 20, ping_interval_ms: 90_000, ..Limits::default() };
        let checks = of_limits(&limits, 1_024, &machine);
        for (name, expected) in [
            ("open_files", State::Fail),
            ("system_files", State::Fail),
            ("listen_queue", State::Warn),
            ("memory_idle", State::Ok),
            ("memory_history", State::Warn),
            ("memory_stalled", State::Warn),
            ("outgoing_ports", State::Warn),
            ("outbox", State::Warn),
            ("room_history", State::Warn),
            ("ping_interval", State::Warn),
        ] {
            assert_eq!(state(&checks, name), expected, "{name}");
        }
        assert!(
            checks.iter().all(|check| (check.state == State::Ok) == check.remedy.is_empty()),
            "{checks:?}"
        );
    }

    #[test]
    fn limits_beyond_any_machine_fail_without_overflow() {
        let limits =
            Limits { connections_max: usize::MAX, outbox_bytes_max: usize::MAX, ..Limits::default() };
        let checks = of_limits(&limits, 1 << 20, &large_machine());
        assert_eq!((state(&checks, "open_files"), state(&checks, "memory_idle")), (State::Fail, State::Fail));
    }

    #[test]
    fn an_address_in_use_is_no_failure_but_one_that_is_not_ours_is() {
        let address = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(of_address(address, Ok(&())).state, State::Ok);
        assert_eq!(of_address(address, Err(ErrorKind::AddrInUse)).state, State::Warn);
        assert_eq!(of_address(address, Err(ErrorKind::AddrNotAvailable)).state, State::Fail);
    }

    #[test]
    fn the_systemd_unit_gives_as_many_open_files_as_the_defaults_need() {
        let unit = include_str!("../../../../deploy/tidings.service");
        let given =
            unit.lines().find_map(|line| line.strip_prefix("LimitNOFILE=")).expect("the unit names it");
        let given = given.parse().expect("it is a number");
        assert_eq!(of_open_files(&Limits::default(), given).state, State::Ok);
    }
}

//! Settings: what a node was told, from flags, `TIDINGS_…` variables, a TOML file and defaults, in
//! this order of precedence.
//!
//! Read once at start and never changed. Refuses a value that makes no sense with the setting, the
//! value found, and the remedy.

mod file;
mod flags;

use std::net::SocketAddr;
use std::path::Path;

use tidings_core::{RoomOptions, RoomRules};
use tidings_protocol::{Limits, Origins};

use crate::exit::Failure;
use file::File;
use flags::EngineKind;
pub(crate) use flags::Flags;

/// Where a node listens when it is told nothing.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// Everything a node was told.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where to listen; port 0 picks a free one.
    pub(crate) listen: Vec<SocketAddr>,
    /// The name of this node in sessions, metrics and headers.
    pub(crate) node: String,
    /// The Redis servers that keep the rooms' logs; none if this process does.
    pub(crate) redis: Option<RedisSettings>,
    /// Threads that own connections.
    pub(crate) shards: usize,
    /// Whether `/echo` is served.
    pub(crate) echo: bool,
    /// Whether sends may go to the system by io_uring.
    pub(crate) io_uring: bool,
    /// Whether WebSocket compression is offered.
    pub(crate) compression: bool,
    /// Pages of which other origins may read what the node answers.
    pub(crate) origins: Origins,
    /// Every limit.
    pub(crate) limits: Limits,
    /// What rooms keep and how they treat slow readers.
    pub(crate) rules: RoomRules,
}

/// How to reach what keeps the rooms' logs when this process does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisSettings {
    /// Independent servers that share the rooms.
    pub(crate) addresses: Vec<String>,
    /// The certificate that servers with TLS must have theirs from, if the machine does not know it.
    pub(crate) root_certificate: Option<Vec<u8>>,
    /// What all keys and channels begin with.
    pub(crate) prefix: String,
}

impl Settings {
    /// Puts together what flags, variables, the file and the defaults say.
    pub(crate) fn read(flags: &Flags) -> Result<Self, Failure> {
        let file = match &flags.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let mut limits = Limits::default();
        file.apply_limits(&mut limits)?;
        flags.apply_limits(&mut limits)?;
        check_together(&limits)?;
        Ok(Self {
            listen: addresses(flags, &file)?,
            node: node_name(flags, &file)?,
            redis: redis(flags, &file)?,
            shards: shards(flags, &file)?,
            echo: flags.echo || file.echo.unwrap_or(false),
            io_uring: !flags.no_io_uring && file.io_uring.unwrap_or(true),
            compression: !flags.no_compression && file.compression.unwrap_or(true),
            origins: origins(flags, &file)?,
            rules: RoomRules::new(file.rules(&limits), RoomOptions::from_limits(&limits)),
            limits,
        })
    }
}

/// Limits that only make sense together.
fn check_together(limits: &Limits) -> Result<(), Failure> {
    if limits.restart_ack_timeout_ms > limits.drain_timeout_ms {
        return Err(Failure::usage(format!(
            "restart_ack_timeout_ms {} is longer than drain_timeout_ms {}, of which it is a part: lower it",
            limits.restart_ack_timeout_ms, limits.drain_timeout_ms
        )));
    }
    Ok(())
}

fn addresses(flags: &Flags, file: &File) -> Result<Vec<SocketAddr>, Failure> {
    let texts = match (flags.listen.is_empty(), &file.listen) {
        (false, _) => flags.listen.clone(),
        (true, Some(listen)) => listen.clone(),
        (true, None) => vec![DEFAULT_ADDRESS.to_owned()],
    };
    if texts.is_empty() {
        return Err(Failure::usage("listen is an empty list: name at least one address, or leave it out"));
    }
    texts.iter().map(|text| address(text)).collect()
}

/// Takes `localhost` for 127.0.0.1: other names would have to be looked up, and may mean several addresses.
fn address(text: &str) -> Result<SocketAddr, Failure> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        Failure::usage(format!(
            "listen {text:?} is no address with a port: write one like 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"
        ))
    })
}

/// The name goes into a header and into JSON as it is.
fn node_name(flags: &Flags, file: &File) -> Result<String, Failure> {
    let name = flags.node.clone().or_else(|| file.node.clone()).unwrap_or_else(host_name);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(Failure::usage(format!(
            "node {name:?} is no name for a node: use 1 to 64 letters, digits and any of - _ . :"
        )));
    }
    Ok(name)
}

/// The machine's own name, as far as it can be a node's.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    if fits.is_empty() { "tidings".to_owned() } else { fits }
}

fn redis(flags: &Flags, file: &File) -> Result<Option<RedisSettings>, Failure> {
    let engine = flags.engine.or(file.engine).unwrap_or(EngineKind::Memory);
    let addresses = match flags.redis.is_empty() {
        true => file.redis.clone().unwrap_or_default(),
        false => flags.redis.clone(),
    };
    match (engine, addresses.is_empty()) {
        (EngineKind::Memory, true) => Ok(None),
        (EngineKind::Memory, false) => Err(Failure::usage(
            "redis is given, but the engine is memory: add --engine redis, or leave it out",
        )),
        (EngineKind::Redis, true) => Err(Failure::usage(
            "the engine is redis, but no server is named: add --redis redis://127.0.0.1:6379",
        )),
        (EngineKind::Redis, false) => {
            let prefix = flags.redis_prefix.clone().or_else(|| file.redis_prefix.clone());
            let root_certificate =
                flags.redis_ca.as_ref().or(file.redis_ca.as_ref()).map(|path| certificate(path));
            Ok(Some(RedisSettings {
                addresses,
                root_certificate: root_certificate.transpose()?,
                prefix: prefix.unwrap_or_else(|| "tidings".to_owned()),
            }))
        }
    }
}

fn certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::usage(format!(
            "redis_ca {:?} cannot be read: {error}. Check the path and who may read it.",
            path.display()
        ))
    })
}

fn origins(flags: &Flags, file: &File) -> Result<Origins, Failure> {
    let texts = match (flags.allowed_origins.is_empty(), &file.allowed_origins) {
        (true, Some(listed)) => listed,
        _ => &flags.allowed_origins,
    };
    Origins::new(texts).map_err(|error| Failure::usage(format!("allowed_origins: {error}")))
}

fn shards(flags: &Flags, file: &File) -> Result<usize, Failure> {
    let most = tidings_core::ShardSet::SHARDS_MAX;
    match flags.shards.or(file.shards) {
        Some(shards) if (1..=most).contains(&shards) => Ok(shards),
        Some(shards) => {
            Err(Failure::usage(format!("shards {shards} is not from 1 to {most}: one per core is right")))
        }
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from).min(most)),
    }
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;

//! The flags of `serve` and `doctor`, and the variables of the same names.
//!
//! One flag per limit is made from the limits' own list. Refuses to give defaults: what was not
//! said stays unsaid, so that the file is asked next.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Command};
use tidings_protocol::Limits;

use crate::exit::Failure;

/// What the command line and the environment say.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// Listen here; may be given several times. Port 0 picks a free one. [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", env = "TIDINGS_LISTEN", value_delimiter = ',')]
    pub(crate) listen: Vec<String>,
    /// This node's name in headers, sessions and metrics. [default: the machine's name]
    #[arg(long, value_name = "NAME", env = "TIDINGS_NODE")]
    pub(crate) node: Option<String>,
    /// Read settings from this TOML file; flags and variables win over it.
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// What keeps the rooms' logs. [default: memory]
    #[arg(long, value_name = "ENGINE", env = "TIDINGS_ENGINE")]
    pub(crate) engine: Option<EngineKind>,
    /// A Redis server for the engine of that name: redis://[user:password@]host[:port][/db], rediss://
    /// for TLS, redis+sentinel://host:port[,host:port…]/name for the master of that name. May be given
    /// several times, for servers that share the rooms, the same on every node; or for members of one Redis Cluster.
    #[arg(long, value_name = "URL", env = "TIDINGS_REDIS", value_delimiter = ',')]
    pub(crate) redis: Vec<String>,
    /// The certificate (PEM) that Redis servers with TLS have theirs from. [default: what the machine knows]
    #[arg(long, value_name = "FILE", env = "TIDINGS_REDIS_CA")]
    pub(crate) redis_ca: Option<PathBuf>,
    /// What the names of all keys and channels in Redis begin with. [default: tidings]
    #[arg(long, value_name = "NAME", env = "TIDINGS_REDIS_PREFIX")]
    pub(crate) redis_prefix: Option<String>,
    /// Threads that own connections. [default: one per core]
    #[arg(long, value_name = "COUNT", env = "TIDINGS_SHARDS")]
    pub(crate) shards: Option<usize>,
    /// Send to each connection by a call of its own, also where the system could take all of a turn's sends in one.
    #[arg(long, env = "TIDINGS_NO_IO_URING")]
    pub(crate) no_io_uring: bool,
    /// Serve /echo, which sends every WebSocket message back; for tests of conformance.
    #[arg(long, env = "TIDINGS_ECHO")]
    pub(crate) echo: bool,
    /// Do not offer WebSocket compression.
    #[arg(long, env = "TIDINGS_NO_COMPRESSION")]
    pub(crate) no_compression: bool,
    /// Pages of these origins may read what the node answers (CORS): scheme://host, or * for all.
    /// May be given several times. [default: none but the node's own]
    #[arg(
        long = "allowed-origin",
        value_name = "ORIGIN",
        env = "TIDINGS_ALLOWED_ORIGINS",
        value_delimiter = ','
    )]
    pub(crate) allowed_origins: Vec<String>,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Flags {
    /// Sets the limits that were named.
    pub(crate) fn apply_limits(&self, limits: &mut Limits) -> Result<(), Failure> {
        self.limits.0.iter().try_for_each(|named| {
            let refused = |why: &dyn std::fmt::Display| {
                Failure::usage(format!("{} {:?} {why}", named.said_by, named.value))
            };
            let digits = named.value.replace('_', "");
            // What is no number at all gets the same answer as a number that makes no sense.
            let number = digits.parse().unwrap_or(u64::MAX);
            limits.set(named.limit, number).map_err(|error| refused(&error))
        })
    }
}

/// The engines there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EngineKind {
    /// Rooms live in this process and end with it.
    Memory,
    /// Rooms live in Redis, which several nodes share.
    Redis,
}

/// The name of a limit's flag, without the dashes before it.
pub(crate) fn flag_name(limit: &str) -> String {
    limit.replace('_', "-")
}

/// The name of a limit's variable.
pub(crate) fn variable_name(limit: &str) -> String {
    format!("TIDINGS_{}", limit.to_ascii_uppercase())
}

/// The limits that were named, by flag or variable.
#[derive(Debug, Default)]
struct LimitFlags(Vec<NamedLimit>);

#[derive(Debug)]
struct NamedLimit {
    limit: &'static str,
    value: String,
    /// The flag or the variable, for complaints.
    said_by: String,
}

impl clap::Args for LimitFlags {
    fn augment_args(command: Command) -> Command {
        let defaults = Limits::default();
        command.args(Limits::ALL.iter().map(|limit| {
            let default = defaults.get(limit.name).unwrap_or_default();
            Arg::new(limit.name)
                .long(flag_name(limit.name))
                .env(variable_name(limit.name))
                .value_name("NUMBER")
                .value_parser(NonEmptyStringValueParser::new())
                .allow_negative_numbers(true)
                .hide_short_help(true)
                .help_heading(format!("Limits: {}", limit.section.to_lowercase()))
                .help(format!(
                    "{} [default: {default}]",
                    limit.help.split_whitespace().collect::<Vec<_>>().join(" ")
                ))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for LimitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let named = Limits::ALL.iter().filter_map(|limit| {
            let value = matches.get_one::<String>(limit.name)?.clone();
            let said_by = match matches.value_source(limit.name) {
                Some(clap::parser::ValueSource::EnvVariable) => variable_name(limit.name),
                _ => format!("--{}", flag_name(limit.name)),
            };
            Some(NamedLimit { limit: limit.name, value, said_by })
        });
        Ok(Self(named.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

//! What `tidings bench` may be told. Owned by the command line; refuses values no run could use.

use std::path::PathBuf;
use std::time::Duration;

use super::drops::Way;
use super::payload::STAMP_BYTES;
use super::plan::Transport;

/// How long a run lasts when nothing else is said.
const DURATION: Duration = Duration::from_secs(5);

/// What `tidings bench` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Scenario {
    /// One room with many members and one publisher.
    Fanout(Fanout),
    /// Rooms of a few members, in which everyone talks.
    Rooms(Rooms),
    /// Connections that do nothing: memory and CPU for each.
    Idle(Idle),
    /// All connect at once, all leave at once, new ones come.
    Storm(Storm),
    /// Clients are cut off again and again, and come back: whether each message reaches each of them once, in order.
    Drops(Drops),
    /// Several nodes around Redis servers, next to one node by itself: what a message costs each process.
    Cluster(Cluster),
    /// A node is killed while messages flow: how long its clients take to be whole again at the others, and what they miss.
    Failover(Failover),
    /// A crowd comes into a room at once and leaves it at once: what users cost, and whether that grows with the crowd.
    Presence(Presence),
    /// Each connection sends a message whenever the last one came back from /echo.
    Echo(Echo),
    /// A load-generating process; started by the others.
    #[command(hide = true)]
    Worker,
    /// The bare server to compare with; started by the others.
    #[command(hide = true)]
    Floor,
}

/// What holds for every scenario.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// One line of JSON per result instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Smaller and shorter: to see that it works, not to compare.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How long each run lasts, in seconds. 5 when left out, and 20 for `drops`.
    #[arg(long, value_parser = positive)]
    seconds: Option<f64>,
    /// How often each server is measured; medians are shown. 1, or 3 with a comparison, when left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Measure a server that runs already instead of starting one. It must allow as many messages.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// With --url: the server's process, to read its CPU and memory.
    #[arg(long, value_name = "PID", requires = "url")]
    pub(crate) pid: Option<u32>,
    /// Load-generating processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Let the system choose the CPUs. Otherwise the server gets one and the workers the others.
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Measure another build of Tidings.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

/// Whether there is something to compare with.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Comparison {
    /// Also measure a bare loop that sends the same bytes to the same sockets, in turns, and print ratios.
    #[arg(long)]
    pub(crate) floor: bool,
    /// Measure the bare loop alone.
    #[arg(long, conflicts_with_all = ["floor", "url"])]
    pub(crate) only_floor: bool,
}

/// Options of `fanout`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Fanout {
    /// Members of the room.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) members: u32,
    /// Bytes of each message's text.
    #[arg(long, default_value_t = 128, value_parser = payload_bytes)]
    pub(crate) bytes: usize,
    /// Messages published back to back.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) burst: u32,
    /// Bursts per second. When left out: as many as make about 50,000 deliveries a second.
    #[arg(long, value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// As fast as it goes with a p99 under 100 ms.
    #[arg(long, conflicts_with_all = ["burst", "rate", "stalled"])]
    pub(crate) flood: bool,
    /// This share of the members, in percent, stops reading; runs without them are made in turns and compared.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) stalled: Option<f64>,
    /// How the members listen. The publisher has a WebSocket.
    #[arg(long, value_enum, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of `rooms`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Rooms {
    /// Connections in all rooms together.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Members of a room.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) size: u32,
    /// Bytes of each message's text.
    #[arg(long, default_value_t = 128, value_parser = payload_bytes)]
    pub(crate) bytes: usize,
    /// Messages per second of all connections together.
    #[arg(long, default_value_t = 5_000.0, value_parser = positive)]
    pub(crate) rate: f64,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of `idle`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Idle {
    /// Connections.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) connections: u32,
    /// All in one room, or each in its own.
    #[arg(long, value_enum, default_value_t = IdleRooms::Shared)]
    pub(crate) rooms: IdleRooms,
    /// How they are connected; over polls, each waits in one. In a shared room, the first has a WebSocket.
    #[arg(long, value_enum, default_value_t = Transport::Websocket)]
    pub(crate) transport: Transport,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Where idle connections sit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum IdleRooms {
    Shared,
    Own,
}

/// Options of `storm`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Storm {
    /// Connections made in the same instant.
    #[arg(long, default_value_t = 9_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) connections: u32,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of `drops`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Drops {
    /// Clients, in rooms of ten.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) clients: u32,
    /// How they are connected; one run for each.
    #[arg(long, value_enum, value_delimiter = ',',
        default_values_t = [Way::Websocket, Way::WebsocketHttp2, Way::Sse, Way::Poll, Way::Grpc])]
    pub(crate) transport: Vec<Way>,
    /// How long a client is cut off.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub(crate) down_ms: u32,
    /// How long a client is on the line in between, on average.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub(crate) up_ms: u32,
    /// Messages per second in each room. What a client misses must fit into the room's history.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub(crate) rate: f64,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of `cluster`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Cluster {
    /// Nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) nodes: u32,
    /// Redis servers that they share; one run for each number. They are started on free ports, and keep nothing on disk.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [1, 2],
        value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) redis: Vec<u32>,
    /// Connections to all nodes together, dealt out one by one, so that each room has members on several.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Members of a room.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) size: u32,
    /// Bytes of each message's text.
    #[arg(long, default_value_t = 128, value_parser = payload_bytes)]
    pub(crate) bytes: usize,
    /// Messages per second of all connections together.
    #[arg(long, default_value_t = 1_000.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// Each Redis server may use only this share of a core, in percent, and each connection, alone in its room, publishes
    /// when its last message came back: what goes through then is what the servers carry.
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with_all = ["rate", "size"])]
    pub(crate) saturate: Option<f64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of `failover`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Failover {
    /// Clients that resume.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) clients: u32,
    /// Where they are before a node is killed; one run for each.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Seats::One, Seats::Spread])]
    pub(crate) seats: Vec<Seats>,
    /// Nodes, of which the first is killed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=64))]
    pub(crate) nodes: u32,
    /// Redis servers that they share. They are started on free ports, and keep nothing on disk.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) redis: u32,
    /// Members of a room.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) size: u32,
    /// Messages per second to all rooms together, in turns, by a publisher at a node that stays. What a client misses must
    /// fit into the room's history.
    #[arg(long, default_value_t = 500.0, value_parser = positive)]
    pub(crate) rate: f64,
    /// A client that was cut off tries again after a half to all of this, then after twice as much, up to 30 s.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub(crate) pause_ms: u32,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Where clients are before a node is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Seats {
    /// All on the node that is killed.
    One,
    /// On all nodes alike.
    Spread,
}

/// Options of `presence`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Presence {
    /// Sizes of the crowds that are compared.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 5_000, 10_000],
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) users: Vec<u32>,
    /// Guests who are in the room all the while.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) watchers: u32,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of `echo`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Echo {
    /// Connections.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Bytes of each message.
    #[arg(long, default_value_t = 128, value_parser = payload_bytes)]
    pub(crate) bytes: usize,
    #[command(flatten)]
    pub(crate) comparison: Comparison,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Common {
    /// How long each run lasts.
    pub(crate) fn duration(&self) -> Duration {
        self.duration_or(DURATION)
    }

    /// How long each run lasts, where another time than usual is the usual one.
    pub(crate) fn duration_or(&self, usual: Duration) -> Duration {
        let duration = self.seconds.map_or(usual, Duration::from_secs_f64);
        if self.quick { duration.min(Duration::from_secs(1)) } else { duration }
    }

    /// How often each of `servers` servers is measured.
    pub(crate) fn rounds(&self, servers: usize) -> usize {
        match (self.rounds, self.quick) {
            (Some(rounds), _) => rounds as usize,
            (None, false) if servers > 1 => 3,
            (None, _) => 1,
        }
    }

    /// `count`, or a tenth of it when it is to be quick.
    pub(crate) fn scaled(&self, count: u32) -> usize {
        let count = count as usize;
        if self.quick { count.min(count.div_ceil(10).max(100)) } else { count }
    }

    /// Load-generating processes.
    pub(crate) fn workers(&self) -> usize {
        self.workers as usize
    }

    /// For scenarios that need servers of their own making.
    pub(crate) fn without_url(&self) -> std::io::Result<()> {
        match self.url {
            Some(_) => {
                Err(std::io::Error::other("this scenario starts its own nodes and Redis; leave out --url"))
            }
            None => Ok(()),
        }
    }

    /// Where Tidings is.
    pub(crate) fn tidings(&self) -> std::io::Result<PathBuf> {
        self.binary.clone().map_or_else(std::env::current_exe, Ok)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("give a number above 0".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    positive(text).ok().filter(|percent| *percent <= 50.0).ok_or_else(|| "give a number up to 50".to_owned())
}

fn payload_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (STAMP_BYTES..=60_000).contains(&bytes) => Ok(bytes),
        _ => {
            Err(format!("give {STAMP_BYTES} to 60000: a message begins with a stamp of {STAMP_BYTES} bytes"))
        }
    }
}

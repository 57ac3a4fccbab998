//! The scenario in which connections break: clients are cut off again and again while messages flow in their rooms, and
//! come back by the means of their transport. Every message must come to each of them once and in order.
//!
//! Runs in the parent: what is measured is what arrives, not what it costs.

pub(super) mod client;
mod field;
pub(super) mod publisher;
pub(super) mod tally;
pub(super) mod told;

use std::io;
use std::time::Duration;

use field::{Field, Habits};

use super::arguments::Drops;
use super::figures::{self as figure, Outcome};
use super::ground::{Contestant, Ground, Server};
use super::payload::STAMP_BYTES;
use super::plan::{Seating, Transport};

/// Members of a room.
const ROOM_SIZE: usize = 10;
/// How long a run lasts when nothing else is said: long enough for several cuts of everybody.
const SECONDS: Duration = Duration::from_secs(20);
/// Times on the line and off it where it is only to be seen that it works.
const QUICK: Duration = Duration::from_millis(200);

/// How clients are connected, and so by what they come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    Websocket,
    /// A WebSocket on a stream of HTTP/2 (RFC 8441).
    WebsocketHttp2,
    /// Server-sent events over HTTP/1.1.
    Sse,
    /// Long polls, one after another on a connection that is kept.
    Poll,
    /// The call `Session` of gRPC.
    Grpc,
}

impl Way {
    /// What it is over HTTP/1.1, or would be there.
    fn speaks(self) -> Transport {
        match self {
            Self::Websocket | Self::WebsocketHttp2 | Self::Grpc => Transport::Websocket,
            Self::Sse => Transport::Sse,
            Self::Poll => Transport::Poll,
        }
    }
}

impl Contestant for Way {
    fn name(self) -> String {
        match self {
            Self::Websocket => "websocket",
            Self::WebsocketHttp2 => "websocket-http2",
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Grpc => "grpc",
        }
        .to_owned()
    }
}

/// Runs `drops`.
pub(crate) fn drops(args: &Drops) -> io::Result<bool> {
    let clients = args.common.scaled(args.clients);
    let (mut up, mut down) =
        (Duration::from_millis(args.up_ms.into()), Duration::from_millis(args.down_ms.into()));
    if args.common.quick {
        (up, down) = (up.min(QUICK), down.min(QUICK));
    }
    let rooms = clients.div_ceil(ROOM_SIZE);
    let habits =
        Habits { up, down, publish_every: Duration::from_secs_f64(1.0 / (args.rate * rooms as f64)) };
    let scenario = format!(
        "drops: {clients} clients in rooms of {ROOM_SIZE}, cut for {down:?} about every {:?}, {} messages per second and room",
        up + down,
        args.rate
    );
    Ground::contest(&args.common, scenario, &args.transport, |ground, way| {
        // A client that was cut off in silence holds two connections when it comes back.
        let target = ground.target(Server::Tidings, Seating::Shared, STAMP_BYTES, 2 * clients)?;
        let mut field = Field::new(target.address, way, clients, habits)?;
        field.connect()?;
        field.flow(args.common.duration_or(SECONDS))?;
        let result = field.settle()?;
        let mut outcome = Outcome::new(way.name());
        let missing = result.faults.lost + result.faults.told;
        let delivered = 100.0 * (1.0 - missing as f64 / result.expected.max(1) as f64);
        outcome.set(&figure::CONNECTIONS, clients as f64);
        outcome.set(&figure::CUTS, result.cuts as f64);
        outcome.set(&figure::PUBLISHED, result.published as f64);
        outcome.set(&figure::DELIVERIES, (result.expected - missing.min(result.expected)) as f64);
        outcome.set(&figure::DELIVERED_PERCENT, delivered);
        outcome.set(&figure::TOLD_GAPS, result.gaps as f64);
        outcome.set(&figure::RESUMED, result.resumed as f64);
        if let Some(back) = result.back.percentiles() {
            outcome.set(&figure::BACK_P50_MS, back.p50_us / 1_000.0);
            outcome.set(&figure::BACK_P99_MS, back.p99_us / 1_000.0);
        }
        outcome.faults = result.faults;
        outcome.broken = result.broken;
        Ok(outcome)
    })
}

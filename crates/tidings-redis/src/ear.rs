//! The ear: the connection over which a Redis server announces, and the work that the ledger asks for.
//!
//! Owned by its server. Refuses to trust a silence: each second this node publishes to itself through
//! the server, and when that is not heard any more, both connections are made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::ledger::Task;
use crate::server::Server;

/// How often a node publishes to itself.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Silence after which the path counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Rooms subscribed to, or looked at, with one system call.
const BATCH_ROOMS: usize = 256;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What the connection tells of itself.
pub(crate) struct Ear {
    /// The node heard itself lately.
    is_up: AtomicBool,
    /// The ledger has work.
    pub(crate) bell: Notify,
}

/// What one connection tells, and no later one is told.
#[derive(Default)]
struct Signals {
    gone: Notify,
    probe_heard: Notify,
}

impl Ear {
    pub(crate) fn new() -> Self {
        Self { is_up: AtomicBool::new(false), bell: Notify::new() }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }
}

/// Listens, for ever.
pub(crate) async fn listen(server: Arc<Server>) {
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        let signals = Arc::new(Signals::default());
        let error = match connect(&server, &signals).await {
            Ok(connection) => listen_once(&server, connection, &signals).await,
            Err(error) => error,
        };
        let has_heard = server.ear.is_up.swap(false, Ordering::AcqRel);
        server.deaf(&error, has_heard);
        if began.elapsed() > PAUSE_MAX * 2 {
            pause = PAUSE_MIN;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn connect(server: &Arc<Server>, signals: &Arc<Signals>) -> Result<MultiplexedConnection, RedisError> {
    let pushed = Arc::downgrade(server);
    let signals = Arc::clone(signals);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(server.patience))
        .set_response_timeout(Some(server.patience))
        .set_push_sender(move |push: PushInfo| {
            if let Some(server) = pushed.upgrade() {
                hear(&server, &signals, push);
            }
            Ok::<(), ()>(())
        });
    let mut connection = server
        .source
        .find(server.patience)
        .await?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(&server.letters);
    connection.send_packed_command(&subscribe).await?.extract_error()?;
    Ok(connection)
}

/// Listens until the connection is gone, or the node does not hear itself.
async fn listen_once(
    server: &Arc<Server>,
    mut connection: MultiplexedConnection,
    signals: &Signals,
) -> RedisError {
    let mut probes = interval(PROBE_INTERVAL);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    server.ear.bell.notify_one();
    loop {
        tokio::select! {
            () = signals.gone.notified() => return broken(std::io::ErrorKind::ConnectionReset),
            () = signals.probe_heard.notified() => {
                heard_at = Instant::now();
                if !server.ear.is_up.swap(true, Ordering::AcqRel) {
                    server.hears();
                }
            }
            () = server.ear.bell.notified() => {
                if !server.ear.is_up() {
                    probe(server);
                }
                if let Err(error) = work(server, &mut connection).await {
                    return error;
                }
            }
            _ = probes.tick() => {
                if heard_at.elapsed() > SILENCE_MAX {
                    server.voice.reconnect();
                    return broken(std::io::ErrorKind::TimedOut);
                }
                probe(server);
                if let Err(error) = work(server, &mut connection).await {
                    return error;
                }
            }
        }
    }
}

/// Says something that this node should hear.
fn probe(server: &Server) {
    let mut probe = redis::cmd("PUBLISH");
    probe.arg(&server.letters).arg("");
    server.voice.ask(probe, Box::new(|_| ()));
}

/// Does what the ledger asks for, if there is a voice to ask with.
async fn work(server: &Arc<Server>, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    while server.voice.is_up() {
        let tasks = server.ledger().next_work(BATCH_ROOMS);
        if tasks.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::Pipeline::new();
        for (room, task) in &tasks {
            let command = match task {
                Task::Subscribe => "SUBSCRIBE",
                Task::Unsubscribe => "UNSUBSCRIBE",
                Task::Look => continue,
            };
            pipeline.cmd(command).arg(server.keys.channel(room));
        }
        if !pipeline.is_empty() {
            let count = pipeline.len();
            for answer in connection.send_packed_commands(&pipeline, 0, count).await? {
                answer.extract_error()?;
            }
        }
        // Only now: what is published after the look is heard.
        for (room, task) in tasks {
            if task != Task::Unsubscribe {
                server.look(&room);
            }
        }
    }
    Ok(())
}

/// Runs inside the connection's own task: what is heard is passed on in order, and never waits.
fn hear(server: &Arc<Server>, signals: &Signals, push: PushInfo) {
    match (push.kind, push.data.as_slice()) {
        (PushKind::Disconnection, _) => signals.gone.notify_one(),
        (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
            if channel == server.letters.as_bytes() {
                match payload.is_empty() {
                    true => signals.probe_heard.notify_one(),
                    false => server.letter(payload),
                }
            } else if let Ok(channel) = str::from_utf8(channel) {
                server.heard(channel, payload);
            }
        }
        _ => {}
    }
}

fn broken(kind: std::io::ErrorKind) -> RedisError {
    RedisError::from(std::io::Error::from(kind))
}

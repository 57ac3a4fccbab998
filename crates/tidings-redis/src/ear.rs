//! The ear: the connection over which a Redis server announces, and the work that the ledger asks for.
//!
//! Owned by its line. Refuses to trust a silence: each second this node publishes to itself through
//! the server, and when that is not heard any more, both connections are made anew. Refuses to trust the order
//! of answers to subscriptions: a Cluster that moves a slot unsubscribes unasked, and the client takes
//! that for the next answer. What counts is the channel that a confirmation names.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::ledger::Task;
use crate::line::Line;
use crate::server::Server;
use crate::voice::{Astray, Request};

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
    /// The ledger has work, or slots have another master.
    pub(crate) bell: Notify,
}

/// What one connection tells, and no later one is told.
#[derive(Default)]
struct Signals {
    gone: Notify,
    probe_heard: Notify,
    /// Channels that were confirmed since that was last asked for.
    confirmed: Mutex<HashSet<Vec<u8>>>,
    /// Where this node hears itself; empty before it is known.
    probe: Mutex<String>,
}

/// A connection and what it is to carry besides rooms.
struct Listening {
    connection: MultiplexedConnection,
    signals: Arc<Signals>,
    has_letters: bool,
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
pub(crate) async fn listen(server: Arc<Server>, line: Arc<Line>) {
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        let error = match connect(&server, &line).await {
            Ok(listening) => listen_once(&server, &line, listening).await,
            Err(error) => error,
        };
        let has_heard = line.ear.is_up.swap(false, Ordering::AcqRel);
        server.deaf(&line, &error, has_heard);
        if began.elapsed() > PAUSE_MAX * 2 {
            pause = PAUSE_MIN;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn connect(server: &Arc<Server>, line: &Arc<Line>) -> Result<Listening, RedisError> {
    let signals = Arc::new(Signals::default());
    let (pushed, by, heard) = (Arc::downgrade(server), Arc::clone(line), Arc::clone(&signals));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(server.patience))
        .set_response_timeout(Some(server.patience))
        .set_push_sender(move |push: PushInfo| {
            if let Some(server) = pushed.upgrade() {
                hear(&server, &by, &heard, push);
            }
            Ok::<(), ()>(())
        });
    let connection = line
        .source
        .find(server.patience)
        .await?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut listening = Listening { connection, signals, has_letters: false };
    listening.attend(server, line).await?;
    Ok(listening)
}

/// Listens until the connection is gone, or the node does not hear itself.
async fn listen_once(server: &Arc<Server>, line: &Line, mut listening: Listening) -> RedisError {
    let mut probes = interval(PROBE_INTERVAL);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    let signals = Arc::clone(&listening.signals);
    line.ear.bell.notify_one();
    loop {
        tokio::select! {
            () = signals.gone.notified() => return broken(std::io::ErrorKind::ConnectionReset),
            () = signals.probe_heard.notified() => {
                heard_at = Instant::now();
                if !line.ear.is_up.swap(true, Ordering::AcqRel) {
                    server.hears(line);
                }
            }
            () = line.ear.bell.notified() => {
                if !line.ear.is_up() {
                    listening.probe(server, line);
                }
                if let Err(error) = listening.work(server, line).await {
                    return error;
                }
            }
            _ = probes.tick() => {
                if !line.has_slots() {
                    // Nothing can be said through it.
                    heard_at = Instant::now();
                }
                if heard_at.elapsed() > SILENCE_MAX {
                    line.voice.reconnect();
                    return broken(std::io::ErrorKind::TimedOut);
                }
                listening.probe(server, line);
                if let Err(error) = listening.work(server, line).await {
                    return error;
                }
            }
        }
    }
}

impl Listening {
    /// Subscribes to what this node says to itself and what others write to it, where that lies here.
    async fn attend(&mut self, server: &Arc<Server>, line: &Line) -> Result<(), RedisError> {
        let mut channels = Vec::new();
        let probe = self.signals.probe().clone();
        if (probe.is_empty() || !server.leads_to(line, &probe))
            && let Some(probe) = server.probe_through(line)
        {
            self.signals.probe().clone_from(&probe);
            channels.push(probe);
        }
        if !self.has_letters && server.leads_to(line, &server.letters) {
            self.has_letters = true;
            channels.push(server.letters.clone());
        }
        for channel in channels {
            let mut subscribe = redis::cmd("SSUBSCRIBE");
            subscribe.arg(&channel);
            let answer = self.connection.send_packed_command(&subscribe).await?.extract_error();
            if let Err(error) = answer {
                server.corrected(line, &error);
                return Err(error);
            }
            if channel == server.letters {
                server.hears_letters();
            }
        }
        Ok(())
    }

    /// Says something that this node should hear.
    fn probe(&self, server: &Server, line: &Line) {
        let channel = self.signals.probe().clone();
        if !channel.is_empty() {
            let mut probe = redis::cmd("SPUBLISH");
            probe.arg(channel).arg("");
            line.voice.ask(Request::new(probe, Box::new(|_| ()), false, server.patience));
        }
    }

    /// Does what the ledger asks for, if there is a voice to ask with.
    async fn work(&mut self, server: &Arc<Server>, line: &Line) -> Result<(), RedisError> {
        self.attend(server, line).await?;
        while line.voice.is_up() {
            let tasks = server.ledger().next_work(line.number, BATCH_ROOMS);
            if tasks.is_empty() {
                return Ok(());
            }
            let mut pipeline = redis::Pipeline::new();
            for (room, task) in &tasks {
                // One command per room: a Cluster refuses channels of two slots in one.
                let command = match task {
                    Task::Subscribe => "SSUBSCRIBE",
                    Task::Unsubscribe => "SUNSUBSCRIBE",
                    Task::Look => continue,
                };
                pipeline.cmd(command).arg(server.keys.channel(room));
            }
            let was_led_astray = self.subscribe(server, line, &pipeline).await?;
            // Only now: what is published after the look is heard.
            let confirmed = std::mem::take(&mut *self.signals.confirmed());
            for (room, task) in tasks {
                match task {
                    Task::Subscribe if !confirmed.contains(server.keys.channel(&room).as_bytes()) => {
                        server.not_subscribed(line, &room);
                    }
                    Task::Subscribe | Task::Look => server.look(&room),
                    Task::Unsubscribe => {}
                }
            }
            if was_led_astray {
                // Two masters that each think that the other has a slot must not be asked without end.
                sleep(PAUSE_MIN).await;
            }
        }
        Ok(())
    }

    /// Says whether something lies elsewhere.
    async fn subscribe(
        &mut self,
        server: &Arc<Server>,
        line: &Line,
        pipeline: &redis::Pipeline,
    ) -> Result<bool, RedisError> {
        if pipeline.is_empty() {
            return Ok(false);
        }
        self.signals.confirmed().clear();
        let mut was_led_astray = false;
        for answer in self.connection.send_packed_commands(pipeline, 0, pipeline.len()).await? {
            if let Err(error) = answer.extract_error() {
                if Astray::read(&error).is_none() {
                    return Err(error);
                }
                server.corrected(line, &error);
                was_led_astray = true;
            }
        }
        Ok(was_led_astray)
    }
}

impl Signals {
    fn confirmed(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probe(&self) -> MutexGuard<'_, String> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs inside the connection's own task: what is heard is passed on in order, and never waits.
fn hear(server: &Arc<Server>, line: &Line, signals: &Signals, push: PushInfo) {
    match (push.kind, push.data.as_slice()) {
        (PushKind::Disconnection, _) => signals.gone.notify_one(),
        (PushKind::SMessage, [Value::BulkString(channel), Value::BulkString(payload)]) => {
            if channel == server.letters.as_bytes() {
                server.letter(payload);
            } else if channel == signals.probe().as_bytes() {
                signals.probe_heard.notify_one();
            } else if let Ok(channel) = str::from_utf8(channel) {
                server.heard(channel, payload);
            }
        }
        (PushKind::SSubscribe, [Value::BulkString(channel), ..]) => {
            signals.confirmed().insert(channel.clone());
        }
        // By this node's wish, or because the slot was given to another master.
        (PushKind::SUnsubscribe, [Value::BulkString(channel), ..]) => {
            if channel == server.letters.as_bytes() || channel == signals.probe().as_bytes() {
                signals.gone.notify_one();
            } else if let Ok(channel) = str::from_utf8(channel) {
                server.unsubscribed(line, channel);
            }
        }
        _ => {}
    }
}

fn broken(kind: std::io::ErrorKind) -> RedisError {
    RedisError::from(std::io::Error::from(kind))
}

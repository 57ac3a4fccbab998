//! The voice: the connection over which a Redis server is asked for things, many at a time.
//!
//! Owned by its line. One request follows another in the order of asking, and each is answered
//! once. Refuses to wait: while the server is away, and past `engine_requests_max`, it says so at once. What a
//! master of a Cluster does not do because it lies elsewhere, it hands to a guide.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Arg, AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tidings_core::EngineError;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use crate::scripts::Script;
use crate::slots::Slot;
use crate::source::Source;

/// Requests sent with one system call. More only make the first of them wait.
const BATCH_REQUESTS: usize = 512;

/// Pauses between attempts to connect, growing from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What becomes of a request.
pub(crate) type Answer = Box<dyn FnOnce(Result<Value, EngineError>) + Send>;

/// Something to ask, and who wants to know. Whatever becomes of it, it is answered once.
pub(crate) struct Request {
    command: Cmd,
    answer: Option<Answer>,
    /// What it did is to be on as many replicas as the settings say.
    durably: bool,
    /// Where its keys lie.
    pub(crate) slot: Slot,
    /// The master that gives the slot away sent it to the one that gets it.
    pub(crate) is_asking: bool,
    /// It was sent on by a master that does not have the slot.
    pub(crate) was_moved: bool,
    /// Until then it may be led from one master to another.
    pub(crate) deadline: Instant,
}

/// Why a master of a Cluster did nothing of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Astray {
    /// The slot is that one's, at `host:port`.
    Moved(String),
    /// The slot is being given to that one, which has these keys already, or will.
    Ask(String),
    /// The keys are just moving.
    Again,
    /// The Cluster serves nobody for now.
    Down,
}

/// Who finds another way for a request.
pub(crate) type Guide<'a> = &'a (dyn Fn(Request, Astray) + Send + Sync);

impl Request {
    pub(crate) fn new(command: Cmd, answer: Answer, durably: bool, patience: Duration) -> Self {
        let slot = slot_of(&command);
        let deadline = Instant::now() + patience;
        Self { command, answer: Some(answer), durably, slot, is_asking: false, was_moved: false, deadline }
    }

    fn answer(mut self, value: Result<Value, EngineError>) {
        if let Some(answer) = self.answer.take() {
            answer(value);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer(Err(EngineError::Unavailable));
        }
    }
}

/// By the first key, or the channel: all of one command lie in one slot.
fn slot_of(command: &Cmd) -> Slot {
    let word = |index| match command.args_iter().nth(index) {
        Some(Arg::Simple(word)) => word,
        _ => &[],
    };
    Slot::of(if word(0) == b"EVALSHA" { word(3) } else { word(1) })
}

impl Astray {
    pub(crate) fn read(error: &RedisError) -> Option<Self> {
        let to = || error.redirect_node().map(|(address, _)| address.to_owned());
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => Some(Self::Moved(to()?)),
            ErrorKind::Server(ServerErrorKind::Ask) => Some(Self::Ask(to()?)),
            ErrorKind::Server(ServerErrorKind::TryAgain) => Some(Self::Again),
            ErrorKind::Server(ServerErrorKind::ClusterDown) => Some(Self::Down),
            // A script touched a key that is not there (any more), in a slot that is being given away. No
            // script that may not be repeated touches a key that it does not declare.
            _ if error.to_string().contains("non local key") => Some(Self::Again),
            _ => None,
        }
    }
}

/// See the module.
pub(crate) struct Voice {
    requests: mpsc::Sender<Request>,
    is_up: AtomicBool,
    /// Rung to leave the connection for a new one. Never rung for a connection to come.
    again: Notify,
    asked: AtomicU64,
    refused: AtomicU64,
    replicas_min: usize,
}

impl Voice {
    /// A voice without a connection, and the requests that whoever runs it has to serve.
    pub(crate) fn new(requests_max: usize, replicas_min: usize) -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(requests_max);
        let voice = Self {
            requests,
            is_up: AtomicBool::new(false),
            again: Notify::new(),
            asked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            replicas_min,
        };
        (voice, receiver)
    }

    /// Asks. The answer may come before this returns.
    pub(crate) fn ask(&self, request: Request) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.is_up() || self.requests.try_send(request).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Leaves the connection for a new one: it may lead nowhere without knowing.
    pub(crate) fn reconnect(&self) {
        self.again.notify_waiters();
    }

    /// Requests since the start, and those that were refused.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Connects, and serves requests until the connection breaks, for ever.
    pub(crate) async fn serve(
        &self,
        source: &Source,
        mut requests: mpsc::Receiver<Request>,
        patience: Duration,
        mut changed: impl FnMut(Result<(), &RedisError>),
        guide: Guide<'_>,
    ) {
        let mut pause = PAUSE_MIN;
        loop {
            match connect(source, patience).await {
                Ok(connection) => {
                    pause = PAUSE_MIN;
                    self.is_up.store(true, Ordering::Release);
                    changed(Ok(()));
                    let wait = Wait::for_replicas(self.replicas_min, patience);
                    let error = tokio::select! {
                        error = serve(connection, &mut requests, wait, guide) => error,
                        () = self.again.notified() => None,
                    };
                    self.is_up.store(false, Ordering::Release);
                    let gone = RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected));
                    changed(Err(error.as_ref().unwrap_or(&gone)));
                }
                Err(error) => changed(Err(&error)),
            }
            // Whoever asked while it was still up.
            while let Ok(request) = requests.try_recv() {
                drop(request);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

async fn connect(source: &Source, patience: Duration) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    let mut connection =
        source.find(patience).await?.get_multiplexed_async_connection_with_config(&config).await?;
    load_scripts(&mut connection).await?;
    Ok(connection)
}

async fn load_scripts(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    for script in Script::ALL {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(script.text());
        connection.send_packed_command(&command).await?.extract_error()?;
    }
    Ok(())
}

/// Serves requests until the connection breaks.
async fn serve(
    mut connection: MultiplexedConnection,
    requests: &mut mpsc::Receiver<Request>,
    wait: Wait,
    guide: Guide<'_>,
) -> Option<RedisError> {
    let mut batch = Vec::with_capacity(BATCH_REQUESTS);
    loop {
        if requests.recv_many(&mut batch, BATCH_REQUESTS).await == 0 {
            return None;
        }
        let unanswered = Batch(std::mem::take(&mut batch));
        if let Err(error) = unanswered.send(&mut connection, wait, guide).await {
            return Some(error);
        }
    }
}

/// What is waited for after requests whose effect is to last.
#[derive(Clone, Copy)]
struct Wait {
    replicas_min: usize,
    patience: Duration,
}

impl Wait {
    /// Half of what the server may take for an answer at all.
    fn for_replicas(replicas_min: usize, patience: Duration) -> Self {
        Self { replicas_min, patience: patience / 2 }
    }

    fn is_satisfied_by(self, replicas: &Value) -> bool {
        matches!(replicas, Value::Int(count) if usize::try_from(*count).is_ok_and(|count| count >= self.replicas_min))
    }
}

/// Requests on their way.
struct Batch(Vec<Request>);

impl Batch {
    async fn send(
        mut self,
        connection: &mut MultiplexedConnection,
        wait: Wait,
        guide: Guide<'_>,
    ) -> Result<(), RedisError> {
        let mut missing = false;
        loop {
            let mut pipeline = redis::Pipeline::with_capacity(self.0.len());
            for request in &self.0 {
                if request.is_asking {
                    pipeline.cmd("ASKING");
                }
                pipeline.add_command(request.command.clone());
            }
            let waits = wait.replicas_min > 0 && self.0.iter().any(|request| request.durably);
            if waits {
                pipeline.cmd("WAIT").arg(wait.replicas_min).arg(wait.patience.as_millis().max(1));
            }
            let mut answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
            let is_durable = !waits || answers.pop().is_some_and(|replicas| wait.is_satisfied_by(&replicas));
            let mut broken = None;
            let mut again = Vec::new();
            let mut answers = answers.into_iter();
            for request in self.0.drain(..) {
                if request.is_asking {
                    answers.next();
                }
                let Some(answer) = answers.next() else { break };
                match answer.extract_error() {
                    Ok(_) if request.durably && !is_durable => drop(request),
                    Ok(value) => request.answer(Ok(value)),
                    // Somebody flushed the scripts, or it is another server than before. Nothing of
                    // the request was done.
                    Err(error) if !missing && is_unknown_script(&error) => again.push(request),
                    Err(error) => match Astray::read(&error) {
                        Some(astray) => guide(request, astray),
                        None => broken = Some(error),
                    },
                }
            }
            self.0 = again;
            if let Some(error) = broken.filter(leads_elsewhere) {
                return Err(error);
            }
            if self.0.is_empty() {
                return Ok(());
            }
            missing = true;
            load_scripts(connection).await?;
        }
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether another connection may lead to a server that can: this one was demoted, or is loading.
fn leads_elsewhere(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    matches!(error.kind(), ErrorKind::Server(ReadOnly | MasterDown | BusyLoading))
}

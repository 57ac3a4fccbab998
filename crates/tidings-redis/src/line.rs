//! A line to one Redis process: a voice to ask with and an ear to hear with.
//!
//! Owned by its server: an independent one has one line, a Cluster one to each master. Refuses to know what is
//! said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::RedisError;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ear::{self, Ear};
use crate::routes::LineNumber;
use crate::server::Server;
use crate::source::Source;
use crate::voice::Voice;

/// See the module.
pub(crate) struct Line {
    pub(crate) number: LineNumber,
    /// The address without the password, for logs and metrics.
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) voice: Voice,
    pub(crate) ear: Ear,
    /// Some slot lies there.
    has_slots: AtomicBool,
    pub(crate) began: Instant,
    retired: watch::Sender<bool>,
}

impl Line {
    /// Connects in the background, on the runtime, until it is retired or the process ends.
    pub(crate) fn start(
        server: &Arc<Server>,
        number: LineNumber,
        source: Source,
        has_slots: bool,
        runtime: &Handle,
    ) -> Arc<Self> {
        let (voice, requests) = Voice::new(server.requests_max(), server.replicas_min);
        let line = Arc::new(Self {
            number,
            name: source.name(),
            source,
            voice,
            ear: Ear::new(),
            has_slots: AtomicBool::new(has_slots),
            began: Instant::now(),
            retired: watch::Sender::new(false),
        });
        let (speaking, by, mut retired) = (Arc::clone(server), Arc::clone(&line), line.retired.subscribe());
        runtime.spawn(async move {
            let changed = |state: Result<(), &RedisError>| speaking.line_changed(&by, state);
            let guide = |request, astray| speaking.guide(&by, request, astray);
            tokio::select! {
                () = by.voice.serve(&by.source, requests, speaking.patience, changed, &guide) => {}
                _ = retired.wait_for(|retired| *retired) => {}
            }
        });
        let (listening, by, mut retired) = (Arc::clone(server), Arc::clone(&line), line.retired.subscribe());
        runtime.spawn(async move {
            tokio::select! {
                () = ear::listen(listening, by) => {}
                _ = retired.wait_for(|retired| *retired) => {}
            }
        });
        line
    }

    /// Whether both directions work.
    pub(crate) fn is_up(&self) -> bool {
        self.voice.is_up() && self.ear.is_up()
    }

    pub(crate) fn has_slots(&self) -> bool {
        self.has_slots.load(Ordering::Acquire)
    }

    pub(crate) fn set_has_slots(&self, has_slots: bool) {
        self.has_slots.store(has_slots, Ordering::Release);
    }

    /// Nothing lies there any more: both connections are closed.
    pub(crate) fn retire(&self) {
        self.retired.send_replace(true);
    }
}

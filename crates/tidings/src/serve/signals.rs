//! SIGTERM and SIGINT: the first asks to drain, the second to leave at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{self, Failure};

/// The signals that stop a node.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    pub(super) fn listen() -> Result<Self, Failure> {
        let catch =
            |kind| signal(kind).map_err(|error| Failure::fault(format!("signals cannot be caught: {error}")));
        Ok(Self { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and names it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Whoever asks twice does not want to wait for clients.
    pub(super) async fn exit_on_next(mut self) {
        let signal = self.next().await;
        tracing::warn!(signal, "DrainCutShort");
        std::process::exit(exit::DONE.into());
    }
}

//! `tidings tail`: prints a room's messages as they come, and says it when some may be missing.
//!
//! Messages go to stdout, talk goes to stderr. Refuses to give up: it reconnects and recovers.

use crate::exit::Failure;

/// What `tail` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The room to listen to.
    room: String,
    /// The server.
    #[arg(long, env = "TIDINGS_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Begin after the message of this id; 0 begins with the oldest that is kept. Only new messages
    /// when left out.
    #[arg(long, value_name = "ID")]
    after: Option<u64>,
    /// Print each message as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Listens until it is told to stop.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    Err(Failure::fault(format!("cannot listen {:?} yet", args)))
}

//! `tidings publish`: one message to a room, over plain HTTP.
//!
//! Prints the message's id to stdout. Refuses to retry: whoever scripts it knows better when.

use crate::exit::Failure;

/// What `publish` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The room to publish to.
    room: String,
    /// What to say.
    text: String,
    /// The server.
    #[arg(long, env = "TIDINGS_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Who says it; nobody in particular when left out.
    #[arg(long)]
    user: Option<String>,
}

/// Publishes.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    Err(Failure::fault(format!("cannot publish {:?} yet", args)))
}

//! `tidings publish`: one message to a room, over plain HTTP.
//!
//! Prints the message's id to stdout. Refuses to retry: whoever scripts it knows better when.

use std::io::Write as _;

use serde_json::json;
use tidings_client::{Address, Error, http};
use tidings_protocol::rest::{ErrorAnswer, PublishAnswer};

use crate::exit::{self, Failure};

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
    let server = Address::parse(&args.url).map_err(|error| Failure::usage(format!("--url {error}")))?;
    let path = format!("/rooms/{}/messages", http::encode_component(&args.room));
    let body = json!({ "text": args.text, "user_id": args.user }).to_string();
    let answer = http::post(&server.with_path(path), "application/json", body.as_bytes())
        .map_err(|error| unreachable(&args.url, &error))?;
    if answer.status != 200 {
        return Err(refused(answer.status, &answer.body));
    }
    let stored: PublishAnswer = serde_json::from_slice(&answer.body).map_err(|_| {
        Failure::unavailable(format!("{} does not answer as Tidings does: check --url", args.url))
    })?;
    // Whoever closed our output does not want to read the id.
    let _ = writeln!(std::io::stdout(), "{}", stored.id);
    Ok(exit::DONE)
}

/// There is no server, or not one of ours.
pub(crate) fn unreachable(url: &str, error: &Error) -> Failure {
    Failure::unavailable(format!(
        "{url}: {error} Start one with `tidings serve`, or name another with --url."
    ))
}

/// The server's own words, if it has some. What the client did wrong is wrong usage.
fn refused(status: u16, body: &[u8]) -> Failure {
    let words = match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(answer) => format!("{} ({})", answer.message, answer.code),
        Err(_) => format!("the server answered with status {status}: check --url"),
    };
    if (400..500).contains(&status) { Failure::usage(words) } else { Failure::unavailable(words) }
}

//! `tidings tail`: prints a room's messages as they come, and says it when some may be missing.
//!
//! Messages go to stdout, talk goes to stderr. Refuses to give up once it was connected: it
//! reconnects and recovers from its place in the room's log.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidings_client::{Client, Content, Error, Event, Message, Options, Start};
use tokio::signal::ctrl_c;

use crate::exit::{self, Failure};
use crate::publish::unreachable;

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

/// How long to wait for an event before waiting again; nothing else happens in between.
const PATIENCE: Duration = Duration::from_secs(60);

/// Listens until it is told to stop.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    end_on_interrupt()?;
    let start = args.after.map_or(Start::Live, Start::After);
    let options = Options::new(&args.url)
        .map_err(|error| Failure::usage(format!("--url {error}")))?
        .room(&args.room, start);
    let mut client = Client::connect(options).map_err(|error| failed(&args.url, &error))?;
    loop {
        match client.next(PATIENCE) {
            Ok(None) => {}
            // Whoever closed our output has seen enough.
            Ok(Some(event)) if tell(&event, args.json).is_err() => return Ok(exit::DONE),
            Ok(Some(_)) => {}
            Err(error) => return Err(failed(&args.url, &error)),
        }
    }
}

/// Tells one event; fails when nobody reads any more.
fn tell(event: &Event, as_json: bool) -> io::Result<()> {
    match event {
        Event::Message(message) => {
            let line = if as_json { json_line(message).to_string() } else { line(message) };
            writeln!(io::stdout(), "{line}")
        }
        Event::Gap { after, before, reason, .. } => {
            let until = before.map_or_else(|| "now".to_owned(), |id| id.to_string());
            eprintln!("tidings tail: messages between {after} and {until} may be lost ({reason})");
            Ok(())
        }
        Event::Disconnected { error, retry_in } => {
            eprintln!("tidings tail: {error}; trying again in {:.1} s", retry_in.as_secs_f32());
            Ok(())
        }
        Event::Connected { resumed, .. } => {
            eprintln!("tidings tail: {}", if *resumed { "connected again" } else { "connected" });
            Ok(())
        }
        Event::Refused { code, message, .. } => {
            eprintln!("tidings tail: {message} ({code})");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Id, user and content, separated by tabs; what would break the line is escaped.
fn line(message: &Message) -> String {
    let content = match &message.content {
        Content::Text(text) => text.escape_debug().to_string(),
        Content::Data(data) => data.to_string(),
        Content::Binary(bytes) => format!("({} bytes)", bytes.len()),
    };
    let user = message.user.as_deref().unwrap_or("-").escape_debug();
    format!("{}\t{user}\t{content}", message.id)
}

/// The message as the server sends it.
fn json_line(message: &Message) -> Value {
    let mut fields = json!({ "room": message.room, "id": message.id });
    if let Some(user) = &message.user {
        fields["user_id"] = user.as_str().into();
    }
    match &message.content {
        Content::Text(text) => fields["text"] = text.as_str().into(),
        Content::Data(data) => fields["data"] = data.clone(),
        Content::Binary(bytes) => fields["data_base64"] = STANDARD.encode(bytes).into(),
    }
    fields
}

fn failed(url: &str, error: &Error) -> Failure {
    match error {
        Error::Closed { .. } | Error::Handshake(_) => Failure::unavailable(format!("{url}: {error}")),
        _ => unreachable(url, error),
    }
}

/// Ctrl-C is the way this ends, hence no failure.
fn end_on_interrupt() -> Result<(), Failure> {
    let fault = |error: io::Error| Failure::fault(format!("signals cannot be caught: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if runtime.block_on(ctrl_c()).is_ok() {
                std::process::exit(exit::DONE.into());
            }
        })
        .map(drop)
        .map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: Content) -> Message {
        Message { room: "a".into(), id: 7, user: Some("ana".into()), content, recovered: false }
    }

    #[test]
    fn a_message_is_one_line_whatever_it_contains() {
        let text = message(Content::Text("two\nlines\u{1b}[2J".into()));
        assert_eq!(line(&text), "7\tana\ttwo\\nlines\\u{1b}[2J");
        assert_eq!(line(&message(Content::Data(json!({"n": [1]})))), "7\tana\t{\"n\":[1]}");
    }

    #[test]
    fn json_lines_carry_everything() {
        let bytes = json_line(&message(Content::Binary(b"raw".to_vec())));
        assert_eq!(bytes, json!({"room": "a", "id": 7, "user_id": "ana", "data_base64": "cmF3"}));
    }
}

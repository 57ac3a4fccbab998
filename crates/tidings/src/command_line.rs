//! The command line: which commands there are and what each may be told.
//!
//! Owned by `main`. Refuses to judge values; [`settings`](crate::settings) does, whether they come
//! from a flag, a variable or a file.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::settings::Flags;
use crate::{bench, doctor, plan, publish, tail};

/// A real-time messaging server in which every room is a log.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, propagate_version = true)]
#[command(after_help = "Without a command it serves: `tidings --listen 127.0.0.1:9000`.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server. This is what happens when no command is given.
    Serve(Box<Flags>),
    /// Publish one message to a room of a running server and print its id.
    Publish(publish::Args),
    /// Print the messages of a room as they come; loses none when the connection breaks.
    Tail(tail::Args),
    /// Check this machine against the settings: file descriptors, memory, listen queue, ports, Redis.
    Doctor(Box<doctor::Args>),
    /// Calculate nodes, Redis servers, memory and bandwidth for so many users, from measured figures.
    Plan(plan::Args),
    /// Measure: load from client processes of its own, latency, losses, CPU per delivery.
    Bench(bench::Args),
}

/// Reads the command line; the first argument may leave out `serve`.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    CommandLine::try_parse_from(with_command(arguments)).map(|line| line.command)
}

/// Puts `serve` where no command stands: before the first flag, unless it asks about all commands.
fn with_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let about_all = ["-h", "--help", "-V", "--version"];
    let serves = match arguments.get(1).map(|first| first.to_string_lossy()) {
        None => true,
        Some(first) => first.starts_with('-') && !about_all.contains(&first.as_ref()),
    };
    if serves {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        for line in ["tidings", "tidings serve", "tidings --listen 127.0.0.1:0", "tidings serve --echo"] {
            assert!(matches!(command(line), Ok(Command::Serve(_))), "{line}");
        }
    }

    #[test]
    fn a_misspelt_command_is_not_served() {
        let error = command("tidings srve").expect_err("there is no such command");
        assert_eq!(error.kind(), clap::error::ErrorKind::InvalidSubcommand);
    }

    #[test]
    fn help_and_version_speak_of_all_commands() {
        for (line, kind) in [
            ("tidings --help", clap::error::ErrorKind::DisplayHelp),
            ("tidings --version", clap::error::ErrorKind::DisplayVersion),
        ] {
            assert_eq!(command(line).expect_err("is shown, not run").kind(), kind, "{line}");
        }
    }
}

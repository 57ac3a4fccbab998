//! How a command ends: exit codes that others script against, and the one line said on the way out.
//!
//! Codes follow `sysexits.h`. Refuses errors without a remedy: a [`Failure`] is a whole sentence.

use std::process::ExitCode;

/// Stopped as asked.
pub(crate) const DONE: u8 = 0;
/// A check of `doctor` failed.
pub(crate) const CHECK_FAILED: u8 = 1;
/// Wrong usage or settings.
pub(crate) const USAGE: u8 = 64;
/// An address, an engine or a server cannot be had.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Our own fault.
pub(crate) const FAULT: u8 = 70;

/// Why a command ended otherwise than asked: who must act, and what they should do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    sentence: String,
}

impl Failure {
    /// The person at the keyboard or in charge of the settings must act.
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self { code: USAGE, sentence: sentence.into() }
    }

    /// Something outside must be there first.
    pub(crate) fn unavailable(sentence: impl Into<String>) -> Self {
        Self { code: UNAVAILABLE, sentence: sentence.into() }
    }

    /// We must act.
    pub(crate) fn fault(sentence: impl Into<String>) -> Self {
        Self { code: FAULT, sentence: sentence.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Says why a command failed, if it did.
pub(crate) fn report(command: &str, outcome: Result<u8, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("tidings {command}: {failure}");
            failure.code.into()
        }
    }
}

/// Shows help, the version, or what was wrong with the command line. clap's own code for wrong
/// usage is 2; ours is 64 wherever the settings come from.
pub(crate) fn after_parsing(error: &clap::Error) -> ExitCode {
    // Whoever closed our output does not want to read that they did.
    let _ = error.print();
    if error.use_stderr() { USAGE.into() } else { DONE.into() }
}

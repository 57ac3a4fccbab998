//! The one error of this tool: a sentence for the person at the keyboard. It belongs to every subcommand, and refuses to be
//! matched upon: nothing here recovers by looking at an error, it is printed and the step has failed.

use std::fmt;

/// What happened, and what to do about it, in plain words.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The outcome of everything in this tool.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure told in one sentence.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// The same failure, with what was being done put before it.
    pub(crate) fn while_doing(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the JSON that was expected: {error}"))
    }
}

//! `cargo xtask e2e`: Chromium and other clients that nobody here wrote, against the real binary. It owns how the tests in
//! `e2e/` are started, and refuses to know what they test.

use crate::command::{cargo, command, run as run_command};
use crate::failure::{Failure, Outcome};
use crate::places;

/// Builds the binary, then runs `node --test` over `e2e/` with `TIDINGS_BIN` set to it.
pub(crate) fn run() -> Outcome {
    let folder = places::repository().join("e2e");
    if !folder.is_dir() {
        return Err(Failure::new("there is no folder e2e/ with the end-to-end tests"));
    }
    run_command(cargo(&["build", "-p", "tidings"]))?;
    let mut node = command("sh", &["-c", "exec node --test e2e/*.test.mjs"]);
    node.env("TIDINGS_BIN", places::tidings_binary("debug"));
    run_command(node)
}

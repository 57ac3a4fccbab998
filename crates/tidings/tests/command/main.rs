//! What somebody who scripts the binary sees: lines, exit codes, signals.

mod process;
mod serving;
mod settings;
mod speaking;

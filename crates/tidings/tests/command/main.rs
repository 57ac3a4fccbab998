//! What somebody who scripts the binary sees: lines, exit codes, signals.

mod http2;
mod process;
mod serving;
mod settings;
mod speaking;

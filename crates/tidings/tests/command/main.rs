//! What somebody who scripts the binary sees: lines, exit codes, signals.

mod grpc;
mod http2;
mod process;
mod sending;
mod serving;
mod settings;
mod speaking;

//! The binary `tidings`: reads the command line and hands over to one module per command.
//!
//! Owns nothing but the exit code. Refuses to do any of the work itself.
#![forbid(unsafe_code)]

mod bench;
mod command_line;
mod doctor;
mod exit;
mod log;
mod machine;
mod plan;
mod publish;
mod serve;
mod settings;
mod tail;
mod words;

use std::process::ExitCode;

use command_line::Command;

fn main() -> ExitCode {
    let command = match command_line::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return exit::after_parsing(&error),
    };
    match command {
        Command::Serve(flags) => exit::report("serve", serve::run(&flags)),
        Command::Publish(args) => exit::report("publish", publish::run(&args)),
        Command::Tail(args) => exit::report("tail", tail::run(&args)),
        Command::Doctor(args) => exit::report("doctor", doctor::run(&args)),
        Command::Plan(args) => exit::report("plan", plan::run(&args)),
        Command::Bench(args) => bench::run(args),
    }
}

//! Running other programs: each is printed before it runs, inherits the terminal, and fails the step when it fails. It owns
//! the children that it starts and refuses to leave one behind.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::places;

/// A program with arguments, to be run in the repository.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(places::repository());
    command
}

/// Cargo, the same one that runs this tool.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(program, arguments)
}

/// Runs a command to its end with the terminal inherited.
pub(crate) fn run(mut command: Command) -> Outcome {
    eprintln!("$ {}", line(&command));
    let status = command.stdin(Stdio::null()).status().map_err(|error| could_not_start(&command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` ended with {status}", line(&command))))
}

/// Runs a command quietly and gives what it printed; its errors become part of the failure.
pub(crate) fn capture(mut command: Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| could_not_start(&command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`{}` ended with {}: {}", line(&command), output.status, complaint.trim())))
}

/// Whether a program of this name is on the search path.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn could_not_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` could not be started: {error}", command.get_program().to_string_lossy()))
}

/// The command as a person would type it, programs and folders shortened to what matters.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

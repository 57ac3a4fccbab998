//! Running other programs: each is printed before it runs, inherits the terminal, and fails the step when it fails. It owns
//! no child beyond the call, and refuses to ask for a password.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::places;

/// A program with arguments, to be run in the repository.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(places::repository()).stdin(Stdio::null());
    command
}

/// Cargo, the same one that runs this tool.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(program, arguments)
}

/// A program that needs the rights of root: run as it is by root, through sudo by anybody else.
pub(crate) fn root_command(program: &str, arguments: &[&str]) -> Outcome<Command> {
    if fs::metadata("/proc/self")?.uid() == 0 {
        return Ok(command(program, arguments));
    }
    let mut words = vec!["--non-interactive", program];
    words.extend(arguments);
    if capture(command("sudo", &["--non-interactive", "true"])).is_err() {
        return Err(Failure::new(format!(
            "`{program}` needs root: run as root, or let sudo work without a password"
        )));
    }
    Ok(command("sudo", &words))
}

/// Runs a command to its end with the terminal inherited.
pub(crate) fn run(mut command: Command) -> Outcome {
    eprintln!("$ {}", line(&command));
    let status = command.status().map_err(|error| could_not_start(&command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` ended with {status}", line(&command))))
}

/// Runs a small command with the rights of root, without a word if it goes well.
pub(crate) fn run_as_root(program: &str, arguments: &[&str]) -> Outcome {
    capture(root_command(program, arguments)?).map(drop)
}

/// Runs a talkative command with all that it says added to `log`; a failure tells the last lines.
pub(crate) fn run_into_log(mut command: Command, log: &Path) -> Outcome {
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    command.stdout(file.try_clone()?).stderr(file);
    let status = command.status().map_err(|error| could_not_start(&command, &error))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let last: Vec<&str> = text.lines().rev().take(6).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    let program = command.get_program().to_string_lossy();
    Err(Failure::new(format!("`{program}` ended with {status}; its last words:\n{}", last.join("\n"))))
}

/// Runs a command quietly and gives what it printed; its errors become part of the failure.
pub(crate) fn capture(mut command: Command) -> Outcome<String> {
    let output = command.output().map_err(|error| could_not_start(&command, &error))?;
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

/// The failure to start a program at all.
pub(crate) fn could_not_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` could not be started: {error}", command.get_program().to_string_lossy()))
}

/// The command as a person would type it, the program without its folder.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

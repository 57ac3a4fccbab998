//! A `tidings serve` of our own for the length of a step. It owns the process and its log, and refuses to outlive its
//! handle.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::command::{command, could_not_start};
use crate::failure::{Failure, Outcome};

const START_SECONDS_MAX: u64 = 30;

/// A running server; it is ended when this is dropped.
pub(crate) struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Server {
    /// Starts `binary` on a free port with more flags, its log in a file, and waits until it says where it listens.
    pub(crate) fn start(binary: &Path, flags: &[&str], log: &Path) -> Outcome<Self> {
        let mut words = vec!["serve", "--listen", "127.0.0.1:0"];
        words.extend(flags);
        let mut command = command(binary, &words);
        command.stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut process = command.spawn().map_err(|error| could_not_start(&command, &error))?;
        let output = process.stdout.take().expect("the server's output was piped a line above");
        let mut server = Self { process, address: String::new() };
        server.address = announced_address(BufReader::new(output)).ok_or_else(|| {
            Failure::new(format!("the server did not say where it listens; see {}", log.display()))
        })?;
        Ok(server)
    }

    /// Whether it still runs; a server that ended explains a run full of failures.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already is as good: there is nobody left to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads up to `listening on ADDRESS`. The thread goes on reading so that the server can never block on its output.
fn announced_address(output: impl BufRead + Send + 'static) -> Option<String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("listening on ") {
                // A second listener's address finds the channel full or its reader gone.
                let _ = sender.try_send(address.trim().to_owned());
            }
        }
    });
    receiver.recv_timeout(Duration::from_secs(START_SECONDS_MAX)).ok()
}

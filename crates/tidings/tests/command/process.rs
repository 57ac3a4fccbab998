//! The binary as a child process, waited for with a deadline, and gone when the test is.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Long enough for a machine that builds something else at the same time.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::with_environment(words, &[])
    }

    pub(crate) fn with_environment(words: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(words)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// A node on a free port of 127.0.0.1, and its URL.
    pub(crate) fn node(flags: &[&str]) -> (Self, String) {
        let node = Self::start(&[&["serve", "--listen", "127.0.0.1:0", "--shards", "1"], flags].concat());
        let url = node.url();
        (node, url)
    }

    /// The next line of stdout.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// The address of the next line, which says where it listens.
    pub(crate) fn url(&self) -> String {
        self.line().strip_prefix("listening on ").expect("the line says where it listens").to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops all its threads, as `kill -STOP` does in a moment.
    #[allow(dead_code, reason = "not every test stops a node")]
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        let is_stopped = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        let deadline = Instant::now() + PATIENCE;
        while !std::fs::read_dir(&tasks).unwrap().map_while(Result::ok).all(is_stopped) {
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::yield_now();
        }
    }

    /// Waits for the end, and that nothing more was printed to stdout. Gives code and stderr.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        match self.lines.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Disconnected) => {}
            other => panic!("no end came, but {other:?}"),
        }
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "stdout is closed, the process is not at its end");
            std::thread::yield_now();
        };
        let mut talk = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        (status.code(), talk)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end.
pub(crate) fn run(words: &[&str]) -> Output {
    command(words).output().unwrap()
}

/// The binary, with no settings from the environment of whoever runs the tests.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(words);
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("TIDINGS_"));
    ours.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

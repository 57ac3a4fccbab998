//! Real Redis servers for tests, on free ports of this machine.

#[allow(dead_code, reason = "not every test sets a clock")]
pub(crate) mod clock;
#[allow(dead_code, reason = "not every test needs a Cluster")]
pub(crate) mod cluster;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clock::Clock;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest wait for something that must happen; only a broken test takes as long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A Redis server with a directory of its own. Ends with whoever started it, however that ends.
pub(crate) struct Redis {
    pub(crate) port: u16,
    directory: TempDir,
    settings: Vec<String>,
    clock: Option<Clock>,
    guard: Option<Child>,
    pid: u32,
}

impl Redis {
    /// A server that keeps nothing on disk, unless the settings say otherwise.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_at(free_port(), settings)
    }

    /// A server with a clock of its own, which is right until it is set.
    #[allow(dead_code, reason = "not every test sets a clock")]
    pub(crate) fn start_with_clock(settings: &[&str]) -> Self {
        let mut redis = Self::at(free_port(), settings);
        redis.clock = Some(Clock::new(redis.directory.path()));
        redis.launch();
        redis
    }

    fn start_at(port: u16, settings: &[&str]) -> Self {
        let mut redis = Self::at(port, settings);
        redis.launch();
        redis
    }

    /// Not started yet.
    fn at(port: u16, settings: &[&str]) -> Self {
        Self {
            port,
            directory: tempfile::tempdir().expect("there is room for a directory"),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            clock: None,
            guard: None,
            pid: 0,
        }
    }

    /// Sets the server's clock so far ahead of the machine's, or behind, and sees that it took it.
    #[allow(dead_code, reason = "not every test sets a clock")]
    pub(crate) fn set_clock(&self, ahead_s: i64) {
        self.clock.as_ref().expect("it was started with a clock").set(ahead_s);
        let machine = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        wait_for("the server has the new time", || {
            let before = machine() as i64 + ahead_s;
            let told = self.command(&["TIME"]).lines().next().and_then(|time| time.parse::<i64>().ok());
            told.is_some_and(|told| (before..=machine() as i64 + ahead_s).contains(&told))
        });
    }

    /// A member of a Cluster to come. The port on which members speak with each other is this one's and 10,000.
    pub(crate) fn start_member(settings: &[&str]) -> Self {
        for _ in 0..100 {
            let port = free_port();
            let bus = port.checked_add(10_000).and_then(|bus| TcpListener::bind(("127.0.0.1", bus)).ok());
            if bus.is_some() {
                drop(bus);
                return Self::start_at(port, settings);
            }
        }
        panic!("there are two ports 10,000 apart");
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Takes connections on another port, where a server was that has gone.
    pub(crate) fn move_to(&mut self, port: u16) {
        assert_eq!(self.command(&["CONFIG", "SET", "port", &port.to_string()]), "OK");
        self.port = port;
    }

    /// Starts the process and waits until it takes connections.
    pub(crate) fn launch(&mut self) {
        let probe = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        assert!(
            probe.is_ok(),
            "redis-server is missing: run cargo xtask test, or apt-get install redis-server"
        );
        let log = self.directory.path().join("redis.log");
        let _ = std::fs::remove_file(&log);
        // The shell ends the server when its own standard input closes, which also happens when this
        // process is killed.
        let script = "redis-server \"$@\" >redis.log 2>&1 & echo $!; cat >/dev/null; kill -9 $!";
        let mut guard = Command::new("sh")
            .args(["-c", script, "sh", "--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"])
            .args(&self.settings)
            .envs(self.clock.iter().flat_map(Clock::environment))
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut line = String::new();
        BufReader::new(guard.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("sh tells the pid");
        self.pid = line.trim().parse().expect("a pid is a number");
        self.guard = Some(guard);
        wait_for("redis-server takes connections", || {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Ready to accept connections"))
        });
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        let mut guard = self.guard.take().expect("it runs");
        drop(guard.stdin.take());
        guard.wait().expect("sh ends");
    }

    /// Sends a signal, as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid.to_string()]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// What it is asked, line by line, from when this returns until it ends.
    pub(crate) fn monitor(&self) -> impl Iterator<Item = String> + use<> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it takes connections");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket has timeouts");
        stream.write_all(b"MONITOR\r\n").expect("it listens");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("+OK"));
        lines
    }

    /// Runs a command as an administrator would.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output()
            .expect("redis-cli starts");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            // A stopped process dies of SIGKILL as well; there is nothing else to wait for.
            let _ = guard.wait();
        }
    }
}

/// A port that nobody has now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    listener.local_addr().expect("it has an address").port()
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Where engines live.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("threads can be had"))
}

//! Real Redis servers for tests, on free ports of this machine.

#[allow(dead_code, reason = "not every test sets a clock")]
pub(crate) mod clock;
#[allow(dead_code, reason = "not every test needs a Cluster")]
pub(crate) mod cluster;
#[allow(dead_code, unused_imports, unused_macros, reason = "not every test is run over every store")]
pub(crate) mod store;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clock::Clock;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest wait for something that must happen; only a broken test takes as long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How a server is started, besides its settings.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) program: &'static str,
    pub(crate) host: &'static str,
    /// It gets a clock of its own, which is right until it is set.
    pub(crate) has_clock: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { program: "redis-server", host: "127.0.0.1", has_clock: false }
    }
}

/// A Redis server with a directory of its own. Ends with whoever started it, however that ends.
pub(crate) struct Redis {
    pub(crate) port: u16,
    /// Where it is spoken with by TLS, if it is.
    pub(crate) tls_port: Option<u16>,
    manner: Manner,
    directory: TempDir,
    settings: Vec<String>,
    clock: Option<Clock>,
    guard: Option<Child>,
    pid: u32,
}

impl Redis {
    /// A server that keeps nothing on disk, unless the settings say otherwise.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_in(Manner::default(), settings)
    }

    #[allow(dead_code, reason = "not every test sets a clock")]
    pub(crate) fn start_with_clock(settings: &[&str]) -> Self {
        Self::start_in(Manner { has_clock: true, ..Manner::default() }, settings)
    }

    pub(crate) fn start_in(manner: Manner, settings: &[&str]) -> Self {
        let mut redis = Self::prepare(manner, free_port_at(manner.host), settings);
        redis.launch();
        redis
    }

    /// Not started yet.
    fn prepare(manner: Manner, port: u16, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        Self {
            port,
            tls_port: None,
            manner,
            clock: manner.has_clock.then(|| Clock::new(directory.path())),
            directory,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
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

    /// A member of a Cluster to come; with certificates, in a directory, one that speaks TLS with everybody but
    /// the test. The port on which members speak with each other is the one for clients and 10,000.
    pub(crate) fn start_member(manner: Manner, settings: &[&str], certificates: Option<&Path>) -> Self {
        for _ in 0..100 {
            let port = free_port_at(manner.host);
            let bus = port.checked_add(10_000).and_then(|bus| TcpListener::bind((manner.host, bus)).ok());
            if bus.is_some() {
                drop(bus);
                let mut redis = match certificates {
                    None => Self::prepare(manner, port, settings),
                    Some(certificates) => {
                        let plain = Self::prepare(manner, free_port_at(manner.host), settings);
                        plain.with_tls(port, certificates)
                    }
                };
                redis.launch();
                return redis;
            }
        }
        panic!("there are two ports 10,000 apart");
    }

    /// With TLS as well, and to its replicas and the other members of its Cluster by TLS alone.
    fn with_tls(mut self, port: u16, certificates: &Path) -> Self {
        let file = |name: &str| certificates.join(name).to_str().expect("a path is text").to_owned();
        let is_member = self.settings.iter().any(|setting| setting == "--cluster-enabled");
        self.settings.extend(["--tls-port".to_owned(), port.to_string()]);
        self.settings.extend(["--tls-auth-clients", "no", "--tls-replication", "yes"].map(str::to_owned));
        for (setting, name) in [
            ("--tls-cert-file", "server.pem"),
            ("--tls-key-file", "server.key"),
            ("--tls-ca-cert-file", "root.pem"),
        ] {
            self.settings.extend([setting.to_owned(), file(name)]);
        }
        if is_member {
            self.settings.extend(["--tls-cluster", "yes"].map(str::to_owned));
        }
        self.tls_port = Some(port);
        self
    }

    /// A server that speaks TLS as well.
    #[allow(dead_code, reason = "not every test speaks TLS")]
    pub(crate) fn start_with_tls(certificates: &Path) -> Self {
        let manner = Manner::default();
        let mut redis = Self::prepare(manner, free_port_at(manner.host), &[]);
        redis = redis.with_tls(free_port_at(manner.host), certificates);
        redis.launch();
        redis
    }

    pub(crate) fn address(&self) -> String {
        match self.manner.host.contains(':') {
            true => format!("redis://[{}]:{}", self.manner.host, self.port),
            false => format!("redis://{}:{}", self.manner.host, self.port),
        }
    }

    /// Takes connections on another port, where a server was that has gone.
    pub(crate) fn move_to(&mut self, port: u16) {
        assert_eq!(self.command(&["CONFIG", "SET", "port", &port.to_string()]), "OK");
        self.port = port;
    }

    /// Starts the process and waits until it takes connections.
    pub(crate) fn launch(&mut self) {
        let program = self.manner.program;
        assert!(
            is_installed(program),
            "{program} is missing: run cargo xtask test, or apt-get install {program}"
        );
        let log = self.directory.path().join("redis.log");
        let _ = std::fs::remove_file(&log);
        // The shell ends the server when its own standard input closes, which also happens when this
        // process is killed.
        let script = format!("{program} \"$@\" >redis.log 2>&1 & echo $!; cat >/dev/null; kill -9 $!");
        let mut guard = Command::new("sh")
            .args(["-c", &script, "sh", "--port", &self.port.to_string(), "--bind", self.manner.host])
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
        let mut stream = TcpStream::connect((self.manner.host, self.port)).expect("it takes connections");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket has timeouts");
        stream.write_all(b"MONITOR\r\n").expect("it listens");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("+OK"));
        lines
    }

    /// Runs a command as an administrator would.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", self.manner.host, "-p", &self.port.to_string()])
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

/// Whether a server can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// A port that nobody has now.
#[allow(dead_code, reason = "not every test needs one")]
pub(crate) fn free_port() -> u16 {
    free_port_at(Manner::default().host)
}

fn free_port_at(host: &str) -> u16 {
    let listener = TcpListener::bind((host, 0)).expect("there are ports");
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

//! The server under test: a process of our own making, or one that runs already. Owned by one run, killed with it.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidings_client::{Address, http};

use super::machine::{self, CpuTime, on_cpu};
use super::plan::{FloorPlan, Seating, say};

/// How long a server may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that used less than this in [`SETTLE_STEP`] is at rest.
const REST_NS: u64 = 2_000_000;
const SETTLE_STEP: Duration = Duration::from_millis(200);
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// What the server logs; its usual words would stand between the progress lines.
const LOG_VARIABLE: &str = "TIDINGS_LOG";

/// A running server.
#[derive(Debug)]
pub(crate) struct Target {
    child: Option<Child>,
    process: Option<u32>,
    pub(crate) address: SocketAddr,
}

/// What a server has done, at one moment. Counters are those of the metrics page.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) cpu: CpuTime,
    pub(crate) sends: Option<u64>,
}

impl Target {
    /// Starts Tidings from `binary` with one shard, room for `connections`, and no limit on messages: one that is
    /// reached would be what gets measured.
    pub(crate) fn tidings(
        binary: &PathBuf,
        pin: bool,
        seating: Seating,
        connections: usize,
        flags: &[String],
    ) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--messages-per-second-max", "0"]);
        command.args(["--connections-max", &connections.to_string()]);
        command.args(flags);
        if seating == Seating::Echo {
            command.arg("--echo");
        }
        if std::env::var_os(LOG_VARIABLE).is_none() {
            command.env(LOG_VARIABLE, "error");
        }
        command.stdin(Stdio::null());
        Self::start(command, pin, None)
    }

    /// Starts the floor server.
    pub(crate) fn floor(pin: bool, plan: &FloorPlan) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "floor"]).stdin(Stdio::piped());
        Self::start(command, pin, Some(plan))
    }

    /// A server that somebody else started. Without its process id its CPU and memory stay unknown.
    pub(crate) fn running(url: &str, process: Option<u32>) -> io::Result<Self> {
        let address = Address::parse(url).map_err(io::Error::other)?;
        let mut addresses = address.authority().to_socket_addrs()?;
        let address = addresses.next().ok_or_else(|| io::Error::other("the host has no address"))?;
        Ok(Self { child: None, process, address })
    }

    fn start(mut command: Command, pin: bool, plan: Option<&FloorPlan>) -> io::Result<Self> {
        let mut child = on_cpu(pin.then_some(0), || command.stdout(Stdio::piped()).spawn())?;
        if let (Some(plan), Some(mut input)) = (plan, child.stdin.take()) {
            say(&mut input, plan)?;
        }
        let output = child.stdout.take().ok_or_else(|| io::Error::other("the server has no output"))?;
        // From here on the child is killed whatever happens.
        let mut target = Self {
            process: Some(child.id()),
            child: Some(child),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        target.address = await_address(output)?;
        Ok(target)
    }

    /// CPU and counters now. A server without a known process has none.
    pub(crate) fn work(&self) -> io::Result<Work> {
        let cpu = self.process.map_or(Ok(CpuTime::default()), machine::cpu_time)?;
        Ok(Work { cpu, sends: None })
    }

    /// The same with counters; asking for them costs the server some work, so they are read on the outer side of the
    /// CPU time: first when measuring begins, last when it ends.
    pub(crate) fn work_with_counters(&self, begins: bool) -> io::Result<Work> {
        let before = if begins { self.sends() } else { None };
        let work = self.work()?;
        Ok(Work { sends: if begins { before } else { self.sends() }, ..work })
    }

    /// The process, if it is known.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process
    }

    /// `kill -9`. Returns before its sockets are closed.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.as_mut().map_or(Ok(()), Child::kill)
    }

    /// Whether CPU and memory can be read.
    pub(crate) fn is_measured(&self) -> bool {
        self.process.is_some()
    }

    /// Memory in bytes, see [`machine::anonymous_bytes`].
    pub(crate) fn anonymous_bytes(&self) -> io::Result<u64> {
        self.process.map_or(Ok(0), machine::anonymous_bytes)
    }

    /// Waits until the server does nothing any more.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let deadline = Instant::now() + SETTLE_MAX;
        let mut last = self.work()?.cpu.total_ns;
        while Instant::now() < deadline {
            std::thread::sleep(SETTLE_STEP);
            let now = self.work()?.cpu.total_ns;
            if now.saturating_sub(last) < REST_NS {
                return Ok(());
            }
            last = now;
        }
        Ok(())
    }

    /// A counter of the metrics page; `None` where there is no such page or counter.
    pub(crate) fn counter(&self, name: &str) -> Option<u64> {
        let address = Address::parse(&format!("http://{}/metrics", self.address)).ok()?;
        let page = http::get(&address).ok().filter(|response| response.status == 200)?.text();
        sum_of(&page, name)
    }

    fn sends(&self) -> Option<u64> {
        self.counter("tidings_sends_total")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; either way there is nothing left to do about it.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn await_address(output: impl io::Read + Send + 'static) -> io::Result<SocketAddr> {
    let (sender, lines) = mpsc::channel();
    // Reads on after the address came, so that a server that says more is not blocked by a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("listening on http://") {
                let _ = sender.send(address.trim().to_owned());
            }
        }
    });
    let address = lines.recv_timeout(START_TIMEOUT);
    let address = address.map_err(|_| io::Error::other("the server did not say where it listens"))?;
    address
        .parse()
        .map_err(|_| io::Error::other(format!("the server listens at \"{address}\", which is no address")))
}

/// The sum of a counter over its labels.
fn sum_of(page: &str, name: &str) -> Option<u64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.split_once('}')?.1,
            None => rest,
        };
        value.strip_prefix(' ')?.split(' ').next()?.parse::<f64>().ok()
    });
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() as u64)
}

#[cfg(test)]
mod tests {
    use super::sum_of;

    #[test]
    fn a_counter_is_summed_over_its_labels() {
        let page = "# TYPE a_total counter\na_total{shard=\"0\"} 5\na_total{shard=\"1\"} 7\na_totals 9\n";
        assert_eq!(sum_of(page, "a_total"), Some(12));
        assert_eq!(sum_of("b_total 3\n", "b_total"), Some(3));
        assert_eq!(sum_of(page, "c_total"), None);
    }
}

//! The workers of one run, spoken to as one: commands go to all, answers are added up.
//!
//! Owned by the run; dropping it closes the pipes, and the workers end.

use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::latency::Latency;
use super::machine::{CpuTime, cpu_time, on_cpu};
use super::order::Faults;
use super::plan::{Command, Report, Seating, Seen, Traffic, Transport, WorkerPlan, hear, say};

/// Longest wait for a worker's answer. Opening a hundred thousand connections takes some seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);

/// The workers.
#[derive(Debug)]
pub(crate) struct Crew {
    workers: Vec<Worker>,
    /// Rooms must not be split among workers: connections are dealt in blocks of this many.
    block: usize,
    label: String,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    input: ChildStdin,
    reports: Receiver<Report>,
    progress: Progress,
}

/// How it goes at the moment.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    took_ns: u64,
    published: u64,
    received: u64,
    p99_us: f64,
}

/// What opening connections came to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) open: usize,
    pub(crate) failed: usize,
    pub(crate) took: Latency,
    pub(crate) all_took: Duration,
}

/// What a phase of traffic came to.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) published: u64,
    pub(crate) received: u64,
    pub(crate) took: Duration,
    pub(crate) latency: Latency,
    pub(crate) faults: Faults,
    pub(crate) broken: usize,
    pub(crate) held_back: u64,
}

/// What a crew is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assignment {
    pub(crate) workers: usize,
    pub(crate) pin: bool,
    pub(crate) seating: Seating,
    pub(crate) transport: Transport,
}

/// Numbers of one worker's connections start this far from the next one's.
const NUMBERS_PER_WORKER: usize = 1_000_000;

impl Crew {
    /// Starts the workers; they connect to nothing yet.
    pub(crate) fn start(nodes: &[SocketAddr], label: String, assignment: Assignment) -> io::Result<Self> {
        let Assignment { workers, pin, seating, transport } = assignment;
        let block = seating.publishers();
        let start = |index: usize| {
            // A multiple of the block, so that no two workers share a room by accident.
            let first = index * NUMBERS_PER_WORKER / block * block;
            let plan = WorkerPlan { nodes: nodes.to_vec(), seating, transport, first };
            Worker::start(pin.then_some(index + 1), &plan)
        };
        let workers = (0..workers).map(start).collect::<io::Result<_>>()?;
        Ok(Self { workers, block, label })
    }

    /// Opens connections, at most `at_once` on their way.
    pub(crate) fn open(&mut self, count: usize, at_once: usize) -> io::Result<Opened> {
        let shares = deal(count, self.workers.len(), self.block);
        for (worker, share) in self.workers.iter_mut().zip(&shares) {
            let at_once = (at_once * share).div_ceil(count.max(1)).max(1);
            worker.tell(Command::Open { count: *share, at_once })?;
        }
        let mut sum = Opened { open: 0, failed: 0, took: Latency::new(), all_took: Duration::ZERO };
        for worker in &mut self.workers {
            let Report::Opened { open, failed, took, all_took_ns } = worker.answer()? else {
                return Err(confused());
            };
            sum.open += open;
            sum.failed += failed;
            sum.took.add(&took);
            sum.all_took = sum.all_took.max(Duration::from_nanos(all_took_ns));
        }
        if sum.open == 0 {
            return Err(io::Error::other("the server took none of the connections; is it running there?"));
        }
        Ok(sum)
    }

    /// Starts the traffic, or changes it: messages of so many bytes of text, while a share of the connections does not
    /// read. What only connection 0 does, the other workers listen to.
    pub(crate) fn begin(
        &mut self,
        traffic: Traffic,
        payload_bytes: usize,
        stalled_percent: f64,
    ) -> io::Result<()> {
        let workers = self.workers.len() as u64;
        for (index, worker) in self.workers.iter_mut().enumerate().rev() {
            let share = match traffic {
                Traffic::Bursts { .. } | Traffic::Window { .. } if index > 0 => Traffic::Listen,
                Traffic::Everyone { interval_ns } => Traffic::Everyone { interval_ns: interval_ns * workers },
                other => other,
            };
            worker.progress = Progress::default();
            worker.tell(Command::Begin { traffic: share, payload_bytes, stalled_percent })?;
            let Report::Begun = worker.answer()? else { return Err(confused()) };
        }
        Ok(())
    }

    /// Lets the traffic flow for a while, saying every second how it goes if `aloud`.
    pub(crate) fn watch(&mut self, duration: Duration, aloud: bool) -> io::Result<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            let next = (Instant::now() + Duration::from_secs(1)).min(end);
            for worker in &mut self.workers {
                worker.follow(next)?;
            }
            if aloud && next < end {
                self.say_progress();
            }
        }
        Ok(())
    }

    /// Stops the traffic, waits for what is under way, and adds up.
    pub(crate) fn end(&mut self) -> io::Result<Measured> {
        let mut sum = Measured {
            published: 0,
            received: 0,
            took: Duration::ZERO,
            latency: Latency::new(),
            faults: Faults::default(),
            broken: 0,
            held_back: 0,
        };
        // The first worker has the publisher; the others learn from it how much there was to receive.
        let mut published = None;
        for worker in &mut self.workers {
            worker.tell(Command::End { published })?;
            let Report::Ended(ended) = worker.answer()? else { return Err(confused()) };
            published = published.or(Some(ended.published_ever));
            sum.published += ended.published;
            sum.received += ended.received;
            sum.took = sum.took.max(Duration::from_nanos(ended.took_ns));
            sum.latency.add(&ended.latency);
            sum.faults = sum.faults.plus(ended.faults);
            sum.broken += ended.broken;
            sum.held_back += ended.held_back;
        }
        Ok(sum)
    }

    /// What the server was seen sending, byte for byte.
    pub(crate) fn sample(&mut self) -> io::Result<Seen> {
        self.workers[0].tell(Command::Sample)?;
        match self.workers[0].answer()? {
            Report::Sample(seen) => Ok(seen),
            _ => Err(confused()),
        }
    }

    /// Events about who came and went, since the workers began.
    pub(crate) fn told(&mut self) -> io::Result<u64> {
        self.workers.iter_mut().try_for_each(|worker| worker.tell(Command::Told))?;
        self.workers.iter_mut().try_fold(0, |sum, worker| match worker.answer()? {
            Report::Told { events } => Ok(sum + events),
            _ => Err(confused()),
        })
    }

    /// All connections are closed at once.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        self.workers.iter_mut().try_for_each(|worker| worker.tell(Command::Leave))?;
        for worker in &mut self.workers {
            let Report::Left = worker.answer()? else { return Err(confused()) };
        }
        Ok(())
    }

    /// CPU time of each worker.
    pub(crate) fn cpu(&self) -> io::Result<Vec<CpuTime>> {
        self.workers.iter().map(|worker| cpu_time(worker.child.id())).collect()
    }

    fn say_progress(&self) {
        let sum = |pick: fn(&Progress) -> u64| {
            self.workers.iter().map(|worker| pick(&worker.progress)).sum::<u64>()
        };
        let p99_us = self.workers.iter().map(|worker| worker.progress.p99_us).fold(0.0, f64::max);
        let took_ns = self.workers.iter().map(|worker| worker.progress.took_ns).max().unwrap_or(0).max(1);
        let seconds = took_ns as f64 / 1e9;
        let per_second = sum(|progress| progress.received) as f64 / seconds;
        let published = sum(|progress| progress.published);
        let p99_ms = p99_us / 1_000.0;
        eprintln!(
            "{}: {seconds:.0} s, {published} published, {per_second:.0} deliveries/s, p99 {p99_ms:.2} ms",
            self.label
        );
    }
}

impl Worker {
    fn start(cpu: Option<usize>, plan: &WorkerPlan) -> io::Result<Self> {
        let mut command = Process::new(std::env::current_exe()?);
        command.args(["bench", "worker"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = on_cpu(cpu, || command.spawn())?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a worker has no pipes"));
        };
        say(&mut input, plan)?;
        let (sender, reports) = mpsc::channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Ok(Some(report)) = hear::<Report>(&mut output) {
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input, reports, progress: Progress::default() })
    }

    fn tell(&mut self, command: Command) -> io::Result<()> {
        say(&mut self.input, &command)
    }

    /// The next answer; progress on the way is kept.
    fn answer(&mut self) -> io::Result<Report> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            match self.next(deadline)? {
                Some(report) => return Ok(report),
                None if Instant::now() >= deadline => {
                    return Err(io::Error::other("a worker did not answer in three minutes"));
                }
                None => {}
            }
        }
    }

    /// Keeps progress until `deadline`.
    fn follow(&mut self, deadline: Instant) -> io::Result<()> {
        while Instant::now() < deadline {
            if self.next(deadline)?.is_some() {
                return Err(confused());
            }
        }
        Ok(())
    }

    fn next(&mut self, deadline: Instant) -> io::Result<Option<Report>> {
        match self.reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Report::Progress { took_ns, published, received, p99_us }) => {
                self.progress = Progress { took_ns, published, received, p99_us };
                Ok(None)
            }
            Ok(report) => Ok(Some(report)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("a worker ended")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Deals `count` to `hands` in whole blocks, as evenly as they allow.
fn deal(count: usize, hands: usize, block: usize) -> Vec<usize> {
    let blocks = count / block;
    (0..hands).map(|hand| ((hand + 1) * blocks / hands - hand * blocks / hands) * block).collect()
}

fn confused() -> io::Error {
    io::Error::other("a worker answered something that was not asked")
}

#[cfg(test)]
mod tests {
    use super::deal;

    #[test]
    fn rooms_are_dealt_whole() {
        assert_eq!(deal(100, 3, 10), [30, 30, 40]);
        assert_eq!(deal(7, 2, 1), [3, 4]);
    }
}

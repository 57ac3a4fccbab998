//! Holds a process back, so that it has no more than a share of a core: it is stopped while it is ahead of its time, as its own
//! CPU time says. That makes it the bottleneck on a machine that could not make it one otherwise.
//!
//! Time that is not used is not saved up. Latencies under it say nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::machine::cpu_time;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// A process that was idle has so much time ahead, and no more.
const AHEAD_NS: f64 = 2_000_000.0;

/// Lets go when it is dropped.
#[derive(Debug)]
pub(crate) struct Leash {
    lets_go: Arc<AtomicBool>,
    holder: Option<JoinHandle<()>>,
}

impl Leash {
    pub(crate) fn hold(process: u32, percent: f64) -> io::Result<Self> {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a process has no number"))?;
        let begin = cpu_time(process)?.total_ns;
        let lets_go = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&lets_go);
        let holder = thread::spawn(move || {
            // An error means that it has ended: there is nobody to hold any more.
            let _ = keep_back(process, pid, percent / 100.0, begin, &told);
            let _ = kill_process(pid, Signal::CONT);
        });
        Ok(Self { lets_go, holder: Some(holder) })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.lets_go.store(true, Ordering::Relaxed);
        if let Some(holder) = self.holder.take() {
            let _ = holder.join();
        }
    }
}

fn keep_back(process: u32, pid: Pid, share: f64, mut used: u64, lets_go: &AtomicBool) -> io::Result<()> {
    let (mut last, mut left_ns, mut is_stopped) = (Instant::now(), 0.0, false);
    while !lets_go.load(Ordering::Relaxed) {
        thread::sleep(LOOK);
        let now = Instant::now();
        let total = cpu_time(process)?.total_ns;
        left_ns += now.duration_since(last).as_nanos() as f64 * share - (total - used) as f64;
        left_ns = left_ns.min(AHEAD_NS);
        (last, used) = (now, total);
        if is_stopped != (left_ns < 0.0) {
            is_stopped = !is_stopped;
            kill_process(pid, if is_stopped { Signal::STOP } else { Signal::CONT })?;
        }
    }
    Ok(())
}

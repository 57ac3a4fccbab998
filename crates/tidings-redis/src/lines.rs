//! The lines of a server, and how what is asked finds the right one.
//!
//! An independent server has one line. A Cluster has one to each master; which slots these have is asked for
//! (`topology.rs`), and corrected by whoever says that something lies elsewhere. Refuses to ask in circles:
//! a request that is led from one to another has a deadline, and pauses.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use redis::RedisError;
use tidings_core::engine::StoreState;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::line::Line;
use crate::routes::{LineNumber, NOWHERE, Routes};
use crate::server::{Server, Whereabouts};
use crate::slots::Slot;
use crate::source::Source;
use crate::topology::{self, Topology};
use crate::voice::{Astray, Request};

/// A line without slots is kept for so long: a master that is just given its first one is asked for the
/// keys that have moved already.
const WITHOUT_SLOTS: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Lines {
    routes: Arc<Routes>,
    known: RwLock<Known>,
    /// Of a Cluster; empty for an independent server.
    seeds: Vec<Arc<Source>>,
    /// Rung when the topology may have changed.
    pub(crate) doubted: Notify,
    /// Slots that got another line since the ledger was told.
    rerouted: Mutex<HashSet<Slot>>,
    /// Requests that pause.
    pausing: AtomicUsize,
    runtime: Handle,
}

#[derive(Default)]
struct Known {
    lines: BTreeMap<LineNumber, Arc<Line>>,
    next: LineNumber,
    /// Every slot has a master.
    is_covered: bool,
}

impl Known {
    /// Ends a line that has no slots. Says whether there was one.
    fn retire_one(&mut self) -> bool {
        let idle = self.lines.values().find(|line| !line.has_slots()).map(|line| line.number);
        let line = idle.and_then(|number| self.lines.remove(&number));
        line.inspect(|line| line.retire()).is_some()
    }
}

impl Lines {
    pub(crate) fn one(runtime: &Handle) -> Self {
        let known = Known { is_covered: true, ..Known::default() };
        Self::new(Routes::all_by(0), known, Vec::new(), runtime)
    }

    pub(crate) fn of_cluster(seeds: Vec<Arc<Source>>, runtime: &Handle) -> Self {
        Self::new(Routes::all_by(NOWHERE), Known::default(), seeds, runtime)
    }

    fn new(routes: Routes, known: Known, seeds: Vec<Arc<Source>>, runtime: &Handle) -> Self {
        Self {
            routes: Arc::new(routes),
            known: RwLock::new(known),
            seeds,
            doubted: Notify::new(),
            rerouted: Mutex::default(),
            pausing: AtomicUsize::new(0),
            runtime: runtime.clone(),
        }
    }

    pub(crate) fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    pub(crate) fn seeds(&self) -> &[Arc<Source>] {
        &self.seeds
    }

    pub(crate) fn leading_to(&self, slot: Slot) -> Option<Arc<Line>> {
        self.known().lines.get(&self.routes.line_of(slot)).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Line>> {
        self.known().lines.values().cloned().collect()
    }

    /// Whether everything can be asked and is heard.
    pub(crate) fn are_ready(&self) -> bool {
        let known = self.known();
        known.is_covered && known.lines.values().all(|line| line.is_up() || !line.has_slots())
    }

    /// These have work.
    pub(crate) fn call(&self, numbers: &[LineNumber]) {
        if !numbers.is_empty() {
            let known = self.known();
            numbers
                .iter()
                .filter_map(|number| known.lines.get(number))
                .for_each(|line| line.ear.bell.notify_one());
        }
    }

    pub(crate) fn call_all(&self) {
        self.known().lines.values().for_each(|line| line.ear.bell.notify_one());
    }

    /// The topology may have changed.
    pub(crate) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// A panic while the lock is held leaves all lines usable.
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// The first line, or the task that finds out which ones there are.
    pub(crate) fn connect(self: &Arc<Self>, whereabouts: Whereabouts) {
        match whereabouts {
            Whereabouts::Independent(source) => {
                let mut known = self.lines.known_mut();
                self.add_line(&mut known, *source, true);
            }
            Whereabouts::Cluster(_) => {
                self.lines.runtime.spawn(topology::follow(Arc::clone(self)));
            }
        }
    }

    fn add_line(self: &Arc<Self>, known: &mut Known, source: Source, has_slots: bool) -> LineNumber {
        let number = known.next;
        known.next += 1;
        let line = Line::start(self, number, source, has_slots, &self.lines.runtime);
        known.lines.insert(number, line);
        number
    }

    /// The line to an address, which may have to be made. None to more masters than there may be.
    fn line_at(self: &Arc<Self>, known: &mut Known, address: &str, has_slots: bool) -> Option<LineNumber> {
        if let Some(line) = known.lines.values().find(|line| line.name == address) {
            if has_slots {
                line.set_has_slots(true);
            }
            return Some(line.number);
        }
        if known.lines.len() >= self.masters_max() && !known.retire_one() {
            return None;
        }
        let source = self.lines.seeds.first()?.beside(address)?;
        Some(self.add_line(known, source, has_slots))
    }

    /// Whether a channel or key lies where a line leads.
    pub(crate) fn leads_to(&self, line: &Line, name: &str) -> bool {
        self.lines.routes.line_of(Slot::of(name.as_bytes())) == line.number
    }

    /// A channel of this node's own that lies where a line leads.
    pub(crate) fn probe_through(&self, line: &Line) -> Option<String> {
        if !self.lines.routes.leads_somewhere(line.number) {
            return None;
        }
        let node = self.own();
        (0..).map(|tag| self.keys.probe(tag, &node)).find(|channel| self.leads_to(line, channel))
    }

    /// A master did nothing of a request, and said why.
    pub(crate) fn guide(self: &Arc<Self>, line: &Line, mut request: Request, astray: Astray) {
        if self.lines.seeds.is_empty() {
            // It became part of a Cluster, and cannot be what the settings say.
            return drop(request);
        }
        request.is_asking = false;
        match astray {
            Astray::Moved(address) => {
                let to = self.moved(line, request.slot, &address);
                // Two masters may each think that the other has it.
                match std::mem::replace(&mut request.was_moved, true) {
                    false => self.pass_on(request, to),
                    true => self.ask_again(request),
                }
            }
            Astray::Ask(address) => {
                request.is_asking = true;
                let address = full(&line.name, &address);
                let to = self.line_at(&mut self.lines.known_mut(), &address, false);
                self.pass_on(request, to);
            }
            Astray::Again => self.ask_again(request),
            Astray::Down => self.lines.doubt(),
        }
    }

    /// A master said that a slot is another one's.
    fn moved(self: &Arc<Self>, line: &Line, slot: Slot, address: &str) -> Option<LineNumber> {
        let address = full(&line.name, address);
        let to = self.line_at(&mut self.lines.known_mut(), &address, true)?;
        self.reroute(slot, to);
        // So that the rooms are heard there.
        self.lines.doubt();
        Some(to)
    }

    /// Says whether that is news.
    fn reroute(&self, slot: Slot, to: LineNumber) -> bool {
        let is_news = self.lines.routes.set(slot, to);
        if is_news {
            self.lines.rerouted.lock().unwrap_or_else(PoisonError::into_inner).insert(slot);
        }
        is_news
    }

    /// What an ear was told about where something lies.
    pub(crate) fn corrected(self: &Arc<Self>, line: &Line, error: &RedisError) {
        if let Some(Astray::Moved(address)) = Astray::read(error)
            && let Some(slot) = error.redirect_node().and_then(|(_, slot)| Slot::new(slot))
        {
            self.moved(line, slot, &address);
        }
        self.lines.doubt();
    }

    /// Asks by a line, as soon as that is up.
    fn pass_on(self: &Arc<Self>, request: Request, to: Option<LineNumber>) {
        let line = to.and_then(|number| self.lines.known().lines.get(&number).cloned());
        match line {
            Some(line) if line.voice.is_up() => line.voice.ask(request),
            _ => self.ask_again(request),
        }
    }

    /// Asks again in a moment, from the beginning, unless that was done for too long.
    fn ask_again(self: &Arc<Self>, mut request: Request) {
        if request.deadline <= Instant::now()
            || self.lines.pausing.load(Ordering::Acquire) >= self.requests_max()
        {
            return drop(request);
        }
        self.lines.pausing.fetch_add(1, Ordering::AcqRel);
        let pause = self.pause();
        (request.is_asking, request.was_moved) = (false, false);
        let server = Arc::clone(self);
        self.lines.runtime.spawn(async move {
            sleep(pause).await;
            server.lines.pausing.fetch_sub(1, Ordering::AcqRel);
            let to = server.lines.routes.line_of(request.slot);
            server.pass_on(request, Some(to));
        });
    }

    /// These are the masters and their slots now.
    pub(crate) fn apply(self: &Arc<Self>, topology: &Topology) {
        let mut known = self.lines.known_mut();
        let (mut moved, mut left_out) = (0, 0);
        for range in &topology.ranges {
            let to = range.address.as_ref().and_then(|address| self.line_at(&mut known, address, true));
            left_out += usize::from(to.is_none() && range.address.is_some());
            let to = to.unwrap_or(NOWHERE);
            for slot in range.slots() {
                moved += usize::from(self.reroute(slot, to));
            }
        }
        known.is_covered = topology.is_covered() && left_out == 0;
        let routes = &self.lines.routes;
        known.lines.retain(|_, line| {
            line.set_has_slots(routes.leads_somewhere(line.number));
            let stays = line.has_slots() || line.began.elapsed() < WITHOUT_SLOTS;
            if !stays {
                line.retire();
            }
            stays
        });
        let masters = known.lines.values().filter(|line| line.has_slots()).count();
        drop(known);
        if left_out > 0 {
            tracing::warn!(masters_max = self.masters_max(), "RedisMastersTooMany");
        }
        if moved > 0 {
            tracing::info!(masters, moved, "RedisClusterChanged");
        }
        // With what was corrected since the last time.
        let slots = std::mem::take(&mut *self.lines.rerouted.lock().unwrap_or_else(PoisonError::into_inner));
        if !slots.is_empty() {
            self.note(|ledger| ledger.rerouted(&slots));
        }
        self.lines.call_all();
    }

    /// For the metrics: one for each master.
    pub(crate) fn states(&self) -> Vec<StoreState> {
        let state = |line: Arc<Line>| {
            let (requests, refused) = line.voice.figures();
            let (rooms, repaired) = self.ledger().figures(line.number);
            StoreState { name: line.name.clone(), is_up: line.is_up(), rooms, requests, refused, repaired }
        };
        self.lines.all().into_iter().filter(|line| line.has_slots()).map(state).collect()
    }
}

/// A master that does not know by what name it is reached leaves that out: then it is the one that was asked.
fn full(asked: &str, address: &str) -> String {
    let port = address.strip_prefix(':').filter(|port| port.parse::<u16>().is_ok());
    match (port, asked.rsplit_once(':')) {
        (Some(port), Some((host, _))) => format!("{host}:{port}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::full;

    #[test]
    fn a_host_that_is_left_out_is_the_one_that_was_asked() {
        for (asked, address, whole) in [
            ("10.0.0.1:7000", ":7001", "10.0.0.1:7001"),
            ("::1:7000", ":7001", "::1:7001"),
            ("::1:7000", "::1:7001", "::1:7001"),
            ("10.0.0.1:7000", "10.0.0.2:7001", "10.0.0.2:7001"),
        ] {
            assert_eq!(full(asked, address), whole);
        }
    }
}

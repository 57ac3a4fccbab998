//! A phase of traffic, from `Begin` to the report that answers `End`: who publishes when, how it goes, what it came to.

use std::io;

use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use super::traffic::{Due, Schedule, speaker};
use super::{MASK, Worker, report};
use crate::bench::clock::now_ns;
use crate::bench::latency::Latency;
use crate::bench::payload::Stamp;
use crate::bench::plan::{Ended, Report, Seating, Traffic};
use crate::bench::wire::connection::Stage;

/// Members whose slowest decides whether the window has room.
const SAMPLED_MEMBERS: usize = 32;
/// No message for so long after the end: what is missing will not come.
const QUIET_NS: u64 = 3_000_000_000;
/// Short, so that the line the parent prints each second is fresh.
const PROGRESS_NS: u64 = 200_000_000;
/// A publisher with so much unsent holds back: the server does not read.
const PENDING_BYTES_MAX: usize = 4 << 20;

/// What is still to come after the last message was published.
pub(super) struct Ending {
    expected: u64,
}

impl Worker {
    pub(super) fn begin(&mut self, traffic: Traffic, stalled_percent: f64) {
        let now = now_ns();
        // As many as asked for of every hundred, and never connection 0.
        let every =
            if stalled_percent > 0.0 { (100.0 / stalled_percent).round() as usize } else { usize::MAX };
        for (index, connection) in self.connections.iter_mut().enumerate() {
            let number = self.plan.first + index;
            connection.stalled = number != 0 && number.is_multiple_of(every);
            connection.timed = !connection.stalled;
        }
        self.counts = Ended { broken: self.counts.broken, ..Ended::default() };
        self.published_before = self.published.first().copied().unwrap_or(0);
        self.latency = Latency::new();
        self.began_ns = now;
        self.last_received_ns = now;
        self.progress_ns = now + PROGRESS_NS;
        self.record_every = match traffic {
            Traffic::Window { .. } => 8,
            Traffic::Bursts { burst, .. } if burst >= 4 => 8,
            _ => 1,
        };
        self.schedule = Some(Schedule::new(traffic, now));
        if let Traffic::PingPong = traffic {
            (0..self.connections.len()).for_each(|index| self.publish(index, 1));
        }
    }

    /// Publishes what the schedule has due.
    pub(super) fn publish_due(&mut self) {
        loop {
            let under_way = self.under_way();
            let Some(schedule) = &mut self.schedule else { return };
            match schedule.due(now_ns(), under_way) {
                Due::Nothing => return,
                Due::Burst(messages) => {
                    self.publish(0, messages);
                    if matches!(self.schedule.as_ref().map(Schedule::traffic), Some(Traffic::Window { .. })) {
                        return;
                    }
                }
                Due::One(turn) => self.publish(speaker(self.plan.seating, turn, self.connections.len()), 1),
            }
        }
    }

    /// Messages of connection 0 that the slowest of a few members has not received.
    fn under_way(&self) -> u32 {
        if !matches!(self.schedule.as_ref().map(Schedule::traffic), Some(Traffic::Window { .. })) {
            return 0;
        }
        let step = (self.connections.len() / SAMPLED_MEMBERS).max(1);
        let sampled = (0..self.connections.len()).step_by(step);
        let reading = sampled.filter(|index| {
            self.connections[*index].stage == Stage::Open && !self.connections[*index].stalled
        });
        let slowest = reading.map(|index| self.order.reached(index, 0)).min().unwrap_or(0);
        self.published[0].saturating_sub(slowest)
    }

    /// Writes messages of one connection, back to back in one call.
    pub(super) fn publish(&mut self, index: usize, messages: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.stage != Stage::Open || connection.pending_bytes() > PENDING_BYTES_MAX {
            self.counts.held_back += messages as u64;
            return;
        }
        let at_ns = now_ns();
        let (mut text, mut bytes) = (Vec::new(), Vec::new());
        for _ in 0..messages {
            let publisher = (self.plan.first + index) as u32;
            text.clear();
            Stamp { at_ns, sequence: self.published[index], publisher }.write(&mut text, self.payload_bytes);
            encoder::masked(&mut bytes, MASK, Opcode::Text, &text);
            self.published[index] += 1;
        }
        self.counts.published += messages as u64;
        if connection.send(&bytes).is_err() {
            self.lose(index);
        }
    }

    pub(super) fn report_progress(&mut self) -> io::Result<()> {
        let now = now_ns();
        if self.schedule.is_none() || now < self.progress_ns {
            return Ok(());
        }
        self.progress_ns = now + PROGRESS_NS;
        report(&Report::Progress {
            took_ns: now - self.began_ns,
            published: self.counts.published,
            received: self.counts.received,
            p99_us: self.latency.percentiles().map_or(0.0, |percentiles| percentiles.p99_us),
        })
    }

    /// Stops publishing; who had stopped reading reads again.
    pub(super) fn end(&mut self, published: Option<u32>) {
        self.schedule = None;
        let mut expected = self.counts.published;
        match self.plan.seating {
            Seating::Shared => {
                if let (Some(published), Some(mine)) = (published, self.published.first_mut()) {
                    *mine = published;
                }
                let published = self.published.first().map_or(0, |now| now - self.published_before);
                expected = u64::from(published) * self.open_count() as u64;
            }
            Seating::RoomsOf(size) => expected *= size as u64,
            Seating::Own | Seating::Users | Seating::Echo => {}
        }
        for index in 0..self.connections.len() {
            if std::mem::take(&mut self.connections[index].stalled)
                && self.connections[index].stage == Stage::Open
                && self.read(index).is_err()
            {
                self.lose(index);
            }
        }
        self.last_received_ns = self.last_received_ns.max(self.began_ns);
        self.ending = Some(Ending { expected });
    }

    /// Reports when everything has come, or nothing more will.
    pub(super) fn finish_ending(&mut self) -> io::Result<()> {
        let Some(ending) = &self.ending else { return Ok(()) };
        let quiet = now_ns().saturating_sub(self.last_received_ns) > QUIET_NS;
        if self.counts.received < ending.expected && !quiet {
            return Ok(());
        }
        self.ending = None;
        let (seating, published, connections) = (self.plan.seating, &self.published, &self.connections);
        let faults = self.order.settle(|connection, publisher| match seating {
            // A connection that is gone is counted as such.
            _ if connections[connection].stage != Stage::Open => 0,
            Seating::Shared => published[0],
            Seating::Own | Seating::Users | Seating::Echo => published[connection],
            Seating::RoomsOf(size) => {
                published.get(connection / size * size + publisher).copied().unwrap_or(0)
            }
        });
        let ended = Ended {
            faults,
            published_ever: self.published.first().copied().unwrap_or(0),
            took_ns: self.last_received_ns - self.began_ns,
            latency: self.latency.take(),
            ..std::mem::take(&mut self.counts)
        };
        report(&Report::Ended(ended))
    }
}

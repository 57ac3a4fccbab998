//! Latencies, collected in one process and added up in another. Pure.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency told apart: beyond it, it is merely long.
const LONGEST_NS: u64 = 120_000_000_000;

/// A histogram of nanoseconds, three digits of each value kept.
#[derive(Debug)]
pub(crate) struct Latency(Histogram<u64>);

/// What crosses from a worker to the parent: values and how often they came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Recorded(Vec<(u64, u64)>);

/// The figures people compare, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Latency {
    /// Nothing recorded.
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are in order"))
    }

    /// One more.
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// Everything recorded, to be sent on; the histogram is empty afterwards.
    pub(crate) fn take(&mut self) -> Recorded {
        let recorded =
            self.0.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value()));
        let recorded = Recorded(recorded.collect());
        self.0.reset();
        recorded
    }

    /// Adds what another process recorded.
    pub(crate) fn add(&mut self, recorded: &Recorded) {
        for (value, count) in &recorded.0 {
            self.0.saturating_record_n(*value, *count);
        }
    }

    /// The usual percentiles; `None` if nothing was recorded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.0.is_empty()).then(|| Percentiles {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.0.max() as f64 / 1_000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_processes_recorded_adds_up() {
        let mut one = Latency::new();
        (0..99).for_each(|_| one.record(1_000));
        let mut other = Latency::new();
        other.record(5_000_000);
        let mut sum = Latency::new();
        sum.add(&one.take());
        sum.add(&other.take());
        let percentiles = sum.percentiles().unwrap();
        assert!((percentiles.p50_us - 1.0).abs() < 0.01, "{percentiles:?}");
        assert!((percentiles.max_us - 5_000.0).abs() < 5.0, "{percentiles:?}");
        assert!(one.percentiles().is_none());
    }
}

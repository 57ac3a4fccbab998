//! `GET /metrics`: what happened on this node and what it holds, for Prometheus.
//!
//! Read from the shards' counters when someone asks. Refuses labels that grow with rooms or users.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tidings_core::engine::StoreState;
use tidings_core::telemetry::Counter;
use tidings_protocol::codes::ErrorCode;

use super::process::Process;
use crate::answer::Problem;
use crate::state::{Readiness, State};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub(super) async fn page(Extract(state): Extract<Arc<State>>) -> Result<Response, Problem> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Node(state)));
    let mut page = String::new();
    text::encode(&mut page, &registry)
        .map_err(|_| Problem::new(ErrorCode::Internal, "the metrics could not be written: report it"))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], page).into_response())
}

/// Everything there is to tell about a node.
struct Node(Arc<State>);

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

impl Collector for Node {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        self.encode_node(&mut encoder)?;
        self.encode_shards(&mut encoder)?;
        self.encode_requests(&mut encoder)?;
        self.encode_stores(&mut encoder)?;
        encode_process(&mut encoder)
    }
}

impl Node {
    fn encode_node(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let setup = &self.0.setup;
        let held = setup.engine.gauges();
        let connections = self.0.shards.get().map_or(0, |shards| (shards.connections)());
        let info = [("node", &*setup.node), ("version", env!("CARGO_PKG_VERSION"))];
        gauges(encoder, "tidings_node", "The node's name and version, always 1", [(info.as_slice(), 1)])?;
        for (name, help, value) in [
            ("tidings_connections", "Connections held now, of every transport", connections),
            ("tidings_connections_limit", "Connections the node may hold", setup.limits.connections_max),
            ("tidings_rooms", "Rooms known to the engine", held.rooms),
            ("tidings_history_messages", "Messages kept in the rooms' logs", held.messages),
            ("tidings_history_bytes", "Payload bytes kept in the rooms' logs", held.bytes),
            ("tidings_sessions_away", "Sessions that wait for their client", setup.people.sessions.away()),
            (
                "tidings_ready",
                "Whether the node takes traffic",
                usize::from(self.0.readiness() == Readiness::Ready),
            ),
        ] {
            gauge(encoder, name, help, u64::try_from(value).unwrap_or(u64::MAX))?;
        }
        Ok(())
    }

    fn encode_shards(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let Some(shards) = self.0.shards.get() else { return Ok(()) };
        for &counter in Counter::ALL {
            let name = format!("tidings_{}", counter.metric());
            // The help ends in a full stop already, and one is added.
            let help = counter.help().trim_end_matches('.');
            let numbered = shards.counters.iter().enumerate();
            let values =
                numbered.map(|(shard, counters)| ("shard", shard.to_string(), counters.get(counter)));
            counters(encoder, &name, help, values)?;
        }
        Ok(())
    }

    fn encode_stores(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let stores = self.0.setup.engine.stores();
        if stores.is_empty() {
            return Ok(());
        }
        let labels: Vec<_> = stores.iter().map(|store| [("redis", &*store.name)]).collect();
        for (name, help, value) in [
            (
                "tidings_redis_up",
                "Whether it answers and is heard",
                (|s| i64::from(s.is_up)) as fn(&StoreState) -> i64,
            ),
            ("tidings_redis_rooms", "Rooms the node listens to there", |s| {
                i64::try_from(s.rooms).unwrap_or(i64::MAX)
            }),
        ] {
            gauges(
                encoder,
                name,
                help,
                labels.iter().zip(&stores).map(|(label, store)| (label.as_slice(), value(store))),
            )?;
        }
        for (name, help, value) in [
            ("tidings_redis_requests", "Requests to it", (|s| s.requests) as fn(&StoreState) -> u64),
            ("tidings_redis_refused", "Requests refused because it was away or overwhelmed", |s| s.refused),
            ("tidings_redis_repaired_messages", "Messages not heard, and read instead", |s| s.repaired),
        ] {
            counters(
                encoder,
                name,
                help,
                stores.iter().map(|store| ("redis", store.name.clone(), value(store))),
            )?;
        }
        Ok(())
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let classes = self.0.requests.read().map(|(class, count)| ("status", class.to_owned(), count));
        counters(encoder, "tidings_http_answers", "Answers of the control plane by class of status", classes)
    }
}

fn encode_process(encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
    let process = Process::read();
    if let Some(seconds) = process.cpu_seconds {
        let help = "User and system time of all threads";
        let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(seconds).encode(metric)?;
    }
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Physical memory in use", process.resident_bytes),
        ("process_virtual_memory_bytes", "Address space in use", process.virtual_bytes),
        ("process_open_fds", "File descriptors in use", process.open_files),
        ("process_max_fds", "File descriptors that may be used", process.open_files_max),
    ] {
        if let Some(value) = value {
            gauge(encoder, name, help, value)?;
        }
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> std::fmt::Result {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], i64)>,
) -> std::fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (&'static str, String, u64)>,
) -> std::fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (label, labelled, value) in values {
        ConstCounter::new(value).encode(metric.encode_family(&[(label, labelled)])?)?;
    }
    Ok(())
}

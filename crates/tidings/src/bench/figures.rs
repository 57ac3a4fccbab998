//! What a run came to: named figures, their medians over rounds, and how they print. Pure.

use serde_json::{Map, Value, json};

use super::latency::Percentiles;
use super::order::Faults;

/// A kind of figure.
#[derive(Debug, PartialEq)]
pub(crate) struct Figure {
    /// Its name in JSON, unit last.
    pub(crate) key: &'static str,
    /// Its name in the table.
    pub(crate) title: &'static str,
    decimals: usize,
    /// Whether the ratio of two servers says something.
    compared: bool,
}

macro_rules! figures {
    ($($name:ident = $key:literal, $title:literal, $decimals:literal, $compared:literal;)*) => {
        $(pub(crate) const $name: Figure =
            Figure { key: $key, title: $title, decimals: $decimals, compared: $compared };)*
    };
}

figures! {
    CONNECTIONS = "connections", "connections", 0, false;
    PUBLISHED = "published", "messages published", 0, false;
    DELIVERIES = "deliveries", "deliveries", 0, false;
    DELIVERIES_PER_SECOND = "deliveries_per_second", "deliveries per second", 0, true;
    CPU_PER_DELIVERY_US = "server_cpu_per_delivery_us", "server CPU per delivery, µs", 3, true;
    SENDS_PER_DELIVERY = "sends_per_delivery", "sends per delivery", 3, false;
    P50_US = "latency_p50_us", "latency p50, µs", 0, true;
    P90_US = "latency_p90_us", "latency p90, µs", 0, false;
    P99_US = "latency_p99_us", "latency p99, µs", 0, true;
    P999_US = "latency_p999_us", "latency p99.9, µs", 0, false;
    MAX_US = "latency_max_us", "latency max, µs", 0, false;
    SERVER_BUSY = "server_busy", "server's busiest thread, of a core", 2, false;
    WORKER_BUSY = "worker_busy", "busiest worker, of a core", 2, false;
    WINDOW = "window_messages", "messages under way", 0, false;
    FELL_BEHIND = "slow_consumers", "members who fell behind", 0, false;
    HELD_BACK = "held_back", "messages held back", 0, false;
    CONNECT_CPU_US = "server_cpu_per_connect_us", "server CPU per connect, µs", 2, true;
    CONNECT_P50_US = "connect_p50_us", "connect p50, µs", 0, false;
    CONNECT_P99_US = "connect_p99_us", "connect p99, µs", 0, false;
    CONNECT_MAX_US = "connect_max_us", "connect max, µs", 0, true;
    CONNECT_ALL_MS = "connect_all_ms", "all served after, ms", 0, true;
    MEMORY_PER_CONNECTION = "memory_per_connection_bytes", "user-space memory per connection, B", 0, true;
    MEMORY_PER_FURTHER = "memory_per_further_connection_bytes", "… of the second half alone, B", 0, false;
    MEMORY_AFTER_IDLE = "memory_when_opened_gently_bytes", "… when opened a few at a time, B", 0, false;
    USERS = "users", "users who come and go", 0, false;
    WATCHERS = "watchers", "watchers in the room", 0, false;
    COME_CPU_US = "server_cpu_per_user_coming_us", "server CPU per user who came, µs", 2, true;
    COME_RIGHT_MS = "list_right_after_coming_ms", "list right after all came, ms", 0, false;
    COME_EVENTS = "events_coming", "events told while they came", 0, false;
    COME_EVENTS_PER_MEMBER = "events_per_member_coming", "… per member", 2, true;
    GO_CPU_US = "server_cpu_per_user_going_us", "server CPU per user who went, µs", 2, true;
    GO_RIGHT_MS = "list_right_after_going_ms", "list right after all went, ms", 0, false;
    GO_EVENTS = "events_going", "events told while they went", 0, false;
    GO_EVENTS_PER_MEMBER = "events_per_watcher_going", "… per watcher", 2, true;
    PUBLISHED_PER_SECOND = "published_per_second", "messages published per second", 0, true;
    NODES_CPU_PER_MESSAGE_US = "nodes_cpu_per_message_us", "all nodes' CPU per message, µs", 2, true;
    REDIS_CPU_PER_MESSAGE_US = "redis_cpu_per_message_us", "all Redis servers' CPU per message, µs", 2, true;
    REDIS_SCRIPTS = "redis_scripts_per_message", "scripts that Redis ran per message", 3, false;
    REDIS_LARGEST_PART = "redis_largest_part_percent", "of them on the server with most, %", 1, false;
    REDIS_BUSY = "redis_busy", "busiest Redis server, of a core", 3, false;
    NODE_BUSY = "node_busy", "busiest node, of a core", 3, false;
    NODES_IDLE = "nodes_idle_us_per_second", "all nodes' CPU while nothing flows, µs/s", 0, false;
    REDIS_IDLE = "redis_idle_us_per_second", "all Redis servers' CPU while nothing flows, µs/s", 0, false;
    CUTS = "cuts", "connections cut", 0, false;
    DELIVERED_PERCENT = "delivered_percent", "delivered, %", 3, false;
    TOLD_GAPS = "gaps_told", "gaps told", 0, false;
    RESUMED = "sessions_resumed", "sessions gone on with", 0, false;
    NOT_WHOLE = "clients_not_whole", "clients that never were whole again", 0, false;
    ATTEMPTS_FAILED = "attempts_failed", "attempts to come back that failed", 0, false;
    MISSED = "missed_meanwhile", "deliveries missed meanwhile, and made up for", 0, false;
    WHOLE_P50_MS = "whole_p50_ms", "whole again after the kill, p50, ms", 0, false;
    WHOLE_P99_MS = "whole_p99_ms", "whole again after the kill, p99, ms", 0, false;
    WHOLE_LAST_MS = "whole_last_ms", "… the last one", 0, false;
    ATTEMPT_P50_MS = "attempt_p50_ms", "whole again after the attempt, p50, ms", 2, false;
    ATTEMPT_P99_MS = "attempt_p99_ms", "whole again after the attempt, p99, ms", 2, false;
    ATTEMPT_MAX_MS = "attempt_max_ms", "… the slowest", 2, false;
    NODES_CPU_PER_CLIENT_US = "nodes_cpu_per_client_us", "surviving nodes' CPU per client back, µs", 1, false;
    REDIS_CPU_PER_CLIENT_US = "redis_cpu_per_client_us", "Redis' CPU per client back, µs", 1, false;
    REDIS_SCRIPTS_PER_CLIENT = "redis_scripts_per_client", "scripts that Redis ran per client back", 2, false;
    NODE_RESIDENT_BEFORE = "node_resident_before_mb", "largest surviving node before, MB resident", 1, false;
    NODE_RESIDENT_MOST = "node_resident_most_mb", "… at its most", 1, false;
    REDIS_RESIDENT_BEFORE = "redis_resident_before_mb", "Redis before, MB resident", 1, false;
    REDIS_RESIDENT_MOST = "redis_resident_most_mb", "… at its most", 1, false;
    BACK_P50_MS = "back_p50_ms", "first word after coming back, p50, ms", 2, false;
    BACK_P99_MS = "back_p99_ms", "first word after coming back, p99, ms", 2, false;
    REOPEN_ALL_MS = "served_after_mass_leave_ms", "new ones served after all left, ms", 0, true;
}

/// One run of one server, or the median of several.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) server: String,
    pub(crate) values: Vec<(&'static Figure, f64)>,
    pub(crate) faults: Faults,
    /// Connections that failed or were closed by the server.
    pub(crate) broken: usize,
}

impl Outcome {
    pub(crate) fn new(server: impl Into<String>) -> Self {
        Self { server: server.into(), values: Vec::new(), faults: Faults::default(), broken: 0 }
    }

    pub(crate) fn set(&mut self, figure: &'static Figure, value: f64) {
        self.values.push((figure, value));
    }

    pub(crate) fn set_latency(&mut self, percentiles: Option<Percentiles>) {
        let Some(Percentiles { p50_us, p90_us, p99_us, p999_us, max_us }) = percentiles else { return };
        let values =
            [(&P50_US, p50_us), (&P90_US, p90_us), (&P99_US, p99_us), (&P999_US, p999_us), (&MAX_US, max_us)];
        self.values.extend(values);
    }

    pub(crate) fn get(&self, figure: &Figure) -> Option<f64> {
        self.values.iter().find(|(other, _)| other.key == figure.key).map(|(_, value)| *value)
    }

    /// Whether every message came once, in order, or its loss was told, and no connection broke.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_clean() && self.broken == 0
    }

    /// Who could not go any faster; `None` where that was not measured.
    pub(crate) fn bottleneck(&self) -> Option<&'static str> {
        let (server, worker) = (self.get(&SERVER_BUSY)?, self.get(&WORKER_BUSY)?);
        Some(match (server >= 0.85, worker >= 0.85) {
            (true, false) => "the server",
            (false, true) => "the load generator",
            (true, true) if server >= worker => "the server, with the load generator close behind",
            (true, true) => "the load generator, with the server close behind",
            (false, false) => "nobody: the rate was as asked, or everyone waited for answers",
        })
    }

    /// One line for machines.
    pub(crate) fn json(&self, scenario: &str, round: Option<usize>) -> Value {
        let mut line = Map::new();
        line.insert("scenario".into(), scenario.into());
        line.insert("server".into(), self.server.clone().into());
        line.insert("round".into(), round.map_or(json!("median"), |round| json!(round)));
        let values =
            self.values.iter().map(|(figure, value)| (figure.key.to_owned(), json!(round_to(*value, 4))));
        line.extend(values);
        let Faults { lost, told, duplicated, out_of_order } = self.faults;
        let faults =
            [("lost", lost), ("told", told), ("duplicated", duplicated), ("out_of_order", out_of_order)];
        line.extend(faults.map(|(key, value)| (key.to_owned(), json!(value))));
        line.insert("broken_connections".into(), self.broken.into());
        line.insert("bottleneck".into(), self.bottleneck().unwrap_or("unknown").into());
        line.into()
    }
}

/// Medians, figure by figure; faults are added up.
pub(crate) fn median(rounds: &[Outcome]) -> Outcome {
    let mut result = Outcome::new(rounds[0].server.as_str());
    for (figure, _) in &rounds[0].values {
        let mut values: Vec<f64> = rounds.iter().filter_map(|round| round.get(figure)).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let value =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        result.set(figure, value);
    }
    result.faults = rounds.iter().fold(Faults::default(), |sum, round| sum.plus(round.faults));
    result.broken = rounds.iter().map(|round| round.broken).sum();
    result
}

/// The first outcome's figures divided by the second's, where that says something.
pub(crate) fn ratios(first: &Outcome, second: &Outcome) -> Vec<(&'static Figure, f64)> {
    let compared = first.values.iter().filter(|(figure, _)| figure.compared);
    let ratio = |(figure, value): &(&'static Figure, f64)| {
        let other = second.get(figure).filter(|other| *other > 0.0)?;
        Some((*figure, value / other))
    };
    compared.filter_map(ratio).collect()
}

/// A table for people: one row per figure, one column per server, and behind each the ratio to the next.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut rows = vec![vec![String::new()]];
    let mut shown: Vec<&'static Figure> = Vec::new();
    for (figure, _) in outcomes.iter().flat_map(|outcome| &outcome.values) {
        if !shown.contains(figure) {
            shown.push(figure);
            rows.push(vec![figure.title.to_owned()]);
        }
    }
    rows.extend(FAULTS.iter().map(|(title, _)| vec![(*title).to_owned()]));
    for (index, outcome) in outcomes.iter().enumerate() {
        push_column(&mut rows, &outcome.server, &column(outcome, &shown));
        if let Some(next) = outcomes.get(index + 1) {
            let ratios = ratios(outcome, next);
            if ratios.is_empty() {
                continue;
            }
            let ratio = |figure: &&'static Figure| {
                let found = ratios.iter().find(|(other, _)| other == figure);
                found.map_or_else(String::new, |(_, ratio)| format!("{ratio:.3}"))
            };
            push_column(&mut rows, "ratio", &shown.iter().map(ratio).collect::<Vec<_>>());
        }
    }
    aligned(&rows)
}

/// Counts one kind of fault.
type Count = fn(&Outcome) -> u64;

/// The rows about what went wrong.
const FAULTS: [(&str, Count); 5] = [
    ("lost", |outcome| outcome.faults.lost),
    ("lost, and told so", |outcome| outcome.faults.told),
    ("duplicated", |outcome| outcome.faults.duplicated),
    ("out of order", |outcome| outcome.faults.out_of_order),
    ("connections failed or broken", |outcome| outcome.broken as u64),
];

fn column(outcome: &Outcome, shown: &[&'static Figure]) -> Vec<String> {
    let figures = shown.iter().map(|figure| {
        outcome.get(figure).map_or_else(|| "-".to_owned(), |value| grouped(value, figure.decimals))
    });
    figures.chain(FAULTS.iter().map(|(_, count)| grouped(count(outcome) as f64, 0))).collect()
}

fn push_column(rows: &mut [Vec<String>], title: &str, cells: &[String]) {
    rows[0].push(title.to_owned());
    for (index, row) in rows[1..].iter_mut().enumerate() {
        row.push(cells.get(index).cloned().unwrap_or_default());
    }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let width = widths[index];
            line.push_str(&if index == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number with commas between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), None), |(w, f)| (w, Some(f)));
    let mut text = String::new();
    if value < 0.0 && plain.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0') {
        text.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

fn round_to(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(server: &str, cpu: f64) -> Outcome {
        let mut outcome = Outcome::new(server);
        outcome.set(&DELIVERIES, 1_234_567.0);
        outcome.set(&CPU_PER_DELIVERY_US, cpu);
        outcome
    }

    #[test]
    fn one_bad_round_does_not_move_the_median() {
        let rounds = [outcome("a", 1.0), outcome("a", 90.0), outcome("a", 1.2)];
        assert_eq!(median(&rounds).get(&CPU_PER_DELIVERY_US), Some(1.2));
        assert_eq!(median(&rounds[..2]).get(&CPU_PER_DELIVERY_US), Some(45.5));
    }

    #[test]
    fn the_table_lines_up_and_shows_the_ratio() {
        let table = table(&[outcome("tidings", 1.5), outcome("floor", 3.0)]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].ends_with("  tidings  ratio      floor"), "{table}");
        assert!(lines[1].ends_with("1,234,567         1,234,567"), "{table}");
        assert!(lines[2].ends_with("    1.500  0.500      3.000"), "{table}");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(grouped(-12.0, 0), "-12");
        assert_eq!(grouped(0.0, 0), "0");
    }
}

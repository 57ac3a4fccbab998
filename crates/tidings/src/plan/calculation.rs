//! The calculation, in whole numbers: nanoseconds of cores per second, bytes, and counts rounded up.
//!
//! Pure. Refuses to count a part of a machine as none.

use super::constants::{
    CONNECTION, DELIVERY, FRAME, NODE_HEARD, NODE_MESSAGE, REDIS_CENSUS, REDIS_HISTORY, REDIS_KEPT,
    REDIS_MESSAGE, REDIS_NODE, REDIS_USER,
};
use crate::words::{count, size};

/// What is asked for, see `tidings plan --help`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) users: u64,
    pub(super) rooms: u64,
    pub(super) rate: u64,
    pub(super) rooms_per_user: u64,
    pub(super) bytes: u64,
    pub(super) history: u64,
    pub(super) cores: u64,
    pub(super) connections_max: u64,
    pub(super) load: u64,
}

/// What it takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Members of a room on average.
    members: u128,
    deliveries_per_second: u128,
    nodes: u128,
    nodes_for_connections: u128,
    nodes_for_work: u128,
    /// Nodes with members in a room.
    nodes_per_room: u128,
    node_memory_bytes: u128,
    node_sends_bytes_per_second: u128,
    redis_ns_per_message: u128,
    redis_servers: u128,
    messages_per_redis: u128,
    /// What each server spends on nodes that say that they live, and learn who else does.
    census_ns_per_second: u128,
    redis_memory_bytes: u128,
    redis_sends_bytes_per_second: u128,
}

/// One line of the page.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) because: String,
}

/// How often a node says that it lives: every third of `node_lease_ms`.
const CENSUS_SECONDS: u128 = 5;

/// A second of a core.
const SECOND_NS: u128 = 1_000_000_000;

impl Plan {
    pub(super) fn of(demand: &Demand) -> Self {
        let wide = u128::from;
        let of = |constant: &super::constants::Constant| u128::from(constant.value);
        let (users, rate, rooms) = (wide(demand.users), wide(demand.rate), wide(demand.rooms));
        let usable_ns = SECOND_NS * wide(demand.load) / 100;
        let members = (users * wide(demand.rooms_per_user)).div_ceil(rooms);
        let deliveries_per_second = rate * users * wide(demand.rooms_per_user) / rooms;
        let nodes_for_connections = users.div_ceil(wide(demand.connections_max));
        let work_ns = deliveries_per_second * of(&DELIVERY) + rate * of(&NODE_MESSAGE);
        let nodes_for_work =
            nodes_for(work_ns, rate * of(&NODE_HEARD), members, usable_ns * wide(demand.cores));
        let nodes = nodes_for_connections.max(nodes_for_work).max(1);
        let nodes_per_room = members.min(nodes).max(1);
        let history_ns = if demand.history > 0 { of(&REDIS_HISTORY) } else { 0 };
        let redis_ns_per_message = of(&REDIS_MESSAGE) + history_ns + nodes_per_room * of(&REDIS_NODE);
        let census_ns_per_second =
            nodes.saturating_mul(nodes).saturating_mul(of(&REDIS_CENSUS)) / CENSUS_SECONDS;
        let messages_per_redis = usable_ns.saturating_sub(census_ns_per_second) / redis_ns_per_message;
        let kept = rooms * wide(demand.history) * (wide(demand.bytes) + of(&REDIS_KEPT));
        Self {
            members,
            deliveries_per_second,
            nodes,
            nodes_for_connections,
            nodes_for_work,
            nodes_per_room,
            node_memory_bytes: users.div_ceil(nodes) * of(&CONNECTION),
            node_sends_bytes_per_second: deliveries_per_second.div_ceil(nodes)
                * (wide(demand.bytes) + of(&FRAME)),
            redis_ns_per_message,
            redis_servers: rate.div_ceil(messages_per_redis.max(1)).max(1),
            messages_per_redis,
            census_ns_per_second,
            redis_memory_bytes: kept + users.max(rooms) * of(&REDIS_USER),
            redis_sends_bytes_per_second: rate * nodes_per_room * (wide(demand.bytes) + of(&FRAME)),
        }
    }

    pub(super) fn lines(&self, demand: &Demand) -> Vec<Line> {
        let told = |number: u128| count(narrow(number));
        let bytes = |number: u128| size(narrow(number));
        let per_second = |number: u128| format!("{}/s", size(narrow(number)));
        let line = |name, value, because| Line { name, value, because };
        let servers = self.redis_servers;
        vec![
            line("members per room", told(self.members), "on average".to_owned()),
            line(
                "deliveries per second",
                told(self.deliveries_per_second),
                "each message to each member of its room".to_owned(),
            ),
            line(
                "nodes",
                told(self.nodes),
                format!(
                    "{} for the connections, {} for the work; one more, so that one may fail",
                    told(self.nodes_for_connections),
                    told(self.nodes_for_work)
                ),
            ),
            line(
                "  memory each",
                bytes(self.node_memory_bytes),
                "for connections on which nothing waits".to_owned(),
            ),
            line(
                "  sends each",
                per_second(self.node_sends_bytes_per_second),
                format!("{} B and headers per delivery", demand.bytes),
            ),
            line(
                "Redis servers",
                match self.messages_per_redis {
                    0 => "too many nodes".to_owned(),
                    _ => told(servers),
                },
                format!(
                    "{} messages/s each: {} ns per message, heard by {} nodes",
                    told(self.messages_per_redis),
                    told(self.redis_ns_per_message),
                    told(self.nodes_per_room)
                ),
            ),
            line(
                "  for the nodes",
                format!("{} %", told(self.census_ns_per_second.saturating_mul(100) / SECOND_NS)),
                "of a core each, to know who lives: grows with the square of the nodes, falls with node_lease_ms"
                    .to_owned(),
            ),
            line(
                "  memory each",
                bytes(self.redis_memory_bytes.div_ceil(servers)),
                "if every room's history is full; as much again while it writes itself to disk".to_owned(),
            ),
            line(
                "  sends each",
                per_second(self.redis_sends_bytes_per_second.div_ceil(servers)),
                "each message to each node with members in its room".to_owned(),
            ),
        ]
    }
}

/// The fewest nodes that can do work of which some is done once, and some by each node with members in a room: by all nodes,
/// as long as those are fewer than the members.
fn nodes_for(once_ns: u128, each_ns: u128, members: u128, node_ns: u128) -> u128 {
    let all_hear = node_ns.checked_sub(each_ns).filter(|left| *left > 0).map(|left| once_ns.div_ceil(left));
    match all_hear {
        Some(nodes) if nodes <= members => nodes,
        _ => (once_ns + each_ns * members).div_ceil(node_ns),
    }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: Demand = Demand {
        users: 1_000_000,
        rooms: 100_000,
        rate: 10_000,
        rooms_per_user: 1,
        bytes: 100,
        history: 100,
        cores: 4,
        connections_max: 50_000,
        load: 50,
    };

    #[test]
    fn connections_or_work_decide_how_many_nodes() {
        let quiet = Plan::of(&MILLION);
        assert_eq!((quiet.members, quiet.deliveries_per_second, quiet.nodes), (10, 100_000, 20));
        let busy = Plan::of(&Demand { rate: 1_000_000, ..MILLION });
        // 10,000,000 deliveries of 8.77 us and 1,000,000 messages of 35 us, each heard by ten nodes for 22 us, at 2 s of
        // cores a second.
        assert_eq!((busy.nodes_for_work, busy.nodes), (172, 172));
        // Fewer nodes than members: each hears everything, and has so much less time for the rest.
        let some = Plan::of(&Demand { rate: 30_000, connections_max: 1_000_000, ..MILLION });
        assert_eq!((some.nodes_for_work, some.nodes_per_room), (3, 3));
    }

    #[test]
    fn nodes_that_know_of_each_other_cost_redis_more_than_messages_in_the_end() {
        let few = Plan::of(&Demand { users: 100_000_000, connections_max: 500_000, ..MILLION });
        let many = Plan::of(&Demand { users: 100_000_000, ..MILLION });
        assert!(few.messages_per_redis > 0, "{few:?}");
        assert_eq!((many.nodes, many.messages_per_redis), (2_000, 0));
        let demand = Demand { users: 100_000_000, ..MILLION };
        assert!(many.lines(&demand).iter().any(|line| line.value == "too many nodes"));
    }

    #[test]
    fn more_messages_need_more_redis_and_history_costs_some_of_it() {
        let kept = Plan::of(&Demand { rate: 100_000, ..MILLION });
        let not_kept = Plan::of(&Demand { rate: 100_000, history: 0, ..MILLION });
        assert!(kept.redis_servers > not_kept.redis_servers, "{kept:?} {not_kept:?}");
        assert!(kept.redis_memory_bytes > not_kept.redis_memory_bytes);
        assert_eq!(Plan::of(&Demand { rate: 0, ..MILLION }).redis_servers, 1);
    }

    #[test]
    fn the_largest_demand_overflows_nothing() {
        let most = 1_000_000_000_000;
        let demand = Demand {
            users: most,
            rooms: 1,
            rate: most,
            rooms_per_user: 10_000,
            bytes: 1 << 30,
            history: 1_000_000,
            cores: 1,
            connections_max: 1,
            load: 1,
        };
        let plan = Plan::of(&demand);
        assert_eq!(plan.nodes_for_connections, u128::from(most));
        assert!(plan.lines(&demand).iter().all(|line| !line.value.is_empty()));
    }
}

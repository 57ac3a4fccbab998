//! What a plan counts with: each figure was measured, and says how.
//!
//! Refuses figures of other people's machines.

/// A figure and where it comes from.
pub(super) struct Constant {
    pub(super) value: u64,
    pub(super) unit: &'static str,
    pub(super) what: &'static str,
    pub(super) source: &'static str,
}

const BENCHMARKS: &str = "docs/benchmarks.md";
const SCALING: &str = "docs/scaling.md, under load, Redis 7.0";

pub(super) const DELIVERY: Constant = Constant {
    value: 8_770,
    unit: "ns",
    what: "of a node's core per message and member, the kernel's part included, messages one by one",
    source: BENCHMARKS,
};
pub(super) const NODE_MESSAGE: Constant = Constant {
    value: 35_000,
    unit: "ns",
    what: "of a node's core per message that it sends through Redis, beside its deliveries",
    source: "docs/scaling.md, 5,000 messages a second, Redis against memory",
};
pub(super) const NODE_HEARD: Constant = Constant {
    value: 22_000,
    unit: "ns",
    what: "of the core of each node with members in the room per message that it hears from Redis",
    source: "docs/scaling.md, three nodes against one",
};
pub(super) const CONNECTION: Constant = Constant {
    value: 4_438,
    unit: "B",
    what: "of a node's memory per connection, 4,200 of them the kernel's",
    source: BENCHMARKS,
};
pub(super) const REDIS_MESSAGE: Constant = Constant {
    value: 13_500,
    unit: "ns",
    what: "of Redis' core per message of a room that keeps none",
    source: SCALING,
};
pub(super) const REDIS_HISTORY: Constant =
    Constant { value: 15_000, unit: "ns", what: "more, if the room keeps some", source: SCALING };
pub(super) const REDIS_NODE: Constant =
    Constant { value: 800, unit: "ns", what: "more for each node with members in the room", source: SCALING };
pub(super) const REDIS_CENSUS: Constant = Constant {
    value: 3_500,
    unit: "ns",
    what: "of each Redis server's core for each node, each time a node says that it lives: every 5 s",
    source: SCALING,
};
pub(super) const REDIS_KEPT: Constant = Constant {
    value: 112,
    unit: "B",
    what: "of Redis' memory per message kept, beside its payload",
    source: SCALING,
};
pub(super) const REDIS_USER: Constant = Constant {
    value: 1_000,
    unit: "B",
    what: "of Redis' memory per user with a room of its own: session, room and subscription",
    source: SCALING,
};
pub(super) const FRAME: Constant = Constant {
    value: 150,
    unit: "B",
    what: "sent per delivery beside the payload: JSON, WebSocket and TCP/IP headers",
    source: "docs/scaling.md, one message by itself",
};

/// All of them, as they are printed.
pub(super) const CONSTANTS: &[Constant] = &[
    DELIVERY,
    NODE_MESSAGE,
    NODE_HEARD,
    CONNECTION,
    FRAME,
    REDIS_MESSAGE,
    REDIS_HISTORY,
    REDIS_NODE,
    REDIS_CENSUS,
    REDIS_KEPT,
    REDIS_USER,
];

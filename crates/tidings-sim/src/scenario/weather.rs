//! What a scenario's world is like: limits, policies and faults, all from the seed.

use std::collections::BTreeMap;

use tidings_core::options::Pattern;
use tidings_core::{RoomOptions, SlowConsumerPolicy};
use tidings_protocol::Limits;

use crate::network::Network;
use crate::{Held, Random, Setup};

/// Rooms that have a policy of the seed's choice.
const RULED: [&str; 2] = ["b", "c"];
const POLICIES: [SlowConsumerPolicy; 4] = [
    SlowConsumerPolicy::CatchUp,
    SlowConsumerPolicy::Latest,
    SlowConsumerPolicy::Drop,
    SlowConsumerPolicy::Close,
];
const DAY_MS: u64 = 86_400_000;

/// See the module.
pub(super) struct Weather {
    pub(super) policies: BTreeMap<&'static str, SlowConsumerPolicy>,
    /// The engine answers late and in any order.
    pub(super) engine_is_late: bool,
    pub(super) late_wakes_percent: usize,
    pub(super) lost_wakes_percent: usize,
    pub(super) clock_jumps: bool,
    pub(super) nodes_die: bool,
    /// Inboxes and outboxes hold so much that no event is dropped: whoever watches sees all of them.
    pub(super) is_clear: bool,
}

impl Weather {
    pub(super) fn new(seed: u64, random: &mut Random, held: &Held) -> (Self, Setup) {
        let is_clear = random.chance(35);
        let small = |random: &mut Random, least: usize, span: usize, large: usize| {
            let little = least + random.below(span);
            if is_clear { large } else { little }
        };
        let limits = Limits {
            outbox_bytes_max: small(random, 1_024, 4_096, 256 * 1024),
            inbox_messages_max: small(random, 1, 20, 65_536),
            deliveries_per_turn: 1 + random.below(10),
            fan_out_batches_max: 2 + random.below(3),
            room_history_messages: [5, 30, 1_000][random.below(3)],
            room_history_age_ms: [20_000, 600_000][random.below(2)],
            history_page_messages_max: 5 + random.below(50),
            session_window_ms: [0, 60_000, 600_000][random.below(3)],
            sessions_away_max: [0, 64, 100_000][random.below(3)],
            presence_single_users_max: [1, 100][random.below(2)],
            messages_per_second_max: 0,
            // Whoever is sent away reads why, and whoever asks again is recognised, however late.
            close_timeout_ms: DAY_MS,
            idempotency_window_ms: DAY_MS,
            ..Limits::default()
        };
        let policies: BTreeMap<_, _> =
            RULED.map(|room| (room, POLICIES[random.below(POLICIES.len())])).into_iter().collect();
        let rules =
            policies.iter().map(|(&room, &policy)| (Pattern::new(room), options(policy, &limits))).collect();
        let weather = Self {
            policies,
            engine_is_late: random.chance(50),
            late_wakes_percent: [0, 0, 40][random.below(3)],
            lost_wakes_percent: [0, 0, 20][random.below(3)],
            clock_jumps: random.chance(40),
            nodes_die: random.chance(40),
            is_clear,
        };
        let setup = Setup {
            shards: 1 + random.below(3),
            limits,
            rules,
            chopped_percent: [0, 30, 90][random.below(3)],
            seed,
            started: Network::beginning(),
            engine: held.engine(),
            ..Setup::default()
        };
        (weather, setup)
    }
}

fn options(slow_consumer: SlowConsumerPolicy, limits: &Limits) -> RoomOptions {
    RoomOptions { slow_consumer, ..RoomOptions::from_limits(limits) }
}

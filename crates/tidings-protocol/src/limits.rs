//! Every maximum of the system: its unit, its reason, and what happens when it is reached.
//!
//! The binary fills a [`Limits`] from settings (each field is a flag, a key of the TOML file and a
//! `TIDINGS_…` variable of the same name), `docs/settings.md` is written from the comments below,
//! and `tidings doctor` adds the values up against the machine. A queue, map or buffer that has no
//! line here is a bug. Times are in milliseconds, sizes in bytes, the rest are counts.

/// Most a limit can be where nothing smaller makes sense: sums of a few of them cannot overflow.
const ANY: u64 = 1 << 50;
/// A day.
const DAY_MS: u64 = 86_400_000;

// Each line reads: name, type, default, and the values that make sense.
limits! {
    "The node" {
        /// Client connections a node holds at once, of every transport. The textbook's rule of thumb.
        /// Reached: a WebSocket is upgraded and closed with 1013 "Server at capacity"; plain HTTP gets
        /// 503 with `Retry-After`.
        connections_max: usize = 50_000, 1..=10_000_000;
        /// Connections above `connections_max` that are kept just long enough to be refused politely.
        /// Reached: the listener pauses, further clients wait in the backlog.
        refusals_max: usize = 1_024, 0..=1_000_000;
        /// Length of the kernel's queue of connections not yet accepted. 1,024 turned a storm of
        /// 9,000 connects into 18 to 38 s of SYN retries. The kernel caps it at `net.core.somaxconn`.
        listen_backlog: usize = 4_096, 1..=2_147_483_647;
        /// Connections served by the HTTP control plane at the same time. Reached: 503 with `Retry-After`.
        http_connections_max: usize = 4_096, 1..=1_000_000;
        /// Rooms a node knows at once. Reached: rooms that are empty and silent are forgotten; if
        /// there is none, joining or publishing to a new room is refused with `too_many_rooms`.
        rooms_max: usize = 1_000_000, 1..=ANY;
        /// Payload bytes of all rooms' history on a node (memory engine). Reached: the messages stored
        /// first are trimmed first; who still needed them is told by `gap`.
        history_bytes_max: usize = 1 << 30, 0..=ANY;
        /// Time after its last message at which an empty room without history is forgotten (memory
        /// engine). Until then, a client that comes back to a silent room is told that it missed
        /// nothing; afterwards, that it may have.
        room_forgotten_after_ms: u64 = 60 * 60_000, 0..=365 * DAY_MS;
        /// Rooms, and as many idempotency keys, users who went and users who typed, looked at in one
        /// second to find what can be forgotten. Reached: the others have their turn in the next second.
        examined_per_tick: usize = 16_384, 64..=1_000_000;
        /// Announced messages that wait for one shard. Reached: the shard is told that it missed some
        /// and reads the rooms' logs instead, nothing is lost.
        inbox_messages_max: usize = 65_536, 1..=100_000_000;
        /// Idempotency keys a node remembers. Reached: the oldest is forgotten.
        idempotency_keys_max: usize = 100_000, 0..=100_000_000;
        /// How long an idempotency key is remembered.
        idempotency_window_ms: u64 = 5 * 60_000, 0..=DAY_MS;
    }

    "Redis" {
        /// Requests that wait for one Redis server. Reached: they are refused with `engine_unavailable`.
        engine_requests_max: usize = 65_536, 1..=100_000_000;
        /// How long a Redis server may take to answer. Reached: its requests are refused with
        /// `engine_unavailable`, and it is connected to anew.
        redis_timeout_ms: u64 = 3_000, 1..=DAY_MS;
        /// Replicas that must have a message before it is acknowledged. Reached not within half of
        /// `redis_timeout_ms`: the publisher is told `engine_unavailable`, and a repeat with the same key
        /// is the same message. 0 waits for none: a failover may then lose what was acknowledged, and `gap`
        /// tells.
        redis_replicas_min: usize = 0, 0..=100;
        /// Masters of a Redis Cluster that a node speaks with, each over two connections. Redis' own advice is not to
        /// have more. Reached: the slots of further masters count as nobody's: what concerns their rooms is
        /// refused with `engine_unavailable`, `/ready` says 503, and the log `RedisMastersTooMany`.
        redis_masters_max: usize = 1_000, 1..=16_384;
        /// How often a Redis Cluster without trouble is asked which master has which slots; soon after anything odd
        /// it is asked in any case.
        redis_topology_ms: u64 = 10_000, 100..=DAY_MS;
        /// Pause before something is asked once more of a Redis Cluster whose keys are just moving, or whose
        /// master cannot be asked yet; for `redis_timeout_ms` at most.
        redis_again_ms: u64 = 20, 1..=60_000;
        /// How long a node goes on listening to a room after its last member left, so that rooms which
        /// people enter and leave all the time cost no subscription each time.
        engine_linger_ms: u64 = 5_000, 0..=DAY_MS;
        /// How long a node counts as living after it last said so; it says so three times as often. A
        /// node that is killed leaves its users present, and its sessions taken, for so long at most.
        node_lease_ms: u64 = 15_000, 1_000..=DAY_MS;
        /// Each room that a node listens to is compared with its log in Redis this often, however
        /// silent it is.
        engine_check_ms: u64 = 5 * 60_000, 1_000..=DAY_MS;
        /// Rooms without members on this node whose newest message it remembers after publishing there,
        /// to notice if Redis loses it. Reached: the one remembered first is forgotten.
        engine_proofs_max: usize = 16_384, 0..=100_000_000;
    }

    "A connection" {
        /// A message's payload, in either direction, decompressed. Reached: close code 1009, HTTP 413.
        message_bytes_max: usize = 64 * 1024, 1..=1 << 30;
        /// Frames one message may come in. Reached: close code 1009.
        fragments_max: usize = 1_024, 1..=1 << 30;
        /// Bytes that wait for a client which does not read. Reached: the room's slow-consumer policy.
        outbox_bytes_max: usize = 256 * 1024, 1_024..=1 << 30;
        /// Request line and headers. Reached: 431.
        head_bytes_max: usize = 16 * 1024, 1_024..=1 << 20;
        /// Number of header fields. Reached: 431.
        headers_max: usize = 64, 8..=1_024;
        /// Time from accept to a complete request head. Reached: 408.
        handshake_timeout_ms: u64 = 10_000, 1..=DAY_MS;
        /// Rooms one connection is in. Reached: `error` `too_many_rooms`.
        rooms_per_connection_max: usize = 128, 1..=65_535;
        /// Client frames per second of one connection, with a burst of as many. 0 means no limit.
        /// Reached: `error` `rate_limited`, the frame is not processed, the connection stays.
        messages_per_second_max: u32 = 100, 0..=1_000_000_000;
        /// Requests of one connection that wait for the engine. Reached: the connection is not read
        /// from until one is answered.
        pending_requests_max: usize = 64, 1..=65_535;
        /// Silence after which the server pings. HAProxy's common recipe cuts at 30 s.
        ping_interval_ms: u64 = 25_000, 1..=DAY_MS;
        /// Time a client has to show a sign of life after a ping. Reached: close code 4001.
        pong_timeout_ms: u64 = 10_000, 1..=DAY_MS;
        /// Time a client has to answer a close frame before the socket is closed all the same.
        close_timeout_ms: u64 = 5_000, 1..=DAY_MS;
    }

    "Sessions" {
        /// How long a session outlives its connection: whoever comes back within it finds user and
        /// rooms again. Reached: the session ends; its positions still recover from history.
        session_window_ms: u64 = 10 * 60_000, 0..=DAY_MS;
        /// Sessions without a connection that a node remembers. Reached: the one that has been away
        /// longest ends.
        sessions_away_max: usize = 100_000, 0..=100_000_000;
    }

    "Event streams and long polls" {
        /// Told to `EventSource` clients: when to come back.
        feed_retry_ms: u64 = 5_000, 0..=DAY_MS;
        /// Longest time a long poll is held; `timeout_s` asks for less. A poll that outlives a proxy's
        /// patience (30 s in a common HAProxy recipe, 60 s in nginx) is answered by the proxy.
        poll_timeout_ms: u64 = 25_000, 1..=DAY_MS;
        /// Messages in one answer to a poll; `batch` asks for less. Reached: the next poll has the rest.
        poll_batch_max: usize = 100, 1..=100_000;
        /// How long a session stays with its connection when a poll was answered and the connection is
        /// kept: the next poll on it finds it as it was. Reached: it is put away, as at once where
        /// the connection ends, and waits for its window. 0 puts it away at once.
        poll_rest_ms: u64 = 1_000, 0..=DAY_MS;
    }

    "Presence" {
        /// Time after a user's last connection to a room ended until the others are told: a client that
        /// reconnects meanwhile is not seen leaving.
        presence_grace_ms: u64 = 5_000, 0..=DAY_MS;
        /// Users in a room up to which each one's coming and going is an event of its own. Above it,
        /// changes are told together, at most once per `presence_interval_ms`.
        presence_single_users_max: usize = 100, 0..=1_000_000;
        /// Time over which the changes of a big room are told together.
        presence_interval_ms: u64 = 1_000, 100..=DAY_MS;
        /// Users named in one `presence_changed`; the others are counted. Reached: ask for the list.
        presence_names_max: usize = 20, 0..=100_000;
        /// Users in one answer to a question for a room's presence. Reached: the answer says
        /// `complete: false` and the rest is asked for with `after`.
        presence_page_max: usize = 1_000, 1..=1_000_000;
        /// How long the key lasts in Redis that tells other programs that a user is online. It is refreshed
        /// three times as often while the user is; only after a node was killed does it matter.
        presence_ttl_ms: u64 = 300_000, 3_000..=DAY_MS;
        /// Changes of presence that wait for one Redis server, each user in a room once. Reached: they
        /// are forgotten, and when the server answers, all that it has of this node is compared with
        /// what is so.
        presence_changes_max: usize = 262_144, 1..=100_000_000;
        /// Users asked for in one `GET /presence`. Reached: 400.
        presence_query_max: usize = 1_000, 1..=1_000_000;
    }

    "Typing" {
        /// How long somebody is typing after the last `typing_start`.
        typing_timeout_ms: u64 = 5_000, 100..=DAY_MS;
        /// Least time between two events that tell of the same user's typing in the same room.
        typing_interval_ms: u64 = 3_000, 0..=DAY_MS;
        /// Users who type in one room at once, or did within `typing_interval_ms`. Reached: further ones
        /// are not noticed.
        typists_max: usize = 100, 0..=1_000_000;
        /// Members of a room (of a shard, where a node has several) up to which typing is told to them.
        typing_members_max: usize = 500, 0..=ANY;
    }

    "A request over plain HTTP" {
        /// Time from a request's head to the last byte of its body. Reached: 408, and the connection closes.
        body_timeout_ms: u64 = 10_000, 1..=DAY_MS;
        /// Bytes of a refused body that are read and thrown away, so that its sender gets to read the
        /// refusal. Reached: the connection is closed while it still sends.
        discarded_body_bytes_max: usize = 1 << 20, 0..=1 << 30;
        /// Time a request waits for the engine. Reached: 503 `engine_unavailable` with `Retry-After`.
        engine_timeout_ms: u64 = 5_000, 1..=DAY_MS;
        /// Silence between two requests after which a kept-alive connection is closed, and time the
        /// head of a further request may take.
        http_idle_timeout_ms: u64 = 60_000, 1..=DAY_MS;
        /// Requests that one HTTP/2 connection may have under way. Reached: the client waits, as it
        /// was told to when it connected.
        http2_streams_max: u32 = 128, 1..=65_535;
    }

    "Names" {
        /// Room name. Reached, or empty: `error` `bad_room`, HTTP 400.
        room_name_bytes_max: usize = 255, 1..=4_096;
        /// User id. Reached, or empty: `error` `bad_user`, HTTP 400.
        user_id_bytes_max: usize = 255, 1..=4_096;
        /// Client id of a long poll. Reached, or empty: HTTP 400.
        client_id_bytes_max: usize = 128, 1..=4_096;
        /// `ref`, `Idempotency-Key` and conflation `key`. Reached: `error` `bad_ref`, HTTP 400.
        reference_bytes_max: usize = 128, 1..=4_096;
    }

    "A room" {
        /// Messages kept per room, unless its options say otherwise.
        room_history_messages: usize = 100, 0..=ANY;
        /// Payload bytes kept per room, unless its options say otherwise.
        room_history_bytes: usize = 1 << 20, 0..=ANY;
        /// Age after which a message is forgotten, unless the room's options say otherwise.
        room_history_age_ms: u64 = 10 * 60_000, 0..=365 * DAY_MS;
        /// Messages in one answer to `history`. Reached: the answer says `complete: false`.
        history_page_messages_max: usize = 1_000, 1..=1_000_000;
        /// Rooms in one answer to `GET /rooms`. Reached: the answer says `complete: false`.
        rooms_page_max: usize = 1_000, 1..=1_000_000;
    }

    "Fairness" {
        /// Deliveries of fan-out in one turn of a shard. Reached: the rest of the room follows in the
        /// next turn, in order, after sockets and timers had theirs.
        deliveries_per_turn: usize = 20_000, 1..=ANY;
        /// Batches of one room that wait for their turn in one shard; each holds up to 256 messages or
        /// 64 KiB. Reached: only the newest message is kept, and the members read the room's log
        /// instead, nothing is lost.
        fan_out_batches_max: usize = 16, 2..=65_535;
    }

    "Stopping" {
        /// Whole time from the signal to the exit.
        drain_timeout_ms: u64 = 30_000, 0..=DAY_MS;
        /// Of which at most so long is waited for `restart_ack`.
        restart_ack_timeout_ms: u64 = 5_000, 0..=DAY_MS;
        /// Told to clients in `server_restart`: when to come back.
        reconnect_after_ms: u64 = 1_000, 0..=DAY_MS;
    }
}

/// What there is to know about one limit, for flags, files and the documentation.
#[derive(Debug, Clone, Copy)]
pub struct LimitDescription {
    /// The field's name, which is its key in the settings file too.
    pub name: &'static str,
    /// The part of the system it belongs to.
    pub section: &'static str,
    /// Its comment above.
    pub help: &'static str,
    /// The values that make sense.
    pub range: (u64, u64),
}

/// Why a limit was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No limit has this name.
    #[error("there is no limit of this name: `tidings serve --help` lists them all")]
    Unknown,
    /// The value makes no sense (given: the least and the greatest that do).
    #[error("is not a whole number from {0} to {1}: give one")]
    OutOfRange(u64, u64),
}

/// Makes the struct, its defaults and its description from one list.
macro_rules! limits {
    ($($section:literal {
        $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $range:expr;)+
    })+) => {
        /// All limits of a node. Times are in milliseconds, sizes in bytes, the rest are counts.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits { $($($(#[doc = $doc])+ pub $name: $type,)+)+ }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($($name: $default,)+)+ }
            }
        }

        impl Limits {
            /// Every limit, in the order of the list above.
            pub const ALL: &[LimitDescription] = &[$($(LimitDescription {
                name: stringify!($name),
                section: $section,
                help: concat!($($doc, "\n",)+),
                range: (*$range.start(), *$range.end()),
            },)+)+];

            /// Sets the limit of this name.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), LimitError> {
                match name {
                    $($(stringify!($name) => {
                        let range: std::ops::RangeInclusive<u64> = $range;
                        let refusal = LimitError::OutOfRange(*range.start(), *range.end());
                        if !range.contains(&value) {
                            return Err(refusal);
                        }
                        self.$name = <$type>::try_from(value).map_err(|_| refusal)?;
                    })+)+
                    _ => return Err(LimitError::Unknown),
                }
                Ok(())
            }

            /// The value of the limit of this name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $($(stringify!($name) => u64::try_from(self.$name).ok(),)+)+
                    _ => None,
                }
            }
        }
    };
}
use limits;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_may_be_set() {
        let defaults = Limits::default();
        let mut limits = Limits::default();
        for limit in Limits::ALL {
            let value = defaults.get(limit.name).expect("the list and the struct are one");
            assert_eq!(limits.set(limit.name, value), Ok(()), "{}", limit.name);
        }
        assert_eq!(limits, defaults);
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_the_range() {
        let mut limits = Limits::default();
        assert_eq!(limits.set("ping_interval_ms", 0), Err(LimitError::OutOfRange(1, DAY_MS)));
        assert_eq!(limits.set("pings", 1), Err(LimitError::Unknown));
        assert_eq!(limits, Limits::default());
    }
}

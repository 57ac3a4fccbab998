//! Every maximum of the system: its unit, its reason, and what happens when it is reached.
//!
//! The binary fills a [`Limits`] from settings (each field is a flag, a key of the TOML file and a
//! `TIDINGS_…` variable of the same name) and `tidings doctor` adds them up against the machine.
//! A queue, map or buffer that has no line here is a bug.

/// All limits of a node. Times are in milliseconds, sizes in bytes, the rest are counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    // --- the node -----------------------------------------------------------------------------
    /// Client connections a node holds at once, of every transport. The textbook's rule of thumb.
    /// Reached: a WebSocket is upgraded and closed with 1013 "Server at capacity"; plain HTTP gets
    /// 503 with `Retry-After`.
    pub connections_max: usize,
    /// Connections above `connections_max` that are kept just long enough to be refused politely.
    /// Reached: the listener pauses, further clients wait in the backlog.
    pub refusals_max: usize,
    /// Length of the kernel's queue of connections not yet accepted. 1,024 turned a storm of
    /// 9,000 connects into 18 to 38 s of SYN retries. The kernel caps it at `net.core.somaxconn`.
    pub listen_backlog: usize,
    /// Requests other than WebSocket served at the same time. Reached: 503 with `Retry-After`.
    pub http_connections_max: usize,
    /// Rooms a node knows at once. Reached: rooms that are empty and silent are forgotten; if
    /// there is none, joining or publishing to a new room is refused with `too_many_rooms`.
    pub rooms_max: usize,
    /// Payload bytes of all rooms' history on a node (memory engine). Reached: the messages stored
    /// first are trimmed first; who still needed them is told by `gap`.
    pub history_bytes_max: usize,
    /// Announced messages that wait for one shard. Reached: the shard is told that it missed some
    /// and reads the rooms' logs instead, nothing is lost.
    pub inbox_messages_max: usize,
    /// Idempotency keys a node remembers. Reached: the oldest is forgotten.
    pub idempotency_keys_max: usize,
    /// How long an idempotency key is remembered.
    pub idempotency_window_ms: u64,

    // --- a connection -------------------------------------------------------------------------
    /// A message's payload, in either direction, decompressed. Reached: close code 1009, HTTP 413.
    pub message_bytes_max: usize,
    /// Frames one message may come in. Reached: close code 1009.
    pub fragments_max: usize,
    /// Bytes that wait for a client which does not read. Reached: the room's slow-consumer policy.
    pub outbox_bytes_max: usize,
    /// Request line and headers. Reached: 431.
    pub head_bytes_max: usize,
    /// Number of header fields. Reached: 431.
    pub headers_max: usize,
    /// Time from accept to a complete request head. Reached: 408.
    pub handshake_timeout_ms: u64,
    /// Rooms one connection is in. Reached: `error` `too_many_rooms`.
    pub rooms_per_connection_max: usize,
    /// Client frames per second of one connection, with a burst of as many. 0 means no limit.
    /// Reached: `error` `rate_limited`, the frame is not processed, the connection stays.
    pub messages_per_second_max: u32,
    /// Requests of one connection that wait for the engine. Reached: the connection is not read
    /// from until one is answered.
    pub pending_requests_max: usize,
    /// Silence after which the server pings. HAProxy's common recipe cuts at 30 s.
    pub ping_interval_ms: u64,
    /// Time a client has to show a sign of life after a ping. Reached: close code 4001.
    pub pong_timeout_ms: u64,
    /// Time a client has to answer a close frame before the socket is closed all the same.
    pub close_timeout_ms: u64,

    // --- names --------------------------------------------------------------------------------
    /// Room name. Reached, or empty: `error` `bad_room`, HTTP 400.
    pub room_name_bytes_max: usize,
    /// User id. Reached, or empty: `error` `bad_user`, HTTP 400.
    pub user_id_bytes_max: usize,
    /// `ref`, `Idempotency-Key` and conflation `key`. Reached: `error` `bad_ref`, HTTP 400.
    pub reference_bytes_max: usize,

    // --- a room -------------------------------------------------------------------------------
    /// Messages kept per room, unless its options say otherwise.
    pub room_history_messages: usize,
    /// Payload bytes kept per room, unless its options say otherwise.
    pub room_history_bytes: usize,
    /// Age after which a message is forgotten, unless the room's options say otherwise.
    pub room_history_age_ms: u64,
    /// Messages in one answer to `history`. Reached: the answer says `complete: false`.
    pub history_page_messages_max: usize,

    // --- fairness -----------------------------------------------------------------------------
    /// Deliveries of fan-out in one turn of a shard. Reached: the rest of the room follows in the
    /// next turn, in order, after sockets and timers had theirs.
    pub deliveries_per_turn: usize,

    // --- stopping -----------------------------------------------------------------------------
    /// Whole time from the signal to the exit.
    pub drain_timeout_ms: u64,
    /// Of which at most so long is waited for `restart_ack`.
    pub restart_ack_timeout_ms: u64,
    /// Told to clients in `server_restart`: when to come back.
    pub reconnect_after_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 50_000,
            refusals_max: 1_024,
            listen_backlog: 4_096,
            http_connections_max: 4_096,
            rooms_max: 1_000_000,
            history_bytes_max: 1 << 30,
            inbox_messages_max: 65_536,
            idempotency_keys_max: 100_000,
            idempotency_window_ms: 5 * 60_000,
            message_bytes_max: 64 * 1024,
            fragments_max: 1_024,
            outbox_bytes_max: 256 * 1024,
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            handshake_timeout_ms: 10_000,
            rooms_per_connection_max: 128,
            messages_per_second_max: 100,
            pending_requests_max: 64,
            ping_interval_ms: 25_000,
            pong_timeout_ms: 10_000,
            close_timeout_ms: 5_000,
            room_name_bytes_max: 255,
            user_id_bytes_max: 255,
            reference_bytes_max: 128,
            room_history_messages: 100,
            room_history_bytes: 1 << 20,
            room_history_age_ms: 10 * 60_000,
            history_page_messages_max: 1_000,
            deliveries_per_turn: 20_000,
            drain_timeout_ms: 30_000,
            restart_ack_timeout_ms: 5_000,
            reconnect_after_ms: 1_000,
        }
    }
}

//! What happened, as a list of named counters: one set per shard, written by its thread alone and
//! summed when someone asks.
//!
//! Owned by the shard, read by the control plane. Refuses labels that grow with rooms or users.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident => $metric:literal,)*) => {
        /// Things counted since start. Noun, then past verb.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[doc = $doc])* $name,)* }

        impl Counter {
            /// Every counter, in the order of the metrics page.
            pub const ALL: &[Counter] = &[$(Counter::$name,)*];

            /// Name on the metrics page, without prefix and `_total`.
            pub const fn metric(self) -> &'static str {
                match self { $(Counter::$name => $metric,)* }
            }

            /// One sentence for the metrics page.
            pub fn help(self) -> &'static str {
                match self { $(Counter::$name => concat!($($doc,)*).trim_ascii(),)* }
            }
        }
    };
}

counters! {
    /// Connections accepted by a listener.
    ConnectionAccepted => "connections_accepted",
    /// Connections closed, for whatever reason.
    ConnectionClosed => "connections_closed",
    /// Connections refused because the node is at capacity.
    ConnectionRefused => "connections_refused",
    /// WebSocket handshakes completed.
    WebSocketOpened => "websockets_opened",
    /// Requests handed to the HTTP control plane.
    RequestHandedOver => "requests_handed_over",
    /// Request heads refused: malformed, too large or too slow.
    HeadRefused => "heads_refused",
    /// WebSocket handshakes refused: no key, wrong version, wrong method.
    HandshakeRefused => "handshakes_refused",
    /// Connections closed because of a WebSocket protocol error.
    FrameRefused => "frames_refused",
    /// Client frames answered with an error.
    CommandRefused => "commands_refused",
    /// Client frames refused because of the rate limit.
    RateLimitReached => "rate_limit_reached",
    /// Event streams opened.
    FeedOpened => "feeds_opened",
    /// Long polls that began to wait.
    PollOpened => "polls_opened",
    /// Sessions begun.
    SessionBegun => "sessions_begun",
    /// Sessions that a new connection resumed.
    SessionResumed => "sessions_resumed",
    /// Connections closed because a newer one of the same session took over.
    SessionTakenOver => "sessions_taken_over",
    /// Connections told of a restart because their clients asked to rehearse one.
    RestartRehearsed => "restarts_rehearsed",
    /// Presence and typing events delivered.
    EventDelivered => "events_delivered",
    /// Presence and typing events that a slow reader was spared.
    EventDropped => "events_dropped",
    /// Messages received from clients and handed to the engine.
    MessageReceived => "messages_received",
    /// Messages delivered to subscribers.
    MessageDelivered => "messages_delivered",
    /// System calls that sent data to clients.
    SendCalled => "sends",
    /// Bytes sent to clients.
    ByteSent => "bytes_sent",
    /// Bytes received from clients.
    ByteReceived => "bytes_received",
    /// Subscriptions that fell behind and read the log instead.
    SlowConsumerFellBehind => "slow_consumers_fell_behind",
    /// Subscriptions that caught up again.
    SlowConsumerCaughtUp => "slow_consumers_caught_up",
    /// Connections closed because they read too slowly.
    SlowConsumerClosed => "slow_consumers_closed",
    /// Messages replaced by a newer one of the same key for a slow consumer.
    MessageConflated => "messages_conflated",
    /// Gaps told to subscribers.
    GapTold => "gaps_told",
    /// Pings sent.
    PingSent => "pings_sent",
    /// Connections closed because no sign of life followed a ping.
    PongMissed => "pongs_missed",
    /// Times a shard's inbox was full and rooms were read from their logs instead.
    InboxOverflowed => "inbox_overflowed",
    /// Panics caught in one connection's handling; the connection was closed.
    PanicCaught => "panics_caught",
}

/// Counters of one shard.
#[derive(Debug)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Counters {
    /// All at zero.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; Counter::ALL.len()])
    }

    /// Adds to a counter. Only the owning thread writes, so a load and a store do.
    pub fn add(&self, counter: Counter, amount: u64) {
        let cell = &self.0[counter as usize];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Reads a counter, from any thread.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

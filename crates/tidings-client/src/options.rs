//! What a [`Client`](crate::Client) is told before it connects. Refuses addresses that cannot work.

use std::time::Duration;

use tidings_websocket::deflate::Offer;

use crate::address::Address;
use crate::backoff::Backoff;
use crate::error::Result;

/// From where on a room is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// What is published from now on.
    Live,
    /// What follows the message of this id; 0 means everything the room still keeps.
    After(u64),
}

/// Settings of a client. The maxima here are the client's own; the server's are in `tidings_protocol::limits`.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) address: Address,
    pub(crate) user: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) rooms: Vec<(String, Start)>,
    pub(crate) backoff: Backoff,
    pub(crate) deflate: Option<Offer>,
    /// Time to make a connection and to be answered, per attempt.
    pub connect_timeout: Duration,
    /// Silence after which a ping asks whether the server is still there; twice as long, and the connection counts
    /// as broken. The server's own pings come every 25 s, so 35 s of silence are a bad sign.
    pub silence_max: Duration,
    /// The largest message taken, decompressed, in bytes. Over it the connection is given up.
    pub message_bytes_max: usize,
    /// Publications that wait for their `ack` and will be sent again after a reconnect.
    pub unacknowledged_max: usize,
}

impl Options {
    /// For the server at `url`: `ws://HOST:PORT` or `http://HOST:PORT`; without a path, `/ws`.
    pub fn new(url: &str) -> Result<Self> {
        let mut address = Address::parse(url)?;
        if address.path() == "/" {
            address = address.with_path("/ws");
        }
        Ok(Self {
            address,
            user: None,
            token: None,
            rooms: Vec::new(),
            backoff: Backoff::default(),
            deflate: None,
            connect_timeout: Duration::from_secs(10),
            silence_max: Duration::from_secs(35),
            message_bytes_max: 16 << 20,
            unacknowledged_max: 1_024,
        })
    }

    /// Under this name. Counts only while the server asks for no credentials.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// With these credentials.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Joins a room on connecting.
    pub fn room(mut self, room: impl Into<String>, start: Start) -> Self {
        self.rooms.push((room.into(), start));
        self
    }

    /// With other pauses between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Offers compression.
    pub fn deflate(mut self, offer: Offer) -> Self {
        self.deflate = Some(offer);
        self
    }
}

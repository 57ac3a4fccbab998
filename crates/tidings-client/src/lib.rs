//! A blocking Rust client for Tidings: one thread, one socket, no runtime.
//!
//! [`Client`] is what an application wants: it connects, says hello, reconnects with a growing pause, recovers what it
//! missed by its cursor per room, and tells losses as [`Event::Gap`]. [`Socket`] is one bare WebSocket connection, and
//! [`http`] asks the REST endpoints. The crate refuses TLS (put a proxy in front), several threads on one client, and
//! anything that would need the server's internals.
//!
//! ```no_run
//! use std::time::Duration;
//! use tidings_client::{Client, Content, Event, Options, Start};
//!
//! let options = Options::new("ws://127.0.0.1:8080")?.user("ana").room("lobby", Start::Live);
//! let mut client = Client::connect(options)?;
//! client.publish("lobby", &Content::Text("hello".into()))?;
//! while let Some(event) = client.next(Duration::from_secs(5))? {
//!     if let Event::Message(message) = event {
//!         println!("{} {:?}", message.id, message.content);
//!     }
//! }
//! # Ok::<(), tidings_client::Error>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod client;
mod error;
mod event;
pub mod http;
mod options;
mod positions;
mod socket;

pub use address::Address;
pub use backoff::Backoff;
pub use client::Client;
pub use error::{Error, Result};
pub use event::{Content, Event, Message};
pub use options::{Options, Start};
pub use socket::{Frame, Socket};

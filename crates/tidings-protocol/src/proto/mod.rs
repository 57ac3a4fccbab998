//! The frames in protobuf, for the WebSocket subprotocol [`SUBPROTOCOL`] and for gRPC.
//!
//! Owned by whoever holds the bytes. Refuses what JSON refuses, in the same words; the types in
//! [`v1`] are made from `proto/tidings/v1/tidings.proto`, where each field is told.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Publish, decode, parse, publish, subscribe};
pub use server::encode_message_protobuf;

/// The name a WebSocket client offers in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "tidings.v1.proto";

/// `tidings.proto` as a `FileDescriptorSet`: what gRPC reflection tells, and what a build script
/// makes the service from.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tidings.v1.bin"));

/// The types of the package `tidings.v1`.
pub mod v1 {
    use std::fmt;

    include!(concat!(env!("OUT_DIR"), "/tidings.v1.rs"));

    /// Shows these types without the secrets they carry, which would be keys left in the door if
    /// one were logged.
    macro_rules! show_without_secrets {
        ($($name:ident { $($field:ident),* })*) => {
            $(impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let mut shown = f.debug_struct(stringify!($name));
                    $(shown.field(stringify!($field), &self.$field);)*
                    shown.finish_non_exhaustive()
                }
            })*
        };
    }

    show_without_secrets! {
        Hello { user_id, rooms, last_message_id, positions }
        Session { user_id, rooms, resumed, node }
        SubscribeRequest { user_id, rooms, positions }
        Refresh {}
    }
}

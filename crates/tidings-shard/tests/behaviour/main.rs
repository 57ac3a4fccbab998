//! What users notice of a shard and of the rules of messaging, on a simulated network.

mod bad_input;
mod bad_requests;
mod capacity;
mod conversation;
mod cross_transport;
mod events;
mod faults;
mod giant_rooms;
mod handing_over;
mod heartbeat;
mod memberships;
mod policies;
mod polls;
mod presence_and_typing;
mod protobuf;
mod recovery;
mod rehearsal;
mod resting;
mod sends;
mod sessions;
mod sharing;
mod stopping;

use tidings_sim as support;

//! What users notice of a shard and of the rules of messaging, on a simulated network.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod bad_requests;
mod capacity;
mod conversation;
mod faults;
mod giant_rooms;
mod handing_over;
mod heartbeat;
mod memberships;
mod policies;
mod presence_and_typing;
mod recovery;
mod sessions;
mod stopping;
mod storm;

//! What the rules of messaging need from whoever owns the connections.

use std::sync::Arc;

use tidings_protocol::ServerFrame;
use tidings_protocol::codes::CloseCode;

use crate::event::Event;
use crate::rooms::Batch;
use crate::slots::Slot;

/// The way out to the clients of one shard.
///
/// Whoever refuses a message here (returns less than all), or says that a connection does not flow,
/// promises to call [`Messaging::drained`](crate::Messaging::drained) for it once it flows again.
pub trait Outlet {
    /// A batch's bytes by encoding; filled once, shared by every member.
    type Encoded: Default;

    /// Whether the client is still there. The connection of one who has left ends soon.
    fn is_there(&mut self, client: Slot) -> bool;

    /// Whether the client's connection takes data at the moment: nothing waits that the kernel
    /// had refused.
    fn flows(&self, to: Slot) -> bool;

    /// Bytes that the client's outbox still has room for.
    fn room(&self, to: Slot) -> usize;

    /// Queues the batch's messages from index `first` on. Gives how many fitted into the outbox:
    /// all of them unless the client reads too slowly. An empty outbox takes at least one,
    /// however large. A connection that is closing takes everything.
    fn deliver(&mut self, to: Slot, batch: &mut Batch<Self::Encoded>, first: usize) -> usize;

    /// The same with one message for a feed of several rooms, whose client learns from `cursor`
    /// where it stands afterwards; empty while that is not known of each room. Says whether it fitted.
    fn deliver_marked(
        &mut self,
        to: Slot,
        batch: &mut Batch<Self::Encoded>,
        index: usize,
        cursor: &str,
    ) -> bool;

    /// Tells the client of a feed where it stands, though no message says so.
    fn mark(&mut self, to: Slot, cursor: &str);

    /// Queues an event, unless the client reads too slowly. Says whether it did.
    fn tell(&mut self, to: Slot, telling: &mut Telling<Self::Encoded>) -> bool;

    /// Ends an errand with its answer: a frame as JSON, or nothing, and the HTTP status it has.
    fn relay(&mut self, to: Slot, status: u16, json: &[u8]);

    /// Queues an answer to the client's own request; never refused, because a client that does
    /// not read its answers is not read from either.
    fn answer(&mut self, to: Slot, frame: &ServerFrame<'_>);

    /// Treats the client's connection as if the node were about to restart, and no other.
    fn rehearse_restart(&mut self, to: Slot);

    /// Says goodbye: what is queued is still sent.
    fn close(&mut self, to: Slot, code: CloseCode, reason: &'static str);
}

/// An event on its way to the members of its room.
#[derive(Debug)]
pub struct Telling<E> {
    /// What happened.
    pub event: Arc<Event>,
    /// Its bytes on the wire, by encoding.
    pub encoded: E,
}

impl<E: Default> Telling<E> {
    pub(crate) fn new(event: Arc<Event>) -> Self {
        Self { event, encoded: E::default() }
    }
}

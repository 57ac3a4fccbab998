//! What the rules of messaging need from whoever owns the connections.

use tidings_protocol::ServerFrame;
use tidings_protocol::codes::CloseCode;

use crate::rooms::Batch;
use crate::slots::Slot;

/// The way out to the clients of one shard.
///
/// Whoever refuses a message here (returns less than all), or says that a connection does not flow,
/// promises to call [`Messaging::drained`](crate::Messaging::drained) for it once it flows again.
pub trait Outlet {
    /// A batch's bytes by encoding; filled once, shared by every member.
    type Encoded: Default;

    /// Whether the client's connection takes data at the moment: nothing waits that the kernel
    /// had refused.
    fn flows(&self, to: Slot) -> bool;

    /// Bytes that the client's outbox still has room for.
    fn room(&self, to: Slot) -> usize;

    /// Queues the batch's messages from index `first` on. Gives how many fitted into the outbox:
    /// all of them unless the client reads too slowly. An empty outbox takes at least one,
    /// however large. A connection that is closing takes everything.
    fn deliver(&mut self, to: Slot, batch: &mut Batch<Self::Encoded>, first: usize) -> usize;

    /// Queues an answer to the client's own request; never refused, because a client that does
    /// not read its answers is not read from either.
    fn answer(&mut self, to: Slot, frame: &ServerFrame<'_>);

    /// Says goodbye: what is queued is still sent.
    fn close(&mut self, to: Slot, code: CloseCode, reason: &'static str);
}

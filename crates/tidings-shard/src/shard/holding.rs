//! Holding still: while other nodes may have taken sessions that connections of this shard have, nothing is read from
//! clients and nothing is sent to them.
//!
//! Mail is taken, because it says who has lost a session. Refuses to hold anybody longer than the registry is in doubt,
//! which ends by itself.

use std::time::Duration;

use super::Shard;
use crate::io::{Io, Ready};

/// How often a shard that holds still looks whether it may go on.
const LOOK: Duration = Duration::from_millis(5);

impl<I: Io> Shard<I> {
    /// Whether this turn is over, because the shard holds still. The turn in which doubt ends is one of those: the mail
    /// is read before anything that clients said.
    pub(super) fn holds_still(&mut self) -> bool {
        let is_in_doubt = self.context.people.sessions.are_in_doubt();
        if !is_in_doubt && !self.is_holding {
            return false;
        }
        self.collect_mail();
        self.is_holding = is_in_doubt;
        if !is_in_doubt {
            self.expect_everything();
        }
        true
    }

    /// How long it sleeps at most before it looks again.
    pub(super) fn holding_timeout(&self) -> Option<Duration> {
        self.is_holding.then_some(LOOK)
    }

    /// What the system said meanwhile it does not say again.
    fn expect_everything(&mut self) {
        self.accepting = true;
        let table = &self.connections.table;
        self.overlooked.extend(
            table.taken().filter_map(|slot| table.key(slot)).map(|key| Ready::Connection {
                key,
                readable: true,
                writable: true,
                ended: true,
            }),
        );
    }
}

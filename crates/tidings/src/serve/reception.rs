//! The two ways between shards and control plane: requests that are no WebSocket go there, what
//! becomes a WebSocket there comes back.
//!
//! The two crates do not know each other; the binary translates. Refuses to drop a seat on the way.

use std::sync::Arc;

use tidings_server::{Server, Upgraded};
use tidings_shard::{Arrival, Capacity, Reception, Seat, Shards, Visitor};

/// Where shards send visitors.
pub(super) struct Desk(pub(super) Server);

impl Reception for Desk {
    fn receive(&self, visitor: Visitor) -> Result<(), Visitor> {
        let Visitor { socket, prefix, seat } = visitor;
        let taken = self.0.receive(tidings_server::Visitor { socket, prefix, seat: Box::new(seat) });
        taken.map_err(|back| Visitor { socket: back.socket, prefix: back.prefix, seat: seat_of(back.seat) })
    }
}

/// The shards as the control plane sees them.
pub(super) fn shards(shards: &Shards, capacity: Arc<Capacity>) -> tidings_server::Shards {
    let handle = shards.handle();
    tidings_server::Shards {
        counters: shards.counters().to_vec(),
        connections: Box::new(move || capacity.connections()),
        attach: Box::new(move |upgraded| handle.attach(arrival(upgraded))),
    }
}

fn arrival(upgraded: Upgraded) -> Arrival {
    Arrival {
        socket: upgraded.socket,
        target: upgraded.target,
        deflate_window_bits: upgraded.deflate.map(|agreed| agreed.server_max_window_bits),
        unread: upgraded.unread,
        seat: seat_of(upgraded.seat),
    }
}

fn seat_of(seat: Box<dyn std::any::Any + Send>) -> Seat {
    *seat.downcast().expect("the control plane gives back the seat it was given")
}

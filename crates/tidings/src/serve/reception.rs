//! The ways between shards and control plane: requests that shards do not serve go there; what
//! becomes a WebSocket there comes back, and so do single requests that shards serve after all.
//!
//! The two crates do not know each other; the binary translates. Refuses to drop a seat on the way.

use std::sync::Arc;

use tidings_server::{Carrier, Passage, Server, Upgraded};
use tidings_shard::{Arrival, Arriving, Capacity, Handshake, Purpose, Reception, Seat, Shards, Visitor};

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
    let (upgraded, passed) = (shards.handle(), shards.handle());
    let counted = Arc::clone(&capacity);
    tidings_server::Shards {
        counters: shards.counters().to_vec(),
        connections: Box::new(move || counted.connections()),
        seat: Box::new(move || {
            let (seat, surplus) = capacity.seat();
            (!surplus).then(|| Box::new(seat) as Box<dyn std::any::Any + Send>)
        }),
        attach: Box::new(move |socket| upgraded.attach(websocket(socket))),
        pass: Box::new(move |passage| passed.attach(request(passage))),
    }
}

fn websocket(upgraded: Upgraded) -> Arrival {
    let socket = match upgraded.carrier {
        Carrier::Socket(socket) => Arriving::Tcp(socket),
        Carrier::Stream(stream) => Arriving::Stream(Box::new(stream)),
        Carrier::Pipe(pipe) => Arriving::Stream(Box::new(pipe)),
    };
    let purpose = Purpose::WebSocket(Handshake {
        target: upgraded.target,
        deflate_window_bits: upgraded.deflate.map(|agreed| agreed.server_max_window_bits),
        is_protobuf: upgraded.is_protobuf,
        unread: upgraded.unread,
    });
    Arrival { socket, seat: seat_of(upgraded.seat), purpose }
}

fn request(passage: Passage) -> Arrival {
    let seat = passage.seat.map_or(Seat::shared(), seat_of);
    Arrival { socket: Arriving::Stream(Box::new(passage.stream)), seat, purpose: Purpose::Request }
}

fn seat_of(seat: Box<dyn std::any::Any + Send>) -> Seat {
    *seat.downcast().expect("the control plane gives back the seat it was given")
}

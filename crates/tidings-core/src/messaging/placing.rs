//! How a client takes its places in several rooms: in all of them at once.
//!
//! It is told of its session when it has them, so that it gets what is said afterwards. What the client
//! of a feed or a poll is told moves its cursor, which is one word for all its rooms. As long as it is not known
//! where one of them ends there is no such word, and what the client were told meanwhile it would be
//! told again when it comes back. So nothing is, until there is.

use super::Messaging;
use crate::engine::Position;
use crate::outlet::Outlet;
use crate::slots::Slot;

impl<E: Default> Messaging<E> {
    /// Settles a client that waited for this in all its rooms, if it is known of each where it begins.
    pub(super) fn place(&mut self, client: Slot, outlet: &mut impl Outlet<Encoded = E>) {
        if !self.is_placing(client) {
            return;
        }
        let rooms: Vec<Slot> =
            self.rooms.of(client).as_slice().iter().map(|subscription| subscription.room).collect();
        if rooms.iter().any(|&room| self.begins_anywhere(client, room)) {
            rooms.iter().for_each(|&room| self.hold_place(client, room));
            return;
        }
        self.clients[client as usize].placing = false;
        self.tell_session(client, outlet);
        for room in rooms {
            if self.is_watched(room)
                && let Some(request) = self.requests.remove(&(client, room))
            {
                self.settle(client, room, request, outlet);
            }
        }
    }

    /// Where a membership begins that has to wait for others: what is said meanwhile is not lost.
    fn hold_place(&mut self, client: Slot, room: Slot) {
        if let Some(head) = self.rooms.room(room).filter(|room| room.watched).map(|room| room.head)
            && let Some(request) = self.requests.get_mut(&(client, room))
            && request.from == Position::Head
        {
            request.from = Position::After(head);
        }
    }

    pub(super) fn is_placing(&self, client: Slot) -> bool {
        self.clients.get(client as usize).is_some_and(|client| client.placing)
    }

    pub(super) fn is_watched(&self, room: Slot) -> bool {
        self.rooms.room(room).is_some_and(|room| room.watched)
    }

    /// Whether a membership begins at a room's end that nobody has told yet.
    fn begins_anywhere(&self, client: Slot, room: Slot) -> bool {
        let request = self.requests.get(&(client, room));
        request.is_some_and(|request| request.from == Position::Head) && !self.is_watched(room)
    }
}

//! What clients were told, and whether it is what they should have been told.
//!
//! Owned by the field. Refuses messages of other rooms than a client's own.

use std::io;

use super::client::room_name;
use super::told::Told;
use crate::bench::clock::now_ns;
use crate::bench::latency::Latency;
use crate::bench::order::Order;
use crate::bench::wire::wrong;

/// What was heard.
#[derive(Debug)]
pub(in crate::bench) struct Tally {
    pub(in crate::bench) order: Order,
    last_ids: Vec<u64>,
    /// The client was told that something is lost, and not yet what.
    gap_follows: Vec<bool>,
    pub(in crate::bench) gaps: u64,
    pub(in crate::bench) resumed: u64,
    pub(in crate::bench) broken: usize,
    pub(in crate::bench) back: Latency,
    pub(in crate::bench) last_heard_ns: u64,
}

impl Tally {
    /// For so many clients, who were told nothing.
    pub(in crate::bench) fn new(clients: usize) -> Self {
        let mut order = Order::new(1);
        (0..clients).for_each(|_| order.add_connection([0]));
        Self {
            order,
            last_ids: vec![0; clients],
            gap_follows: vec![false; clients],
            gaps: 0,
            resumed: 0,
            broken: 0,
            back: Latency::new(),
            last_heard_ns: 0,
        }
    }

    /// A client in this room was told this.
    pub(in crate::bench) fn hear(&mut self, index: usize, room: usize, told: Told<'_>) -> io::Result<()> {
        match told {
            Told::Session { resumed, .. } => self.resumed += u64::from(resumed),
            Told::Place { messages, recovered, .. } => {
                // Said before the messages behind the loss; the gap that says what was lost comes after them.
                if !recovered {
                    self.order.excuse(index);
                    self.gap_follows[index] = true;
                }
                messages.into_iter().try_for_each(|message| self.hear(index, room, message))?;
            }
            Told::Gap => {
                self.gaps += 1;
                if !std::mem::take(&mut self.gap_follows[index]) {
                    self.order.excuse(index);
                }
            }
            Told::Message { room: named, id, stamp } => {
                if named != room_name(room) || stamp.publisher as usize != room {
                    return Err(wrong("a message came to a room it was not published to"));
                }
                let is_new = stamp.sequence >= self.order.reached(index, 0);
                self.order.take(index, 0, stamp.sequence);
                if is_new && id <= self.last_ids[index] {
                    self.order.count_out_of_order();
                }
                self.last_ids[index] = self.last_ids[index].max(id);
                self.last_heard_ns = now_ns();
            }
            Told::Other => {}
        }
        Ok(())
    }
}

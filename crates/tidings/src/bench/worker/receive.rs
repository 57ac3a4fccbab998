//! What a worker does with bytes that came: the hot path. Messages are counted and checked, everything else is rare.

use std::io;

use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use super::connection::{Stage, answer_end};
use super::scan::{Frame, Frames, WHOLE_TEXT};
use super::{MASK, Worker};
use crate::bench::clock::now_ns;
use crate::bench::plan::{Seating, Traffic};

/// Bytes of the greeting that are kept to be imitated.
const GREETING_BYTES_MAX: usize = 16 * 1024;
const FIN_PING: u8 = 0x89;
const FIN_CLOSE: u8 = 0x88;

impl Worker {
    /// Takes what a socket has. The events are edge-triggered, so it goes on until a read was not full.
    pub(super) fn read(&mut self, index: usize) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = loop {
            match self.connections[index].receive(&mut scratch) {
                Ok(Some(count)) => match self.take(index, &scratch[..count]) {
                    Ok(()) if count == scratch.len() => {}
                    outcome => break outcome,
                },
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.scratch = scratch;
        outcome
    }

    fn take(&mut self, index: usize, bytes: &[u8]) -> io::Result<()> {
        let now = now_ns();
        let start = match self.connections[index].stage {
            Stage::Open => 0,
            _ => match answer_end(bytes)? {
                Some(end) => {
                    if index == 0 {
                        self.greeting = bytes[..end].to_vec();
                    }
                    self.opened(index, now);
                    end
                }
                None => {
                    self.connections[index].carry.extend_from_slice(bytes);
                    return Ok(());
                }
            },
        };
        let consumed = start + self.take_frames(index, &bytes[start..], now)?;
        if consumed < bytes.len() {
            self.connections[index].carry.extend_from_slice(&bytes[consumed..]);
        }
        Ok(())
    }

    fn take_frames(&mut self, index: usize, bytes: &[u8], now: u64) -> io::Result<usize> {
        let number = (self.plan.first + index) as u32;
        let timed = self.connections[index].timed;
        let mut frames = Frames::new(bytes);
        let mut received = 0;
        for frame in frames.by_ref() {
            let stamp =
                if frame.first_byte == WHOLE_TEXT { self.recogniser.stamp(frame.payload) } else { None };
            let Some(stamp) = stamp else {
                self.take_other(index, frame)?;
                continue;
            };
            if self.message.is_empty() {
                self.message = frame.whole.to_vec();
            }
            let publisher = match self.plan.seating {
                Seating::RoomsOf(size) if stamp.publisher as usize / size != number as usize / size => {
                    // Came to a room it was not published to.
                    self.order.count_out_of_order();
                    continue;
                }
                Seating::RoomsOf(size) => stamp.publisher as usize % size,
                _ => 0,
            };
            self.order.take(index, publisher, stamp.sequence);
            if self.plan.seating != Seating::Echo {
                self.check_id(index, frame.payload);
            }
            // What was published before the counting began, to members who do not read, may come much later.
            if stamp.at_ns < self.began_ns {
                continue;
            }
            received += 1;
            // Neither always the same connections nor always the same place in a burst.
            if timed && (index + stamp.sequence as usize) & (self.record_every - 1) == 0 {
                self.latency.record(now.saturating_sub(stamp.at_ns));
            }
        }
        self.counts.received += received;
        if received > 0 {
            self.last_received_ns = now;
            if matches!(self.schedule.as_ref().map(|schedule| schedule.traffic()), Some(Traffic::PingPong)) {
                self.publish(index, received as usize);
            }
        }
        Ok(frames.consumed())
    }

    /// Ids grow within a room, whoever publishes.
    fn check_id(&mut self, index: usize, payload: &[u8]) {
        let Some(id) = self.recogniser.id(payload) else { return };
        let connection = &mut self.connections[index];
        if id <= connection.last_id {
            self.order.count_out_of_order();
        }
        connection.last_id = id;
    }

    #[cold]
    fn take_other(&mut self, index: usize, frame: Frame<'_>) -> io::Result<()> {
        match frame.first_byte {
            FIN_PING => {
                let mut pong = Vec::new();
                encoder::masked(&mut pong, MASK, Opcode::Pong, frame.payload);
                self.connections[index].send(&pong)
            }
            FIN_CLOSE => Err(io::ErrorKind::ConnectionAborted.into()),
            WHOLE_TEXT => {
                if index == 0 && self.message.is_empty() && self.greeting.len() < GREETING_BYTES_MAX {
                    self.greeting.extend_from_slice(frame.whole);
                }
                let says = |kind: &[u8]| frame.payload.windows(kind.len()).any(|window| window == kind);
                if says(b"\"type\":\"gap\"") {
                    self.order.excuse(index);
                } else if says(b"\"type\":\"error\"") && !std::mem::replace(&mut self.complained, true) {
                    eprintln!("the server refuses: {}", String::from_utf8_lossy(frame.payload));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn opened(&mut self, index: usize, now: u64) {
        let connection = &mut self.connections[index];
        connection.stage = Stage::Open;
        self.latency.record(now - connection.began_ns);
        if let Some(opening) = &mut self.opening {
            opening.under_way -= 1;
        }
    }
}

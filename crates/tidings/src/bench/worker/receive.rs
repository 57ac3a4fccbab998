//! What a worker does with bytes that came: the hot path. Messages are counted and checked, everything else is rare.

use std::io;

use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;

use super::{MASK, Worker};
use crate::bench::clock::now_ns;
use crate::bench::payload::Stamp;
use crate::bench::plan::{Seating, Traffic, Transport};
use crate::bench::wire::answers::{Answer, Polled};
use crate::bench::wire::connection::{Stage, opening_end};
use crate::bench::wire::events::{Event, Events};
use crate::bench::wire::frames::{Frame, Frames, WHOLE_TEXT};
use crate::bench::wire::{request, wrong};

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
        let speaks = self.connections[index].speaks;
        let start = match self.connections[index].stage {
            Stage::Answering if speaks != Transport::Poll => match opening_end(speaks, bytes)? {
                Some(end) => {
                    self.keep_greeting(index, &bytes[..end]);
                    self.opened(index, now);
                    end
                }
                None => {
                    self.connections[index].carry.extend_from_slice(bytes);
                    return Ok(());
                }
            },
            _ => 0,
        };
        let consumed = match speaks {
            Transport::Websocket => self.take_frames(index, &bytes[start..], now),
            Transport::Sse => self.take_events(index, &bytes[start..], now),
            Transport::Poll => self.take_answer(index, &bytes[start..], now),
        };
        let consumed = start + consumed?;
        if consumed < bytes.len() {
            self.connections[index].carry.extend_from_slice(&bytes[consumed..]);
        }
        Ok(())
    }

    fn take_frames(&mut self, index: usize, bytes: &[u8], now: u64) -> io::Result<usize> {
        let mut frames = Frames::new(bytes);
        let mut received = 0;
        for frame in frames.by_ref() {
            let stamp =
                if frame.first_byte == WHOLE_TEXT { self.recogniser.stamp(frame.payload) } else { None };
            match stamp {
                Some(stamp) => received += self.take_message(index, stamp, frame.payload, frame.whole, now),
                None => self.take_other(index, frame)?,
            }
        }
        self.note_received(index, received, now);
        Ok(frames.consumed())
    }

    fn take_events(&mut self, index: usize, bytes: &[u8], now: u64) -> io::Result<usize> {
        let mut events = Events::new(bytes);
        let mut received = 0;
        for event in events.by_ref() {
            let event = event?;
            match self.recogniser.stamp(event.data) {
                Some(stamp) if event.kind == b"message" => {
                    if self.recogniser.id_digits(event.data) != Some(event.id) {
                        return Err(wrong("an event's id is not its message's"));
                    }
                    received += self.take_message(index, stamp, event.data, event.whole, now);
                }
                _ => self.take_other_event(index, event),
            }
        }
        self.note_received(index, received, now);
        Ok(events.consumed())
    }

    /// Takes the answer to a poll and asks for the next one.
    fn take_answer(&mut self, index: usize, bytes: &[u8], now: u64) -> io::Result<usize> {
        let Some(answer) = Answer::parse(bytes)? else { return Ok(0) };
        let polled = Polled::parse(answer)?;
        // The floor answers with one message at a time.
        let sample = if polled.data.len() == 1 { answer.whole } else { &[] };
        let mut received = 0;
        for json in &polled.data {
            let json = json.get().as_bytes();
            match self.recogniser.stamp(json) {
                Some(stamp) => received += self.take_message(index, stamp, json, sample, now),
                None => self.take_json(index, json),
            }
            let told = self.recogniser.id_digits(json);
            if told.is_some_and(|told| told > polled.cursor.as_bytes()) {
                return Err(wrong("a poll's cursor stands before what it told"));
            }
        }
        if self.connections[index].stage != Stage::Open {
            self.keep_greeting(index, answer.whole);
            self.opened(index, now);
        }
        self.note_received(index, received, now);
        let (seating, number, host) = (self.plan.seating, self.plan.first + index, &self.host);
        let (client, room) = (request::client(number), request::room(seating, number));
        let connection = &mut self.connections[index];
        connection.send(request::poll(host, &client, &room, Some(polled.cursor)).as_bytes())?;
        Ok(answer.whole.len())
    }

    /// Takes a message, and says how many to count: one, or none if it is not from this phase.
    fn take_message(&mut self, index: usize, stamp: Stamp, json: &[u8], whole: &[u8], now: u64) -> u64 {
        let number = (self.plan.first + index) as u32;
        if self.connections[index].is_sample {
            self.keep_message(index, whole);
        }
        let publisher = match self.plan.seating {
            Seating::RoomsOf(size) if stamp.publisher as usize / size != number as usize / size => {
                // Came to a room it was not published to.
                self.order.count_out_of_order();
                return 0;
            }
            Seating::RoomsOf(size) => stamp.publisher as usize % size,
            _ => 0,
        };
        self.order.take(index, publisher, stamp.sequence);
        if self.plan.seating != Seating::Echo {
            self.check_id(index, json);
        }
        // What was published before the counting began, to members who do not read, may come much later.
        if stamp.at_ns < self.began_ns {
            return 0;
        }
        // Neither always the same connections nor always the same place in a burst.
        let is_recorded = (index + stamp.sequence as usize) & (self.record_every - 1) == 0;
        if is_recorded && self.connections[index].timed {
            self.latency.record(now.saturating_sub(stamp.at_ns));
        }
        1
    }

    fn note_received(&mut self, index: usize, received: u64, now: u64) {
        if received == 0 {
            return;
        }
        self.counts.received += received;
        self.last_received_ns = now;
        if matches!(self.schedule.as_ref().map(|schedule| schedule.traffic()), Some(Traffic::PingPong)) {
            self.publish(index, received as usize);
        }
    }

    /// Ids grow within a room, whoever publishes.
    fn check_id(&mut self, index: usize, json: &[u8]) {
        let Some(id) = self.recogniser.id(json) else { return };
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
                self.keep_greeting(index, frame.whole);
                self.take_json(index, frame.payload);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    #[cold]
    fn take_other_event(&mut self, index: usize, event: Event<'_>) {
        self.keep_greeting(index, event.whole);
        self.take_json(index, event.data);
    }

    /// A server frame that is no message.
    fn take_json(&mut self, index: usize, json: &[u8]) {
        let says = |kind: &[u8]| json.windows(kind.len()).any(|window| window == kind);
        if says(b"\"type\":\"gap\"") {
            self.order.excuse(index);
        } else if says(b"\"type\":\"presence_changed\"")
            || says(b"\"type\":\"user_joined\"")
            || says(b"\"type\":\"user_left\"")
        {
            self.told += 1;
        } else if says(b"\"type\":\"error\"") && !std::mem::replace(&mut self.complained, true) {
            eprintln!("the server refuses: {}", String::from_utf8_lossy(json));
        }
    }

    fn keep_greeting(&mut self, index: usize, bytes: &[u8]) {
        let connection = &self.connections[index];
        let sample = self.seen.of(connection.speaks);
        if connection.is_sample && sample.message.is_empty() && sample.greeting.len() < GREETING_BYTES_MAX {
            sample.greeting.extend_from_slice(bytes);
        }
    }

    fn keep_message(&mut self, index: usize, bytes: &[u8]) {
        let sample = self.seen.of(self.connections[index].speaks);
        if sample.message.is_empty() {
            sample.message = bytes.to_vec();
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

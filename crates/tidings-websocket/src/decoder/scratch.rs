//! What decoding needs beside a connection's own state: the inflater, and the last collected message while it is looked
//! at. One per thread, shared by its decoders. Holds no state of any connection between calls.

use super::{Event, Finished, control_event, message_event};
use crate::deflate::Inflater;
use crate::error::Error;

/// The working space of one thread's decoders.
///
/// It keeps the inflater's output, at most one byte over the greatest message limit it was used with.
#[derive(Debug)]
pub struct Scratch {
    inflater: Option<Inflater>,
    text: String,
    bytes: Vec<u8>,
}

impl Scratch {
    /// Empty; the inflater is made with the first compressed message.
    pub fn new() -> Scratch {
        Scratch { inflater: None, text: String::new(), bytes: Vec::new() }
    }

    /// Bytes of buffers held now, without the inflater's own fixed state.
    pub fn buffer_bytes(&self) -> usize {
        self.text.capacity()
            + self.bytes.capacity()
            + self.inflater.as_ref().map_or(0, Inflater::buffer_bytes)
    }

    /// Gives back the memory of the message delivered last, whose borrow has ended.
    pub(super) fn release(&mut self) {
        self.text = String::new();
        self.bytes = Vec::new();
    }

    pub(super) fn inflate(&mut self, deflated: &[u8], message_bytes_max: usize) -> Result<&[u8], Error> {
        self.inflater.get_or_insert_with(Inflater::new).inflate(deflated, message_bytes_max)
    }

    /// Takes over what a decoder collected, so that the decoder is idle while its event is looked at.
    pub(super) fn deliver(
        &mut self,
        finished: Finished,
        message_bytes_max: usize,
    ) -> Result<Event<'_>, Error> {
        match finished {
            Finished::Control(opcode, bytes) => {
                self.bytes = bytes;
                control_event(opcode, &self.bytes)
            }
            Finished::Text(text) => {
                self.text = text;
                Ok(Event::Text(&self.text))
            }
            Finished::Binary(bytes) => {
                self.bytes = bytes;
                Ok(Event::Binary(&self.bytes))
            }
            Finished::Deflated { text, bytes } => {
                message_event(text, self.inflate(&bytes, message_bytes_max)?)
            }
        }
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

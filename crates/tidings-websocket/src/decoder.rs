//! From a connection's bytes to messages and control frames (RFC 6455 §5 to §8, RFC 7692 §7.2.2).
//! One decoder in each connection's record, 16 bytes and no heap while nothing is in progress; what needs space while
//! it works is shared by a thread in [`Scratch`]. Refuses every broken rule as soon as the bytes prove it.

mod partial;
mod scratch;

use crate::close::{self, CloseFrame};
use crate::deflate::deflated_bytes_max;
use crate::error::Error;
use crate::frame::{FrameHeader, Opcode, Parsed};
use crate::mask;
use partial::{Finished, Partial};
pub use scratch::Scratch;

/// Which end of the connection is decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads from a client: every frame must be masked (RFC 6455 §5.1).
    Server,
    /// Reads from a server: no frame may be masked.
    Client,
}

/// What holds for all connections that decode alike.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Which end this is.
    pub role: Role,
    /// The most bytes of a message, after inflating; more fails the connection with 1009.
    pub message_bytes_max: usize,
    /// The most frames a message may come in, at least 1; more fails the connection with 1009. Empty fragments cost
    /// the sender two bytes and us a turn, so the size alone is no bound.
    pub fragments_max: usize,
}

/// What one call to [`Decoder::decode`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// How many bytes of the input were used up, from its front.
    pub consumed: usize,
    /// The event they completed. `None` only when all input is used up.
    pub event: Option<Event<'a>>,
}

/// Something complete that the peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// Wants a pong with the same payload, at most 125 bytes.
    Ping(&'a [u8]),
    /// Answers a ping, or is a sign of life by itself.
    Pong(&'a [u8]),
    /// The peer closes, and nothing follows. Wants a close with the same code, if none was sent before.
    Close(Option<CloseFrame<'a>>),
}

/// The state of one connection's inward direction.
///
/// After a close frame or an error it is finished: further input is discarded unread, as RFC 6455 (§1.4, §7.1.7)
/// wants it.
#[derive(Debug)]
pub struct Decoder {
    deflate: bool,
    finished: bool,
    /// Only while a frame or a message is incomplete: an idle connection has no heap.
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// The state of a new connection; `deflate` says whether permessage-deflate was agreed on.
    pub fn new(deflate: bool) -> Decoder {
        Decoder { deflate, finished: false, partial: None }
    }

    /// Takes bytes from the front of `input` until one event is complete or the input is used up.
    ///
    /// With an event, call again with the rest of the input. Without one, `consumed == input.len()`: what was partial
    /// has been copied into the decoder and the caller's buffer is free again. A frame that lies in `input` as a whole
    /// and is a message by itself is unmasked in place and borrowed, not copied.
    pub fn decode<'a>(
        &mut self,
        config: &Config,
        scratch: &'a mut Scratch,
        input: &'a mut [u8],
    ) -> Result<Step<'a>, Error> {
        if self.finished {
            return Ok(Step { consumed: input.len(), event: None });
        }
        scratch.release();
        let step = self.step(config, scratch, input);
        if matches!(step, Err(_) | Ok(Step { event: Some(Event::Close(_)), .. })) {
            self.finished = true;
            self.partial = None;
        }
        step
    }

    /// Whether no frame and no message is in progress. A finished decoder is idle for good.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Whether a close frame or an error came, so that all further input is discarded.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes of heap held for what is in progress, 0 when idle: for the embedder's memory accounts.
    pub fn heap_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.buffer_bytes())
    }

    fn step<'a>(
        &mut self,
        config: &Config,
        scratch: &'a mut Scratch,
        input: &'a mut [u8],
    ) -> Result<Step<'a>, Error> {
        let mut at = 0;
        loop {
            if !self.partial.as_ref().is_some_and(|partial| partial.in_frame()) {
                let Some((parsed, taken)) = self.read_header(&input[at..])? else {
                    return Ok(Step { consumed: input.len(), event: None });
                };
                self.check(config, &parsed)?;
                at += taken;
                let payload_end = at.saturating_add(payload_bytes(&parsed));
                if payload_end <= input.len() && stands_alone(&parsed.header) {
                    let event =
                        self.whole_frame(config, scratch, &parsed.header, &mut input[at..payload_end])?;
                    return Ok(Step { consumed: payload_end, event: Some(event) });
                }
                self.partial.get_or_insert_default().open_frame(&parsed);
            }
            let partial = self.partial.as_mut().expect("a frame is open");
            at += partial.take_payload(&mut input[at..])?;
            let Some(finished) = partial.finish_frame()? else {
                if partial.in_frame() {
                    return Ok(Step { consumed: input.len(), event: None });
                }
                continue;
            };
            self.forget_if_empty();
            return Ok(Step {
                consumed: at,
                event: Some(scratch.deliver(finished, config.message_bytes_max)?),
            });
        }
    }

    /// The next header and how many bytes of `input` it took, or `None` when more is needed and all of it was kept.
    fn read_header(&mut self, input: &[u8]) -> Result<Option<(Parsed, usize)>, Error> {
        if let Some(partial) = self.partial.as_mut().filter(|partial| partial.has_header_bytes()) {
            let read = partial.continue_header(input);
            if matches!(read, Ok(Some(_))) {
                self.forget_if_empty();
            }
            return read;
        }
        match FrameHeader::parse(input)? {
            Some(parsed) => Ok(Some((parsed, parsed.header_bytes))),
            None if input.is_empty() => Ok(None),
            None => self.partial.get_or_insert_default().continue_header(input),
        }
    }

    /// The rules that depend on who we are, on what was agreed, and on the message in progress, before any payload.
    fn check(&self, config: &Config, parsed: &Parsed) -> Result<(), Error> {
        let header = &parsed.header;
        if header.rsv1 && !(self.deflate && matches!(header.opcode, Opcode::Text | Opcode::Binary)) {
            return Err(Error::ReservedBits);
        }
        match (config.role, header.mask) {
            (Role::Server, None) => return Err(Error::MaskMissing),
            (Role::Client, Some(_)) => return Err(Error::MaskUnexpected),
            _ => {}
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        let message = self.partial.as_ref().and_then(|partial| partial.message());
        let (bytes_before, fragments_before, compressed) = match (message, header.opcode) {
            (None, Opcode::Continuation) => return Err(Error::ContinuationWithoutStart),
            (Some(message), Opcode::Continuation) => {
                (message.bytes(), message.fragments(), message.is_compressed())
            }
            (Some(_), _) => return Err(Error::MessageInterrupted),
            (None, _) => (0, 0, header.rsv1),
        };
        let limit_bytes = config.message_bytes_max;
        let bytes_max = if compressed { deflated_bytes_max(limit_bytes) } else { limit_bytes };
        if parsed.payload_bytes.saturating_add(bytes_before as u64) > bytes_max as u64 {
            return Err(Error::MessageTooBig { limit_bytes });
        }
        if fragments_before >= config.fragments_max {
            return Err(Error::TooManyFragments { limit: config.fragments_max });
        }
        Ok(())
    }

    /// The event of a frame that needs no other, straight from the caller's buffer.
    fn whole_frame<'a>(
        &mut self,
        config: &Config,
        scratch: &'a mut Scratch,
        header: &FrameHeader,
        payload: &'a mut [u8],
    ) -> Result<Event<'a>, Error> {
        if let Some(key) = header.mask {
            mask::apply(payload, key, 0);
        }
        match header.opcode {
            Opcode::Text | Opcode::Binary => {
                let payload =
                    if header.rsv1 { scratch.inflate(payload, config.message_bytes_max)? } else { payload };
                message_event(header.opcode == Opcode::Text, payload)
            }
            opcode => control_event(opcode, payload),
        }
    }

    fn forget_if_empty(&mut self) {
        if self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
    }
}

fn payload_bytes(parsed: &Parsed) -> usize {
    usize::try_from(parsed.payload_bytes).unwrap_or(usize::MAX)
}

fn stands_alone(header: &FrameHeader) -> bool {
    header.fin && header.opcode != Opcode::Continuation
}

fn message_event(text: bool, payload: &[u8]) -> Result<Event<'_>, Error> {
    if text {
        std::str::from_utf8(payload).map(Event::Text).map_err(|_| Error::TextNotUtf8)
    } else {
        Ok(Event::Binary(payload))
    }
}

fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Error> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        Opcode::Close => Ok(Event::Close(close::parse(payload)?)),
        Opcode::Continuation | Opcode::Text | Opcode::Binary => unreachable!("data frames make messages"),
    }
}

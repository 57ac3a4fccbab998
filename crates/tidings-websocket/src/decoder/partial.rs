//! What has arrived of a header, a frame, or a message that is not complete yet.
//! Owned by one decoder, boxed, and dropped as soon as nothing is in progress. Grows with what arrived, never by what
//! was announced; the decoder has checked sizes before anything comes here. Refuses text that is not UTF-8.

use crate::error::Error;
use crate::frame::{FrameHeader, HEADER_BYTES_MAX, Opcode, Parsed};
use crate::mask;
use crate::utf8::TextBuilder;

/// Everything incomplete about one connection's inward direction.
#[derive(Debug, Default)]
pub(super) struct Partial {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: u8,
    frame: Option<OpenFrame>,
    /// The payload of a control frame in progress, which may stand between the fragments of a message.
    control: Vec<u8>,
    message: Option<Message>,
}

/// A frame whose header is read and whose payload is not all there.
#[derive(Debug)]
struct OpenFrame {
    header: FrameHeader,
    taken_bytes: u64,
    payload_bytes: u64,
}

/// The fragments of one message so far.
#[derive(Debug)]
pub(super) struct Message {
    body: Body,
    fragments: usize,
}

#[derive(Debug)]
enum Body {
    Text(TextBuilder),
    Binary(Vec<u8>),
    /// Inflated when complete: an inflater per connection would cost more than the connection.
    Deflated {
        text: bool,
        bytes: Vec<u8>,
    },
}

/// Something that was collected and is complete.
#[derive(Debug)]
pub(super) enum Finished {
    Control(Opcode, Vec<u8>),
    Text(String),
    Binary(Vec<u8>),
    Deflated { text: bool, bytes: Vec<u8> },
}

impl Partial {
    pub(super) fn in_frame(&self) -> bool {
        self.frame.is_some()
    }

    pub(super) fn has_header_bytes(&self) -> bool {
        self.header_bytes > 0
    }

    pub(super) fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.header_bytes == 0 && self.frame.is_none() && self.message.is_none()
    }

    pub(super) fn buffer_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| match &message.body {
            Body::Text(text) => text.capacity(),
            Body::Binary(bytes) | Body::Deflated { bytes, .. } => bytes.capacity(),
        });
        self.control.capacity() + message
    }

    /// Completes the header with bytes of `input`; answers it and how many were taken. Otherwise keeps them all.
    pub(super) fn continue_header(&mut self, input: &[u8]) -> Result<Option<(Parsed, usize)>, Error> {
        let kept = usize::from(self.header_bytes);
        let added = input.len().min(HEADER_BYTES_MAX - kept);
        self.header[kept..kept + added].copy_from_slice(&input[..added]);
        match FrameHeader::parse(&self.header[..kept + added])? {
            Some(parsed) => {
                self.header_bytes = 0;
                Ok(Some((parsed, parsed.header_bytes - kept)))
            }
            None => {
                debug_assert_eq!(added, input.len(), "the longest header fits");
                self.header_bytes += added as u8;
                Ok(None)
            }
        }
    }

    /// Begins a frame that the decoder has checked; it continues the message in progress or starts one.
    pub(super) fn open_frame(&mut self, parsed: &Parsed) {
        let header = parsed.header;
        self.frame = Some(OpenFrame { header, taken_bytes: 0, payload_bytes: parsed.payload_bytes });
        if !header.opcode.is_control() {
            self.message.get_or_insert_with(|| Message::new(&header)).fragments += 1;
        }
    }

    /// Moves what `input` holds of the open frame's payload here, unmasked; answers how many bytes that was.
    pub(super) fn take_payload(&mut self, input: &mut [u8]) -> Result<usize, Error> {
        let frame = self.frame.as_mut().expect("a frame is open");
        let left = usize::try_from(frame.payload_bytes - frame.taken_bytes).unwrap_or(usize::MAX);
        let taken = left.min(input.len());
        let chunk = &mut input[..taken];
        if let Some(key) = frame.header.mask {
            mask::apply(chunk, key, frame.taken_bytes);
        }
        frame.taken_bytes += taken as u64;
        if frame.header.opcode.is_control() {
            self.control.extend_from_slice(chunk);
        } else {
            self.message.as_mut().expect("a data frame belongs to a message").body.push(chunk)?;
        }
        Ok(taken)
    }

    /// Ends the open frame if its payload is complete; answers what that completed.
    pub(super) fn finish_frame(&mut self) -> Result<Option<Finished>, Error> {
        let Some(frame) = self.frame.take_if(|frame| frame.taken_bytes == frame.payload_bytes) else {
            return Ok(None);
        };
        if frame.header.opcode.is_control() {
            return Ok(Some(Finished::Control(frame.header.opcode, std::mem::take(&mut self.control))));
        }
        if !frame.header.fin {
            return Ok(None);
        }
        let message = self.message.take().expect("a data frame belongs to a message");
        Ok(Some(match message.body {
            Body::Text(text) => Finished::Text(text.finish()?),
            Body::Binary(bytes) => Finished::Binary(bytes),
            Body::Deflated { text, bytes } => Finished::Deflated { text, bytes },
        }))
    }
}

impl Message {
    fn new(header: &FrameHeader) -> Message {
        let text = header.opcode == Opcode::Text;
        let body = match (header.rsv1, text) {
            (true, text) => Body::Deflated { text, bytes: Vec::new() },
            (false, true) => Body::Text(TextBuilder::new()),
            (false, false) => Body::Binary(Vec::new()),
        };
        Message { body, fragments: 0 }
    }

    /// Bytes that arrived so far, compressed where it is compressed.
    pub(super) fn bytes(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Binary(bytes) | Body::Deflated { bytes, .. } => bytes.len(),
        }
    }

    pub(super) fn fragments(&self) -> usize {
        self.fragments
    }

    pub(super) fn is_compressed(&self) -> bool {
        matches!(self.body, Body::Deflated { .. })
    }
}

impl Body {
    fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        match self {
            Body::Text(text) => text.push(chunk)?,
            Body::Binary(bytes) | Body::Deflated { bytes, .. } => bytes.extend_from_slice(chunk),
        }
        Ok(())
    }
}

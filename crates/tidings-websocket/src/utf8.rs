//! UTF-8 checked as it arrives (RFC 6455 §8.1), the text kept as it is proven.
//! Owned by a text message in progress. Refuses a byte as soon as no continuation could make it valid.

use crate::error::Error;

/// A text that grows by pieces which may be cut inside a character.
#[derive(Debug, Default)]
pub struct TextBuilder {
    text: String,
    /// The bytes of a character begun but not finished, at most three.
    tail: [u8; 4],
    tail_bytes: u8,
}

impl TextBuilder {
    /// An empty text.
    pub fn new() -> TextBuilder {
        TextBuilder::default()
    }

    /// Bytes taken so far.
    pub fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_bytes)
    }

    /// Bytes of heap held.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Whether nothing was taken so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `bytes`, or refuses as soon as they prove the text wrong.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while self.tail_bytes > 0 {
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            self.push_to_tail(*first)?;
            bytes = rest;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_some() => return Err(Error::TextNotUtf8),
            Err(error) => {
                let (text, tail) = bytes.split_at(error.valid_up_to());
                self.text.push_str(std::str::from_utf8(text).expect("checked up to here"));
                self.tail[..tail.len()].copy_from_slice(tail);
                self.tail_bytes = tail.len() as u8;
            }
        }
        Ok(())
    }

    /// The finished text; an unfinished character at its end is refused.
    pub fn finish(self) -> Result<String, Error> {
        if self.tail_bytes > 0 { Err(Error::TextNotUtf8) } else { Ok(self.text) }
    }

    fn push_to_tail(&mut self, byte: u8) -> Result<(), Error> {
        let length = usize::from(self.tail_bytes) + 1;
        self.tail[length - 1] = byte;
        self.tail_bytes += 1;
        match std::str::from_utf8(&self.tail[..length]) {
            Ok(character) => {
                self.text.push_str(character);
                self.tail_bytes = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_some() => Err(Error::TextNotUtf8),
            Err(_) => Ok(()),
        }
    }
}

//! Stamps and ids at the places where they stood in the last message, without parsing JSON. Pure.

use crate::bench::payload::{MARK, Stamp};

const ID_KEY: &[u8] = b"\"id\":";
/// Digits of an id: microseconds since 1970, until the year 2286.
const ID_DIGITS: usize = 16;

/// Finds the stamp and the id in a message's JSON, first where they were last time.
#[derive(Debug, Default)]
pub(crate) struct Recogniser {
    stamp_at: usize,
    id_at: usize,
}

impl Recogniser {
    /// The stamp, if this is a benchmark's message.
    pub(crate) fn stamp(&mut self, payload: &[u8]) -> Option<Stamp> {
        if payload.get(self.stamp_at) != Some(&MARK) {
            self.stamp_at = payload.iter().position(|byte| *byte == MARK)?;
        }
        Stamp::read(&payload[self.stamp_at..])
    }

    /// The id's digits; all ids have as many.
    pub(crate) fn id_digits<'a>(&mut self, json: &'a [u8]) -> Option<&'a [u8]> {
        if json.get(self.id_at.wrapping_sub(ID_KEY.len())..self.id_at) != Some(ID_KEY) {
            let found = json.windows(ID_KEY.len()).position(|window| window == ID_KEY)?;
            self.id_at = found + ID_KEY.len();
        }
        json.get(self.id_at..self.id_at + ID_DIGITS)
    }

    /// The id's digits as a number that grows as the id does.
    pub(crate) fn id(&mut self, json: &[u8]) -> Option<u128> {
        self.id_digits(json)?.first_chunk::<ID_DIGITS>().map(|digits| u128::from_be_bytes(*digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_and_id_are_found_wherever_they_stand() {
        let mut recogniser = Recogniser::default();
        let stamp = Stamp { at_ns: 5, sequence: 6, publisher: 7 };
        let mut text = Vec::new();
        stamp.write(&mut text, 40);
        let text = String::from_utf8(text).unwrap();
        let mut last = 0;
        for frame in [
            format!(r#"{{"type":"message","room":"a","id":1790000000000001,"text":"{text}"}}"#),
            format!(r#"{{"type":"message","room":"longer","id":1790000000000002,"text":"{text}"}}"#),
            format!(r#"{{"text":"{text}","id":1790000000000010}}"#),
        ] {
            assert_eq!(recogniser.stamp(frame.as_bytes()), Some(stamp));
            let id = recogniser.id(frame.as_bytes()).unwrap();
            assert!(id > last);
            last = id;
        }
        assert_eq!(recogniser.stamp(br#"{"type":"session"}"#), None);
    }
}

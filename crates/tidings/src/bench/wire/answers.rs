//! Answers of plain HTTP/1.1: a head, and what a long poll says in its body. Pure. Only `Content-Length` tells where a
//! body ends; a chunked one is refused, because Tidings sends none here.

use std::io;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wrong;

const SESSION_ID_BYTES: usize = 32;
const LENGTH_NAME: &[u8] = b"content-length: ";

/// A whole answer at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// Head and body.
    pub(crate) whole: &'a [u8],
}

/// The body of a poll's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Polled<'a> {
    #[serde(borrow)]
    pub(crate) data: Vec<&'a RawValue>,
    pub(crate) cursor: &'a str,
    pub(crate) session_id: &'a str,
}

/// Where a head ends, behind its empty line; `None` while it does not.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The status of a head that is complete.
pub(crate) fn status(head: &[u8]) -> io::Result<u16> {
    let digits = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.first_chunk::<3>());
    let status = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| wrong("an answer does not begin as HTTP/1.1 has it"))
}

impl<'a> Answer<'a> {
    /// The answer at the front; `Ok(None)` while it is not complete.
    pub(crate) fn parse(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        let Some(head_end) = head_end(bytes) else { return Ok(None) };
        let (head, rest) = bytes.split_at(head_end);
        let mut lines = head.split(|byte| *byte == b'\n');
        let length = lines.find_map(|line| {
            let (name, value) = line.split_at_checked(LENGTH_NAME.len())?;
            name.eq_ignore_ascii_case(LENGTH_NAME).then(|| str::from_utf8(value).ok()?.trim().parse().ok())?
        });
        let length: usize = length.ok_or_else(|| wrong("an answer does not say its length"))?;
        let status = status(head)?;
        let whole = head_end.checked_add(length).and_then(|end| bytes.get(..end));
        Ok(whole.map(|whole| Self { status, body: &rest[..length], whole }))
    }
}

impl<'a> Polled<'a> {
    /// What a poll with `batch` was told.
    pub(crate) fn parse(answer: Answer<'a>) -> io::Result<Self> {
        if answer.status != 200 {
            return Err(wrong(&format!("a poll was refused: {}", String::from_utf8_lossy(answer.body))));
        }
        let polled: Option<Self> = serde_json::from_slice(answer.body).ok();
        polled
            .filter(|polled| polled.session_id.len() == SESSION_ID_BYTES)
            .ok_or_else(|| wrong("a poll's answer is not as it should be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"data":[{"type":"message","id":7},{"type":"gap"}],"cursor":"7","session_id":"0123456789abcdef0123456789abcdef"}"#;

    #[test]
    fn an_answer_is_whole_when_its_body_is_there() {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}HTTP", BODY.len());
        let whole = bytes.len() - 4;
        for end in 0..whole {
            assert_eq!(Answer::parse(&bytes.as_bytes()[..end]).unwrap(), None);
        }
        let answer = Answer::parse(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!((answer.status, answer.whole.len()), (200, whole));
        let polled = Polled::parse(answer).unwrap();
        assert_eq!((polled.data.len(), polled.cursor), (2, "7"));
        assert_eq!(polled.data[1].get(), r#"{"type":"gap"}"#);
    }

    #[test]
    fn an_answer_of_no_known_length_and_a_refusal_are_noticed() {
        assert!(Answer::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0").is_err());
        let refusal =
            Answer::parse(b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}").unwrap().unwrap();
        assert!(Polled::parse(refusal).is_err());
    }
}

//! The headers of a request, and the terms on which they ask to be answered.

use httparse::Header;
use tidings_protocol::Origins;

use crate::http::Terms;

/// The headers as they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers<'a>(pub(super) &'a [Header<'a>]);

impl<'a> Headers<'a> {
    /// Every value of a header.
    pub(super) fn all(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.trim_ascii())
    }

    /// A header's first value.
    pub(super) fn first(self, name: &'static str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Whether a list of words has a word.
    fn lists(self, name: &'static str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    fn has_body(self) -> bool {
        self.first("Transfer-Encoding").is_some() || self.all("Content-Length").any(|length| length != b"0")
    }

    /// The terms of a request whose body is not read: if it has one, what follows would be taken
    /// for another request, so the connection ends with the answer.
    pub(super) fn terms(self, minor_version: u8, origins: &Origins) -> Terms {
        let terms = self.terms_with_body(minor_version, origins);
        Terms { keeps: terms.keeps && !self.has_body(), ..terms }
    }

    /// The terms of a request whose body is read.
    pub(super) fn terms_with_body(self, minor_version: u8, origins: &Origins) -> Terms {
        let is_old = minor_version == 0;
        let keeps = match is_old {
            true => self.lists("Connection", "keep-alive"),
            false => !self.lists("Connection", "close"),
        };
        Terms { keeps, is_old, origin: self.origin(origins) }
    }

    /// What a page of another site is told, see [`Terms::origin`].
    pub(super) fn origin(self, origins: &Origins) -> Option<Box<str>> {
        let origin = std::str::from_utf8(self.first("Origin")?).ok()?;
        origins.allowed(origin).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(minor_version: u8, headers: &[(&'static str, &'static str)]) -> bool {
        let headers: Vec<_> =
            headers.iter().map(|&(name, value)| Header { name, value: value.as_bytes() }).collect();
        Headers(&headers).terms(minor_version, &Origins::default()).keeps
    }

    #[test]
    fn a_connection_is_kept_as_the_client_asks() {
        assert!(keeps(1, &[]));
        assert!(keeps(1, &[("connection", "Keep-Alive"), ("Content-Length", "0")]));
        assert!(!keeps(1, &[("CONNECTION", "te, Close")]));
        assert!(!keeps(0, &[]));
        assert!(keeps(0, &[("Connection", "keep-alive")]));
    }

    #[test]
    fn a_body_that_nobody_reads_ends_the_connection() {
        assert!(!keeps(1, &[("Content-Length", "5")]));
        assert!(!keeps(1, &[("Content-Length", "0"), ("Content-Length", "5")]));
        assert!(!keeps(1, &[("Transfer-Encoding", "chunked")]));
    }
}

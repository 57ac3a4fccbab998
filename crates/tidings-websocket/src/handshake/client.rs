//! The client's side of the opening handshake (RFC 6455 §4.1): the request's bytes, and the check of the answer.
//! Used by our client and tests. Refuses an answer that proves nothing, or that names what was never offered.

use thiserror::Error;

use super::key::ClientKey;
use super::tokens::{elements, lists_token, push_header, single, values};
use crate::deflate::{Agreed, AnswerError, Offer};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct ClientRequest<'a> {
    /// The `Host` header: name, and port unless it is the usual one.
    pub host: &'a str,
    /// Path and query, beginning with `/`.
    pub path: &'a str,
    /// A fresh key.
    pub key: ClientKey,
    /// Subprotocols, the best liked first.
    pub subprotocols: &'a [&'a str],
    /// The offer of permessage-deflate, if wanted.
    pub deflate: Option<Offer>,
    /// Further headers: `Origin`, `Authorization`. Control characters turn to blanks.
    pub extra: &'a [(&'a str, &'a str)],
}

/// An answer's head, as an HTTP parser gives it.
#[derive(Clone, Debug)]
pub struct Response<H> {
    /// The HTTP status.
    pub status: u16,
    /// All headers, in order.
    pub headers: H,
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established<'a> {
    /// The subprotocol the server chose, one of those offered.
    pub subprotocol: Option<&'a str>,
    /// The compression parameters, within the offer.
    pub deflate: Option<Agreed>,
}

/// An answer the client must not go on with (RFC 6455 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Not 101: the server refused, or wants a redirect or credentials.
    #[error("the server answered {status} instead of 101; check the address and the credentials")]
    Status {
        /// The status found.
        status: u16,
    },
    /// `Upgrade` is not `websocket`.
    #[error("the answer's Upgrade header is not websocket; is a WebSocket server at this address?")]
    Upgrade,
    /// `Connection` does not list `Upgrade`.
    #[error("the answer's Connection header does not list Upgrade; is a proxy in between?")]
    Connection,
    /// The answer does not fit the key: a cache, or no WebSocket server.
    #[error("the answer does not fit our key; is a cache in between?")]
    Accept,
    /// A subprotocol that was not offered.
    #[error("the server chose a subprotocol that was not offered; do not offer any")]
    Subprotocol,
    /// Extensions that were not offered.
    #[error(transparent)]
    Extensions(#[from] AnswerError),
}

impl ClientRequest<'_> {
    /// Appends the request to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET ");
        // A blank or a control character would end the target and let the rest pose as something else.
        out.extend(self.path.bytes().filter(u8::is_ascii_graphic));
        out.extend_from_slice(b" HTTP/1.1\r\n");
        push_header(out, "Host", self.host);
        out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
        push_header(out, "Sec-WebSocket-Key", self.key.as_str());
        if !self.subprotocols.is_empty() {
            push_header(out, "Sec-WebSocket-Protocol", &self.subprotocols.join(", "));
        }
        if let Some(offer) = &self.deflate {
            push_header(out, "Sec-WebSocket-Extensions", &offer.header_value());
        }
        for (name, value) in self.extra {
            push_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Checks the server's answer against what was asked.
    pub fn verify<'b, H>(&self, response: &Response<H>) -> Result<Established<'b>, Mismatch>
    where
        H: Iterator<Item = (&'b str, &'b [u8])> + Clone,
    {
        let headers = || response.headers.clone();
        if response.status != 101 {
            return Err(Mismatch::Status { status: response.status });
        }
        if !lists_token(headers(), "upgrade", "websocket") {
            return Err(Mismatch::Upgrade);
        }
        if !lists_token(headers(), "connection", "upgrade") {
            return Err(Mismatch::Connection);
        }
        if single(headers(), "sec-websocket-accept") != Some(self.key.accept().as_str().as_bytes()) {
            return Err(Mismatch::Accept);
        }
        let subprotocol = self.check_subprotocol(values(headers(), "sec-websocket-protocol"))?;
        let deflate = self.check_extensions(values(headers(), "sec-websocket-extensions"))?;
        Ok(Established { subprotocol, deflate })
    }

    fn check_subprotocol<'b>(
        &self,
        values: impl Iterator<Item = &'b [u8]>,
    ) -> Result<Option<&'b str>, Mismatch> {
        let mut chosen = values.flat_map(elements);
        let Some(first) = chosen.next() else { return Ok(None) };
        let name = std::str::from_utf8(first).map_err(|_| Mismatch::Subprotocol)?;
        let is_offered = self.subprotocols.contains(&name) && chosen.next().is_none();
        if is_offered { Ok(Some(name)) } else { Err(Mismatch::Subprotocol) }
    }

    fn check_extensions<'b>(
        &self,
        values: impl Iterator<Item = &'b [u8]>,
    ) -> Result<Option<Agreed>, Mismatch> {
        match &self.deflate {
            Some(offer) => Ok(offer.check_answer(values)?),
            None if values.flat_map(elements).next().is_none() => Ok(None),
            None => Err(AnswerError::NotOffered.into()),
        }
    }
}

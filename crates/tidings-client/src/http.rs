//! Plain HTTP/1.1 for the REST endpoints: one request, one answer, one connection.
//!
//! Own code of a page instead of a client library: what is needed is `GET` and `POST` to a server nearby, without TLS,
//! redirects, cookies or pools, and the WebSocket handshake needs the same head reader anyway.

use std::io::{Read, Write as _};
use std::time::Duration;

use crate::address::Address;
use crate::error::{Error, Result};

/// The largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most header fields of an answer.
const HEADERS_MAX: usize = 128;
/// The largest body of an answer.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Further headers; `Host`, `Connection` and `Content-Length` are set already.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, possibly empty.
    pub body: &'a [u8],
    /// Time to connect, and time without any progress while writing or reading.
    pub timeout: Duration,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers in order, names as they came.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// A response's head.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Response {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a `GET`.
pub fn get(address: &Address) -> Result<Response> {
    send(address, Request { method: "GET", headers: &[], body: &[], timeout: Duration::from_secs(10) })
}

/// Sends a `POST` with a body of the given content type.
pub fn post(address: &Address, content_type: &str, body: &[u8]) -> Result<Response> {
    let headers = &[("Content-Type", content_type)];
    send(address, Request { method: "POST", headers, body, timeout: Duration::from_secs(10) })
}

/// Sends a request and reads the whole answer.
pub fn send(address: &Address, request: Request<'_>) -> Result<Response> {
    let mut stream = address.open(request.timeout)?;
    stream.set_read_timeout(Some(request.timeout))?;
    stream.set_write_timeout(Some(request.timeout))?;

    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, address.path()).into_bytes();
    let mut push = |name: &str, value: &str| bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    push("Host", &address.authority());
    push("Connection", "close");
    push("Content-Length", &request.body.len().to_string());
    request.headers.iter().for_each(|(name, value)| push(name, value));
    bytes.extend(b"\r\n");
    bytes.extend(request.body);
    // A server may refuse from the head alone and close while the body is still on its way; its answer is what counts.
    let written = stream.write_all(&bytes);

    match read_head(&mut stream) {
        Ok((head, rest)) => {
            let body =
                if request.method == "HEAD" { Vec::new() } else { read_body(&mut stream, &head, rest)? };
            Ok(Response { status: head.status, headers: head.headers, body })
        }
        Err(unread) => Err(written.err().map_or(unread, Error::from)),
    }
}

/// Percent-encodes one segment of a path or one value of a query.
pub fn encode_component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Reads an answer's head; also returns the bytes that came behind it.
pub(crate) fn read_head(stream: &mut impl Read) -> Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&bytes).map_err(|_| Error::Answer("it is no HTTP/1 answer"))? {
            // 103 and its like announce the real answer. 101 is one.
            httparse::Status::Complete(end) if matches!(response.code, Some(100 | 102..=199)) => {
                bytes.drain(..end);
            }
            httparse::Status::Complete(end) => {
                let text = |value| String::from_utf8_lossy(value).into_owned();
                let headers = response
                    .headers
                    .iter()
                    .map(|header| (header.name.to_owned(), text(header.value)))
                    .collect();
                let status = response.code.expect("a complete head has a status");
                return Ok((Head { status, headers }, bytes.split_off(end)));
            }
            httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => {
                return Err(Error::Answer("its head is too large"));
            }
            httparse::Status::Partial if read_some(stream, &mut bytes)? == 0 => {
                return Err(Error::Answer("it ended within its head"));
            }
            httparse::Status::Partial => {}
        }
    }
}

fn read_body(stream: &mut impl Read, head: &Head, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    if find(&head.headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return read_chunks(stream, bytes);
    }
    let length = match find(&head.headers, "content-length") {
        Some(length) => Some(length.parse().map_err(|_| Error::Answer("its Content-Length is no number"))?),
        None if matches!(head.status, 204 | 304) => Some(0),
        None => None,
    };
    fill_to(stream, &mut bytes, length)?;
    bytes.truncate(length.unwrap_or(usize::MAX));
    Ok(bytes)
}

/// Reads on until `bytes` holds `length`, or to the end of the stream when that is `None`.
fn fill_to(stream: &mut impl Read, bytes: &mut Vec<u8>, length: Option<usize>) -> Result<()> {
    while length.is_none_or(|length| bytes.len() < length) {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Error::Answer("its body is too large"));
        }
        if read_some(stream, bytes)? == 0 {
            return if length.is_none() { Ok(()) } else { Err(Error::Answer("it ended within its body")) };
        }
    }
    Ok(())
}

fn read_chunks(stream: &mut impl Read, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = match httparse::parse_chunk_size(&bytes) {
            Ok(httparse::Status::Complete((start, size))) => {
                bytes.drain(..start);
                usize::try_from(size).unwrap_or(usize::MAX)
            }
            Ok(httparse::Status::Partial) => {
                let length = bytes.len() + 1;
                fill_to(stream, &mut bytes, Some(length))?;
                continue;
            }
            Err(_) => return Err(Error::Answer("a chunk's size is no number")),
        };
        if size == 0 {
            return Ok(body);
        }
        if size.saturating_add(body.len()) > BODY_BYTES_MAX {
            return Err(Error::Answer("its body is too large"));
        }
        fill_to(stream, &mut bytes, Some(size + 2))?;
        body.extend(bytes.drain(..size));
        bytes.drain(..2);
    }
}

fn read_some(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize> {
    let mut piece = [0; 8 * 1024];
    let count = stream.read(&mut piece)?;
    bytes.extend_from_slice(&piece[..count]);
    Ok(count)
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte per read, so that every boundary is crossed.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn read(answer: &str) -> Result<(u16, Vec<u8>)> {
        let mut stream = Trickle(answer.as_bytes());
        let (head, rest) = read_head(&mut stream)?;
        let body = read_body(&mut stream, &head, rest)?;
        Ok((head.status, body))
    }

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_stream() {
        for (answer, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcX", "abc"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
                "abc",
            ),
            ("HTTP/1.1 200 OK\r\n\r\nabc", "abc"),
            ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
            ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ] {
            assert_eq!(read(answer).unwrap().1, body.as_bytes(), "{answer}");
        }
    }

    #[test]
    fn answers_that_end_early_or_make_no_sense_are_errors() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
            "HTTP/1.1 200 OK\r\nConte",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            assert!(read(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn components_are_encoded_so_that_no_room_name_can_leave_its_segment() {
        assert_eq!(encode_component("a b/c?d&é"), "a%20b%2Fc%3Fd%26%C3%A9");
    }
}

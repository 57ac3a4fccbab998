//! The one stream of an HTTP/2 connection that carries a client's bytes, frames by hand. Pure. It trusts the server to
//! speak HTTP/2; that it does is other tests' business. Refuses every answer but 200, and the end of the stream.
//!
//! It leaves flow control to TCP: it opens its own windows as wide as they go, and what it sends (greetings and pongs)
//! is far from filling the least window that a server grants.

use std::io;

use super::wrong;

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// The same bit acknowledges settings and pings.
const END_STREAM_OR_ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED_OR_PRIORITY: u8 = 0x28;
/// The first stream that a client may open.
const STREAM: u32 = 1;
const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;
const WINDOW_BYTES_AT_FIRST: u32 = 65_535;
/// `:status: 200` in the table that every HPACK decoder begins with (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

/// What the client begins the connection with.
pub(crate) fn opening() -> Vec<u8> {
    let mut settings = Vec::new();
    // With an empty table, headers mean the same wherever they stand.
    for (name, value) in [(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, WINDOW_BYTES_MAX)] {
        settings.extend(name.to_be_bytes());
        settings.extend(u32::to_be_bytes(value));
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &settings);
    frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(WINDOW_BYTES_MAX - WINDOW_BYTES_AT_FIRST).to_be_bytes());
    bytes
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Its request's headers, until the server's settings allow to send them.
    request: Option<Vec<u8>>,
    connects: bool,
    /// The server has answered that it carries bytes now.
    pub(crate) is_open: bool,
    /// What it carried here and nobody took yet.
    pub(crate) unread: Vec<u8>,
}

impl Stream {
    /// One that is to be a WebSocket (RFC 8441).
    pub(crate) fn websocket(host: &str, path: &str) -> Self {
        Self::new(&[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", host),
            (":path", path),
            ("sec-websocket-version", "13"),
        ])
    }

    /// One that is to be a gRPC call.
    pub(crate) fn grpc(host: &str, path: &str) -> Self {
        Self::new(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", host),
            (":path", path),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ])
    }

    fn new(headers: &[(&str, &str)]) -> Self {
        let mut request = Vec::new();
        for (name, value) in headers {
            // A literal that is not to be remembered.
            request.push(0);
            literal(&mut request, name);
            literal(&mut request, value);
        }
        let connects = headers.contains(&(":method", "CONNECT"));
        Self { request: Some(request), connects, is_open: false, unread: Vec::new() }
    }

    /// Takes the whole frames at the front of what came, and puts behind `say` what is to be said to them. Returns how
    /// many bytes are done with.
    pub(crate) fn take(&mut self, bytes: &[u8], say: &mut Vec<u8>) -> io::Result<usize> {
        let mut consumed = 0;
        loop {
            let rest = &bytes[consumed..];
            let Some((&[high, middle, low, kind, flags, ..], behind)) =
                rest.split_first_chunk::<HEAD_BYTES>()
            else {
                return Ok(consumed);
            };
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let Some(payload) = behind.get(..length) else { return Ok(consumed) };
            self.take_frame(kind, flags, payload, say)?;
            consumed += HEAD_BYTES + length;
        }
    }

    fn take_frame(&mut self, kind: u8, flags: u8, payload: &[u8], say: &mut Vec<u8>) -> io::Result<()> {
        let is_ended_or_ack = flags & END_STREAM_OR_ACK != 0;
        match kind {
            SETTINGS | PING if is_ended_or_ack => {}
            SETTINGS => {
                frame(say, SETTINGS, END_STREAM_OR_ACK, 0, &[]);
                if let Some(request) = self.request.take() {
                    if self.connects && !allows_connect(payload) {
                        return Err(wrong("the server takes no WebSockets over HTTP/2"));
                    }
                    frame(say, HEADERS, END_HEADERS, STREAM, &request);
                }
            }
            PING => frame(say, PING, END_STREAM_OR_ACK, 0, payload),
            RST_STREAM | GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
            DATA | HEADERS | CONTINUATION if flags & PADDED_OR_PRIORITY != 0 || kind == CONTINUATION => {
                return Err(wrong("the server's frames are in a form that is not read here"));
            }
            HEADERS if !self.is_open => {
                // In front may stand that the table is empty, as was asked for.
                let block = payload.iter().find(|byte| *byte & 0xe0 != 0x20);
                if block != Some(&STATUS_200) || is_ended_or_ack {
                    return Err(wrong("the server refused what a stream came for"));
                }
                self.is_open = true;
            }
            DATA if !is_ended_or_ack => self.unread.extend_from_slice(payload),
            DATA | HEADERS => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
        Ok(())
    }
}

/// Bytes as the stream carries them.
pub(crate) fn data(bytes: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(HEAD_BYTES + bytes.len());
    frame(&mut framed, DATA, 0, STREAM, bytes);
    framed
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

fn allows_connect(settings: &[u8]) -> bool {
    let [high, low] = ENABLE_CONNECT_PROTOCOL.to_be_bytes();
    settings.chunks_exact(6).any(|setting| setting == [high, low, 0, 0, 0, 1])
}

/// A string of HPACK (RFC 7541, §5.2), not compressed.
fn literal(out: &mut Vec<u8>, text: &str) {
    const PREFIX_MAX: usize = 0x7f;
    let mut left = text.len();
    if left < PREFIX_MAX {
        out.push(left as u8);
    } else {
        out.push(PREFIX_MAX as u8);
        left -= PREFIX_MAX;
        while left >= 0x80 {
            out.push(0x80 | (left & 0x7f) as u8);
            left >>= 7;
        }
        out.push(left as u8);
    }
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(&mut bytes, kind, flags, STREAM, payload);
        bytes
    }

    fn take(stream: &mut Stream, bytes: &[u8]) -> io::Result<(usize, Vec<u8>)> {
        let mut say = Vec::new();
        stream.take(bytes, &mut say).map(|consumed| (consumed, say))
    }

    #[test]
    fn a_stream_asks_when_it_may_and_carries_what_comes_in_whole_frames() {
        let mut stream = Stream::websocket("host", "/ws");
        let (_, said) = take(&mut stream, &framed(SETTINGS, 0, &[0, 8, 0, 0, 0, 1])).unwrap();
        assert_eq!((said[3], said[HEAD_BYTES + 3]), (SETTINGS, HEADERS));
        assert!(!stream.is_open);
        let mut bytes = framed(HEADERS, END_HEADERS, &[0x20, STATUS_200]);
        bytes.extend(data(b"half"));
        let whole_bytes = bytes.len();
        bytes.extend(&data(b"cut off")[..HEAD_BYTES + 3]);
        assert_eq!(take(&mut stream, &bytes).unwrap(), (whole_bytes, Vec::new()));
        assert_eq!((stream.is_open, stream.unread.as_slice()), (true, b"half".as_slice()));
    }

    #[test]
    fn a_refusal_an_end_and_a_server_without_the_extension_are_no_use() {
        let mut stream = Stream::websocket("host", "/ws");
        assert!(take(&mut stream, &framed(SETTINGS, 0, &[])).is_err());
        let mut stream = Stream::grpc("host", "/call");
        assert!(take(&mut stream, &framed(SETTINGS, 0, &[])).is_ok());
        assert!(take(&mut stream, &framed(HEADERS, END_HEADERS, &[0x8d])).is_err());
        assert!(take(&mut stream, &framed(HEADERS, END_HEADERS, &[STATUS_200])).is_ok());
        assert!(take(&mut stream, &framed(HEADERS, END_HEADERS | END_STREAM_OR_ACK, &[])).is_err());
        assert!(take(&mut stream, &framed(RST_STREAM, 0, &[0; 4])).is_err());
    }

    #[test]
    fn a_ping_is_answered_and_its_answer_is_not() {
        let mut stream = Stream::grpc("host", "/call");
        let (_, said) = take(&mut stream, &framed(PING, 0, b"12345678")).unwrap();
        assert_eq!((said[4], &said[HEAD_BYTES..]), (END_STREAM_OR_ACK, b"12345678".as_slice()));
        assert!(take(&mut stream, &framed(PING, END_STREAM_OR_ACK, b"12345678")).unwrap().1.is_empty());
    }

    #[test]
    fn a_long_literal_has_the_length_of_the_standards_example() {
        // RFC 7541, C.1.2, with the seven bits that strings have: 127 + 26 + 10 · 128 = 1433.
        let mut bytes = Vec::new();
        literal(&mut bytes, &"x".repeat(1_433));
        assert_eq!(bytes[..3], [0x7f, 0x80 | 26, 10]);
    }
}

//! The server's side of the opening handshake (RFC 6455 §4.2): from a parsed request head to the 101.
//! Used by whoever accepts connections. Refuses what is no handshake; paths, origins and rights are the caller's.

use super::key::{AcceptKey, ClientKey};
use super::refusal::Refusal;
use super::tokens::{elements, is_token, lists_token, push_header, single, values};
use crate::deflate::{self, Agreed};

/// A request head, as an HTTP parser gives it. Header names in any case; values without their line's end.
#[derive(Clone, Debug)]
pub struct Request<'a, H> {
    /// The method, upper case as HTTP demands.
    pub method: &'a str,
    /// The `x` of `HTTP/1.x`.
    pub minor_version: u8,
    /// All headers, in order.
    pub headers: H,
}

/// A request that can be answered with 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The answer to the client's key.
    pub key: AcceptKey,
    /// The subprotocols the client offered, the one it likes best first.
    pub subprotocols: Vec<&'a str>,
    /// What permessage-deflate would be agreed on. Set it to `None` to do without: the response then does not name it.
    pub deflate: Option<Agreed>,
}

/// What a client of an HTTP/2 stream offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered<'a> {
    /// The subprotocols the client offered, the one it likes best first.
    pub subprotocols: Vec<&'a str>,
    /// What permessage-deflate would be agreed on.
    pub deflate: Option<Agreed>,
}

/// Checks a request head against RFC 6455 §4.2.1, the most telling fault first.
pub fn accept<'a, H>(request: &Request<'a, H>) -> Result<Accepted<'a>, Refusal>
where
    H: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let headers = || request.headers.clone();
    if request.method != "GET" {
        return Err(Refusal::MethodNotGet);
    }
    if request.minor_version < 1 {
        return Err(Refusal::HttpVersionTooOld);
    }
    if !lists_token(headers(), "upgrade", "websocket") {
        return Err(Refusal::UpgradeMissing);
    }
    if !lists_token(headers(), "connection", "upgrade") {
        return Err(Refusal::ConnectionMissing);
    }
    if single(headers(), "host").is_none() {
        return Err(Refusal::HostInvalid);
    }
    if single(headers(), "sec-websocket-version") != Some(b"13") {
        return Err(Refusal::VersionUnsupported);
    }
    let key = single(headers(), "sec-websocket-key").and_then(ClientKey::parse).ok_or(Refusal::KeyInvalid)?;
    let Offered { subprotocols, deflate } = offered(headers())?;
    Ok(Accepted { key: key.accept(), subprotocols, deflate })
}

/// Checks the headers of an extended CONNECT whose `:protocol` is `websocket` (RFC 8441 §5). Its frames do what the
/// method, the key, `Upgrade` and `Connection` are for in HTTP/1.1; the answer is a 200.
pub fn accept_stream<'a, H>(headers: H) -> Result<Offered<'a>, Refusal>
where
    H: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    if single(headers.clone(), "sec-websocket-version") != Some(b"13") {
        return Err(Refusal::VersionUnsupported);
    }
    offered(headers)
}

/// The first of `offered` (the client's order) that is `supported`. Subprotocol names differ by case (RFC 6455 §11.5).
pub fn choose_subprotocol<'a>(offered: &[&'a str], supported: &[&str]) -> Option<&'a str> {
    offered.iter().find(|name| supported.contains(name)).copied()
}

/// Appends the 101. `subprotocol` must be one that was offered, and `None` names none; `extra` headers go last, their
/// control characters turned to blanks.
pub fn response(
    out: &mut Vec<u8>,
    accepted: &Accepted<'_>,
    subprotocol: Option<&str>,
    extra: &[(&str, &str)],
) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    push_header(out, "Sec-WebSocket-Accept", accepted.key.as_str());
    if let Some(name) = subprotocol {
        push_header(out, "Sec-WebSocket-Protocol", name);
    }
    if let Some(agreed) = &accepted.deflate {
        push_header(out, "Sec-WebSocket-Extensions", &agreed.response_value());
    }
    for (name, value) in extra {
        push_header(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

fn offered<'a, H>(headers: H) -> Result<Offered<'a>, Refusal>
where
    H: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let subprotocols = read_subprotocols(values(headers.clone(), "sec-websocket-protocol"))?;
    let deflate = deflate::negotiate(values(headers, "sec-websocket-extensions"));
    Ok(Offered { subprotocols, deflate: deflate.map_err(|_| Refusal::ExtensionsMalformed)? })
}

fn read_subprotocols<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<&'a str>, Refusal> {
    let read = |element| std::str::from_utf8(element).ok().filter(|name| is_token(name));
    values.flat_map(elements).map(|element| read(element).ok_or(Refusal::SubprotocolsMalformed)).collect()
}

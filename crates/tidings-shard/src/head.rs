//! A request's head: whether it is all there, whose it is, and what it asks for.
//!
//! Pure; used by the shard while a connection is in its `Head` phase. Refuses heads that are no
//! HTTP, too large, or not what their address takes; leaves every other request to the control
//! plane, unread beyond its first line and headers.

mod call;
mod feed;
mod headers;
mod introduction;
mod names;
mod poll;
mod query;
mod refusal;
mod send;
mod socket;

use std::mem::MaybeUninit;

use httparse::{Error, Header, Status};
use tidings_core::Entrance;
use tidings_core::telemetry::Counter;
use tidings_protocol::proto::SUBPROTOCOL;
use tidings_protocol::{ErrorCode, Limits, Origins};
use tidings_websocket::handshake::{self, Accepted};

use self::call::Place;
use self::headers::Headers;
use self::query::Query;
use crate::encoding::Encoding;

pub use call::{Allow, Call, Request};
pub use poll::Polling;
pub use refusal::{Refused, write_refusal};
pub use send::Sending;

/// What the bytes so far are.
#[derive(Debug)]
pub enum Head {
    /// More has to come.
    Incomplete,
    /// A request for the control plane.
    Elsewhere,
    /// A WebSocket handshake that can be answered.
    WebSocket(Box<Opening>),
    /// A request over plain HTTP that the shard serves.
    Request(Box<Request>),
    /// To be answered with an error, counted, and closed.
    Refused(Refused, Counter),
}

/// A handshake that can be answered.
#[derive(Debug)]
pub struct Opening {
    /// Bytes of the head; what follows are frames.
    pub head_bytes: usize,
    /// Where it leads.
    pub target: Target,
    /// The 101 to be sent.
    pub response: Vec<u8>,
    /// How it is spoken to.
    pub encoding: Encoding,
}

/// What a WebSocket is for.
#[derive(Debug, Clone)]
pub enum Target {
    /// Messages.
    Messages(Entrance),
    /// Everything comes back.
    Echo,
}

/// What reading a head depends on.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// All maxima.
    pub limits: &'a Limits,
    /// The node's name.
    pub node: &'a str,
    /// Whether `/echo` is served.
    pub echo: bool,
    /// Whether permessage-deflate is agreed to.
    pub compression: bool,
    /// Whose pages may read answers.
    pub origins: &'a Origins,
}

/// Up to so many headers are read without an allocation.
const HEADERS_USUAL_MAX: usize = 64;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads what has arrived of a head.
pub fn read(bytes: &[u8], rules: Rules<'_>) -> Head {
    if let Some(head) = http2(bytes) {
        return head;
    }
    let headers_max = rules.limits.headers_max;
    let mut usual = [const { MaybeUninit::uninit() }; HEADERS_USUAL_MAX];
    let mut many = Vec::new();
    let headers = match usual.get_mut(..headers_max) {
        Some(headers) => headers,
        None => {
            many.resize_with(headers_max, MaybeUninit::uninit);
            &mut many
        }
    };
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, headers) {
        Ok(Status::Complete(head_bytes)) if head_bytes > rules.limits.head_bytes_max => too_large(rules),
        Ok(Status::Complete(head_bytes)) => complete(&request, head_bytes, rules),
        Ok(Status::Partial) if bytes.len() >= rules.limits.head_bytes_max => too_large(rules),
        Ok(Status::Partial) => Head::Incomplete,
        Err(Error::TooManyHeaders) => too_large(rules),
        Err(_) => Head::Refused(Refused::new(ErrorCode::BadHead), Counter::HeadRefused),
    }
}

/// Where path and query of a WebSocket handshake lead.
///
/// # Errors
/// What is wrong with them.
pub fn target(target: &str, rules: Rules<'_>) -> Result<Target, Refused> {
    let (path, query) = split_target(target);
    socket::target(path, &Query::new(query), rules)
}

/// HTTP/2 with prior knowledge begins with a preface of its own.
fn http2(bytes: &[u8]) -> Option<Head> {
    if bytes.starts_with(HTTP2_PREFACE) {
        return Some(Head::Elsewhere);
    }
    let begun = bytes.len() > 3 && HTTP2_PREFACE.starts_with(bytes);
    begun.then_some(Head::Incomplete)
}

fn too_large(rules: Rules<'_>) -> Head {
    let message = format!(
        "The request's head is larger than {} bytes or {} headers: send fewer or shorter headers.",
        rules.limits.head_bytes_max, rules.limits.headers_max
    );
    Head::Refused(Refused::because(ErrorCode::HeadTooLarge, message), Counter::HeadRefused)
}

fn complete(request: &httparse::Request<'_, '_>, head_bytes: usize, rules: Rules<'_>) -> Head {
    let (path, query) = split_target(request.path.unwrap_or_default());
    let is_web_socket = path == "/ws" || path.starts_with("/ws/") || path == "/echo";
    let (read, counter) = if is_web_socket {
        (web_socket(path, query, request, head_bytes, rules), Counter::HandshakeRefused)
    } else if let Some(place) = Place::of(path) {
        let request = call::read(place, request, query, head_bytes, rules);
        (request.map(|request| Head::Request(Box::new(request))), Counter::HeadRefused)
    } else {
        return Head::Elsewhere;
    };
    read.unwrap_or_else(|refused| {
        let origin = Headers(request.headers).origin(rules.origins);
        Head::Refused(Refused { origin, ..refused }, counter)
    })
}

fn web_socket(
    path: &str,
    query: &str,
    request: &httparse::Request<'_, '_>,
    head_bytes: usize,
    rules: Rules<'_>,
) -> Result<Head, Refused> {
    let target = socket::target(path, &Query::new(query), rules)?;
    let head = handshake::Request {
        method: request.method.unwrap_or_default(),
        minor_version: request.version.unwrap_or_default(),
        headers: request.headers.iter().map(pair),
    };
    let accepted = handshake::accept(&head)?;
    Ok(Head::WebSocket(Box::new(open(head_bytes, target, accepted, rules))))
}

fn open(head_bytes: usize, target: Target, mut accepted: Accepted<'_>, rules: Rules<'_>) -> Opening {
    if !rules.compression {
        accepted.deflate = None;
    }
    let subprotocol = handshake::choose_subprotocol(&accepted.subprotocols, &[SUBPROTOCOL]);
    let mut response = Vec::with_capacity(256);
    handshake::response(&mut response, &accepted, subprotocol, &[("Tidings-Node", rules.node)]);
    let deflate_window_bits = accepted.deflate.map(|agreed| agreed.server_max_window_bits);
    let encoding = Encoding::agreed(subprotocol.is_some(), deflate_window_bits);
    Opening { head_bytes, target, response, encoding }
}

fn split_target(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

fn pair<'a>(header: &Header<'a>) -> (&'a str, &'a [u8]) {
    (header.name, header.value)
}

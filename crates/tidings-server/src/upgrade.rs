//! A WebSocket handshake on a connection that the control plane serves: a proxy that keeps its
//! connections alive sends one after ordinary requests, and one stream of an HTTP/2 connection may
//! become a WebSocket (RFC 8441).
//!
//! Answered here, then handed to the shards: the socket with the bytes that came behind the
//! handshake, or the stream. Refuses what the two RFCs refuse.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{Extension, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::proto::SUBPROTOCOL;
use tidings_websocket::deflate::Agreed;
use tidings_websocket::handshake::{self, Refusal};
use tokio::io::DuplexStream;

use crate::activity::Activity;
use crate::answer::Problem;
use crate::server::SharedSeat;
use crate::state::State;
use crate::stream::Stream;
use crate::substream::Substream;

/// What became a WebSocket: the handshake is answered.
pub struct Upgraded {
    /// What its bytes come and go by.
    pub carrier: Carrier,
    /// What the client sent behind its handshake.
    pub unread: Vec<u8>,
    /// Path and query of the handshake, as they came.
    pub target: String,
    /// The compression that was agreed on.
    pub deflate: Option<Agreed>,
    /// Whether the subprotocol of protobuf was agreed on.
    pub is_protobuf: bool,
    /// The seat that the connection came with, or one for the stream alone.
    pub seat: Box<dyn Any + Send>,
}

/// What carries a WebSocket.
pub enum Carrier {
    /// A whole connection: its socket, non-blocking.
    Socket(std::net::TcpStream),
    /// A stream of an HTTP/2 connection that stays here.
    Stream(Substream),
    /// A pipe within the process, whose other end speaks gRPC.
    Pipe(DuplexStream),
}

/// Marks the answer after which a connection or a stream leaves.
#[derive(Clone)]
pub(crate) struct Departure {
    target: String,
    deflate: Option<Agreed>,
    is_protobuf: bool,
    /// For a stream, which takes nothing else of its connection along.
    stream: Option<(SharedSeat, Arc<Activity>)>,
}

impl Departure {
    /// Waits until the answer is written, then hands on what it answered.
    pub(crate) async fn depart(self, upgrade: OnUpgrade, connection: SharedSeat, state: Arc<State>) {
        let Ok(upgraded) = upgrade.await else { return };
        let (carrier, unread, seat) = match self.stream {
            Some((seat, activity)) => {
                (Carrier::Stream(Substream::new(upgraded, activity.hold())), Vec::new(), seat)
            }
            None => match socket(upgraded) {
                Some((socket, unread)) => (Carrier::Socket(socket), unread, connection),
                None => return,
            },
        };
        if let (Some(seat), Some(shards)) = (seat.take(), state.shards.get()) {
            let Self { target, deflate, is_protobuf, .. } = self;
            (shards.attach)(Upgraded { carrier, unread, target, deflate, is_protobuf, seat });
        }
    }
}

/// The socket of a whole connection, and what was read from it in vain.
fn socket(upgraded: hyper::upgrade::Upgraded) -> Option<(std::net::TcpStream, Vec<u8>)> {
    let parts = downcast::<TokioIo<Stream>>(upgraded).ok()?;
    let (socket, unreplayed) = parts.io.into_inner().into_parts().ok()?;
    let mut unread = parts.read_buf.to_vec();
    unread.extend(unreplayed);
    Some((socket, unread))
}

/// Answers a handshake.
pub(crate) async fn accept(
    Extract(state): Extract<Arc<State>>,
    Extension(activity): Extension<Arc<Activity>>,
    request: Request,
) -> Result<Response, Problem> {
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let headers = headers.iter().copied();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if request.version() == Version::HTTP_2 {
        check_protocol(&request)?;
        let offered = handshake::accept_stream(headers).map_err(refuse_stream)?;
        check_ready(&state)?;
        let stream = Some((SharedSeat::new(state.seat()?), activity));
        let is_protobuf = chooses_protobuf(&offered.subprotocols);
        let departure = Departure { target, deflate: agreed(&state, offered.deflate), is_protobuf, stream };
        return Ok(answer(StatusCode::OK, departure));
    }
    let minor_version = u8::from(request.version() == Version::HTTP_11);
    let asked = handshake::Request { method: request.method().as_str(), minor_version, headers };
    let accepted = handshake::accept(&asked).map_err(refuse)?;
    check_ready(&state)?;
    let is_protobuf = chooses_protobuf(&accepted.subprotocols);
    let deflate = agreed(&state, accepted.deflate);
    let departure = Departure { target, deflate, is_protobuf, stream: None };
    let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, departure);
    switch(response.headers_mut(), accepted.key.as_str());
    Ok(response)
}

/// Whether an HTTP/2 request asks for a WebSocket.
fn check_protocol(request: &Request) -> Result<(), Problem> {
    match request.extensions().get::<Protocol>() {
        Some(protocol) if request.method() == Method::CONNECT && protocol.as_str() == "websocket" => Ok(()),
        Some(_) => {
            let advice = "the only protocol served here is websocket: connect with :protocol = websocket";
            Err(Problem::new(ErrorCode::NotSupported, advice))
        }
        None => {
            let advice = "this address speaks WebSocket: over HTTP/2, connect as RFC 8441 says \
                          (CONNECT with :protocol = websocket), or use HTTP/1.1";
            Err(Problem::new(ErrorCode::BadHandshake, advice))
        }
    }
}

fn check_ready(state: &State) -> Result<(), Problem> {
    let advice = "this node is stopping: connect again in a moment";
    state.is_open().then_some(()).ok_or(Problem::new(ErrorCode::Restarting, advice))
}

fn agreed(state: &State, offered: Option<Agreed>) -> Option<Agreed> {
    offered.filter(|_| state.setup.compression)
}

fn chooses_protobuf(offered: &[&str]) -> bool {
    handshake::choose_subprotocol(offered, &[SUBPROTOCOL]).is_some()
}

fn answer(status: StatusCode, departure: Departure) -> Response {
    let mut response = status.into_response();
    if let Some(agreed) = &departure.deflate {
        response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, value(&agreed.response_value()));
    }
    if departure.is_protobuf {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    response.extensions_mut().insert(departure);
    response
}

fn switch(headers: &mut HeaderMap, key: &str) {
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, value(key));
}

/// Accept keys are base64 and extension values are tokens: both are fit for a header.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("what a handshake says is visible ASCII")
}

fn refuse(refusal: Refusal) -> Problem {
    let code = match refusal.status() {
        405 => ErrorCode::MethodNotAllowed,
        426 => ErrorCode::UpgradeRequired,
        _ => ErrorCode::BadHandshake,
    };
    Problem { headers: refusal.headers(), ..Problem::new(code, refusal.message()) }
}

/// HTTP/2 has no upgrade that a status or a header could ask for.
fn refuse_stream(refusal: Refusal) -> Problem {
    let headers: &[_] = match refusal {
        Refusal::VersionUnsupported => &[("Sec-WebSocket-Version", "13")],
        _ => &[],
    };
    Problem { headers, ..Problem::new(ErrorCode::BadHandshake, refusal.message()) }
}

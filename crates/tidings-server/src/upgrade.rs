//! A WebSocket handshake on a connection that the control plane serves: a proxy that keeps its
//! connections alive sends one after ordinary requests.
//!
//! Answered here, then handed to the shards with the bytes that came behind it. Refuses HTTP/2,
//! and what RFC 6455 refuses.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tidings_protocol::codes::ErrorCode;
use tidings_websocket::deflate::Agreed;
use tidings_websocket::handshake::{self, Refusal};

use crate::answer::Problem;
use crate::server::SharedSeat;
use crate::state::State;
use crate::stream::Stream;

/// A connection that became a WebSocket: the 101 is sent.
pub struct Upgraded {
    /// The socket, non-blocking.
    pub socket: std::net::TcpStream,
    /// What the client sent behind its handshake.
    pub unread: Vec<u8>,
    /// Path and query of the handshake, as they came.
    pub target: String,
    /// The compression that was agreed on.
    pub deflate: Option<Agreed>,
    /// The seat that the connection came with.
    pub seat: Box<dyn Any + Send>,
}

/// Marks the answer after which a connection leaves.
#[derive(Clone)]
pub(crate) struct Departure {
    target: String,
    deflate: Option<Agreed>,
}

impl Departure {
    /// Waits until the 101 is written, then hands the socket on.
    pub(crate) async fn depart(self, upgrade: OnUpgrade, seat: SharedSeat, state: Arc<State>) {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = downcast::<TokioIo<Stream>>(upgraded) else { return };
        let (Some(seat), Ok((socket, unreplayed))) = (seat.take(), parts.io.into_inner().into_parts()) else {
            return;
        };
        let mut unread = parts.read_buf.to_vec();
        unread.extend(unreplayed);
        if let Some(shards) = state.shards.get() {
            (shards.attach)(Upgraded { socket, unread, target: self.target, deflate: self.deflate, seat });
        }
    }
}

/// Answers a handshake.
pub(crate) async fn accept(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<Response, Problem> {
    if request.version() == Version::HTTP_2 {
        let advice = "WebSocket is not served over HTTP/2: connect with HTTP/1.1";
        return Err(Problem::new(ErrorCode::BadHandshake, advice));
    }
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let headers = headers.iter().copied();
    let minor_version = u8::from(request.version() == Version::HTTP_11);
    let asked = handshake::Request { method: request.method().as_str(), minor_version, headers };
    let accepted = handshake::accept(&asked).map_err(refuse)?;
    if !state.is_ready() {
        let advice = "this node is stopping: connect again in a moment";
        return Err(Problem::new(ErrorCode::Restarting, advice));
    }
    let deflate = accepted.deflate.filter(|_| state.setup.compression);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    agree(response.headers_mut(), accepted.key.as_str(), deflate.as_ref());
    response.extensions_mut().insert(Departure { target, deflate });
    Ok(response)
}

fn agree(headers: &mut HeaderMap, key: &str, deflate: Option<&Agreed>) {
    // Accept keys are base64 and extension values are tokens: both are fit for a header.
    let value = |text: &str| HeaderValue::from_str(text).expect("what a handshake says is visible ASCII");
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, value(key));
    if let Some(agreed) = deflate {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, value(&agreed.response_value()));
    }
}

fn refuse(refusal: Refusal) -> Problem {
    let code = match refusal.status() {
        405 => ErrorCode::MethodNotAllowed,
        426 => ErrorCode::UpgradeRequired,
        _ => ErrorCode::BadHandshake,
    };
    Problem { headers: refusal.headers(), ..Problem::new(code, refusal.message()) }
}

//! Requests that shards serve and that came to the control plane all the same, over HTTP/2 or on a
//! connection that was kept alive: each passes through a pipe to a shard, as HTTP/1.1.
//!
//! Owned by the request's task. When the client goes, the pipe breaks and the shard notices. Refuses
//! to understand what is asked and answered.

use std::any::Any;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tidings_protocol::codes::ErrorCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

use crate::activity::{Activity, Hold};
use crate::answer::Problem;
use crate::body;
use crate::state::State;

/// What the pipe holds in each direction: a few events. More waits in the shard's outbox, where
/// the rules for slow readers are.
pub(crate) const PIPE_BYTES: usize = 16 * 1024;
/// Shards answer with a handful of headers.
const ANSWER_HEADERS_MAX: usize = 32;
/// Most heads fit into this with the first event behind them, and need one read.
const HEAD_BYTES: usize = 1024;
/// What is moved from the pipe at once.
pub(crate) const PIECE_BYTES: usize = 8 * 1024;

/// Headers that mean something to a shard, beside `access-control-`, cookies and the length.
const PASSED: [HeaderName; 7] = [
    header::HOST,
    header::ORIGIN,
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("idempotency-key"),
];

/// A request on its way to a shard.
pub struct Passage {
    /// The shard's end of the pipe. Its bytes begin with the request's head.
    pub stream: DuplexStream,
    /// A seat for the client, unless its connection keeps its own.
    pub seat: Option<Box<dyn Any + Send>>,
}

/// Passes a request on and its answer back.
pub(crate) async fn pass(
    Extract(state): Extract<Arc<State>>,
    Extension(activity): Extension<Arc<Activity>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if parts.method == Method::CONNECT {
        return Err(Problem::new(ErrorCode::NotSupported, "no protocol is served here: connect to /ws"));
    }
    let limits = state.limits();
    let body = body::read(&parts.headers, body, body::json_bytes_max(limits), limits).await?;
    // What is said by a POST is answered soon; whoever closes its direction behind it waits for that.
    let hold = (parts.method == Method::GET).then(|| activity.hold());
    let mut pipe = open(&state, parts.version)?;
    // A shard that refuses need not take everything; its answer says why.
    let _ = pipe.write_all(&head(&parts, body.len())).await;
    let _ = pipe.write_all(&body).await;
    match answer(&parts.method, pipe, hold).await {
        Ok(response) => Ok(response),
        Err(_) if !state.is_open() => Err(stopping()),
        Err(_) => Err(Problem::new(ErrorCode::Internal, "the request was not answered: try again")),
    }
}

/// A pipe with a shard at the other end.
fn open(state: &State, version: Version) -> Result<DuplexStream, Problem> {
    let shards = state.shards.get().filter(|_| state.is_open()).ok_or_else(stopping)?;
    // A connection of HTTP/1.1 has one request at a time, and its client is counted.
    let seat = (version == Version::HTTP_2).then(|| state.seat()).transpose()?;
    let (pipe, stream) = duplex(PIPE_BYTES);
    (shards.pass)(Passage { stream, seat });
    Ok(pipe)
}

pub(crate) fn stopping() -> Problem {
    Problem::new(ErrorCode::Restarting, "this node starts or stops: connect again in a moment")
}

/// The request's head. hyper has seen to it that nothing in it can end a line.
fn head(request: &Parts, body_bytes: usize) -> Vec<u8> {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = format!("{} {target} HTTP/1.1\r\nConnection: close\r\n", request.method).into_bytes();
    // HTTP/2 has the host elsewhere.
    if let Some(host) = request.uri.authority().filter(|_| !request.headers.contains_key(header::HOST)) {
        line(&mut head, "host", host.as_str().as_bytes());
    }
    let takes_body = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if takes_body || body_bytes > 0 {
        line(&mut head, "content-length", body_bytes.to_string().as_bytes());
    }
    for (name, value) in &request.headers {
        if PASSED.contains(name) || name.as_str().starts_with("access-control-") {
            line(&mut head, name.as_str(), value.as_bytes());
        }
    }
    // HTTP/2 may send one line for each cookie, HTTP/1.1 may not (RFC 9113 §8.2.3).
    let cookies: Vec<_> = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if !cookies.is_empty() {
        line(&mut head, "cookie", &cookies.join(&b"; "[..]));
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Waits for the head of the shard's answer; the rest flows as it comes.
async fn answer(method: &Method, mut pipe: DuplexStream, hold: Option<Hold>) -> io::Result<Response> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    let (mut response, head_bytes) = loop {
        if pipe.read_buf(&mut bytes).await? == 0 || bytes.len() > PIPE_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(read) = read_head(&bytes)? {
            break read;
        }
    };
    let first = Bytes::from(bytes).slice(head_bytes..);
    let is_bare = method == Method::HEAD || matches!(response.status().as_u16(), 204 | 304);
    let left = if is_bare { Some(0) } else { content_length(&response)? };
    *response.body_mut() = Body::new(Rest { pipe, first, left, _hold: hold });
    Ok(response)
}

/// The answer and the length of its head, once it is there.
fn read_head(bytes: &[u8]) -> io::Result<Option<(Response, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; ANSWER_HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(head.code.unwrap_or_default()).map_err(io::Error::other)?;
    for header in head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(io::Error::other)?;
        let value = HeaderValue::from_bytes(header.value).map_err(io::Error::other)?;
        if !is_of_the_hop(&name) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(Some((response, head_bytes)))
}

/// Headers that speak of the pipe and not of the answer (RFC 9110 §7.6.1).
fn is_of_the_hop(name: &HeaderName) -> bool {
    let of_the_hop =
        [header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE];
    of_the_hop.contains(name) || name == "keep-alive"
}

fn content_length(response: &Response) -> io::Result<Option<u64>> {
    let Some(value) = response.headers().get(header::CONTENT_LENGTH) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or(io::ErrorKind::InvalidData.into())
}

/// The body of an answer.
struct Rest {
    pipe: DuplexStream,
    /// What came together with the head.
    first: Bytes,
    /// Bytes to come, where the head said how many; else the end of the pipe is theirs.
    left: Option<u64>,
    _hold: Option<Hold>,
}

impl Rest {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if !self.first.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut self.first)));
        }
        // On the stack, because a stream that is silent most of the time should hold no buffer.
        let mut space = [const { MaybeUninit::uninit() }; PIECE_BYTES];
        let mut piece = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.pipe).poll_read(cx, &mut piece))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(piece.filled())))
    }
}

impl hyper::body::Body for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let mut piece = ready!(self.poll_piece(cx))?;
        if piece.is_empty() {
            // Short of what was announced, it is no answer.
            return Poll::Ready(self.left.map(|_| Err(io::ErrorKind::UnexpectedEof.into())));
        }
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

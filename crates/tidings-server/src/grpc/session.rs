//! A gRPC stream that is a session: the shard at its other end takes it for a WebSocket that speaks
//! protobuf, in a pipe within the process.
//!
//! Owned by the response's body, so it moves only as far as the client reads: what does not fit into
//! HTTP/2's window and the pipe waits in the shard's outbox, where the rules for slow readers are.
//! Refuses streams that do not begin with a `hello`, and looks into no frame after it.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use prost::Message as _;
use tidings_protocol::codes::{CloseCode, ErrorCode};
use tidings_protocol::proto::v1::{self, client_frame};
use tidings_protocol::{ClientFrame, proto};
use tidings_websocket::frame::Opcode;
use tidings_websocket::{Config, Decoder, Event, Role, Scratch, encoder};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::{Code, Request, Status, Streaming};

use super::{hold, status};
use crate::activity::Hold;
use crate::answer::Problem;
use crate::passage::{PIECE_BYTES, PIPE_BYTES, stopping};
use crate::state::{Seat, State};
use crate::upgrade::{Carrier, Upgraded};

/// Masks are against proxies (RFC 6455 §10.3), of which there is none within a process.
const MASK: [u8; 4] = [0; 4];

/// The shard's frames are as large as it makes them: it has limits of its own.
const CONFIG: Config = Config { role: Role::Client, message_bytes_max: usize::MAX, fragments_max: 1 };

/// See the module.
pub(super) struct Session {
    stage: Stage,
    message_bytes_max: usize,
    /// Its connection is not idle while it lives.
    _hold: Option<Hold>,
}

enum Stage {
    /// The first frame has not come.
    Knocking(Box<Knock>),
    /// A shard has it.
    Talking(Box<Talk>),
    /// It has ended.
    Over,
}

struct Knock {
    state: Arc<State>,
    seat: Option<Seat>,
    said: Option<Streaming<Bytes>>,
    deadline: Pin<Box<Sleep>>,
}

/// The client's end of the WebSocket.
struct Talk {
    /// What the client says. One that ends its direction goes on listening.
    said: Option<Streaming<Bytes>>,
    pipe: DuplexStream,
    /// Frames for the shard, and how much of them it has.
    outward: Vec<u8>,
    outward_sent: usize,
    /// Bytes from the shard, and how many of them were looked at.
    inward: Vec<u8>,
    inward_read: usize,
    decoder: Decoder,
    scratch: Scratch,
}

impl Session {
    /// A session that begins with the first frame.
    pub(super) fn knock(state: &Arc<State>, request: Request<Streaming<Bytes>>) -> Result<Self, Status> {
        let limits = state.limits();
        let hold = hold(&request);
        let knock = Knock {
            state: Arc::clone(state),
            seat: Some(seat(state)?),
            said: Some(request.into_inner()),
            deadline: Box::pin(tokio::time::sleep(Duration::from_millis(limits.handshake_timeout_ms))),
        };
        let stage = Stage::Knocking(Box::new(knock));
        Ok(Self { stage, message_bytes_max: limits.message_bytes_max, _hold: hold })
    }

    /// A session that only listens.
    pub(super) fn listen(state: &Arc<State>, request: &Request<Bytes>) -> Result<Self, Status> {
        let asked = v1::SubscribeRequest::decode(request.get_ref().clone()).map_err(|_| {
            let advice = "the bytes are no tidings.v1.SubscribeRequest: compare them with tidings.proto";
            Problem::new(ErrorCode::BadFrame, advice)
        })?;
        let v1::SubscribeRequest { rooms, positions, user_id, session_id, attempt } = asked;
        let hello = v1::Hello { rooms, positions, user_id, session_id, attempt, ..Default::default() };
        let frame = Some(client_frame::Frame::Hello(hello));
        let frame = v1::ClientFrame { frame, r#ref: None };
        check_hello(&frame, state)?;
        let talk = open(state, seat(state)?, &frame.encode_to_vec(), None)?;
        let message_bytes_max = state.limits().message_bytes_max;
        Ok(Self { stage: Stage::Talking(Box::new(talk)), message_bytes_max, _hold: hold(request) })
    }
}

/// A seat on a node that takes clients.
fn seat(state: &State) -> Result<Seat, Problem> {
    if !state.is_open() {
        return Err(stopping());
    }
    state.seat()
}

/// A mistake in a hello is told before there is a session, so that it has a status.
fn check_hello(frame: &v1::ClientFrame, state: &State) -> Result<(), Problem> {
    match proto::decode(frame, state.limits()) {
        Ok(ClientFrame::Hello(_)) => Ok(()),
        Ok(_) => Err(Problem::new(ErrorCode::BadFrame, "a session begins with a hello: say it first")),
        Err(refused) => Err(Problem::new(refused.code, refused.message)),
    }
}

/// Opens a WebSocket to a shard, which finds the hello in it as soon as it looks.
fn open(state: &State, seat: Seat, hello: &[u8], said: Option<Streaming<Bytes>>) -> Result<Talk, Problem> {
    let shards = state.shards.get().filter(|_| state.is_open()).ok_or_else(stopping)?;
    let (pipe, stream) = duplex(PIPE_BYTES);
    let mut unread = Vec::new();
    encoder::masked(&mut unread, MASK, Opcode::Binary, hello);
    (shards.attach)(Upgraded {
        carrier: Carrier::Pipe(stream),
        unread,
        target: "/ws".into(),
        deflate: None,
        is_protobuf: true,
        seat,
    });
    Ok(Talk {
        said,
        pipe,
        outward: Vec::new(),
        outward_sent: 0,
        inward: Vec::new(),
        inward_read: 0,
        decoder: Decoder::new(false),
        scratch: Scratch::new(),
    })
}

impl Stream for Session {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match &mut self.stage {
            Stage::Knocking(knock) => match ready!(knock.poll_open(cx)) {
                Ok(talk) => {
                    self.stage = Stage::Talking(Box::new(talk));
                    return self.poll_next(cx);
                }
                Err(status) => Err(status),
            },
            Stage::Talking(talk) => ready!(talk.poll_frame(cx)),
            Stage::Over => return Poll::Ready(None),
        };
        let next = next.map_err(|status| match status.code() {
            // What came was more than the codec takes.
            Code::OutOfRange => status::too_large(self.message_bytes_max),
            _ => status,
        });
        if next.is_err() {
            // Without the pipe, the shard lets go of its end.
            self.stage = Stage::Over;
        }
        Poll::Ready(Some(next))
    }
}

impl Knock {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Talk, Status>> {
        let Some(said) = &mut self.said else { return Poll::Pending };
        if let Poll::Ready(first) = Pin::new(said).poll_next(cx) {
            let first = first.unwrap_or_else(|| Err(no_hello(ErrorCode::BadFrame)));
            return Poll::Ready(first.and_then(|hello| self.open(&hello)));
        }
        self.deadline.as_mut().poll(cx).map(|()| Err(no_hello(ErrorCode::Timeout)))
    }

    fn open(&mut self, hello: &[u8]) -> Result<Talk, Status> {
        let frame = proto::parse(hello).map_err(|refused| Problem::new(refused.code, refused.message))?;
        check_hello(&frame, &self.state)?;
        let seat = self.seat.take().expect("it is opened once");
        Ok(open(&self.state, seat, hello, self.said.take())?)
    }
}

fn no_hello(code: ErrorCode) -> Status {
    Problem::new(code, "no hello came: say it as the first frame, at once").into()
}

impl Talk {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Status>> {
        loop {
            if let Some(heard) = self.heard() {
                return Poll::Ready(heard);
            }
            // What it says must not wait for what it hears, nor a pong for either.
            if let Poll::Ready(status) = self.poll_say(cx) {
                return Poll::Ready(Err(status));
            }
            if !ready!(self.poll_hear(cx)) {
                let code = CloseCode::GoingAway;
                return Poll::Ready(Err(status::closed(code.number(), "the session was cut off")));
            }
        }
    }

    /// The next frame of what was read, or how the session ended.
    fn heard(&mut self) -> Option<Result<Bytes, Status>> {
        while self.inward_read < self.inward.len() {
            let unread = &mut self.inward[self.inward_read..];
            let step = match self.decoder.decode(&CONFIG, &mut self.scratch, unread) {
                Ok(step) => step,
                Err(error) => return Some(Err(Status::internal(error.to_string()))),
            };
            let heard = match step.event {
                Some(Event::Binary(frame)) => Some(Ok(Bytes::copy_from_slice(frame))),
                Some(Event::Ping(payload)) => {
                    encoder::masked(&mut self.outward, MASK, Opcode::Pong, payload);
                    None
                }
                Some(Event::Close(close)) => {
                    let (code, reason) = close.map_or((1_000, ""), |close| (close.code, close.reason));
                    Some(Err(status::closed(code, reason)))
                }
                Some(Event::Text(_) | Event::Pong(_)) | None => None,
            };
            self.inward_read += step.consumed;
            if heard.is_some() {
                return heard;
            }
        }
        // A session that is silent most of the time should hold no buffer.
        (self.inward, self.inward_read) = (Vec::new(), 0);
        None
    }

    /// Passes on what the client says, as far as the shard takes it. Ready only when that failed.
    fn poll_say(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        loop {
            while self.outward_sent < self.outward.len() {
                let unsent = &self.outward[self.outward_sent..];
                match ready!(Pin::new(&mut self.pipe).poll_write(cx, unsent)) {
                    Ok(count) => self.outward_sent += count,
                    // It has gone; what it said last is still to be heard.
                    Err(_) => return Poll::Pending,
                }
            }
            (self.outward, self.outward_sent) = (Vec::new(), 0);
            let Some(said) = &mut self.said else { return Poll::Pending };
            match ready!(Pin::new(said).poll_next(cx)) {
                Some(Ok(frame)) => encoder::masked(&mut self.outward, MASK, Opcode::Binary, &frame),
                Some(Err(status)) => return Poll::Ready(status),
                None => self.said = None,
            }
        }
    }

    /// Reads a piece. Says whether there was one.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // On the stack, for the same reason.
        let mut space = [const { MaybeUninit::uninit() }; PIECE_BYTES];
        let mut piece = ReadBuf::uninit(&mut space);
        let read = ready!(Pin::new(&mut self.pipe).poll_read(cx, &mut piece));
        self.inward = piece.filled().to_vec();
        Poll::Ready(read.is_ok() && !self.inward.is_empty())
    }
}

//! The same bytes through two parsers that others wrote, tungstenite and tokio-websockets: they must hear the same
//! messages and agree on whether the peer broke a rule. Where they do not, the deviation has a name and a reason here.

use std::io::{Cursor, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::harness::{Heard, SERVER, Stream, hear};
use crate::streams::any_stream;
use futures_core::Stream as _;
use proptest::prelude::*;
use tidings_websocket::Error;
use tidings_websocket::frame::Opcode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a parser's reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A close frame.
    Closed,
    /// The peer broke a rule.
    Failed,
    /// The bytes were used up without either.
    Starved,
}

#[derive(Debug)]
struct Verdict {
    heard: Vec<Heard>,
    end: End,
}

fn ours(bytes: &[u8]) -> (Verdict, Option<Error>) {
    let mut heard = hear(&SERVER, false, bytes, &[]);
    let error = match heard.last() {
        Some(Heard::Failed(error)) => Some(*error),
        _ => None,
    };
    let end = match heard.last() {
        Some(Heard::Failed(_)) => End::Failed,
        Some(Heard::Close(_)) => End::Closed,
        _ => End::Starved,
    };
    if end == End::Failed {
        heard.pop();
    }
    (Verdict { heard, end }, error)
}

/// Bytes to read, and nowhere to write.
struct Wire(Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, out)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn tungstenite(bytes: &[u8]) -> Verdict {
    use tungstenite::error::ProtocolError;
    use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
    use tungstenite::{Error, Message};

    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(SERVER.message_bytes_max))
        .max_frame_size(Some(SERVER.message_bytes_max));
    let mut socket =
        WebSocket::from_raw_socket(Wire(Cursor::new(bytes.to_vec())), Role::Server, Some(config));
    let mut heard = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(Heard::Text(text.to_string())),
            Ok(Message::Binary(payload)) => heard.push(Heard::Binary(payload.to_vec())),
            Ok(Message::Ping(payload)) => heard.push(Heard::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => heard.push(Heard::Pong(payload.to_vec())),
            // It answers a close code that may not travel with this close of its own instead of an error.
            Ok(Message::Close(Some(close))) if close.reason == "Protocol violation" => break End::Failed,
            Ok(Message::Close(close)) => {
                heard.push(Heard::Close(close.map(|close| (close.code.into(), close.reason.to_string()))));
                break End::Closed;
            }
            Ok(Message::Frame(_)) => unreachable!("reading gives messages"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break End::Starved,
            Err(Error::Io(error)) => panic!("the wire does not fail: {error}"),
            Err(_) => break End::Failed,
        }
    };
    Verdict { heard, end }
}

fn tokio_websockets(bytes: &[u8]) -> Verdict {
    use tokio_websockets::{Error, Limits, ServerBuilder};

    let limits = Limits::default().max_payload_len(Some(SERVER.message_bytes_max));
    let mut socket = ServerBuilder::new().limits(limits).serve(Wire(Cursor::new(bytes.to_vec())));
    let mut heard = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let end = loop {
        let Poll::Ready(next) = Pin::new(&mut socket).poll_next(&mut context) else {
            panic!("the wire is always ready");
        };
        let message = match next {
            None => break End::Starved,
            // What it says when the bytes end inside a frame.
            Some(Err(Error::Io(_))) => break End::Starved,
            Some(Err(_)) => break End::Failed,
            Some(Ok(message)) => message,
        };
        let payload = || message.as_payload().to_vec();
        if message.is_close() {
            let close = (!message.as_payload().is_empty()).then(|| message.as_close()).flatten();
            heard.push(Heard::Close(close.map(|(code, reason)| (code.into(), reason.to_owned()))));
            break End::Closed;
        } else if message.is_text() {
            // Version 0.13.3 forgets its UTF-8 check when the last fragment is empty, and hands over as `str` what is
            // none; so the payload is checked here, and counts as refused.
            let Ok(text) = String::from_utf8(payload()) else { break End::Failed };
            heard.push(Heard::Text(text));
        } else if message.is_ping() {
            heard.push(Heard::Ping(payload()));
        } else if message.is_pong() {
            heard.push(Heard::Pong(payload()));
        } else {
            heard.push(Heard::Binary(payload()));
        }
    };
    Verdict { heard, end }
}

/// Why an oracle may come to another verdict than we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deviation {
    /// The stream ends inside a frame whose beginning is wrong already: we say so at once, they wait for the rest.
    FailsLater,
    /// The stream ends inside a frame that they refuse before we do.
    FailsEarlier,
    /// tungstenite reads lengths that are not in their shortest form; RFC 6455 §5.2 says MUST.
    LengthNotMinimal,
    /// tungstenite refuses 1014, which IANA registered after the RFC.
    BadGatewayUnknown,
}

fn deviation(ours: &Verdict, error: Option<Error>, theirs: &Verdict) -> Option<Deviation> {
    let same_so_far = ours.heard == theirs.heard;
    match (ours.end, theirs.end) {
        (End::Failed, _) if error == Some(Error::LengthNotMinimal) => {
            theirs.heard.starts_with(&ours.heard).then_some(Deviation::LengthNotMinimal)
        }
        (End::Failed, End::Starved) if same_so_far => Some(Deviation::FailsLater),
        (End::Starved, End::Failed) if same_so_far => Some(Deviation::FailsEarlier),
        (End::Closed, End::Failed) => {
            let (last, before) = ours.heard.split_last()?;
            let is_bad_gateway = matches!(last, Heard::Close(Some((1014, _))));
            (is_bad_gateway && before == theirs.heard).then_some(Deviation::BadGatewayUnknown)
        }
        _ => None,
    }
}

fn agree(bytes: &[u8], theirs: &Verdict, allowed: &[Deviation]) -> Result<(), TestCaseError> {
    let (ours, error) = ours(bytes);
    if ours.heard == theirs.heard && ours.end == theirs.end {
        return Ok(());
    }
    let deviation = deviation(&ours, error, theirs);
    prop_assert!(
        deviation.is_some_and(|deviation| allowed.contains(&deviation)),
        "deviation {deviation:?}\nours {ours:?} {error:?}\ntheirs {theirs:?}"
    );
    Ok(())
}

/// A deviation that no longer exists must not stay allowed.
#[test]
fn every_named_deviation_is_real() {
    let found = |stream: Stream, oracle: fn(&[u8]) -> Verdict| {
        let (verdict, error) = ours(&stream.0);
        deviation(&verdict, error, &oracle(&stream.0))
    };
    let wrong_text = Stream::new().frame(Opcode::Binary, b"\xFFand more").0;
    let unfinished = Stream::new().raw(&[0x81]).raw(&wrong_text[1..wrong_text.len() - 3]);
    assert_eq!(found(unfinished, tungstenite), Some(Deviation::FailsLater));
    let close_of_one_byte = Stream::new().frame(Opcode::Close, "a").0;
    let unfinished = Stream::new().raw(&close_of_one_byte[..2]);
    assert_eq!(found(unfinished, tokio_websockets), Some(Deviation::FailsEarlier));
    let bad_gateway = Stream::new().frame(Opcode::Close, 1014u16.to_be_bytes());
    assert_eq!(found(bad_gateway, tungstenite), Some(Deviation::BadGatewayUnknown));
    let not_minimal = Stream::new().raw(&[0x82, 0xFE, 0, 1, 0, 0, 0, 0, b'a']);
    assert_eq!(found(not_minimal, tungstenite), Some(Deviation::LengthNotMinimal));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn tungstenite_hears_what_we_hear(Stream(bytes) in any_stream(false)) {
        let allowed = [Deviation::FailsLater, Deviation::LengthNotMinimal, Deviation::BadGatewayUnknown];
        agree(&bytes, &tungstenite(&bytes), &allowed)?;
    }

    #[test]
    fn tokio_websockets_hears_what_we_hear(Stream(bytes) in any_stream(false)) {
        let allowed = [Deviation::FailsEarlier];
        agree(&bytes, &tokio_websockets(&bytes), &allowed)?;
    }
}

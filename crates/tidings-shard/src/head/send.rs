//! `POST /sessions/{session_id}/send`: a session says something by plain HTTP.

use tidings_protocol::{ErrorCode, Limits, SessionId};

use super::headers::Headers;
use super::refusal::Refused;

/// What a frame's JSON may have around its payload.
const ENVELOPE_BYTES: usize = 1_024;

/// What is to be read behind the head.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// The session that speaks.
    pub session: SessionId,
    /// Bytes of its frame.
    pub body_bytes: usize,
    /// The client waits to be told that its body is wanted.
    pub expects_continue: bool,
}

/// Reads the head.
pub(super) fn read(session: &str, headers: Headers<'_>, limits: &Limits) -> Result<Sending, Refused> {
    let session = SessionId::parse(session).ok_or_else(|| Refused::new(ErrorCode::SessionUnknown))?;
    let body_bytes = body_bytes(headers)?;
    if body_bytes > limits.message_bytes_max.saturating_add(ENVELOPE_BYTES) {
        return Err(Refused::new(ErrorCode::MessageTooLarge));
    }
    let expects_continue =
        headers.first("Expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    Ok(Sending { session, body_bytes, expects_continue })
}

/// A body in chunks is not read: whoever sends one frame knows its length.
fn body_bytes(headers: Headers<'_>) -> Result<usize, Refused> {
    let lengths: Vec<&[u8]> = headers.all("Content-Length").collect();
    match lengths[..] {
        [] => Err(length_required()),
        _ if headers.first("Transfer-Encoding").is_some() => Err(length_required()),
        [digits] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            // More digits than a number has are more bytes than anybody takes.
            Ok(std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX))
        }
        _ => Err(Refused::because(ErrorCode::BadHead, "Content-Length is not one number: give it once.")),
    }
}

fn length_required() -> Refused {
    let message = "The body's length is not told: send Content-Length instead of Transfer-Encoding.";
    Refused { status: 411, ..Refused::because(ErrorCode::BadHead, message) }
}

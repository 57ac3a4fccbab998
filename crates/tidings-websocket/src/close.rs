//! The payload of a close frame (RFC 6455 §5.5.1, §7.4): nothing, or a code and a reason.
//! Used by the decoder. Refuses codes that may not travel and reasons that are not UTF-8.

use crate::error::Error;

/// The most bytes of reason that fit beside the code.
pub const REASON_BYTES_MAX: usize = crate::frame::CONTROL_BYTES_MAX - 2;

/// What a peer said when it closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The code, one that [`is_sendable`].
    pub code: u16,
    /// The reason, possibly empty, at most 123 bytes.
    pub reason: &'a str,
}

/// Whether `code` may stand in a close frame.
///
/// 1004 has no meaning, 1005, 1006 and 1015 only name a close that carried no code. 1012 to 1014 were registered with
/// IANA after the RFC. 3000 to 3999 are for libraries, 4000 to 4999 for applications; the rest is unassigned.
pub fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the (unmasked) payload of a close frame; an empty one carries no code.
pub fn parse(payload: &[u8]) -> Result<Option<CloseFrame<'_>>, Error> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Error::CloseTooShort),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_sendable(code) {
        return Err(Error::CloseCodeInvalid { code });
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Error::CloseReasonNotUtf8)?;
    Ok(Some(CloseFrame { code, reason }))
}

/// `reason` cut to what fits in a close frame, at a character's boundary.
pub(crate) fn shorten(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

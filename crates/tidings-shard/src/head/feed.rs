//! `GET /events?room=&user_id=&session_id=&attempt=&last_event_id=`: server-sent events.

use tidings_core::{Introduction, Manner};
use tidings_protocol::{ErrorCode, Limits};

use super::headers::Headers;
use super::introduction;
use super::query::Query;
use super::refusal::Refused;

/// Reads the request. What the browser remembers, in `Last-Event-ID`, is newer than the address.
/// An empty id is none, as the HTML standard has it.
pub(super) fn read(
    query: &Query<'_>,
    headers: Headers<'_>,
    limits: &Limits,
) -> Result<Introduction, Refused> {
    let remembered = headers.first("Last-Event-ID").map(String::from_utf8_lossy);
    let addressed = query.first("last_event_id", ErrorCode::BadCursor)?;
    let cursor = remembered.as_deref().or(addressed.as_deref()).filter(|cursor| !cursor.is_empty());
    introduction::read(query, cursor, Manner::Feed, limits)
}

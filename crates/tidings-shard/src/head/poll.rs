//! `GET /poll/{client_id}?room=&cursor=&batch=&timeout_s=&user_id=&session_id=&attempt=`: one long poll.

use tidings_core::{Introduction, Manner};
use tidings_protocol::{ErrorCode, Limits};

use super::query::{Query, decode};
use super::refusal::Refused;
use super::{introduction, names};

/// What a poll asks for.
#[derive(Debug)]
pub struct Polling {
    /// Who asks for which rooms.
    pub introduction: Introduction,
    /// Frames in the answer, as a list; `None` asks for one, by itself.
    pub batch: Option<usize>,
    /// How long it waits for the first.
    pub timeout_ms: u64,
}

/// Reads the request. More than the limits allow is asked for in vain, not refused.
pub(super) fn read(client: &str, query: &Query<'_>, limits: &Limits) -> Result<Polling, Refused> {
    let client = names::client(&decode(client, ErrorCode::BadQuery)?, limits)?;
    let cursor = query.first("cursor", ErrorCode::BadCursor)?;
    let introduction = introduction::read(query, cursor.as_deref(), Manner::Poll { client }, limits)?;
    let batch = query.number("batch")?.map(|batch| usize::try_from(batch).unwrap_or(usize::MAX));
    if batch == Some(0) {
        let message = "batch is 0: ask for one message or more, or leave it out.";
        return Err(Refused::because(ErrorCode::BadQuery, message));
    }
    let asked_ms = query.number("timeout_s")?.map_or(u64::MAX, |seconds| seconds.saturating_mul(1_000));
    Ok(Polling {
        introduction,
        batch: batch.map(|batch| batch.min(limits.poll_batch_max)),
        timeout_ms: asked_ms.min(limits.poll_timeout_ms),
    })
}

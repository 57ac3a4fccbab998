//! Reading a request's body: whole, bounded, and in time.
//!
//! Used by the routes that take one. Refuses bodies that are too large, too slow or cut short.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tidings_protocol::Limits;
use tidings_protocol::codes::ErrorCode;

use crate::answer::Problem;

/// JSON may write one byte of text as three (`\u00e9` for two), and has names around it.
pub(crate) fn json_bytes_max(limits: &Limits) -> usize {
    limits.message_bytes_max * 3 + 4 * 1024
}

/// Reads a body of at most `bytes_max` bytes.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: usize,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    let timeout = Duration::from_millis(limits.body_timeout_ms);
    tokio::time::timeout(timeout, collect(headers, &mut body, bytes_max, limits)).await.unwrap_or_else(|_| {
        Err(Problem::new(
            ErrorCode::Timeout,
            format!(
                "the body did not arrive within {} ms: send it right behind the head",
                limits.body_timeout_ms
            ),
        )
        .closing())
    })
}

async fn collect(
    headers: &HeaderMap,
    body: &mut Body,
    bytes_max: usize,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    if announced_bytes(headers).is_some_and(|announced| announced > bytes_max) {
        // A client that asked whether it may send has sent nothing that would have to be read.
        if !headers.contains_key(header::EXPECT) {
            discard(body, limits.discarded_body_bytes_max).await;
        }
        return Err(too_large(bytes_max));
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            let advice = "the body ended before its announced length: send all of it";
            Problem::new(ErrorCode::BodyIncomplete, advice).closing()
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            discard(body, limits.discarded_body_bytes_max).await;
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads on for a while: a client whose connection is closed while it still sends gets a reset and
/// never reads why.
async fn discard(body: &mut Body, bytes_max: usize) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > bytes_max {
            return;
        }
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        ErrorCode::MessageTooLarge,
        format!(
            "the body is larger than {bytes_max} bytes: send a smaller message, or raise message_bytes_max"
        ),
    )
    .closing()
}

//! Answers: JSON bodies, and the one shape of everything that went wrong.
//!
//! Used by every route. Refuses errors that do not say what to do.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tidings_core::EngineError;
use tidings_protocol::codes::{ErrorCode, Retry};
use tidings_protocol::rest::ErrorAnswer;

/// A request that is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: ErrorCode,
    /// What happened, then what to do.
    pub(crate) message: Cow<'static, str>,
    /// Whether the connection ends, because where the next request would begin is not known.
    pub(crate) closes: bool,
    /// Headers that the status demands.
    pub(crate) headers: &'static [(&'static str, &'static str)],
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), closes: false, headers: &[] }
    }

    /// The same, and the connection ends.
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(&ErrorAnswer::new(self.code, self.message));
        *response.status_mut() = status;
        // A 408 needs no waiting: the next try just has to be faster.
        if self.code.retry() == Retry::Later && matches!(status.as_u16(), 429 | 503) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        for (name, value) in self.headers {
            response.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        if self.closes {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A JSON answer, status 200.
pub(crate) fn json(body: &impl Serialize) -> Response {
    raw_json(serde_json::to_vec(body).expect("our own answers are JSON"))
}

/// An answer that is JSON already.
pub(crate) fn raw_json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

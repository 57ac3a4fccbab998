//! Pages of other sites (Fetch standard, CORS): the headers that let them read our answers, and the
//! question that browsers ask before.
//!
//! Used around every route, but for what shards answer: they say it themselves. Refuses cookies:
//! credentials of a page's user are none of ours.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::state::State;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type, Idempotency-Key, Last-Event-ID, Authorization");
const EXPOSED: HeaderValue = HeaderValue::from_static("Tidings-Node, Retry-After");
/// Browsers ask again after this; they cap it at two hours or less.
const ASKED_AGAIN_AFTER_S: HeaderValue = HeaderValue::from_static("7200");

/// Adds what the page's browser wants to see.
pub(crate) async fn allow(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let origin = allowed(&state, request.headers());
    let Some(origin) = origin else { return next.run(request).await };
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks { preflight() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

fn allowed(state: &State, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    HeaderValue::from_str(state.setup.origins.allowed(origin)?).ok()
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, ASKED_AGAIN_AFTER_S);
    response
}

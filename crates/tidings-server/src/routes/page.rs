//! The page at `/` and its files, which travel inside the binary.
//!
//! Refuses to load anything from elsewhere: the page works where there is no internet.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::state::State;

/// Name and content of each file in `web/`.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// Only what comes from this server, over the address that the page itself came from.
const SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'";

/// One route per file; `index.html` is the page.
pub(super) fn router() -> Router<Arc<State>> {
    FILES.iter().fold(Router::new(), |router, &(name, content)| {
        let entity_tag = entity_tag(content);
        let handler = move |headers: HeaderMap| {
            let answer = file(name, content, &entity_tag, &headers);
            async move { answer }
        };
        let address = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        router.route(&address, get(handler))
    })
}

fn file(name: &str, content: &'static [u8], entity_tag: &HeaderValue, asked: &HeaderMap) -> Response {
    let known = asked.get(header::IF_NONE_MATCH) == Some(entity_tag);
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { content.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::ETAG, entity_tag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn entity_tag(content: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).expect("hexadecimal digits are ASCII")
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "webmanifest") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

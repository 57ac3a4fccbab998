//! What operators and their machines ask: does the process live, does it take traffic, what is
//! served here.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tidings_core::engine::NodeReport;
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::rest::{NodeEntry, NodesAnswer};

use crate::answer::{self, Problem};
use crate::state::{Readiness, State};

/// The description of every route, kept by hand; a test holds it against the routes.
const OPENAPI: &str = include_str!("../../openapi.json");

/// `GET /health`: the process answers.
pub(super) async fn health(Extract(state): Extract<Arc<State>>) -> Response {
    answer::json(&json!({ "status": "ok", "node": &*state.setup.node, "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /ready`: the node takes traffic.
pub(super) async fn ready(Extract(state): Extract<Arc<State>>) -> Result<Response, Problem> {
    match state.readiness() {
        Readiness::Ready => Ok(answer::json(&json!({ "status": "ready", "node": &*state.setup.node }))),
        Readiness::Cut => {
            let advice = "a Redis server does not answer this node: send traffic to another one";
            Err(Problem::new(ErrorCode::Unavailable, advice))
        }
        Readiness::Starting | Readiness::Draining => {
            let advice = "this node starts or stops: send traffic to another one";
            Err(Problem::new(ErrorCode::Restarting, advice))
        }
    }
}

/// `GET /nodes`: this node, and the others as they last said of themselves. Nobody is asked.
pub(super) async fn nodes(Extract(state): Extract<Arc<State>>) -> Response {
    let mut reports = state.setup.engine.other_nodes();
    reports.push(state.report());
    reports.sort_by(|one, other| (&one.name, one.age_ms).cmp(&(&other.name, other.age_ms)));
    let entry =
        |NodeReport { name, connections, rooms, age_ms }| NodeEntry { name, connections, rooms, age_ms };
    answer::json(&NodesAnswer { nodes: reports.into_iter().map(entry).collect() })
}

/// `GET /openapi.json`.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], OPENAPI)
        .into_response()
}

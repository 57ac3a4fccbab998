//! Which address is answered by what.
//!
//! Owned by the server. Refuses addresses and methods it does not know, in JSON.

mod operations;
mod page;
pub(crate) mod people;
pub(crate) mod publish;
pub(crate) mod rooms;

mod metrics;
mod process;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware;
use axum::routing::{any, delete, get, post};
use tidings_protocol::codes::ErrorCode;

use crate::answer::Problem;
use crate::cors;
use crate::grpc;
use crate::passage;
use crate::state::State;
use crate::upgrade;

/// Every route.
pub(crate) fn router(state: Arc<State>) -> Router {
    let ours = Router::new()
        .route("/broadcast", post(publish::broadcast))
        .route("/rooms", get(rooms::list))
        .route("/rooms/{room}/messages", get(rooms::history).post(publish::to_room))
        .route("/rooms/{room}/presence", get(people::in_room))
        .route("/rooms/{room}/typing", get(people::typing))
        .route("/presence", get(people::online))
        .route("/users/{user}/messages", post(publish::to_user))
        .route("/users/{user}/sessions", delete(people::disconnect))
        .route("/health", get(operations::health))
        .route("/ready", get(operations::ready))
        .route("/nodes", get(operations::nodes))
        .route("/metrics", get(metrics::page))
        .route("/openapi.json", get(operations::openapi))
        // Before the layer, which a browser's question with OPTIONS has to reach.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), cors::allow));
    let grpc = grpc::router(&state);
    let mut router = ours
        // Shards serve these; which methods, they know.
        .route("/events", any(passage::pass))
        .route("/poll/{client_id}", any(passage::pass))
        .route("/sessions/{session_id}/send", any(passage::pass))
        .route("/ws", any(upgrade::accept))
        .route("/ws/{*rest}", any(upgrade::accept));
    if state.setup.echo {
        router = router.route("/echo", any(upgrade::accept));
    }
    router
        .merge(page::router())
        .merge(grpc)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Each route bounds its own body, with an answer of ours.
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

async fn not_found(address: Uri) -> Problem {
    // The one room name that no pattern of a path can match.
    if address.path() == "/rooms//messages" {
        return Problem::new(ErrorCode::BadRoom, "the room's name is empty: give it at least one character");
    }
    Problem::new(ErrorCode::NotFound, "nothing is served at this address: /openapi.json lists what is")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        ErrorCode::MethodNotAllowed,
        "this address does not take this method: use one that the header Allow names",
    )
}

/// Entries of one answer: more than the limit is not refused, the answer says that it goes on.
fn page_size(asked: Option<usize>, most: usize) -> Result<usize, Problem> {
    match asked {
        Some(0) => Err(Problem::new(ErrorCode::BadQuery, "limit is 0: ask for at least one")),
        Some(asked) => Ok(asked.min(most)),
        None => Ok(most),
    }
}

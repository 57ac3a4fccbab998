//! Asking the engine, or what nodes know together of people: a completion becomes something to await,
//! with a deadline.
//!
//! Used by every route that touches a room. Refuses to wait longer than `engine_timeout_ms`.

use std::time::Duration;

use tidings_core::engine::Timestamp;
use tidings_core::{Completion, Engine};
use tidings_protocol::codes::ErrorCode;
use tokio::sync::oneshot;

use crate::answer::Problem;
use crate::state::State;

/// Makes one engine call and waits for its answer. `call` gets the engine, the time, and where to
/// answer.
pub(crate) async fn ask<T: Send + 'static>(
    state: &State,
    call: impl FnOnce(&dyn Engine, Timestamp, Completion<T>),
) -> Result<T, Problem> {
    answer(state, |done| call(state.setup.engine.as_ref(), state.now(), done)).await
}

/// Makes one call and waits for its answer. `call` gets where to answer.
pub(crate) async fn answer<T: Send + 'static>(
    state: &State,
    call: impl FnOnce(Completion<T>),
) -> Result<T, Problem> {
    let (sender, receiver) = oneshot::channel();
    // Nobody waits any more when the client has gone; the engine's work is done all the same.
    call(Completion::new(move |answer| drop(sender.send(answer))));
    let timeout = Duration::from_millis(state.limits().engine_timeout_ms);
    match tokio::time::timeout(timeout, receiver).await {
        Ok(Ok(answer)) => answer.map_err(Problem::from),
        Ok(Err(_)) | Err(_) => Err(Problem::new(
            ErrorCode::Unavailable,
            "the engine did not answer in time, whether the request took effect is not known: \
             try again with the same Idempotency-Key",
        )),
    }
}

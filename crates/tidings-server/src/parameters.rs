//! What a request says beside its body: the room in the path, the query, the idempotency key.
//!
//! Used by the routes as extractors. Refuses what the wire contract refuses, in JSON.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tidings_core::engine::IdempotencyKey;
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::{Limits, RoomName, UserId};

use crate::answer::Problem;
use crate::state::State;

/// The room that the path names, decoded and checked.
pub(crate) struct Room(pub(crate) RoomName);

impl FromRequestParts<Arc<State>> for Room {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| {
            Problem::new(ErrorCode::BadRoom, "the room's name is not percent-encoded UTF-8: encode it")
        })?;
        room(&name, state.limits()).map(Self)
    }
}

/// The user whom the path names, decoded and checked.
pub(crate) struct User(pub(crate) UserId);

impl FromRequestParts<Arc<State>> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| {
            Problem::new(ErrorCode::BadUser, "the user's name is not percent-encoded UTF-8: encode it")
        })?;
        user(&name, state.limits()).map(Self)
    }
}

/// The query, as a struct of the route's own.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<State>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(Problem::new(
                ErrorCode::BadQuery,
                format!("{}: compare the address with /openapi.json", error.body_text()),
            )),
        }
    }
}

/// Checks a room's name.
pub(crate) fn room(name: &str, limits: &Limits) -> Result<RoomName, Problem> {
    RoomName::new(name, limits)
        .map_err(|error| Problem::new(ErrorCode::BadRoom, format!("the room's name {error}")))
}

/// Checks a user's name.
pub(crate) fn user(name: &str, limits: &Limits) -> Result<UserId, Problem> {
    UserId::new(name, limits)
        .map_err(|error| Problem::new(ErrorCode::BadUser, format!("the user's name {error}")))
}

/// Checks a conflation key or an idempotency key.
pub(crate) fn reference(what: &str, text: &str, limits: &Limits) -> Result<Box<str>, Problem> {
    let bytes_max = limits.reference_bytes_max;
    if text.is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        let advice = format!("{what} is not 1 to {bytes_max} bytes of printable text: shorten or drop it");
        return Err(Problem::new(ErrorCode::BadRef, advice));
    }
    Ok(text.into())
}

/// The header `Idempotency-Key`, if there is one.
pub(crate) fn idempotency_key(
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    // What is not text is as wrong as no text at all.
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let reference = reference("the Idempotency-Key", text, limits)?;
    Ok(Some(IdempotencyKey { session: None, reference }))
}

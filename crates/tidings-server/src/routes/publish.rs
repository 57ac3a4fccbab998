//! Publishing over plain HTTP: to a room, or to the lobby as the textbook's `/broadcast` does.
//!
//! Refuses to judge more than form: what a room takes is the engine's to say.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_core::Publication;
use tidings_core::engine::Published;
use tidings_protocol::client::is_too_deep;
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::rest::{BroadcastAnswer, PublishAnswer};
use tidings_protocol::{Limits, Payload, RoomName};

use crate::answer::{Problem, json};
use crate::ask::ask;
use crate::body;
use crate::parameters::{Asked, Room, User, idempotency_key, reference, room, user};
use crate::state::State;

/// Where `/broadcast` goes when it names no room.
const LOBBY: &str = "lobby";

/// Query of `POST /broadcast`.
#[derive(Deserialize)]
pub(super) struct BroadcastQuery {
    message: Option<String>,
    room: Option<String>,
}

/// JSON body of `POST /broadcast`: `message` may be any JSON, of which a string is chat text.
#[derive(Deserialize)]
struct BroadcastBody {
    message: Box<RawValue>,
    room: Option<String>,
}

/// Query of `POST /rooms/{room}/messages`, for bodies that are no JSON.
#[derive(Deserialize)]
pub(super) struct PublishQuery {
    key: Option<String>,
    user_id: Option<String>,
}

/// JSON body of `POST /rooms/{room}/messages`.
#[derive(Deserialize)]
struct PublishBody {
    text: Option<String>,
    // `null` is data like any other JSON.
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    user_id: Option<String>,
    key: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(json).map(Some)
}

/// `POST /broadcast`.
pub(super) async fn broadcast(
    Extract(state): Extract<Arc<State>>,
    Asked(query): Asked<BroadcastQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let limits = state.limits();
    let (payload, named) = match query.message {
        Some(text) => (Payload::Text(text.into()), query.room),
        None => {
            if !is_json(&headers) {
                return Err(Problem::new(
                    ErrorCode::UnsupportedMediaType,
                    "there is no ?message= and the body is no JSON: send one of them, \
                     the body with Content-Type: application/json",
                ));
            }
            let bytes = body::read(&headers, body, body::json_bytes_max(limits), limits).await?;
            let said: BroadcastBody = parse(&bytes)?;
            (text_or_data(said.message)?, said.room.or(query.room))
        }
    };
    let publication = Publication {
        room: room(named.as_deref().unwrap_or(LOBBY), limits)?,
        user: None,
        key: None,
        payload,
        idempotency_key: idempotency_key(&headers, limits)?,
    };
    let published = publish(&state, publication).await?;
    Ok(json(&BroadcastAnswer::sent(published.id)))
}

/// `POST /rooms/{room}/messages`.
pub(super) async fn to_room(
    Extract(state): Extract<Arc<State>>,
    Room(room): Room,
    Asked(query): Asked<PublishQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    said(&state, room, query, &headers, body).await
}

/// `POST /users/{user}/messages`: stored in the user's own room, which each of the user's sessions
/// is in.
pub(super) async fn to_user(
    Extract(state): Extract<Arc<State>>,
    User(user): User,
    Asked(query): Asked<PublishQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    said(&state, RoomName::of_user(&user), query, &headers, body).await
}

async fn said(
    state: &State,
    room: RoomName,
    query: PublishQuery,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let limits = state.limits();
    let (payload, user_id, key) = if is_json(headers) {
        let bytes = body::read(headers, body, body::json_bytes_max(limits), limits).await?;
        let said: PublishBody = parse(&bytes)?;
        let payload = match (said.text, said.data) {
            (Some(text), None) => Payload::Text(text.into()),
            (None, Some(data)) => Payload::Data(data),
            _ => return Err(bad_body("it has not exactly one of `text` and `data`")),
        };
        (payload, said.user_id.or(query.user_id), said.key.or(query.key))
    } else {
        let bytes = body::read(headers, body, limits.message_bytes_max, limits).await?;
        (Payload::Binary(Box::from(&*bytes)), query.user_id, query.key)
    };
    let publication = Publication {
        room,
        user: user_id.map(|name| user(&name, limits)).transpose()?,
        key: key.map(|key| reference("the key", &key, limits)).transpose()?,
        payload,
        idempotency_key: idempotency_key(headers, limits)?,
    };
    let published = publish(state, publication).await?;
    Ok(json(&PublishAnswer { id: published.id.0 }))
}

/// Stores a message, if its size and shape are what every door takes.
pub(crate) async fn publish(state: &State, publication: Publication) -> Result<Published, Problem> {
    check_size(&publication.payload, state.limits())?;
    check_depth(&publication.payload)?;
    ask(state, |engine, now, done| engine.publish(now, publication, done)).await
}

/// The body's limit leaves room for JSON; the message's own limit holds all the same.
fn check_size(payload: &Payload, limits: &Limits) -> Result<(), Problem> {
    if payload.len() <= limits.message_bytes_max {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::MessageTooLarge,
        format!(
            "the message has {} bytes, more than message_bytes_max {}: send a smaller one",
            payload.len(),
            limits.message_bytes_max
        ),
    ))
}

/// What a WebSocket client may not send, for the sake of its readers, may not come in here either.
fn check_depth(payload: &Payload) -> Result<(), Problem> {
    match payload {
        Payload::Data(json) if is_too_deep(json.get()) => {
            Err(bad_body("its data is nested more than 128 levels deep"))
        }
        _ => Ok(()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| bad_body(&error.to_string()))
}

fn bad_body(why: &str) -> Problem {
    Problem::new(
        ErrorCode::BadFrame,
        format!("the body is not what is taken here: {why}. Compare it with /openapi.json."),
    )
}

/// A JSON string is chat text, anything else is data.
fn text_or_data(json: Box<RawValue>) -> Result<Payload, Problem> {
    if json.get().starts_with('"') {
        let text: String = parse(json.get().as_bytes())?;
        return Ok(Payload::Text(text.into()));
    }
    Ok(Payload::Data(json))
}

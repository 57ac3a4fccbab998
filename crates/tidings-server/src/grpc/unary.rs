//! Calls without a session: what REST offers, asked in protobuf.
//!
//! Refuses what REST refuses.

use tidings_core::Publication;
use tidings_core::engine::IdempotencyKey;
use tidings_protocol::client::Said;
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::proto::{self, v1};
use tidings_protocol::{Limits, Payload, RoomName};

use crate::answer::Problem;
use crate::parameters::{room, user};
use crate::routes::{people, publish as publishing, rooms};
use crate::state::State;

pub(super) async fn publish(
    state: &State,
    request: &v1::PublishRequest,
) -> Result<v1::PublishResponse, Problem> {
    let asked = proto::publish(request, state.limits())
        .map_err(|refused| Problem::new(refused.code, refused.message))?;
    let payload = match asked.payload {
        Said::Text(text) => Payload::Text(text.into()),
        Said::Data(json) => Payload::Data(json.to_owned()),
        Said::Binary(bytes) => Payload::Binary(bytes.into()),
    };
    let publication = Publication {
        room: asked.room,
        user: asked.user_id,
        key: asked.key.map(Into::into),
        payload,
        idempotency_key: asked
            .idempotency_key
            .map(|reference| IdempotencyKey { session: None, reference: reference.into() }),
    };
    let published = publishing::publish(state, publication).await?;
    Ok(v1::PublishResponse { id: published.id.0 })
}

pub(super) async fn history(
    state: &State,
    request: &v1::HistoryRequest,
) -> Result<v1::HistoryResponse, Problem> {
    let room = named(request.room.as_deref(), state.limits())?;
    let limit = request.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (messages, complete) = rooms::read(state, &room, request.after, limit).await?;
    let messages = messages.iter().map(|message| (&**message).into()).collect();
    Ok(v1::HistoryResponse { room: room.as_str().to_owned(), messages, complete })
}

pub(super) async fn presence(
    state: &State,
    request: &v1::PresenceRequest,
) -> Result<v1::PresenceResponse, Problem> {
    let limits = state.limits();
    let room = named(request.room.as_deref(), limits)?;
    let after = request.after.as_deref().map(|name| user(name, limits)).transpose()?;
    let page = people::page(state, &room, after.as_ref(), None).await?;
    let user = |(user, connections): &(tidings_protocol::UserId, u32)| v1::PresentUser {
        user_id: user.as_str().to_owned(),
        connections: *connections,
    };
    Ok(v1::PresenceResponse {
        room: room.as_str().to_owned(),
        users: page.users.iter().map(user).collect(),
        total: page.total as u64,
        complete: page.complete,
    })
}

fn named(name: Option<&str>, limits: &Limits) -> Result<RoomName, Problem> {
    let advice = "the request names no room: name one";
    room(name.ok_or(Problem::new(ErrorCode::RoomRequired, advice))?, limits)
}

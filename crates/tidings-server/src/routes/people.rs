//! People over plain HTTP: who is in a room, who types there, who is online; messages to a user,
//! and the end of a user's sessions.
//!
//! Refuses unbounded questions and answers.

use std::sync::Arc;

use axum::extract::{RawQuery, State as Extract};
use axum::response::Response;
use serde::Deserialize;
use tidings_core::presence::RoomPresence;
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::rest::{
    DisconnectAnswer, OnlineAnswer, PresenceAnswer, PresenceEntry, TypingAnswer, names,
};
use tidings_protocol::{RoomName, UserId};

use super::page_size;
use crate::answer::{Problem, json};
use crate::ask::answer;
use crate::parameters::{Asked, Room, User, user};
use crate::state::State;

/// Query of `GET /rooms/{room}/presence`.
#[derive(Deserialize)]
pub(super) struct PresenceQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /rooms/{room}/presence`: a page of the room's users, in the order of their ids.
pub(super) async fn in_room(
    Extract(state): Extract<Arc<State>>,
    Room(room): Room,
    Asked(query): Asked<PresenceQuery>,
) -> Result<Response, Problem> {
    let after = query.after.map(|name| user(&name, state.limits())).transpose()?;
    let page = page(&state, &room, after.as_ref(), query.limit).await?;
    let users = page.users.iter().map(|(user, connections)| PresenceEntry {
        user_id: user.as_str().to_owned(),
        connections: *connections,
    });
    Ok(json(&PresenceAnswer {
        room: room.as_str().to_owned(),
        users: users.collect(),
        total: page.total,
        complete: page.complete,
    }))
}

/// A page of a room's users.
pub(crate) async fn page(
    state: &State,
    room: &RoomName,
    after: Option<&UserId>,
    limit: Option<usize>,
) -> Result<RoomPresence, Problem> {
    let users_max = page_size(limit, state.limits().presence_page_max)?;
    answer(state, |done| state.setup.people.presence.ask_room(room, after, users_max, done)).await
}

/// `GET /rooms/{room}/typing`.
pub(super) async fn typing(
    Extract(state): Extract<Arc<State>>,
    Room(room): Room,
) -> Result<Response, Problem> {
    let typing = &state.setup.people.typing;
    let typists = answer(&state, |done| typing.ask_typists(state.now(), &room, done)).await?;
    Ok(json(&TypingAnswer { users: names(&typists) }))
}

/// `GET /presence?user=a&user=b`: those of them who are online.
pub(super) async fn online(
    Extract(state): Extract<Arc<State>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let limits = state.limits();
    let pairs = form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    let asked = pairs.filter(|(name, _)| name == "user").map(|(_, name)| user(&name, limits));
    let asked = asked.take(limits.presence_query_max + 1).collect::<Result<Vec<UserId>, _>>()?;
    if asked.is_empty() || asked.len() > limits.presence_query_max {
        let most = limits.presence_query_max;
        let advice = format!("name 1 to {most} users, each as user=…: ask again for the others");
        return Err(Problem::new(ErrorCode::BadQuery, advice));
    }
    let online = answer(&state, |done| state.setup.people.presence.ask_online(asked, done)).await?;
    Ok(json(&OnlineAnswer { online: names(&online) }))
}

/// `DELETE /users/{user}/sessions`: closes the user's connections; what waits for the user to come
/// back ends.
pub(super) async fn disconnect(Extract(state): Extract<Arc<State>>, User(user): User) -> Response {
    state.setup.people.sessions.disconnect(&user);
    json(&DisconnectAnswer::default())
}

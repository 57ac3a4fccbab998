//! Reading rooms over plain HTTP: which there are, and what was said in one.
//!
//! Refuses unbounded answers: both come in pages.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use serde::Deserialize;
use tidings_core::{Position, RoomSummary, recovery};
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::rest::{RoomEntry, RoomsAnswer, encode_history};
use tidings_protocol::{Message, MessageId, RoomName};

use super::page_size;
use crate::answer::{Problem, json, raw_json};
use crate::ask::ask;
use crate::parameters::{Asked, Room, room};
use crate::state::State;

/// Query of `GET /rooms/{room}/messages`.
#[derive(Deserialize)]
pub(super) struct HistoryQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// Query of `GET /rooms`.
#[derive(Deserialize)]
pub(super) struct RoomsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /rooms/{room}/messages`.
pub(super) async fn history(
    Extract(state): Extract<Arc<State>>,
    Room(room): Room,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Response, Problem> {
    let (messages, complete) = read(&state, &room, query.after, query.limit).await?;
    let mut body = Vec::new();
    encode_history(&room, &messages, complete, &mut body);
    Ok(raw_json(body))
}

/// A stretch of a room's log, and whether it is complete: it reaches from `after` to the room's newest
/// message and nothing is missing between.
pub(crate) async fn read(
    state: &State,
    room: &RoomName,
    after: u64,
    limit: Option<usize>,
) -> Result<(Vec<Arc<Message>>, bool), Problem> {
    if after >= MessageId::LIMIT {
        return Err(Problem::new(ErrorCode::BadQuery, "after is not below 2^53: give a message's id"));
    }
    let after = MessageId(after);
    let messages_max = page_size(limit, state.limits().history_page_messages_max)?;
    let page = ask(state, |engine, now, done| {
        engine.history(now, room, Position::After(after), messages_max, done);
    })
    .await?;
    let to_the_end = page.messages.last().map_or(after, |last| last.id) >= page.head;
    let complete = to_the_end && recovery::gap(after, &page, state.now()).is_none();
    Ok((page.messages, complete))
}

/// `GET /rooms`.
pub(super) async fn list(
    Extract(state): Extract<Arc<State>>,
    Asked(query): Asked<RoomsQuery>,
) -> Result<Response, Problem> {
    let limits = state.limits();
    let after: Option<RoomName> = query.after.map(|name| room(&name, limits)).transpose()?;
    let rooms_max = page_size(query.limit, limits.rooms_page_max)?;
    // One more than asked for tells whether the list goes on.
    let mut rooms =
        ask(&state, |engine, now, done| engine.rooms(now, after.as_ref(), rooms_max + 1, done)).await?;
    let complete = rooms.len() <= rooms_max;
    rooms.truncate(rooms_max);
    Ok(json(&RoomsAnswer { rooms: rooms.into_iter().map(entry).collect(), complete }))
}

fn entry(summary: RoomSummary) -> RoomEntry {
    RoomEntry {
        room: summary.room.as_str().to_owned(),
        last_message_id: summary.head.0,
        messages: summary.messages,
        bytes: summary.bytes,
    }
}

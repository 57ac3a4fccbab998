//! What feeds and polls have in common: who asks, for which rooms, from where on.

use tidings_core::{Identity, Introduction, Manner};
use tidings_protocol::{Attempt, ErrorCode, Limits, RoomName, SessionId};

use super::names;
use super::query::Query;
use super::refusal::Refused;

/// Reads `room`s, `user_id`, `session_id` and `attempt`.
pub(super) fn read(
    query: &Query<'_>,
    cursor: Option<&str>,
    manner: Manner,
    limits: &Limits,
) -> Result<Introduction, Refused> {
    let user = query.first("user_id", ErrorCode::BadUser)?;
    let user = user.map(|user| names::user(&user, limits)).transpose()?;
    let session = query.first("session_id", ErrorCode::BadQuery)?;
    let attempt = query.number("attempt")?.map_or(Attempt::UNKNOWN, Attempt::new);
    Ok(Introduction {
        // As in a `hello`: whoever brings none that could be ours begins anew.
        session: session.and_then(|id| SessionId::parse(&id)),
        attempt,
        identity: Identity { user },
        rooms: rooms(query, limits)?.into_iter().map(|room| (room, None)).collect(),
        cursor: cursor.map(Into::into),
        manner,
        ..Introduction::default()
    })
}

/// The rooms that are named, each once.
fn rooms(query: &Query<'_>, limits: &Limits) -> Result<Vec<RoomName>, Refused> {
    let mut rooms = Vec::new();
    for name in query.all("room", ErrorCode::BadRoom) {
        let room = names::room(&name?, limits)?;
        if rooms.contains(&room) {
            continue;
        }
        if rooms.len() == limits.rooms_per_connection_max {
            let message = format!("More than {} rooms are named: name fewer.", rooms.len());
            return Err(Refused { status: 400, ..Refused::because(ErrorCode::TooManyRooms, message) });
        }
        rooms.push(room);
    }
    Ok(rooms)
}

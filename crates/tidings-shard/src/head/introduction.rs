//! What feeds and polls have in common: who asks, for which rooms, from where on.

use tidings_core::{Identity, Introduction, Manner};
use tidings_protocol::{Cursor, ErrorCode, Limits, RoomName, SessionId};

use super::names;
use super::query::Query;
use super::refusal::Refused;

/// Where a client is that names no room.
const LOBBY: &str = "lobby";

/// Reads `room`s, `user` and `session_id`. The cursor is of the rooms that are named, and of the
/// user's own.
pub(super) fn read(
    query: Query<'_>,
    cursor: Option<&str>,
    manner: Manner,
    limits: &Limits,
) -> Result<Introduction, Refused> {
    let user = query.first("user", ErrorCode::BadUser)?;
    let user = user.map(|user| names::user(&user, limits)).transpose()?;
    let session = query.first("session_id", ErrorCode::BadQuery)?;
    let introduction = Introduction {
        // As in a `hello`: whoever brings none that could be ours begins anew.
        session: session.and_then(|id| SessionId::parse(&id)),
        identity: Identity { user },
        rooms: rooms(query, limits)?.into_iter().map(|room| (room, None)).collect(),
        manner,
        ..Introduction::default()
    };
    match cursor {
        Some(cursor) => placed(introduction, cursor),
        None => Ok(introduction),
    }
}

/// The rooms that are named, each once.
fn rooms(query: Query<'_>, limits: &Limits) -> Result<Vec<RoomName>, Refused> {
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

fn placed(mut introduction: Introduction, cursor: &str) -> Result<Introduction, Refused> {
    let lobby = names::room(LOBBY, &Limits::default())?;
    if introduction.rooms.is_empty() && introduction.session.is_some() {
        // Which rooms the session is in is known to whoever keeps it; if it is one, this is its id.
        if let Ok(positions) = Cursor::decode(cursor, std::slice::from_ref(&lobby)) {
            return Ok(Introduction { last_message_id: positions.first().copied(), ..introduction });
        }
    }
    let mut rooms: Vec<RoomName> = introduction.rooms.into_iter().map(|(room, _)| room).collect();
    if rooms.is_empty() {
        rooms.push(lobby);
    }
    let own = introduction.identity.own_room().filter(|own| !rooms.contains(own));
    rooms.extend(own);
    let positions = Cursor::decode(cursor, &rooms).map_err(|reason| {
        let mut message = reason.to_string();
        message[..1].make_ascii_uppercase();
        Refused::because(ErrorCode::BadCursor, message + ".")
    })?;
    introduction.rooms = rooms.into_iter().zip(positions.into_iter().map(Some)).collect();
    Ok(introduction)
}

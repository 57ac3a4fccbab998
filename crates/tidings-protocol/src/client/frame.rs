//! From fields to a frame: what each type must have and may have.
//!
//! Owned by the decoder. Refuses wrong types, bad names, and lists longer than a connection may use.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::client::fields::{Fields, bad_frame};
use crate::client::{ClientFrame, FrameError, Hello, Said, Unserved, is_too_deep, lists};
use crate::codes::ErrorCode;
use crate::ids::{MessageId, NameError, RoomName, SessionId, UserId};
use crate::limits::Limits;

type Result<T> = std::result::Result<T, FrameError>;

pub(crate) fn build<'a>(kind: &str, fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    match kind {
        "message" => message(fields, limits),
        "join" => join(fields, limits),
        "leave" => {
            Ok(ClientFrame::Leave { room: room(fields, limits)?, reference: reference(fields, limits)? })
        }
        "history" => history(fields, limits),
        "hello" => Ok(ClientFrame::Hello(hello(fields, limits)?)),
        "ping" => Ok(ClientFrame::Ping),
        "restart_ack" => Ok(ClientFrame::RestartAck),
        "typing_start" => Ok(ClientFrame::TypingStart { room: room(fields, limits)? }),
        "typing_stop" => Ok(ClientFrame::TypingStop { room: room(fields, limits)? }),
        "presence" => presence(fields, limits),
        "refresh" => unserved(Unserved::Refresh, fields, limits),
        _ => Err(FrameError::new(
            ErrorCode::UnknownType,
            "the frame's type is not known: see docs/protocol.md, or send your own JSON in data of a message",
        )),
    }
}

fn message<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::Message {
        room: room(fields, limits)?,
        payload: payload(fields)?,
        key: fields.key.short_string(limits)?,
        reference: reference(fields, limits)?,
    })
}

fn payload<'a>(fields: &Fields<'a>) -> Result<Said<'a>> {
    match (fields.text.string()?, fields.data.raw()) {
        (Some(text), None) => Ok(Said::Text(text)),
        (None, Some(data)) if is_too_deep(data.get()) => {
            Err(bad_frame("field data is nested more than 128 levels deep: flatten it".into()))
        }
        (None, Some(data)) => Ok(Said::Data(data)),
        (None, None) => Err(bad_frame("a message has text or data: give one".into())),
        (Some(_), Some(_)) => Err(bad_frame("a message has text or data: give only one".into())),
    }
}

fn join<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::Join {
        room: room_name(&fields.room.required_string()?, limits)?,
        last_message_id: fields.last_message_id.position()?,
        reference: reference(fields, limits)?,
    })
}

fn history<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::History {
        room: room(fields, limits)?,
        after: fields.after.position()?.unwrap_or(MessageId::ZERO),
        limit: fields.limit.count()?,
        reference: reference(fields, limits)?,
    })
}

fn presence<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::Presence {
        room: room(fields, limits)?,
        after: fields.after.string()?.map(|user| user_id(&user, limits)).transpose()?,
        reference: reference(fields, limits)?,
    })
}

fn hello<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Hello<'a>> {
    Ok(Hello {
        token: fields.token.string()?,
        user_id: fields.user_id.string()?.map(|user| user_id(&user, limits)).transpose()?,
        rooms: rooms(fields, limits)?,
        session_id: fields.session_id.string()?.and_then(|id| SessionId::parse(&id)),
        last_message_id: fields.last_message_id.position()?,
        positions: positions(fields, limits)?,
    })
}

fn rooms(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<RoomName>> {
    let Some(raw) = fields.rooms.present() else { return Ok(Vec::new()) };
    let names = lists::strings(raw, limits.rooms_per_connection_max)
        .map_err(|_| fields.rooms.must_be("a list of room names"))?
        .ok_or_else(|| too_many_rooms(limits))?;
    names.iter().map(|name| room_name(name, limits)).collect()
}

fn positions(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<(RoomName, MessageId)>> {
    let Some(raw) = fields.positions.present() else { return Ok(Vec::new()) };
    let wrong = || fields.positions.must_be("an object of message ids by room, each room once");
    let entries = lists::numbers(raw, limits.rooms_per_connection_max)
        .map_err(|_| wrong())?
        .ok_or_else(|| too_many_rooms(limits))?;
    let mut seen = HashSet::new();
    entries
        .into_iter()
        .map(|(name, id)| {
            let room = room_name(&name, limits)?;
            if id >= MessageId::LIMIT || !seen.insert(room.clone()) {
                return Err(wrong());
            }
            Ok((room, MessageId(id)))
        })
        .collect()
}

fn too_many_rooms(limits: &Limits) -> FrameError {
    let message = format!("a connection is in at most {} rooms: name fewer", limits.rooms_per_connection_max);
    FrameError::new(ErrorCode::TooManyRooms, message)
}

fn unserved<'a>(kind: Unserved, fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::Unserved { kind, reference: reference(fields, limits)? })
}

fn reference<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Option<Cow<'a, str>>> {
    fields.reference.short_string(limits)
}

fn room<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Option<Cow<'a, str>>> {
    let room = fields.room.string()?;
    if let Some(room) = &room {
        RoomName::check(room, limits).map_err(bad_room)?;
    }
    Ok(room)
}

fn room_name(name: &str, limits: &Limits) -> Result<RoomName> {
    RoomName::new(name, limits).map_err(bad_room)
}

fn bad_room(reason: NameError) -> FrameError {
    FrameError::new(ErrorCode::BadRoom, format!("the room's name {reason}"))
}

fn user_id(name: &str, limits: &Limits) -> Result<UserId> {
    UserId::new(name, limits)
        .map_err(|reason| FrameError::new(ErrorCode::BadUser, format!("the user's name {reason}")))
}

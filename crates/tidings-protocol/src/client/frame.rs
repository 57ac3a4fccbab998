//! From fields to a frame: what each type must have and may have.
//!
//! Owned by the decoder. Refuses wrong types, bad names, and lists longer than a connection may use.

use std::borrow::Cow;

use crate::attempt::Attempt;
use crate::client::checks::{self, Result, bad_frame};
use crate::client::fields::{Field, Fields};
use crate::client::{ClientFrame, Hello, Said, Unserved, lists};
use crate::ids::{MessageId, RoomName, SessionId, UserId};
use crate::limits::Limits;

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
        "rehearse_restart" => Ok(ClientFrame::RehearseRestart),
        "typing_start" => Ok(ClientFrame::TypingStart { room: room(fields, limits)? }),
        "typing_stop" => Ok(ClientFrame::TypingStop { room: room(fields, limits)? }),
        "presence" => presence(fields, limits),
        "refresh" => unserved(Unserved::Refresh, fields, limits),
        _ => Err(checks::unknown_type()),
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
        (None, Some(data)) => checks::data(data),
        (None, None) => Err(checks::no_payload()),
        (Some(_), Some(_)) => Err(bad_frame("a message has text or data: give only one".into())),
    }
}

fn join<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::Join {
        room: checks::room_name(&fields.room.required_string()?, limits)?,
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
        after: user(&fields.after, limits)?,
        reference: reference(fields, limits)?,
    })
}

fn hello<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Hello<'a>> {
    Ok(Hello {
        token: fields.token.string()?,
        user_id: user(&fields.user_id, limits)?,
        rooms: rooms(fields, limits)?,
        session_id: fields.session_id.string()?.and_then(|id| SessionId::parse(&id)),
        attempt: fields.attempt.number()?.map_or(Attempt::UNKNOWN, Attempt::new),
        last_message_id: fields.last_message_id.position()?,
        positions: positions(fields, limits)?,
    })
}

fn rooms(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<RoomName>> {
    let Some(raw) = fields.rooms.present() else { return Ok(Vec::new()) };
    let names = lists::strings(raw, limits.rooms_per_connection_max)
        .map_err(|_| fields.rooms.must_be("a list of room names"))?
        .ok_or_else(|| checks::too_many_rooms(limits))?;
    names.iter().map(|name| checks::room_name(name, limits)).collect()
}

fn positions(fields: &Fields<'_>, limits: &Limits) -> Result<Vec<(RoomName, MessageId)>> {
    let Some(raw) = fields.positions.present() else { return Ok(Vec::new()) };
    let entries = lists::numbers(raw, limits.rooms_per_connection_max)
        .map_err(|_| checks::bad_positions())?
        .ok_or_else(|| checks::too_many_rooms(limits))?;
    checks::positions(entries.into_iter().map(|(name, id)| (name.into(), id)), limits)
}

fn unserved<'a>(kind: Unserved, fields: &Fields<'a>, limits: &Limits) -> Result<ClientFrame<'a>> {
    Ok(ClientFrame::Unserved { kind, reference: reference(fields, limits)? })
}

fn reference<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Option<Cow<'a, str>>> {
    fields.reference.short_string(limits)
}

fn room<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Option<Cow<'a, str>>> {
    fields.room.string()?.map(|room| checks::room(room, limits)).transpose()
}

fn user(field: &Field<'_>, limits: &Limits) -> Result<Option<UserId>> {
    field.string()?.map(|user| checks::user_id(&user, limits)).transpose()
}

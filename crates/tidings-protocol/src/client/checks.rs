//! What holds for the fields of a client's frame, whichever way it is written.
//!
//! Owned by the decoders of JSON and protobuf, so that both refuse the same and say the same.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::client::{FrameError, Said, is_too_deep};
use crate::codes::ErrorCode;
use crate::ids::{MessageId, NameError, RoomName, UserId};
use crate::limits::Limits;

pub(crate) type Result<T> = std::result::Result<T, FrameError>;

/// A frame that is not what its type asks for.
pub(crate) fn bad_frame(message: String) -> FrameError {
    FrameError::new(ErrorCode::BadFrame, message)
}

/// That a field is not what it has to be.
pub(crate) fn must_be(name: &str, what: &str) -> FrameError {
    bad_frame(format!("field {name} must be {what}: correct it"))
}

/// A frame of a type that nobody here knows.
pub(crate) fn unknown_type() -> FrameError {
    FrameError::new(
        ErrorCode::UnknownType,
        "the frame's type is not known: see docs/protocol.md, or send your own JSON in data of a message",
    )
}

/// The rule for `ref`, `key` and `Idempotency-Key`: as for names, by their own limit.
pub fn check_reference(text: &str, limits: &Limits) -> std::result::Result<(), NameError> {
    crate::ids::check(text, limits.reference_bytes_max)
}

/// A string fit for `ref` and `key`.
pub(crate) fn short_string<'a>(name: &str, text: Cow<'a, str>, limits: &Limits) -> Result<Cow<'a, str>> {
    match check_reference(&text, limits) {
        Ok(()) => Ok(text),
        Err(reason) => Err(FrameError::new(ErrorCode::BadRef, format!("{name} {reason}"))),
    }
}

/// A room that is looked up at once.
pub(crate) fn room<'a>(name: Cow<'a, str>, limits: &Limits) -> Result<Cow<'a, str>> {
    RoomName::check(&name, limits).map_err(bad_room)?;
    Ok(name)
}

/// A room that is kept.
pub(crate) fn room_name(name: &str, limits: &Limits) -> Result<RoomName> {
    RoomName::new(name, limits).map_err(bad_room)
}

fn bad_room(reason: NameError) -> FrameError {
    FrameError::new(ErrorCode::BadRoom, format!("the room's name {reason}"))
}

pub(crate) fn user_id(name: &str, limits: &Limits) -> Result<UserId> {
    UserId::new(name, limits)
        .map_err(|reason| FrameError::new(ErrorCode::BadUser, format!("the user's name {reason}")))
}

/// A message id, if the field had a whole number at all.
pub(crate) fn position(name: &str, id: Option<u64>) -> Result<MessageId> {
    match id {
        Some(id) if id < MessageId::LIMIT => Ok(MessageId(id)),
        _ => Err(must_be(name, "a message id: a whole number from 0 to below 2^53")),
    }
}

pub(crate) fn bad_positions() -> FrameError {
    must_be("positions", "an object of message ids by room, each room once")
}

/// Positions by room. The entries are no more than a connection may be in rooms.
pub(crate) fn positions<'a>(
    entries: impl Iterator<Item = (Cow<'a, str>, u64)>,
    limits: &Limits,
) -> Result<Vec<(RoomName, MessageId)>> {
    let mut seen = HashSet::new();
    entries
        .map(|(name, id)| {
            let room = room_name(&name, limits)?;
            if id >= MessageId::LIMIT || !seen.insert(room.clone()) {
                return Err(bad_positions());
            }
            Ok((room, MessageId(id)))
        })
        .collect()
}

pub(crate) fn too_many_rooms(limits: &Limits) -> FrameError {
    let message = format!("a connection is in at most {} rooms: name fewer", limits.rooms_per_connection_max);
    FrameError::new(ErrorCode::TooManyRooms, message)
}

/// The payload of a message that is JSON.
pub(crate) fn data(json: &RawValue) -> Result<Said<'_>> {
    if is_too_deep(json.get()) {
        return Err(bad_frame("field data is nested more than 128 levels deep: flatten it".into()));
    }
    Ok(Said::Data(json))
}

pub(crate) fn no_payload() -> FrameError {
    bad_frame("a message has text or data: give one".into())
}

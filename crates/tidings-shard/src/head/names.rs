//! Names in addresses, checked against the limits.

use tidings_protocol::{ErrorCode, Limits, NameError, RoomName, UserId};

use super::refusal::Refused;

pub(super) fn room(name: &str, limits: &Limits) -> Result<RoomName, Refused> {
    RoomName::new(name, limits).map_err(|reason| refused(ErrorCode::BadRoom, "room's name", reason))
}

pub(super) fn user(name: &str, limits: &Limits) -> Result<UserId, Refused> {
    UserId::new(name, limits).map_err(|reason| refused(ErrorCode::BadUser, "user's name", reason))
}

/// What a client that polls calls itself. There is no code of its own for it.
pub(super) fn client(name: &str, limits: &Limits) -> Result<Box<str>, Refused> {
    let reason = match name {
        "" => NameError::Empty,
        name if name.len() > limits.client_id_bytes_max => NameError::TooLong(limits.client_id_bytes_max),
        name if name.chars().any(char::is_control) => NameError::Control,
        name => return Ok(name.into()),
    };
    Err(refused(ErrorCode::BadQuery, "client id in the path", reason))
}

fn refused(code: ErrorCode, what: &str, reason: NameError) -> Refused {
    Refused::because(code, format!("The {what} {reason}."))
}

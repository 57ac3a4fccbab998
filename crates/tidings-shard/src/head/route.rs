//! Which addresses are the shard's, and what each is for.

use tidings_core::{Entrance, Identity, Introduction};
use tidings_protocol::{ErrorCode, MessageId, RoomName, UserId};

use super::refusal::Refused;
use super::{Rules, Target};

/// Whether a path is served here and not by the control plane.
pub(super) fn is_ours(path: &str) -> bool {
    path == "/ws" || path.starts_with("/ws/") || path == "/echo"
}

/// `/echo`, `/ws`, `/ws/{room}`, `/ws/{room}/{user}`, the latter two with
/// `?last_message_id=` for a client that comes back.
pub(super) fn target(path: &str, query: &str, rules: Rules<'_>) -> Result<Target, Refused> {
    if path == "/echo" {
        return if rules.echo { Ok(Target::Echo) } else { Err(echo_is_off()) };
    }
    let Some(rest) = path.strip_prefix("/ws/") else {
        return Ok(Target::Messages(Entrance::Lobby));
    };
    let (room, user) = rest.split_once('/').map_or((rest, None), |(room, user)| (room, Some(user)));
    if user.is_some_and(|user| user.contains('/')) {
        return Err(Refused::new(ErrorCode::NotFound));
    }
    let room = RoomName::new(&decode(room, ErrorCode::BadRoom)?, rules.limits)
        .map_err(|reason| refused(ErrorCode::BadRoom, "room's name", reason))?;
    let user = user
        .map(|user| {
            UserId::new(&decode(user, ErrorCode::BadUser)?, rules.limits)
                .map_err(|reason| refused(ErrorCode::BadUser, "user's name", reason))
        })
        .transpose()?;
    let last_message_id = last_message_id(query)?;
    Ok(Target::Messages(Entrance::Session(Box::new(Introduction {
        identity: Identity { user },
        rooms: vec![(room, last_message_id)],
        ..Introduction::default()
    }))))
}

fn echo_is_off() -> Refused {
    let message = "/echo is off on this server: start it with --echo.".into();
    Refused { message, ..Refused::new(ErrorCode::NotFound) }
}

fn refused(code: ErrorCode, what: &str, reason: tidings_protocol::NameError) -> Refused {
    Refused { message: format!("The {what} {reason}."), ..Refused::new(code) }
}

fn last_message_id(query: &str) -> Result<Option<MessageId>, Refused> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.find(|(name, _)| *name == "last_message_id") else { return Ok(None) };
    match value.parse() {
        Ok(id) if id < MessageId::LIMIT => Ok(Some(MessageId(id))),
        _ => {
            let message = "last_message_id is not a message id: give a number below 2^53.".into();
            Err(Refused { message, ..Refused::new(ErrorCode::BadQuery) })
        }
    }
}

/// Undoes percent encoding (RFC 3986 §2.1).
fn decode(text: &str, code: ErrorCode) -> Result<String, Refused> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(Refused::new(code)) };
        bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| Refused::new(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;

    fn entrance(path: &str, query: &str) -> Result<(String, Option<String>, Option<u64>), ErrorCode> {
        let limits = Limits::default();
        let rules = Rules { limits: &limits, node: "n", echo: false, compression: false };
        match target(path, query, rules).map_err(|refused| refused.code)? {
            Target::Messages(Entrance::Session(introduction)) => {
                let (room, position) = &introduction.rooms[0];
                let user = introduction.identity.user.map(|user| user.to_string());
                Ok((room.to_string(), user, position.map(|id| id.0)))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_names_room_and_user() {
        assert_eq!(entrance("/ws/a", ""), Ok(("a".into(), None, None)));
        assert_eq!(entrance("/ws/a%2Fb/J%C3%B8", "x=1"), Ok(("a/b".into(), Some("Jø".into()), None)));
        assert_eq!(entrance("/ws/a", "b=2&last_message_id=7"), Ok(("a".into(), None, Some(7))));
    }

    #[test]
    fn a_bad_path_is_refused_by_name() {
        let long = format!("/ws/{}", "x".repeat(10_000));
        for (path, query, code) in [
            ("/ws/", "", ErrorCode::BadRoom),
            (long.as_str(), "", ErrorCode::BadRoom),
            ("/ws/%zz", "", ErrorCode::BadRoom),
            ("/ws/%ff", "", ErrorCode::BadRoom),
            ("/ws/a%00", "", ErrorCode::BadRoom),
            ("/ws/a/", "", ErrorCode::BadUser),
            ("/ws/a/b/c", "", ErrorCode::NotFound),
            ("/ws/a", "last_message_id=-1", ErrorCode::BadQuery),
            ("/ws/a", "last_message_id=9007199254740992", ErrorCode::BadQuery),
        ] {
            assert_eq!(entrance(path, query), Err(code), "{path}?{query}");
        }
    }
}

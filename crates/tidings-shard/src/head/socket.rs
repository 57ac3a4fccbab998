//! Which WebSockets there are: `/echo`, `/ws`, `/ws/{room}`, `/ws/{room}/{user}`.

use tidings_core::{Entrance, Identity, Introduction};
use tidings_protocol::{ErrorCode, MessageId};

use super::query::{Query, decode};
use super::refusal::Refused;
use super::{Rules, Target, names};

/// Those that name a room take `?last_message_id=` from a client that comes back.
pub(super) fn target(path: &str, query: &Query<'_>, rules: Rules<'_>) -> Result<Target, Refused> {
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
    let room = names::room(&decode(room, ErrorCode::BadRoom)?, rules.limits)?;
    let user = user.map(|user| names::user(&decode(user, ErrorCode::BadUser)?, rules.limits)).transpose()?;
    let last_message_id = last_message_id(query)?;
    Ok(Target::Messages(Entrance::Session(Box::new(Introduction {
        identity: Identity { user },
        rooms: vec![(room, last_message_id)],
        ..Introduction::default()
    }))))
}

fn echo_is_off() -> Refused {
    Refused::because(ErrorCode::NotFound, "/echo is off on this server: start it with --echo.")
}

fn last_message_id(query: &Query<'_>) -> Result<Option<MessageId>, Refused> {
    let Some(text) = query.first("last_message_id", ErrorCode::BadQuery)? else { return Ok(None) };
    match text.parse() {
        Ok(id) if id < MessageId::LIMIT => Ok(Some(MessageId(id))),
        _ => {
            let message = "last_message_id is not a message id: give a number below 2^53.";
            Err(Refused::because(ErrorCode::BadQuery, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_protocol::Limits;
    use tidings_protocol::Origins;

    fn entrance(path: &str, query: &str) -> Result<(String, Option<String>, Option<u64>), ErrorCode> {
        let (limits, origins) = (Limits::default(), Origins::default());
        let rules = Rules { limits: &limits, node: "n", echo: false, compression: false, origins: &origins };
        match target(path, &Query::new(query), rules).map_err(|refused| refused.code)? {
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

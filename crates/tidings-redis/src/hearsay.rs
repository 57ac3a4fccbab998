//! What nodes tell each other of people on a room's channel, behind the `e ` of an event.
//!
//! Refuses what it cannot read as a whole: another program may have written there.

use tidings_core::RoomChanges;
use tidings_protocol::{Limits, UserId};

/// Something that was told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hearsay<'a> {
    /// Users came and went: `p <users> <joined> <left> <bytes of each name>…`, a line feed, and the names.
    Presence(RoomChanges),
    /// A user types, or does not any more: `t <1 or 0> <bytes of the node's name>`, a line feed, the
    /// node's name and the user's.
    Typing {
        /// Whose members know already.
        node: &'a [u8],
        user: UserId,
        types: bool,
    },
}

/// Reads an event; `None` if it is nothing of ours.
pub(crate) fn read<'a>(event: &'a [u8], limits: &Limits) -> Option<Hearsay<'a>> {
    let end = event.iter().position(|&byte| byte == b'\n')?;
    let mut words = str::from_utf8(&event[..end]).ok()?.split(' ');
    let rest = &event[end + 1..];
    match words.next()? {
        "p" => {
            let mut number = || words.next()?.parse::<usize>().ok();
            let (users, joined, left) = (number()?, number()?, number()?);
            let mut names = Vec::new();
            let mut rest = rest;
            for bytes in words {
                let (name, others) = rest.split_at_checked(bytes.parse().ok()?)?;
                names.push(user(name, limits)?);
                rest = others;
            }
            if !rest.is_empty() || names.len().checked_sub(joined)? != left {
                return None;
            }
            let left = names.split_off(joined);
            Some(Hearsay::Presence(RoomChanges { users, joined: names, left }))
        }
        "t" => {
            let types = words.next()? == "1";
            let (node, name) = rest.split_at_checked(words.next()?.parse().ok()?)?;
            Some(Hearsay::Typing { node, user: user(name, limits)?, types })
        }
        _ => None,
    }
}

fn user(name: &[u8], limits: &Limits) -> Option<UserId> {
    UserId::new(str::from_utf8(name).ok()?, limits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(event: &str) -> Option<Hearsay<'_>> {
        read(event.as_bytes(), &Limits::default())
    }

    fn users(ids: &[&str]) -> Vec<UserId> {
        ids.iter().map(|id| UserId::new(id, &Limits::default()).unwrap()).collect()
    }

    #[test]
    fn names_may_hold_whatever_a_name_may_hold() {
        let changes = RoomChanges { users: 7, joined: users(&["a b", "ä"]), left: users(&["1 2"]) };
        assert_eq!(heard("p 7 2 1 3 2 3\na bä1 2"), Some(Hearsay::Presence(changes)));
        let typing = Hearsay::Typing { node: b"n 1", user: users(&["a b"]).remove(0), types: true };
        assert_eq!(heard("t 1 3\nn 1a b"), Some(typing));
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        for event in [
            "",
            "p",
            "p 1 1 0 3",
            "p 1 1 0 3\nan",
            "p 1 1 0 3\nanas",
            "p 1 2 0 3\nana",
            "p 1 0 0 3\nana",
            "p 1 1 0 0\n",
            "p x 0 0\n",
            "p 1 0 0 -1\n",
            "t 1\nana",
            "t 1 9\nana",
            "t 1 3\nana",
            "z 1\n",
            "p 1 99999999999999999999 0\n",
            "p 1 18446744073709551615 0 3\nana",
        ] {
            assert_eq!(heard(event), None, "{event:?}");
        }
    }
}

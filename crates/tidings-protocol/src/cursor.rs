//! The cursor of feeds and long polls: where a reader stands in each of its rooms, as one word that
//! it brings back.
//!
//! Owned by nobody: nothing is remembered, so any node can read what another gave out. Refuses
//! cursors of other rooms, and whatever no node can have given out.
//!
//! With one room it is the message id, so that `Last-Event-ID` is what textbook clients expect. With
//! several it is base64url without padding (RFC 4648 §5) of a version byte and, for each room in the
//! order of their hashes, 64 bits of hash of its name and the position as a varint. Rooms that were
//! joined or left since do no harm: each position tells its room. It is no secret and no proof: a
//! forged position merely asks for other messages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::{MessageId, RoomName};
use crate::varint;

/// First byte of a cursor of several rooms. Another way to write positions gets another number.
const VERSION: u8 = 1;
/// About what a room needs.
const ROOM_BYTES: usize = size_of::<u64>() + 8;

/// Why a text is no cursor of the rooms asked for; to be answered with
/// [`ErrorCode::BadCursor`](crate::ErrorCode::BadCursor).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// A message id tells a position in one room, but several are asked for.
    #[error(
        "the cursor is a message id, which is no position in several rooms: ask for one room, or leave it out to begin anew"
    )]
    OneOfSeveral,
    /// No server of this version gave it out, or it was cut short on its way.
    #[error(
        "the cursor is none that the server gives out: send it as it came, or leave it out to begin anew"
    )]
    Malformed,
    /// It is of other rooms.
    #[error(
        "the cursor is of other rooms: name the rooms it was given out for, or leave it out to begin anew"
    )]
    OtherRooms,
}

/// Writes and reads cursors.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// The cursor for positions in some rooms, each named once, in any order.
    pub fn encode(positions: &[(&RoomName, MessageId)]) -> String {
        if let [(_, id)] = positions {
            return id.to_string();
        }
        let mut sorted: Vec<(u64, MessageId)> =
            positions.iter().map(|(room, id)| (hash(room.as_str()), *id)).collect();
        sorted.sort_unstable();
        let mut bytes = Vec::with_capacity(1 + sorted.len() * ROOM_BYTES);
        bytes.push(VERSION);
        for (hash, id) in sorted {
            bytes.extend(hash.to_be_bytes());
            varint::push(&mut bytes, id.0);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position that the cursor of one room tells; `None` if it is none of one room.
    pub fn message_id(text: &str) -> Option<MessageId> {
        parse_id(text)
    }

    /// The positions that a cursor tells of these rooms, in the order in which they are named here;
    /// `None` for one it does not know. A message id is the position in the only room, apart from a
    /// user's own. Costs what the text's length costs, which `head_bytes_max` bounds.
    pub fn decode(text: &str, rooms: &[RoomName]) -> Result<Vec<Option<MessageId>>, CursorError> {
        if let Some(id) = parse_id(text) {
            let mut shared = rooms.iter().filter(|room| !room.is_of_a_user());
            let only = match (rooms, shared.next(), shared.next()) {
                ([only], _, _) | (_, Some(only), None) => only,
                _ => return Err(CursorError::OneOfSeveral),
            };
            return Ok(rooms.iter().map(|room| (room == only).then_some(id)).collect());
        }
        let known = parse(text).ok_or(CursorError::Malformed)?;
        let position = |room: &RoomName| {
            let found = known.binary_search_by_key(&hash(room.as_str()), |(hash, _)| *hash);
            found.ok().map(|index| known[index].1)
        };
        let positions: Vec<_> = rooms.iter().map(position).collect();
        if positions.iter().all(Option::is_none) {
            return Err(CursorError::OtherRooms);
        }
        Ok(positions)
    }
}

/// As it is written only: a sign or leading zeros would be another spelling of the same cursor.
fn parse_id(text: &str) -> Option<MessageId> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let id = MessageId(text.parse().ok().filter(|_| is_plain)?);
    (id.0 < MessageId::LIMIT).then_some(id)
}

/// The positions of a cursor of several rooms, by the rooms' hashes.
fn parse(text: &str) -> Option<Vec<(u64, MessageId)>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.strip_prefix(&[VERSION])?;
    let mut known: Vec<(u64, MessageId)> = Vec::with_capacity(rest.len() / ROOM_BYTES + 1);
    while let Some((hash, behind)) = rest.split_first_chunk() {
        rest = behind;
        let hash = u64::from_be_bytes(*hash);
        let id = varint::take(&mut rest).filter(|&id| id < MessageId::LIMIT)?;
        if known.last().is_some_and(|(last, _)| *last >= hash) {
            return None;
        }
        known.push((hash, MessageId(id)));
    }
    // One position is written as an id.
    (rest.is_empty() && known.len() > 1).then_some(known)
}

/// FNV-1a with 64 bits, written out because the standard library's hash differs between processes.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::Limits;

    fn room(name: &str) -> RoomName {
        RoomName::new(name, &Limits::default()).unwrap()
    }

    fn encode(positions: &[(&str, u64)]) -> String {
        let positions: Vec<_> = positions.iter().map(|&(name, id)| (room(name), MessageId(id))).collect();
        let positions: Vec<_> = positions.iter().map(|(room, id)| (room, *id)).collect();
        Cursor::encode(&positions)
    }

    fn decode(text: &str, names: &[&str]) -> Result<Vec<Option<u64>>, CursorError> {
        let rooms: Vec<_> = names.iter().map(|name| room(name)).collect();
        Ok(Cursor::decode(text, &rooms)?.into_iter().map(|id| id.map(|id| id.0)).collect())
    }

    #[test]
    fn the_cursor_of_one_room_is_the_message_id() {
        assert_eq!(encode(&[("r", 1_800_000_000_000_000)]), "1800000000000000");
        assert_eq!(decode("1800000000000000", &["any"]), Ok(vec![Some(1_800_000_000_000_000)]));
        for text in
            ["", "-1", "+1", " 1", "1 ", "1.0", "01", "9007199254740992", "99999999999999999999", "AQ", "١"]
        {
            assert_eq!(decode(text, &["r"]), Err(CursorError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_message_id_is_the_position_in_the_room_that_a_user_shares_with_others() {
        assert_eq!(decode("12", &["chat", "@ana"]), Ok(vec![Some(12), None]));
        assert_eq!(decode("12", &["@ana"]), Ok(vec![Some(12)]));
        assert_eq!(decode("12", &["a", "b"]), Err(CursorError::OneOfSeveral));
    }

    /// A cursor outlives the server that gave it out: these bytes may never change.
    #[test]
    fn the_cursor_of_several_rooms_is_read_by_every_version() {
        let text = encode(&[("b", 300), ("a", 1)]);
        assert_eq!(text, "Aa9j3EyGAeyMAa9j30yGAfGlrAI");
        assert_eq!(decode(&text, &["a", "b"]), Ok(vec![Some(1), Some(300)]));
        assert_eq!(decode(&text, &["b", "a"]), Ok(vec![Some(300), Some(1)]));
    }

    #[test]
    fn rooms_that_were_joined_or_left_since_do_no_harm() {
        let text = encode(&[("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!(decode(&text, &["c", "new"]), Ok(vec![Some(3), None]));
        assert_eq!(decode(&text, &["b"]), Ok(vec![Some(2)]));
        assert_eq!(decode(&text, &["d", "e"]), Err(CursorError::OtherRooms));
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        let whole = URL_SAFE_NO_PAD.decode(encode(&[("a", 1), ("b", 300)])).unwrap();
        let refused = |bytes: &[u8]| {
            let text = URL_SAFE_NO_PAD.encode(bytes);
            assert_eq!(decode(&text, &["a", "b"]), Err(CursorError::Malformed), "{bytes:?}");
        };
        for end in 0..whole.len() {
            refused(&whole[..end]);
        }
        refused(&[&whole[..], &[0]].concat());
        refused(&[&[VERSION + 1], &whole[1..]].concat());
        // The same room twice, and rooms in another order.
        refused(&[&whole[..], &whole[10..]].concat());
        refused(&[&[VERSION], &whole[10..], &whole[1..10]].concat());
        for text in ["=", "Aa9j3EyGAeyMAa9j30yGAfGlrAI=", "Aa9j 3EyG", "ü"] {
            assert_eq!(decode(text, &["a", "b"]), Err(CursorError::Malformed), "{text}");
        }
        assert_eq!(decode(&"A".repeat(1 << 20), &["a", "b"]), Err(CursorError::Malformed));
    }

    #[test]
    fn the_greatest_position_fits() {
        let greatest = MessageId::LIMIT - 1;
        let text = encode(&[("a", greatest), ("b", greatest)]);
        assert_eq!(decode(&text, &["a", "b"]), Ok(vec![Some(greatest); 2]));
    }

    fn places() -> impl Strategy<Value = BTreeMap<String, u64>> {
        prop::collection::btree_map("[a-zé/]{1,8}", 0..MessageId::LIMIT, 1..40)
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_back_in_any_order_of_the_rooms(places in places(), turn in any::<usize>()) {
            let mut places: Vec<(&str, u64)> = places.iter().map(|(name, &id)| (name.as_str(), id)).collect();
            let text = encode(&places);
            let middle = turn % places.len();
            places.rotate_left(middle);
            prop_assert_eq!(&encode(&places), &text);
            let (names, ids): (Vec<_>, Vec<_>) = places.into_iter().unzip();
            prop_assert_eq!(decode(&text, &names), Ok(ids.into_iter().map(Some).collect()));
        }

        #[test]
        fn what_is_taken_for_a_cursor_is_one_that_is_given_out(
            text in prop_oneof![
                "[0-9]{0,18}",
                any::<String>(),
                prop::collection::vec(any::<u8>(), 0..24).prop_map(|tail| {
                    URL_SAFE_NO_PAD.encode([&[VERSION][..], &hash("a").to_be_bytes(), &tail].concat())
                }),
            ]
        ) {
            if let Ok(ids) = decode(&text, &["a"]) {
                prop_assert!(ids[0].is_some());
            }
            if let Ok(ids) = decode(&text, &["a", "b"])
                && let (Some(a), Some(b)) = (ids[0], ids[1])
                && parse(&text).is_some_and(|known| known.len() == 2)
            {
                prop_assert_eq!(encode(&[("a", a), ("b", b)]), text);
            }
        }
    }
}

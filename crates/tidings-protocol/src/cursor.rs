//! The cursor of feeds and long polls: where a reader stands in each of its rooms, as one word that
//! it brings back.
//!
//! Owned by nobody: nothing is remembered, so any node can read what another gave out. Refuses
//! cursors of other rooms, and whatever no node can have given out.
//!
//! With one room it is the message id, so that `Last-Event-ID` is what textbook clients expect. With
//! several it is base64url without padding (RFC 4648 §5) of: a version byte; a hash of the rooms'
//! names, which tells a cursor of other rooms; and the positions as varints, in the order of the
//! names' bytes. It is no secret and no proof: a forged position merely asks for other messages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::{MessageId, RoomName};
use crate::varint;

/// First byte of a cursor of several rooms. Another way to write positions gets another number.
const VERSION: u8 = 1;
/// Most bytes of a position: 53 bits, 7 in a byte.
const POSITION_BYTES_MAX: usize = 8;

/// Why a text is no cursor of the rooms asked for; to be answered with
/// [`ErrorCode::BadCursor`](crate::ErrorCode::BadCursor).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// With one room, the cursor is a message id, and this is none.
    #[error(
        "the cursor of one room is a message id, a whole number from 0 to below 2^53: leave it out to begin anew"
    )]
    NotAnId,
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
        let mut sorted = positions.to_vec();
        sorted.sort_unstable_by_key(|(room, _)| room.as_str());
        let mut bytes = Vec::with_capacity(1 + size_of::<u32>() + sorted.len() * POSITION_BYTES_MAX);
        bytes.push(VERSION);
        bytes.extend(hash(sorted.iter().map(|(room, _)| room.as_str())).to_be_bytes());
        for (_, id) in sorted {
            varint::push(&mut bytes, id.0);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The positions of a cursor that was given out for these rooms, in the order in which the rooms
    /// are named here. Costs what the text's length costs, which `head_bytes_max` bounds.
    pub fn decode(text: &str, rooms: &[RoomName]) -> Result<Vec<MessageId>, CursorError> {
        if rooms.len() == 1 {
            return Ok(vec![parse_id(text).ok_or(CursorError::NotAnId)?]);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(CursorError::Malformed)?;
        let (found, mut rest) = rest.split_first_chunk().ok_or(CursorError::Malformed)?;

        let mut order: Vec<usize> = (0..rooms.len()).collect();
        order.sort_unstable_by_key(|&index| rooms[index].as_str());
        if u32::from_be_bytes(*found) != hash(order.iter().map(|&index| rooms[index].as_str())) {
            return Err(CursorError::OtherRooms);
        }
        let mut positions = vec![MessageId::ZERO; rooms.len()];
        for index in order {
            positions[index] = take_position(&mut rest).ok_or(CursorError::Malformed)?;
        }
        if rest.is_empty() { Ok(positions) } else { Err(CursorError::Malformed) }
    }
}

/// As it is written only: a sign or leading zeros would be another spelling of the same cursor.
fn parse_id(text: &str) -> Option<MessageId> {
    let id = MessageId(text.parse().ok()?);
    (id.0 < MessageId::LIMIT && id.to_string() == text).then_some(id)
}

/// FNV-1a with 32 bits, written out because the standard library's hash differs between processes.
/// A separator that no name can contain keeps `a, bc` and `ab, c` apart.
fn hash<'a>(names: impl Iterator<Item = &'a str>) -> u32 {
    const SEPARATOR: u8 = 0;
    let bytes = names.flat_map(|name| name.bytes().chain([SEPARATOR]));
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn take_position(bytes: &mut &[u8]) -> Option<MessageId> {
    varint::take(bytes).filter(|&id| id < MessageId::LIMIT).map(MessageId)
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

    fn rooms(names: &[&str]) -> Vec<RoomName> {
        names.iter().map(|name| room(name)).collect()
    }

    fn encode(positions: &[(&str, u64)]) -> String {
        let positions: Vec<_> = positions.iter().map(|&(name, id)| (room(name), MessageId(id))).collect();
        let positions: Vec<_> = positions.iter().map(|(room, id)| (room, *id)).collect();
        Cursor::encode(&positions)
    }

    fn decode(text: &str, names: &[&str]) -> Result<Vec<u64>, CursorError> {
        Ok(Cursor::decode(text, &rooms(names))?.into_iter().map(|id| id.0).collect())
    }

    #[test]
    fn the_cursor_of_one_room_is_the_message_id() {
        assert_eq!(encode(&[("r", 1_800_000_000_000_000)]), "1800000000000000");
        assert_eq!(decode("1800000000000000", &["any"]), Ok(vec![1_800_000_000_000_000]));
        for text in
            ["", "-1", "+1", " 1", "1 ", "1.0", "01", "9007199254740992", "99999999999999999999", "AQ", "١"]
        {
            assert_eq!(decode(text, &["r"]), Err(CursorError::NotAnId), "{text}");
        }
    }

    /// A cursor outlives the server that gave it out: these bytes may never change.
    #[test]
    fn the_cursor_of_several_rooms_is_read_by_every_version() {
        let text = encode(&[("b", 300), ("a", 1)]);
        assert_eq!(text, "AYGXe5YBrAI");
        assert_eq!(decode(&text, &["a", "b"]), Ok(vec![1, 300]));
        assert_eq!(decode(&text, &["b", "a"]), Ok(vec![300, 1]));
    }

    #[test]
    fn a_cursor_of_other_rooms_is_told() {
        let text = encode(&[("a", 1), ("bc", 2)]);
        for names in [&["a", "b"][..], &["ab", "c"], &["a", "bc", "d"], &[]] {
            assert_eq!(decode(&text, names), Err(CursorError::OtherRooms), "{names:?}");
        }
        assert_eq!(decode(&text, &["a"]), Err(CursorError::NotAnId));
        assert_eq!(decode("12", &["a", "b"]), Err(CursorError::Malformed));
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
        let head = &whole[..5];
        refused(&[head, &[0x81, 0], &[1]].concat());
        refused(&[head, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], &[1]].concat());
        refused(&[head, &[0x80; 20]].concat());
        for text in ["", "=", "AYGXe5YBrAI=", "AYGX e5YBrAI", "ü"] {
            assert_eq!(decode(text, &["a", "b"]), Err(CursorError::Malformed), "{text}");
        }
        assert_eq!(decode(&"A".repeat(1 << 20), &["a", "b"]), Err(CursorError::Malformed));
    }

    #[test]
    fn the_greatest_position_fits() {
        let greatest = MessageId::LIMIT - 1;
        let text = encode(&[("a", greatest), ("b", greatest)]);
        assert_eq!(decode(&text, &["a", "b"]), Ok(vec![greatest; 2]));
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
            prop_assert_eq!(decode(&text, &names), Ok(ids));
        }

        #[test]
        fn what_is_taken_for_a_cursor_is_one_that_is_given_out(
            text in prop_oneof![
                "[0-9]{0,18}",
                any::<String>(),
                prop::collection::vec(any::<u8>(), 0..12).prop_map(|tail| {
                    URL_SAFE_NO_PAD.encode([&[VERSION, 0x81, 0x97, 0x7b, 0x96][..], &tail].concat())
                }),
            ]
        ) {
            if let Ok(ids) = decode(&text, &["a", "b"]) {
                prop_assert_eq!(encode(&[("a", ids[0]), ("b", ids[1])]), text.clone());
            }
            if let Ok(ids) = decode(&text, &["a"]) {
                prop_assert_eq!(encode(&[("a", ids[0])]), text);
            }
        }
    }
}

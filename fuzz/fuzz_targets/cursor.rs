//! Any text as a cursor of one to four rooms: the reader never panics, keeps ids below their limit, and what it
//! finds can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_protocol::{Cursor, Limits, MessageId, RoomName};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let rooms = ["b", "a", "c", "ab"].map(|name| RoomName::new(name, &Limits::default()).expect("a valid name"));
    for count in 1..=rooms.len() {
        let rooms = &rooms[..count];
        match Cursor::decode(text, rooms) {
            Ok(positions) => {
                assert!(positions.iter().flatten().all(|id| id.0 < MessageId::LIMIT));
                let places: Vec<_> =
                    rooms.iter().zip(positions).filter_map(|(room, id)| Some((room, id?))).collect();
                assert!(!places.is_empty());
                let again = Cursor::encode(&places);
                assert!(Cursor::decode(&again, rooms).is_ok() || places.len() < rooms.len());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});

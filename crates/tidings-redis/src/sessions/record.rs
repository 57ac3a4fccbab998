//! What a session has, as it is written down for other nodes: JSON, so that other programs can look.

use serde::{Deserialize, Serialize};
use tidings_core::Identity;
use tidings_core::sessions::{Away, AwayRoom};
use tidings_protocol::{Attempt, Limits, MessageId, RoomName, UserId};

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    rooms: Vec<Membership>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "is_unknown")]
    attempt: u32,
}

const fn is_unknown(attempt: &u32) -> bool {
    *attempt == 0
}

#[derive(Serialize, Deserialize)]
struct Membership {
    room: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message_id: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    delivered: bool,
}

pub(super) fn write(away: &Away) -> String {
    let record = Record {
        user: away.identity.user.as_ref().map(|user| user.as_str().to_owned()),
        rooms: away
            .rooms
            .iter()
            .map(|known| Membership {
                room: known.room.as_str().to_owned(),
                last_message_id: known.cursor.map(|cursor| cursor.0),
                delivered: known.delivered,
            })
            .collect(),
        client: away.client.as_deref().map(str::to_owned),
        attempt: away.attempt.number(),
    };
    serde_json::to_string(&record).unwrap_or_default()
}

/// `None` for what is no record.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Option<Away> {
    let record: Record = serde_json::from_slice(bytes).ok()?;
    let user = record.user.map(|user| UserId::new(&user, limits)).transpose().ok()?;
    let rooms = record.rooms.into_iter().map(|known| {
        Some(AwayRoom {
            room: RoomName::new(&known.room, limits).ok()?,
            cursor: known.last_message_id.map(MessageId),
            delivered: known.delivered,
        })
    });
    Some(Away {
        identity: Identity { user },
        rooms: rooms.collect::<Option<_>>()?,
        client: record.client.map(Into::into),
        attempt: Attempt::from_number(record.attempt),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let limits = Limits::default();
        let room = |name: &str| RoomName::new(name, &limits).unwrap();
        let away = Away {
            identity: Identity { user: Some(UserId::new("ana", &limits).unwrap()) },
            rooms: vec![
                AwayRoom { room: room("general"), cursor: Some(MessageId(7)), delivered: true },
                AwayRoom { room: room("other"), cursor: None, delivered: false },
            ],
            client: Some("poller".into()),
            attempt: Attempt::new(5),
        };
        let read = read(write(&away).as_bytes(), &limits).unwrap();
        assert_eq!((read.identity, read.rooms, read.client), (away.identity, away.rooms, away.client));
        assert_eq!(read.attempt, away.attempt);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in ["", "{}", r#"{"rooms":[{"room":""}]}"#, r#"{"rooms":[],"user":""}"#] {
            assert!(read(text.as_bytes(), &Limits::default()).is_none(), "{text}");
        }
    }
}

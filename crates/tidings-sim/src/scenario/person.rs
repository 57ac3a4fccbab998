//! Somebody who uses the node: what it knows, and by what it listens at the moment.

use std::collections::{BTreeMap, BTreeSet};

use tidings_protocol::{Cursor, Limits, MessageId, RoomName};

use super::known::Known;
use crate::ClientId;

/// By what a person listens.
///
/// Who changes from one way to another brings along where it stood, as the contract says. On
/// streams and polls a person only listens, and speaks by POST.
pub(super) enum Way {
    Socket,
    /// What the browser asks for, and what it remembers.
    Feed {
        path: String,
        last_event_id: String,
    },
    /// What the client asks for besides its cursor, which it has from the last answer.
    Poll {
        path: String,
        cursor: String,
    },
}

/// See the module.
pub(super) struct Person {
    pub(super) number: usize,
    pub(super) user: Option<&'static str>,
    /// Its connection, or the last one it had.
    pub(super) id: ClientId,
    /// It has a connection, as far as it knows.
    pub(super) is_here: bool,
    /// Something of the contract has come by this connection.
    pub(super) is_greeted: bool,
    /// The code with which it was sent away.
    pub(super) sent_away: Option<u16>,
    pub(super) way: Way,
    pub(super) session: Option<String>,
    /// Connections by which it asked for a session that it had.
    pub(super) claims: usize,
    pub(super) rooms: BTreeMap<&'static str, Known>,
    /// Rooms that its session came with and that it does not listen to: others see it there.
    pub(super) also_in: BTreeSet<&'static str>,
}

impl Person {
    pub(super) fn new(number: usize, user: Option<&'static str>, id: ClientId) -> Self {
        Self {
            number,
            user,
            id,
            is_here: true,
            is_greeted: false,
            sent_away: None,
            way: Way::Socket,
            session: None,
            claims: 0,
            rooms: BTreeMap::new(),
            also_in: BTreeSet::new(),
        }
    }

    /// It has a new connection.
    pub(super) fn begins(&mut self, id: ClientId) {
        self.id = id;
        (self.is_here, self.is_greeted, self.sent_away) = (true, false, None);
        self.also_in.clear();
    }

    /// Where it stands in its rooms, as one word.
    pub(super) fn cursor(&self) -> String {
        let name = |room: &str| RoomName::new(room, &Limits::default()).expect("a name");
        let rooms: Vec<_> =
            self.rooms.iter().map(|(room, known)| (name(room), MessageId(known.cursor()))).collect();
        let positions: Vec<_> = rooms.iter().map(|(room, id)| (room, *id)).collect();
        Cursor::encode(&positions)
    }

    /// Where others see it.
    pub(super) fn haunts(&self) -> impl Iterator<Item = &'static str> {
        self.rooms.keys().chain(&self.also_in).copied()
    }
}

//! Who asks for what: the requests with which connections begin, by transport and seating. Pure.

use crate::bench::plan::{Seating, Transport};

/// The key of every handshake: nobody is to be convinced of anything here.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// Most messages in an answer to a poll.
const BATCH: usize = 100;

/// A request for a WebSocket.
pub(crate) fn websocket(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// A request for an event stream that goes on behind the event of an id, or begins with the next one.
pub(crate) fn event_stream(host: &str, room: &str, last_event_id: Option<&str>) -> String {
    let resumes = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    format!("GET /events?room={room} HTTP/1.1\r\nHost: {host}\r\n{resumes}\r\n")
}

/// A poll: one that is answered at once and tells where the client stands, or, from there on, one that waits.
pub(crate) fn poll(host: &str, client: &str, room: &str, cursor: Option<&str>) -> String {
    let from = cursor.map_or_else(|| "timeout_s=0".to_owned(), |cursor| format!("cursor={cursor}"));
    format!("GET /poll/{client}?room={room}&batch={BATCH}&{from} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// How a connection of this number speaks. The one publisher of a shared room has a WebSocket, so that publishing costs
/// the server the same whatever the others have.
pub(crate) fn transport(seating: Seating, transport: Transport, number: usize) -> Transport {
    if seating == Seating::Shared && number == 0 { Transport::Websocket } else { transport }
}

/// The room of a connection.
pub(crate) fn room(seating: Seating, number: usize) -> String {
    match seating {
        Seating::Shared | Seating::Users | Seating::Echo => "bench".to_owned(),
        Seating::Own => format!("bench-{number:06}"),
        Seating::RoomsOf(size) => format!("bench-{:06}", number / size),
    }
}

/// A connection's first request.
pub(crate) fn first(seating: Seating, speaks: Transport, host: &str, number: usize) -> String {
    let room = room(seating, number);
    match (speaks, seating) {
        (Transport::Websocket, Seating::Echo) => websocket(host, "/echo"),
        (Transport::Websocket, Seating::Users) => websocket(host, &format!("/ws/{room}/user-{number:06}")),
        (Transport::Websocket, _) => websocket(host, &format!("/ws/{room}")),
        (Transport::Sse, _) => event_stream(host, &room, None),
        (Transport::Poll, _) => poll(host, &client(number), &room, None),
    }
}

/// The client id of a connection's polls.
pub(crate) fn client(number: usize) -> String {
    format!("client-{number:06}")
}

//! The floor: the least a server can do and still deliver the same bytes to the same sockets. One thread, one loop,
//! a `send` per message and member, nothing else: no history, no limits, no slow consumers, no timers.
//!
//! Started by the parent as a process of its own, so that it is measured as Tidings is. Refuses to be useful.

mod room;
mod template;

use std::collections::HashMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::process::ExitCode;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Socket, Type};
use tidings_websocket::frame::FrameHeader;
use tidings_websocket::{encoder, mask};

use room::Room;
use template::{GreetingTemplate, MessageTemplate, poll_greeting, stream_greeting};

use super::plan::{FloorPlan, Seating, Transport, hear};
use super::wire::answers::head_end;

const LISTENER: Token = Token(usize::MAX);
const BACKLOG: i32 = 4_096;
const SCRATCH_BYTES: usize = 256 * 1024;

struct Floor {
    poll: Poll,
    listener: TcpListener,
    seating: Seating,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    rooms_by_name: HashMap<Vec<u8>, usize>,
    rooms: Vec<Room>,
    greeting: GreetingTemplate,
    stream_greeting: Vec<u8>,
    poll_greeting: Vec<u8>,
    /// In the order of [`TRANSPORTS`].
    messages: [MessageTemplate; 3],
    published: u64,
    out: Vec<u8>,
}

const TRANSPORTS: [Transport; 3] = [Transport::Websocket, Transport::Sse, Transport::Poll];

struct Client {
    stream: TcpStream,
    /// Where it is and how it listens; `None` until its first request.
    place: Option<(usize, Transport)>,
    carry: Vec<u8>,
    /// The answer its next poll gets, and whether it waits for it.
    next: usize,
    is_waiting: bool,
}

/// Runs until it is killed.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidings bench floor: {error}");
            ExitCode::from(70)
        }
    }
}

fn serve() -> io::Result<()> {
    let Some(plan) = hear::<FloorPlan>(&mut BufReader::new(io::stdin()))? else { return Ok(()) };
    let mut floor = Floor::new(&plan)?;
    println!("listening on http://{}", floor.listener.local_addr()?);
    let mut events = Events::with_capacity(1_024);
    let mut scratch = vec![0; SCRATCH_BYTES];
    loop {
        floor.poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                floor.accept()?;
            } else if event.is_readable() {
                floor.read(event.token().0, &mut scratch);
            }
        }
    }
}

impl Floor {
    fn new(plan: &FloorPlan) -> io::Result<Self> {
        let mut seen = plan.seen.clone();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Accepted sockets inherit it, which saves a call for each.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            seating: plan.seating,
            clients: Vec::new(),
            free: Vec::new(),
            rooms_by_name: HashMap::new(),
            rooms: Vec::new(),
            greeting: GreetingTemplate::new(&seen.websocket.greeting),
            stream_greeting: stream_greeting(&seen.sse.greeting),
            poll_greeting: poll_greeting(&seen.poll.greeting),
            messages: TRANSPORTS.map(|transport| {
                MessageTemplate::new(transport, &seen.of(transport).message, plan.payload_bytes)
            }),
            published: 0,
            out: Vec::new(),
        })
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let index = self.free.pop().unwrap_or(self.clients.len());
            self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            if index == self.clients.len() {
                self.clients.push(None);
            }
            self.clients[index] =
                Some(Client { stream, place: None, carry: Vec::new(), next: 0, is_waiting: false });
        }
    }

    fn read(&mut self, index: usize, scratch: &mut [u8]) {
        loop {
            let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) else { return };
            let carried = client.carry.len();
            match client.stream.read(&mut scratch[carried..]) {
                Ok(count) if count > 0 => {
                    scratch[..carried].copy_from_slice(&client.carry);
                    client.carry = Vec::new();
                    let filled = carried + count;
                    if !self.take(index, &mut scratch[..filled]) {
                        return self.leave(index);
                    }
                    if filled < scratch.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return self.leave(index),
            }
        }
    }

    /// Whether the client may stay.
    fn take(&mut self, index: usize, bytes: &mut [u8]) -> bool {
        let Some(client) = self.clients[index].as_ref() else { return false };
        let consumed = match client.place {
            Some((room, Transport::Websocket)) => self.take_frames(index, room, bytes),
            Some((_, Transport::Sse)) => bytes.len(),
            None | Some((_, Transport::Poll)) => match head_end(bytes) {
                Some(end) if !self.answer(index, &bytes[..end]) => return false,
                Some(end) => match self.clients[index].as_ref().and_then(|client| client.place) {
                    Some((room, Transport::Websocket)) => {
                        end + self.take_frames(index, room, &mut bytes[end..])
                    }
                    _ => end,
                },
                None => 0,
            },
        };
        self.carry(index, &bytes[consumed..])
    }

    fn carry(&mut self, index: usize, bytes: &[u8]) -> bool {
        if let (false, Some(client)) = (bytes.is_empty(), &mut self.clients[index]) {
            client.carry.extend_from_slice(bytes);
        }
        true
    }

    /// Answers a request, or lets it wait. Whether the client may stay.
    fn answer(&mut self, index: usize, head: &[u8]) -> bool {
        let place = self.clients[index].as_ref().and_then(|client| client.place);
        let (room, transport) = place.unwrap_or_else(|| self.seat(index, head));
        let Some(client) = self.clients[index].as_mut() else { return false };
        match transport {
            Transport::Websocket => {
                self.greeting.fill(head).is_some_and(|answer| send(&mut client.stream, answer))
            }
            Transport::Sse => send(&mut client.stream, &self.stream_greeting),
            Transport::Poll if place.is_none() => send(&mut client.stream, &self.poll_greeting),
            Transport::Poll => match self.rooms[room].answer(client.next) {
                Some(answer) => {
                    client.next += 1;
                    send(&mut client.stream, answer)
                }
                None => {
                    client.is_waiting = true;
                    true
                }
            },
        }
    }

    /// Puts a client into the room its first request names.
    fn seat(&mut self, index: usize, head: &[u8]) -> (usize, Transport) {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let (transport, name) = match path {
            [b'/', b'e', b'v', ..] => (Transport::Sse, room_asked_for(path)),
            [b'/', b'p', ..] => (Transport::Poll, room_asked_for(path)),
            _ => (Transport::Websocket, path.strip_prefix(b"/ws/").unwrap_or(path)),
        };
        let room = match self.rooms_by_name.get(name) {
            Some(room) => *room,
            None => {
                self.rooms.push(Room::default());
                self.rooms_by_name.insert(name.to_vec(), self.rooms.len() - 1);
                self.rooms.len() - 1
            }
        };
        self.rooms[room].enter(transport, index);
        if let Some(client) = self.clients[index].as_mut() {
            client.place = Some((room, transport));
            client.next = self.rooms[room].published();
        }
        (room, transport)
    }

    fn take_frames(&mut self, index: usize, room: usize, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        self.out.clear();
        while let Ok(Some(parsed)) = FrameHeader::parse(&bytes[at..]) {
            let start = at + parsed.header_bytes;
            let end = start + parsed.payload_bytes as usize;
            if end > bytes.len() {
                break;
            }
            if let Some(key) = parsed.header.mask {
                mask::apply(&mut bytes[start..end], key, 0);
            }
            at = end;
            if self.seating == Seating::Echo {
                encoder::frame(&mut self.out, parsed.header.opcode, &bytes[start..end]);
                continue;
            }
            self.publish(room, &bytes[start..end]);
        }
        if let (false, Some(client)) = (self.out.is_empty(), self.clients[index].as_mut()) {
            send(&mut client.stream, &self.out);
        }
        at
    }

    fn publish(&mut self, room: usize, payload: &[u8]) {
        let room = &mut self.rooms[room];
        for (transport, template) in TRANSPORTS.into_iter().zip(&mut self.messages) {
            if room.members(transport).is_empty() {
                continue;
            }
            let bytes = template.fill(payload, self.published);
            for member in room.members(transport) {
                let Some(client) = self.clients[*member].as_mut() else { continue };
                if transport == Transport::Poll {
                    if !std::mem::take(&mut client.is_waiting) {
                        continue;
                    }
                    client.next += 1;
                }
                send(&mut client.stream, bytes);
            }
            if transport == Transport::Poll {
                room.keep(bytes.to_vec());
            }
        }
        self.published += 1;
    }

    fn leave(&mut self, index: usize) {
        if let Some(client) = self.clients[index].take() {
            self.free.push(index);
            if let Some((room, transport)) = client.place {
                self.rooms[room].leave(transport, index);
            }
        }
    }
}

/// The room in a path's query.
fn room_asked_for(path: &[u8]) -> &[u8] {
    let name = b"room=";
    let start =
        path.windows(name.len()).position(|window| window == name).map_or(path.len(), |at| at + name.len());
    path[start..].split(|byte| *byte == b'&').next().unwrap_or_default()
}

/// Sends all of it, waiting if it must: there is no outbox here. Whether the client still takes it.
fn send(stream: &mut TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let wait = poll(&mut [PollFd::new(&*stream, PollFlags::OUT)], None);
                if wait.is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    true
}

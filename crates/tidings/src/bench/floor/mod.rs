//! The floor: the least a server can do and still deliver the same bytes to the same sockets. One thread, one loop,
//! a `send` per message and member, nothing else: no history, no limits, no slow consumers, no timers.
//!
//! Started by the parent as a process of its own, so that it is measured as Tidings is. Refuses to be useful.

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

use template::{GreetingTemplate, MessageTemplate};

use super::plan::{FloorPlan, Seating, hear};

const LISTENER: Token = Token(usize::MAX);
const BACKLOG: i32 = 4_096;
const SCRATCH_BYTES: usize = 256 * 1024;

struct Floor {
    poll: Poll,
    listener: TcpListener,
    seating: Seating,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    rooms: HashMap<Vec<u8>, usize>,
    members: Vec<Vec<usize>>,
    greeting: GreetingTemplate,
    message: MessageTemplate,
    out: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// `None` until the handshake.
    room: Option<usize>,
    carry: Vec<u8>,
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
            rooms: HashMap::new(),
            members: Vec::new(),
            greeting: GreetingTemplate::new(&plan.greeting),
            message: MessageTemplate::new(plan),
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
            self.clients[index] = Some(Client { stream, room: None, carry: Vec::new() });
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
        let Some(client) = self.clients[index].as_mut() else { return false };
        let start = match client.room {
            Some(_) => 0,
            None => match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => {
                    if !self.greet(index, &bytes[..end]) {
                        return false;
                    }
                    end + 4
                }
                None => 0,
            },
        };
        let Some(Client { room: Some(room), .. }) = self.clients[index] else {
            return self.carry(index, bytes);
        };
        let consumed = start + self.take_frames(index, room, &mut bytes[start..]);
        self.carry(index, &bytes[consumed..])
    }

    fn carry(&mut self, index: usize, bytes: &[u8]) -> bool {
        if let (false, Some(client)) = (bytes.is_empty(), &mut self.clients[index]) {
            client.carry.extend_from_slice(bytes);
        }
        true
    }

    fn greet(&mut self, index: usize, head: &[u8]) -> bool {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let room = match self.rooms.get(path) {
            Some(room) => *room,
            None => {
                self.members.push(Vec::new());
                self.rooms.insert(path.to_vec(), self.members.len() - 1);
                self.members.len() - 1
            }
        };
        self.members[room].push(index);
        let Some(client) = self.clients[index].as_mut() else { return false };
        client.room = Some(room);
        match self.greeting.fill(head) {
            Some(answer) => send(&mut client.stream, answer),
            None => false,
        }
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
            let frame = self.message.fill(&bytes[start..end]);
            for member in &self.members[room] {
                if let Some(client) = self.clients[*member].as_mut() {
                    send(&mut client.stream, frame);
                }
            }
        }
        if let (false, Some(client)) = (self.out.is_empty(), self.clients[index].as_mut()) {
            send(&mut client.stream, &self.out);
        }
        at
    }

    fn leave(&mut self, index: usize) {
        if let Some(client) = self.clients[index].take() {
            self.free.push(index);
            if let Some(room) = client.room {
                let members = &mut self.members[room];
                if let Some(place) = members.iter().position(|member| *member == index) {
                    members.swap_remove(place);
                }
            }
        }
    }
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

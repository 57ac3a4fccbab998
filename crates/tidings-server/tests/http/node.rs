//! A node for one test: a listener on a free port, the control plane, the memory engine.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_core::memory::MemoryEngine;
use tidings_core::telemetry::Counters;
use tidings_core::{Engine, Hub, People, RoomOptions, RoomRules, Timestamp};
use tidings_protocol::{Limits, Origins};
use tidings_server::{Passage, Server, Setup, Shards, Upgraded, Visitor};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Counts as one connection until it is dropped.
pub(crate) struct Seat(#[expect(dead_code, reason = "held, not read")] Arc<()>);

pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) people: Arc<People>,
    pub(crate) counters: Arc<Counters>,
    /// What became a WebSocket.
    pub(crate) upgraded: Receiver<Upgraded>,
    /// Requests that shards are to answer.
    pub(crate) passages: Receiver<Passage>,
    /// Visitors that were given back.
    pub(crate) refused: Receiver<Visitor>,
    /// One more owner than there are connections.
    pub(crate) seats: Arc<()>,
    pub(crate) runtime: Runtime,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        let limits = Arc::new(limits);
        let rules = Arc::new(RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits)));
        let engine =
            Arc::new(MemoryEngine::new(Arc::new(Hub::new()), rules, Arc::clone(&limits), Timestamp(0)));
        Self::with_engine(limits, engine)
    }

    pub(crate) fn with_engine(limits: Arc<Limits>, engine: Arc<dyn Engine>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let rules = Arc::new(RoomRules::new(Vec::new(), RoomOptions::from_limits(&limits)));
        let people = People::new(&Arc::new(Hub::new()), &limits, &rules);
        let seats_max = limits.connections_max;
        let setup = Setup {
            node: "north".into(),
            limits,
            engine,
            people: Arc::clone(&people),
            origins: Arc::new(Origins::new(["https://app.example"]).unwrap()),
            echo: false,
            compression: true,
        };
        let server = Server::new(setup, runtime.handle().clone());
        let (upgrades, upgraded) = channel();
        let upgrades = Mutex::new(upgrades);
        let (pass, passages) = channel();
        let pass = Mutex::new(pass);
        let (counters, seats) = (Arc::new(Counters::new()), Arc::new(()));
        let (counted, free) = (Arc::downgrade(&seats), Arc::downgrade(&seats));
        server.connect(Shards {
            counters: vec![Arc::clone(&counters)],
            connections: Box::new(move || counted.strong_count().saturating_sub(1)),
            seat: Box::new(move || {
                let seats = free.upgrade().filter(|seats| Arc::strong_count(seats) < 2 + seats_max)?;
                Some(Box::new(Seat(seats)))
            }),
            pass: Box::new(move |passage| drop(pass.lock().unwrap().send(passage))),
            attach: Box::new(move |upgrade| drop(upgrades.lock().unwrap().send(upgrade))),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (refuse, refused) = channel();
        runtime.spawn(accept(listener, server.clone(), Arc::downgrade(&seats), refuse));
        Self { server, address, people, counters, upgraded, passages, refused, seats, runtime }
    }

    /// The next request that a shard is to answer.
    pub(crate) fn passage(&self) -> Passage {
        let next = self.passages.recv_timeout(Duration::from_secs(10));
        next.expect("it is passed on")
    }

    /// Address of a path, for the HTTP client.
    pub(crate) fn at(&self, path: &str) -> tidings_client::Address {
        tidings_client::Address::parse(&format!("http://{}{path}", self.address)).unwrap()
    }
}

async fn accept(
    listener: TcpListener,
    server: Server,
    seats: std::sync::Weak<()>,
    refuse: std::sync::mpsc::Sender<Visitor>,
) {
    while let Ok((socket, _)) = listener.accept().await {
        let Some(seat) = seats.upgrade() else { return };
        let socket = socket.into_std().unwrap();
        let visitor = Visitor { socket, prefix: Vec::new(), seat: Box::new(Seat(seat)) };
        if let Err(visitor) = server.receive(visitor) {
            drop(refuse.send(visitor));
        }
    }
}

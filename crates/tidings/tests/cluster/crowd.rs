//! Subscribers and publishers, each a thread, and what they saw.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use tidings_client::{Backoff, Client, Content, Event, Options, Start};

use crate::checker::{Gap, Record, Stored, check_ids};
use crate::nodes::{Nodes, publish};
use crate::redis::wait_for;

/// A publisher's pause between two messages.
const PACE: Duration = Duration::from_millis(4);

type Urls = Arc<Mutex<Vec<String>>>;

/// Everybody who uses the cluster.
pub(crate) struct Crowd {
    urls: Urls,
    stop: Arc<AtomicBool>,
    stop_publishing: Arc<AtomicBool>,
    subscribers: Vec<(Arc<Mutex<Record>>, JoinHandle<()>)>,
    publishers: Vec<JoinHandle<()>>,
    stored: Arc<Mutex<Vec<Stored>>>,
    refused: Arc<AtomicUsize>,
    texts: usize,
}

impl Crowd {
    pub(crate) fn of(nodes: &Nodes) -> Self {
        Self {
            urls: nodes.addresses(),
            stop: Arc::default(),
            stop_publishing: Arc::default(),
            subscribers: Vec::new(),
            publishers: Vec::new(),
            stored: Arc::default(),
            refused: Arc::default(),
            texts: 0,
        }
    }

    /// One subscriber of each room on each node. All of them listen when this returns.
    pub(crate) fn with_subscribers(mut self, rooms: &[&str]) -> Self {
        let nodes = self.urls.lock().unwrap().len();
        for room in rooms {
            (0..nodes).for_each(|node| _ = self.subscribe(room, node, None));
        }
        self.wait_until_all_listen();
        self
    }

    pub(crate) fn wait_until_all_listen(&self) {
        for (record, _) in &self.subscribers {
            wait_for("a subscriber listens", || record.lock().unwrap().start > 0);
        }
    }

    /// A further subscriber, which begins on this node, live or after a position.
    pub(crate) fn subscribe(&mut self, room: &str, node: usize, position: Option<u64>) -> usize {
        let start = position.unwrap_or(0);
        let record = Record { room: room.to_owned(), start, position: start, ..Record::default() };
        let record = Arc::new(Mutex::new(record));
        let (urls, stop, kept) = (Arc::clone(&self.urls), Arc::clone(&self.stop), Arc::clone(&record));
        self.subscribers.push((kept, std::thread::spawn(move || listen(&urls, node, &record, &stop))));
        self.subscribers.len() - 1
    }

    /// One publisher on each node, to these rooms in turn.
    pub(crate) fn with_publishers(mut self, rooms: &[&str]) -> Self {
        let nodes = self.urls.lock().unwrap().len();
        for node in 0..nodes {
            let rooms: Vec<_> = rooms.iter().map(|&room| room.to_owned()).collect();
            let (urls, stop) = (Arc::clone(&self.urls), Arc::clone(&self.stop_publishing));
            let (stored, refused) = (Arc::clone(&self.stored), Arc::clone(&self.refused));
            self.publishers.push(std::thread::spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (room, text) = (&rooms[number % rooms.len()], format!("{node}-{number}"));
                    let url = urls.lock().unwrap()[node].clone();
                    match publish(&url, room, &text) {
                        Ok(id) => stored.lock().unwrap().push(Stored { room: room.clone(), id, text }),
                        Err(_) => _ = refused.fetch_add(1, Ordering::Relaxed),
                    }
                    sleep(PACE);
                }
            }));
        }
        self
    }

    /// Publishes by a node, for as long as that is refused.
    pub(crate) fn say(&mut self, node: usize, room: &str) -> u64 {
        let mut id = None;
        wait_for("a message is taken", || {
            // What was refused may have been stored all the same.
            self.texts += 1;
            let text = format!("said-{}", self.texts);
            let url = self.urls.lock().unwrap()[node].clone();
            id = publish(&url, room, &text).ok();
            match id {
                Some(id) => self.stored.lock().unwrap().push(Stored { room: room.to_owned(), id, text }),
                None => _ = self.refused.fetch_add(1, Ordering::Relaxed),
            }
            id.is_some()
        });
        id.unwrap_or_default()
    }

    /// Publishes big messages by a node, many at a time.
    pub(crate) fn shout(&mut self, node: usize, room: &str, bytes: usize) {
        let url = self.urls.lock().unwrap()[node].clone();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                self.texts += 1;
                let (url, stored) = (&url, &self.stored);
                let text = format!("{:x<bytes$}", format!("shouted-{}", self.texts));
                scope.spawn(move || {
                    if let Ok(id) = publish(url, room, &text) {
                        stored.lock().unwrap().push(Stored { room: room.to_owned(), id, text });
                    }
                });
            }
        });
    }

    pub(crate) fn stored(&self) -> usize {
        self.stored.lock().unwrap().len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn record(&self, subscriber: usize) -> Record {
        self.subscribers[subscriber].0.lock().unwrap().clone()
    }

    /// Waits until so many more messages were stored.
    pub(crate) fn wait_for_messages(&self, count: usize) {
        let wanted = self.stored() + count;
        wait_for("messages are stored", || self.stored() >= wanted);
    }

    /// Ends the publishing, says a last word in each room, waits until everybody has it, and holds
    /// everybody's record against what was stored.
    pub(crate) fn finish(mut self, name: &str, last_word_by: usize) -> Vec<Record> {
        self.stop_publishing.store(true, Ordering::Relaxed);
        for publisher in self.publishers.drain(..) {
            publisher.join().expect("a publisher ends well");
        }
        let rooms: BTreeSet<String> =
            self.subscribers.iter().map(|(record, _)| record.lock().unwrap().room.clone()).collect();
        for room in &rooms {
            let last = self.say(last_word_by, room);
            for (record, _) in &self.subscribers {
                if record.lock().unwrap().room == *room {
                    wait_for("everybody has the last word", || record.lock().unwrap().position >= last);
                }
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        let stored = std::mem::take(&mut *self.stored.lock().unwrap());
        check_ids(&stored);
        let mut records = Vec::new();
        for (record, thread) in self.subscribers.drain(..) {
            thread.join().expect("a subscriber ends well");
            let record = record.lock().unwrap().clone();
            record.check(&stored);
            records.push(record);
        }
        let delivered: usize = records.iter().map(|record| record.messages.len()).sum();
        let gaps: usize = records.iter().map(|record| record.gaps.len()).sum();
        let (stored, refused) = (stored.len(), self.refused());
        println!("{name}: {stored} stored, {refused} refused, {delivered} delivered, {gaps} gaps");
        records
    }
}

/// Listens, by one node after another, from where it stands.
fn listen(urls: &Urls, node: usize, record: &Mutex<Record>, stop: &AtomicBool) {
    let mut node = node;
    while !stop.load(Ordering::Relaxed) {
        let url = {
            let urls = urls.lock().unwrap();
            urls[node % urls.len()].clone()
        };
        let (room, position) = {
            let record = record.lock().unwrap();
            (record.room.clone(), record.position)
        };
        let start = if position == 0 { Start::Live } else { Start::After(position) };
        let backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(200));
        let options = Options::new(&url).unwrap().room(&room, start).backoff(backoff);
        if let Ok(client) = Client::connect(options) {
            record.lock().unwrap().connections += 1;
            listen_by(client, record, stop);
        }
        node += 1;
        sleep(PACE);
    }
}

/// Whoever fails in a test leaves nobody behind who goes on.
impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.stop_publishing.store(true, Ordering::Relaxed);
    }
}

/// Listens until the connection breaks.
fn listen_by(mut client: Client, record: &Mutex<Record>, stop: &AtomicBool) {
    let room = record.lock().unwrap().room.clone();
    while !stop.load(Ordering::Relaxed) {
        let Ok(event) = client.next(Duration::from_millis(50)) else { return };
        let mut record = record.lock().unwrap();
        match event {
            Some(Event::Message(message)) => {
                let Content::Text(text) = message.content else { panic!("only texts are published") };
                record.messages.push((message.id, text));
            }
            Some(Event::Gap { after, before, reason, .. }) => {
                record.gaps.push(Gap { after, before: before.unwrap_or(u64::MAX), reason });
            }
            Some(Event::Disconnected { .. }) => return,
            _ => {}
        }
        let position = client.position(&room).unwrap_or(record.position);
        record.position = position;
        if record.start == 0 {
            record.start = position;
        }
    }
}

//! What clients notice whose bytes come over a stream instead of a socket: nothing, that is the
//! point. A real shard in its own thread.

mod node;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidings_protocol::Limits;
use tidings_shard::{Arrival, Arriving, Purpose};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

use node::{Client, Node, Seen, binary, handshake, head, opened, story};

#[test]
fn everything_comes_back_through_a_pipe_that_holds_seven_bytes() {
    let node = Node::start(Limits::default());
    story(async {
        let mut stream = node.request(7);
        stream.write_all(&handshake("/echo")).await.unwrap();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 101 "));
        let mut client = Client::new(stream);
        for len in [0, 1, 6, 7, 8, 200, 20_000] {
            let payload: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
            let (mut from, mut to) = split(client.stream);
            let frame = binary(&payload);
            let mut reader = Client::new(&mut from);
            let (seen, ()) = tokio::join!(reader.see(), async { to.write_all(&frame).await.unwrap() });
            assert_eq!(seen, Seen::Binary(payload), "{len} bytes");
            client = Client::new(from.unsplit(to));
        }
        client.close().await;
        assert_eq!([client.see().await, client.see().await], [Seen::Close(1_000), Seen::End]);
        drop(client);
        node.has_connections(0).await;
    });
}

#[test]
fn a_room_is_shared_by_streams_that_came_by_different_ways() {
    let node = Node::start(Limits::default());
    story(async {
        let mut ana = node.websocket("/ws/chat/ana", 1_024);
        assert!(matches!(ana.see().await, Seen::Text(text) if text.contains("\"session\"")));
        let mut ben = node.request(1_024);
        ben.write_all(&handshake("/ws/chat/ben")).await.unwrap();
        assert!(head(&mut ben).await.contains("Tidings-Node: n1"));
        let mut ben = Client::new(ben);
        assert!(matches!(ben.see().await, Seen::Text(text) if text.contains("\"session\"")));
        assert!(matches!(ana.see().await, Seen::Text(text) if text.contains("user_joined")));
        ben.say(&binary(b"hello")).await;
        loop {
            match ana.see().await {
                Seen::Text(text) if text.contains("aGVsbG8=") => break,
                Seen::Text(_) => {}
                other => panic!("the message does not come before {other:?}"),
            }
        }
    });
}

#[test]
fn a_request_that_only_the_control_plane_serves_is_refused_and_not_sent_back() {
    let node = Node::start(Limits::default());
    story(async {
        for request in ["GET /health HTTP/1.1\r\nHost: t\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut stream = node.request(64);
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("not_found"), "{answer}");
        }
        node.has_connections(0).await;
    });
}

#[test]
fn a_peer_that_vanishes_within_a_frame_or_a_head_gives_its_seat_back() {
    let node = Node::start(Limits::default());
    story(async {
        let mut client = node.websocket("/echo", 1_024);
        client.say(&binary(&[7; 100])[..50]).await;
        let mut stream = node.request(1_024);
        stream.write_all(&handshake("/echo")[..20]).await.unwrap();
        assert_eq!(node.capacity.connections(), 2);
        drop((client, stream));
        node.has_connections(0).await;
    });
}

#[test]
fn who_does_not_read_is_not_read_from_and_finds_everything_later() {
    let limits = Limits { outbox_bytes_max: 64 * 1024, ..Limits::default() };
    // Half an outbox, what one read brings, and what the pipe and one piece of sending hold.
    const HELD_BYTES_MAX: usize = 32 * 1024 + 2 * 64 * 1024 + 2 * 4 * 1024;
    const PAYLOAD_BYTES: usize = 1_024;
    let node = Node::start(limits);
    story(async {
        let stalled = node.websocket("/echo", 4 * 1_024);
        let (from, mut to) = split(stalled.stream);
        let (sent, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let writer = {
            let (sent, enough) = (Arc::clone(&sent), Arc::clone(&enough));
            tokio::spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    let number = sent.fetch_add(1, Ordering::Relaxed).to_le_bytes();
                    let payload = [&number[..], &[0; PAYLOAD_BYTES]].concat();
                    to.write_all(&binary(&payload)).await.unwrap();
                }
                to
            })
        };
        // Each answer to this one is at least a turn of the shard, in which it could have read on.
        let mut other = node.websocket("/echo", 4 * 1_024);
        for _ in 0..500 {
            other.say(&binary(b"turn")).await;
            assert_eq!(other.see().await, Seen::Binary(b"turn".into()));
        }
        let held = sent.load(Ordering::Relaxed) * PAYLOAD_BYTES;
        assert!(held <= HELD_BYTES_MAX, "{held} bytes were taken from who does not read");
        assert!(held > 32 * 1024, "the shard had not yet to stop reading at {held} bytes");
        enough.store(true, Ordering::Relaxed);
        let mut reader = Client::new(from);
        for number in 0..sent.load(Ordering::Relaxed) {
            let Seen::Binary(payload) = reader.see().await else { panic!("it ends at {number}") };
            assert_eq!(payload[..8], number.to_le_bytes());
        }
        drop(writer.await);
    });
}

#[test]
fn a_stream_is_told_of_the_stop_and_the_shard_ends_with_it() {
    let node =
        Node::start(Limits { restart_ack_timeout_ms: 60_000, drain_timeout_ms: 60_000, ..Limits::default() });
    story(async {
        let (client, stream) = duplex(1_024);
        node.bring(stream, opened("/ws/chat/ana"));
        let mut client = Client::new(client);
        client.see().await;
        node.shards.handle().drain();
        assert!(matches!(client.see().await, Seen::Text(text) if text.contains("server_restart")));
        client.close().await;
        assert_eq!(client.see().await, Seen::Close(1_000));
        assert_eq!(client.see().await, Seen::End);
        drop(client);
        let (handle, capacity) = (node.shards.handle(), Arc::clone(&node.capacity));
        tokio::task::spawn_blocking(|| node.shards.join()).await.unwrap().unwrap();
        let (mut late, stream) = duplex(1_024);
        let (seat, _) = capacity.seat();
        let socket = Arriving::Stream(Box::new(stream));
        handle.attach(Arrival { socket, seat, purpose: Purpose::Request });
        assert_eq!(late.read(&mut [0; 8]).await.unwrap(), 0, "who comes too late is not left waiting");
    });
}

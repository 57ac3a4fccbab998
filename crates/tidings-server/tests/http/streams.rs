//! WebSockets on streams of HTTP/2 connections (RFC 8441).

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use tidings_protocol::Limits;
use tidings_server::{Carrier, Upgraded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2::Http2;
use crate::node::{Node, Seat};

const VERSION: (&str, &str) = ("sec-websocket-version", "13");

fn handed_on(node: &Node) -> Upgraded {
    node.upgraded.recv_timeout(Duration::from_secs(10)).expect("it is handed on")
}

/// Status and code of a refusal.
async fn refusal(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["tidings-node"], "north");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

#[test]
fn a_websocket_on_a_stream_goes_to_the_shards_and_the_connection_goes_on() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let mut socket = client.websocket("/ws/news/ana?x=1").await;
        let upgraded = handed_on(&node);
        assert_eq!(upgraded.target, "/ws/news/ana?x=1");
        assert!(upgraded.deflate.is_none() && upgraded.unread.is_empty() && upgraded.seat.is::<Seat>());
        assert_eq!(Arc::strong_count(&node.seats), 3, "the connection and the stream have a seat each");
        let Carrier::Stream(mut stream) = upgraded.carrier else {
            panic!("the connection has other streams")
        };

        socket.write_all(b"from the client").await.unwrap();
        let mut read = [0; 15];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"from the client");
        assert_eq!(client.get("/health").await.status(), 200);
        stream.write_all(b"from a shard").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"from a shard");
        drop(socket);
        assert_eq!(stream.read(&mut read).await.unwrap(), 0, "the shard sees the client leave");
    });
}

#[test]
fn compression_is_agreed_on_in_the_answer_of_a_stream() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let offer = ("sec-websocket-extensions", "permessage-deflate; server_max_window_bits=10");
        let response = client.connect("/ws", "websocket", &[VERSION, offer]).await;
        assert_eq!(response.status(), 200);
        let agreed = response.headers()["sec-websocket-extensions"].to_str().unwrap();
        assert!(agreed.contains("server_max_window_bits=10"), "{agreed}");
        assert!(!response.headers().contains_key("sec-websocket-accept"), "HTTP/2 has no key");
        let deflate = handed_on(&node).deflate.expect("it was agreed on");
        assert_eq!(deflate.server_max_window_bits, 10);
    });
}

#[test]
fn what_is_no_websocket_is_told_why_and_the_connection_lives() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let asked = client.get("/ws/news").await;
        assert_eq!(refusal(asked).await, (400, "bad_handshake".into()));
        for (path, protocol, headers, status, code) in [
            ("/ws/news", "connect-udp", [VERSION], 501, "not_supported"),
            ("/ws/news", "websocket", [("sec-websocket-version", "8")], 400, "bad_handshake"),
            ("/ws/news", "websocket", [("x", "y")], 400, "bad_handshake"),
            ("/events", "websocket", [VERSION], 501, "not_supported"),
            ("/health", "websocket", [VERSION], 405, "method_not_allowed"),
            ("/nowhere", "websocket", [VERSION], 404, "not_found"),
        ] {
            let asked = client.connect(path, protocol, &headers).await;
            let version = asked.headers().get("sec-websocket-version").cloned();
            assert_eq!(refusal(asked).await, (status, code.into()), "{path} {protocol} {headers:?}");
            assert_eq!(version.is_some(), path == "/ws/news" && protocol == "websocket");
        }
        assert!(node.upgraded.try_recv().is_err());
        client.websocket("/ws/news").await;
    });
}

#[test]
fn a_stream_beyond_the_nodes_capacity_is_told_to_come_back_and_let_in_when_there_is_room() {
    let node = Node::with_limits(Limits { connections_max: 2, ..Limits::default() });
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let _socket = client.websocket("/ws").await;
        let held = handed_on(&node);
        let asked = client.connect("/ws", "websocket", &[VERSION]).await;
        assert!(asked.headers().contains_key("retry-after"));
        assert_eq!(refusal(asked).await, (503, "at_capacity".into()));
        drop(held);
        client.websocket("/ws").await;
    });
}

#[test]
fn a_node_that_stops_opens_no_new_streams() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        node.server.announce_stop();
        let asked = client.connect("/ws", "websocket", &[VERSION]).await;
        assert_eq!(refusal(asked).await, (503, "restarting".into()));
    });
}

#[test]
fn protobuf_is_agreed_on_in_the_answer_where_it_is_offered() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        for (offered, is_agreed) in [("other, tidings.v1.proto", true), ("other", false)] {
            let offer = ("sec-websocket-protocol", offered);
            let response = client.connect("/ws", "websocket", &[VERSION, offer]).await;
            assert_eq!(response.status(), 200);
            let agreed = response.headers().get("sec-websocket-protocol");
            assert_eq!(agreed.is_some_and(|name| name == "tidings.v1.proto"), is_agreed);
            let _stream = hyper::upgrade::on(response).await.unwrap();
            assert_eq!(handed_on(&node).is_protobuf, is_agreed);
        }
    });
}

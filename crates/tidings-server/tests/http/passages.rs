//! Requests that shards serve but that came over HTTP/2 or a kept-alive connection. The shard is a
//! few lines at the other end of the pipe.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use tidings_protocol::Limits;
use tidings_server::Passage;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::http2::Http2;
use crate::node::{Node, Seat};
use crate::wire::{Wire, get, post};

/// A request that came to the shard, of which so much has to be there.
async fn came(node: &Node, end: &str) -> (DuplexStream, String, Option<Box<dyn std::any::Any + Send>>) {
    let Passage { mut stream, seat } = node.passage();
    let mut request = Vec::new();
    while !request.ends_with(end.as_bytes()) {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "{request:?}");
    }
    (stream, String::from_utf8(request).unwrap(), seat)
}

const HEAD_END: &str = "\r\n\r\n";

async fn piece(body: &mut Incoming) -> Bytes {
    body.frame().await.expect("more comes").unwrap().into_data().unwrap()
}

#[test]
fn a_request_over_http_2_reaches_the_shard_as_http_1() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let request = Request::get("http://tidings.test/events?room=a%20b")
            .header("last-event-id", "17")
            .header("origin", "http://page.test")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("access-control-request-headers", "x")
            .header("user-agent", "nobody asked")
            .body(Full::default())
            .unwrap();
        let (response, ()) = tokio::join!(client.ask(request), async {
            let (mut stream, request, seat) = came(&node, HEAD_END).await;
            assert_eq!(
                request,
                "GET /events?room=a%20b HTTP/1.1\r\nConnection: close\r\nhost: tidings.test\r\n\
                 last-event-id: 17\r\norigin: http://page.test\r\naccess-control-request-headers: x\r\n\
                 cookie: a=1; b=2\r\n\r\n"
            );
            assert!(seat.unwrap().is::<Seat>(), "its client is counted");
            let head = "HTTP/1.1 404 Nothing\r\nConnection: close\r\nContent-Type: text/x\r\n\
                        Keep-Alive: 5\r\nContent-Length: 4\r\nTidings-Node: other\r\n\r\n";
            stream.write_all(format!("{head}bodyand what was never announced").as_bytes()).await.unwrap();
        });
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "text/x");
        assert_eq!(response.headers()["tidings-node"], "north");
        assert!(
            !response.headers().contains_key("connection") && !response.headers().contains_key("keep-alive")
        );
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    });
}

#[test]
fn a_body_reaches_the_shard_with_its_length_and_a_kept_alive_connection_lives_on() {
    let node = Node::start();
    let mut wire = Wire::to(&node);
    wire.say(get("/health"));
    assert_eq!(wire.answer().status, 200);
    for _ in 0..2 {
        let headers = "Content-Type: application/json\r\nIdempotency-Key: k\r\n";
        wire.say(post("/sessions/s1/send", headers, "{\"type\":\"ping\"}"));
        node.runtime.block_on(async {
            let (mut stream, request, seat) = came(&node, "}").await;
            assert!(request.starts_with("POST /sessions/s1/send HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("idempotency-key: k\r\n"), "{request}");
            assert!(
                request.ends_with("content-length: 15\r\n\r\n{\"type\":\"ping\"}")
                    || request.contains("content-length: 15\r\n")
            );
            assert!(seat.is_none(), "the connection has one");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        });
        let answer = wire.answer();
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    }
    wire.say(get("/health"));
    assert_eq!(wire.answer().status, 200);
    assert_eq!(Arc::strong_count(&node.seats), 2);
}

#[test]
fn an_event_is_seen_when_it_is_sent_and_the_stream_goes_on() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let (response, mut stream) = tokio::join!(client.get("/events"), async {
            let (mut stream, _, _) = came(&node, HEAD_END).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 5000\n\n")
                .await
                .unwrap();
            stream
        });
        let mut body = response.into_body();
        assert_eq!(piece(&mut body).await, "retry: 5000\n\n");
        for number in 0..3 {
            let event = format!("id: {number}\ndata: x\n\n");
            stream.write_all(event.as_bytes()).await.unwrap();
            assert_eq!(piece(&mut body).await, event);
        }
        drop(stream);
        assert!(body.collect().await.unwrap().to_bytes().is_empty(), "the shard ended it");
    });
}

#[test]
fn a_client_that_leaves_breaks_the_pipe_before_and_within_the_answer() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let mut stream = {
            let asked = client.get("/poll/p1");
            let mut asked = std::pin::pin!(asked);
            tokio::select! {
                biased;
                _ = &mut asked => panic!("nothing was answered"),
                (stream, _, _) = came(&node, HEAD_END) => stream,
            }
        };
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "it left while it waited");

        let (response, mut stream) = tokio::join!(client.get("/events"), async {
            let (mut stream, _, _) = came(&node, HEAD_END).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nx").await.unwrap();
            stream
        });
        drop(response);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "it left while it listened");
    });
    let mut wire = TcpStream::connect(node.address).unwrap();
    std::io::Write::write_all(&mut wire, get("/events").as_bytes()).unwrap();
    node.runtime.block_on(async {
        let (mut stream, _, _) = came(&node, HEAD_END).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst").await.unwrap();
        let mut read = [0; 9];
        wire.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"HTTP/1.1 ");
        drop(wire);
        while stream.write_all(b"another event\n\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn who_does_not_read_events_holds_up_the_shards_end_and_nobody_else() {
    // The client's window, what hyper holds of a stream, the pipe, and a piece under way.
    const HELD_BYTES_MAX: usize = 64 * 1024 + 64 * 1024 + 16 * 1024 + 3 * 8 * 1024;
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let (response, stream) = tokio::join!(client.get("/events"), async {
            let (mut stream, _, _) = came(&node, HEAD_END).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            stream
        });
        let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let writer = tokio::spawn({
            let (mut stream, written) = (stream, Arc::clone(&written));
            async move {
                for _ in 0..64 {
                    stream.write_all(&[b'x'; 8 * 1024]).await.unwrap();
                    written.fetch_add(8 * 1024, std::sync::atomic::Ordering::Relaxed);
                }
            }
        });
        for _ in 0..200 {
            assert_eq!(client.get("/health").await.status(), 200);
        }
        let held = written.load(std::sync::atomic::Ordering::Relaxed);
        assert!(held <= HELD_BYTES_MAX, "{held} bytes were taken for who does not read");
        let all = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(all.len(), 64 * 8 * 1024, "and none is lost");
        writer.await.unwrap();
    });
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        for (answer, has_head) in [
            ("", false),
            ("HTTP/1.1 200 OK\r\nContent-Le", false),
            ("nonsense\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", true),
        ] {
            let (response, ()) = tokio::join!(client.try_get("/poll/p1"), async {
                let (mut stream, _, _) = came(&node, HEAD_END).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
            if !has_head {
                assert_eq!(response.unwrap().status(), 500, "{answer:?}");
                continue;
            }
            // The reset may overtake the head.
            if let Ok(response) = response {
                assert_eq!(response.status(), 200);
                assert!(response.into_body().collect().await.is_err());
            }
        }
    });
}

#[test]
fn a_request_that_no_shard_can_take_is_told_why() {
    let node = Node::with_limits(Limits { connections_max: 1, message_bytes_max: 16, ..Limits::default() });
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        let response = client.get("/events").await;
        assert_eq!(response.status(), 503, "the one seat is the connection's");
        assert!(response.headers().contains_key("retry-after"));
        let large =
            Request::post("http://x/sessions/s1/send").body(Full::from(vec![b'x'; 8 * 1024])).unwrap();
        assert_eq!(client.ask(large).await.status(), 413);
        node.server.announce_stop();
        let response = client.get("/events").await;
        assert_eq!(response.status(), 503);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("restarting"));
    });
    assert!(node.passages.try_recv().is_err());
}

#[test]
fn an_answer_without_a_body_has_none_whatever_its_length_says() {
    let node = Node::start();
    node.runtime.block_on(async {
        let mut client = Http2::to(&node).await;
        for (method, answer) in [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            ("OPTIONS", "HTTP/1.1 204 No Content\r\nAccess-Control-Max-Age: 5\r\n\r\n"),
        ] {
            let request =
                Request::builder().method(method).uri("http://x/events").body(Full::default()).unwrap();
            // The shard keeps its end open, so that waiting for more would be noticed.
            let (response, _stream) = tokio::join!(client.ask(request), async {
                let (mut stream, request, _) = came(&node, HEAD_END).await;
                assert!(request.starts_with(method) && !request.contains("content-length"), "{request}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream
            });
            assert!(response.status().is_success());
            assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
    });
}

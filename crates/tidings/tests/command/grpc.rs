//! A node over gRPC: sessions, single calls, and what tools ask, spoken by tonic's client.

use std::io::{Read, Write};
use std::net::TcpStream;

use prost::Message;
use rustix::process::Signal;
use tidings_client::{Address, http};
use tidings_protocol::proto::v1::client_frame::Frame as Said;
use tidings_protocol::proto::v1::server_frame::Frame as Heard;
use tidings_protocol::proto::v1::{self, message, publication, publish_request};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::http2::{Connection, story};
use crate::process::Process;

async fn connect(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap()
}

async fn grpc(channel: &Channel, method: &str) -> (Grpc<Channel>, PathAndQuery) {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    (grpc, format!("/tidings.v1.Tidings/{method}").try_into().unwrap())
}

async fn call<Q, A>(channel: &Channel, method: &str, request: Q) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let (mut grpc, path) = grpc(channel, method).await;
    let answer = grpc.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await;
    answer.map(tonic::Response::into_inner)
}

async fn publish(channel: &Channel, room: &str, text: &str) -> u64 {
    let payload = Some(publish_request::Payload::Text(text.into()));
    let request = v1::PublishRequest { room: room.into(), payload, ..Default::default() };
    call::<_, v1::PublishResponse>(channel, "Publish", request).await.unwrap().id
}

async fn subscribe(channel: &Channel, request: v1::SubscribeRequest) -> Result<Frames, Status> {
    let (mut grpc, path) = grpc(channel, "Subscribe").await;
    let codec = ProstCodec::<v1::SubscribeRequest, v1::ServerFrame>::default();
    grpc.server_streaming(Request::new(request), path, codec).await.map(|answer| Frames(answer.into_inner()))
}

/// What a session or a subscription hears.
struct Frames(Streaming<v1::ServerFrame>);

impl Frames {
    async fn next(&mut self) -> Heard {
        self.0.message().await.unwrap().expect("the stream goes on").frame.expect("a frame we know")
    }

    async fn session(&mut self) -> v1::Session {
        match self.next().await {
            Heard::Session(session) => session,
            other => panic!("not a session: {other:?}"),
        }
    }

    /// The text of the next message.
    async fn text(&mut self) -> String {
        match self.next().await {
            Heard::Message(message) => text(message),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// How it ends.
    async fn end(&mut self) -> Status {
        loop {
            match self.0.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("it just ended"),
                Err(status) => return status,
            }
        }
    }
}

fn text(message: v1::Message) -> String {
    match message.payload {
        Some(message::Payload::Text(text)) => text,
        other => panic!("not text: {other:?}"),
    }
}

struct Session {
    say: Sender<v1::ClientFrame>,
    frames: Frames,
}

impl Session {
    /// A stream on which nothing was said.
    async fn open(channel: &Channel) -> Result<Self, Status> {
        let (say, said) = channel_of_frames();
        let (mut grpc, path) = grpc(channel, "Session").await;
        let codec = ProstCodec::<v1::ClientFrame, v1::ServerFrame>::default();
        let answer = grpc.streaming(Request::new(said), path, codec).await?;
        Ok(Self { say, frames: Frames(answer.into_inner()) })
    }

    async fn hello(channel: &Channel, hello: v1::Hello) -> Self {
        let session = Self::open(channel).await.unwrap();
        session.say(Said::Hello(hello)).await;
        session
    }

    /// A session in a room.
    async fn enter(channel: &Channel, room: &str, user: &str) -> Self {
        let mut session = Self::hello(channel, hello(room, user)).await;
        session.frames.session().await;
        session
    }

    async fn say(&self, frame: Said) {
        self.say_with_ref(frame, None).await;
    }

    async fn say_with_ref(&self, frame: Said, reference: Option<&str>) {
        let frame = v1::ClientFrame { frame: Some(frame), r#ref: reference.map(Into::into) };
        self.say.send(frame).await.unwrap();
    }

    async fn chat(&self, text: &str) {
        self.say(chat(text)).await;
    }
}

fn channel_of_frames() -> (Sender<v1::ClientFrame>, ReceiverStream<v1::ClientFrame>) {
    let (say, said) = channel(8);
    (say, ReceiverStream::new(said))
}

fn hello(room: &str, user: &str) -> v1::Hello {
    v1::Hello { rooms: vec![room.into()], user_id: Some(user.into()), ..Default::default() }
}

fn chat(text: &str) -> Said {
    let payload = Some(publication::Payload::Text(text.into()));
    Said::Message(v1::Publication { payload, ..Default::default() })
}

/// The code of ours that a status carries.
fn code_of(status: &Status) -> &str {
    status.metadata().get("tidings-code").expect("it names our code").to_str().unwrap()
}

#[test]
fn people_on_grpc_and_websocket_talk_in_one_room() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        let mut ana = Session::hello(&channel, hello("news", "ana")).await;
        let session = ana.frames.session().await;
        assert_eq!((session.user_id.as_deref(), session.resumed), (Some("ana"), false));
        let mut sockets = Connection::to(&url).await;
        let mut ben = sockets.websocket("/ws/news/ben").await.unwrap();
        ben.text_with("\"type\":\"session\"").await;
        assert!(matches!(ana.frames.next().await, Heard::UserJoined(user) if user.user_id == "ben"));
        ben.text("from the socket").await;
        assert_eq!(ana.frames.text().await, "from the socket");
        ana.chat("from the stream").await;
        ben.text_with("from the stream").await;
        assert_eq!(ana.frames.text().await, "from the stream");
        publish(&channel, "news", "from a single call").await;
        assert_eq!(ana.frames.text().await, "from a single call");
        ben.text_with("from a single call").await;
    });
}

#[test]
fn a_message_with_a_ref_is_acknowledged_and_its_repeat_makes_no_second() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let mut ana = Session::enter(&connect(&url).await, "news", "ana").await;
        let mut ids = Vec::new();
        let mut messages = 0;
        for _ in 0..2 {
            ana.say_with_ref(chat("once"), Some("r1")).await;
        }
        while ids.len() < 2 {
            let frame = ana.frames.0.message().await.unwrap().unwrap();
            match frame.frame.unwrap() {
                Heard::Ack(ack) => {
                    assert_eq!(frame.r#ref.as_deref(), Some("r1"));
                    ids.push(ack.id);
                }
                Heard::Message(_) => messages += 1,
                other => panic!("{other:?}"),
            }
        }
        ana.chat("next").await;
        while ana.frames.text().await != "next" {
            messages += 1;
        }
        assert_eq!((ids[0], messages), (ids[1], 1));
    });
}

#[test]
fn who_comes_back_with_session_and_positions_gets_what_it_missed() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        let mut ana = Session::hello(&channel, hello("news", "ana")).await;
        let session = ana.frames.session().await;
        let last = publish(&channel, "news", "seen").await;
        assert_eq!(ana.frames.text().await, "seen");
        drop(ana);
        for text in ["missed", "this too"] {
            publish(&channel, "news", text).await;
        }
        let positions = vec![v1::Position { room: "news".into(), last_message_id: last }];
        let session_id = Some(session.session_id);
        let mut back =
            Session::hello(&channel, v1::Hello { positions, session_id, ..Default::default() }).await;
        let resumed = back.frames.session().await;
        assert!(resumed.resumed && resumed.user_id.as_deref() == Some("ana"), "{resumed:?}");
        let Heard::Restore(restore) = back.frames.next().await else { panic!("nothing is restored") };
        assert!(restore.recovered);
        assert_eq!(restore.messages.into_iter().map(text).collect::<Vec<_>>(), ["missed", "this too"]);
    });
}

#[test]
fn a_subscription_hears_its_rooms_and_goes_on_from_a_position() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        let last = publish(&channel, "a", "seen").await;
        publish(&channel, "a", "missed").await;
        let positions = vec![v1::Position { room: "a".into(), last_message_id: last }];
        let request = v1::SubscribeRequest { rooms: vec!["b".into()], positions, ..Default::default() };
        let mut frames = subscribe(&channel, request).await.unwrap();
        assert_eq!(frames.session().await.rooms, ["a", "b"]);
        let Heard::Restore(restore) = frames.next().await else { panic!("nothing is restored") };
        assert_eq!(restore.messages.into_iter().map(text).collect::<Vec<_>>(), ["missed"]);
        publish(&channel, "b", "live in b").await;
        assert_eq!(frames.text().await, "live in b");
    });
}

#[test]
fn a_client_that_has_said_all_goes_on_listening() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        let Session { say, mut frames } = Session::enter(&channel, "news", "ana").await;
        drop(say);
        publish(&channel, "news", "still heard").await;
        assert_eq!(frames.text().await, "still heard");
    });
}

#[test]
fn single_calls_publish_read_and_tell_who_is_there() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let request = v1::PublishRequest {
                room: "news".into(),
                payload: Some(publish_request::Payload::Binary(vec![0, 255])),
                key: Some("k".into()),
                user_id: Some("ana".into()),
                idempotency_key: Some("once".into()),
            };
            ids.push(call::<_, v1::PublishResponse>(&channel, "Publish", request).await.unwrap().id);
        }
        assert_eq!(ids[0], ids[1]);
        let room = Some("news".to_owned());
        let request = v1::HistoryRequest { room: room.clone(), ..Default::default() };
        let history: v1::HistoryResponse = call(&channel, "History", request).await.unwrap();
        let [message] = &history.messages[..] else { panic!("{history:?}") };
        assert_eq!(message.payload, Some(message::Payload::Binary(vec![0, 255])));
        assert_eq!((message.id, message.user_id.as_deref()), (ids[0], Some("ana")));
        assert_eq!((message.key.as_deref(), history.room.as_str()), (Some("k"), "news"));
        let _ana = Session::enter(&channel, "news", "ana").await;
        let request = v1::PresenceRequest { room, after: None };
        let presence: v1::PresenceResponse = call(&channel, "Presence", request).await.unwrap();
        assert_eq!((presence.users[0].user_id.as_str(), presence.users[0].connections), ("ana", 1));
        assert_eq!((presence.total, presence.complete), (1, true));
    });
}

#[test]
fn a_call_with_a_mistake_is_refused_with_our_code_and_that_of_grpc() {
    let (_node, url) = Process::node(&["--message-bytes-max", "1000"]);
    story(async {
        let channel = connect(&url).await;
        let publishing = |room: &str, bytes: usize| {
            let payload = Some(publish_request::Payload::Binary(vec![0; bytes]));
            let request = v1::PublishRequest { room: room.into(), payload, ..Default::default() };
            let channel = channel.clone();
            async move { call::<_, v1::PublishResponse>(&channel, "Publish", request).await.unwrap_err() }
        };
        for (status, code) in [
            (publishing("", 1).await, "bad_room"),
            (publishing("news", 1_001).await, "message_too_large"),
            (publishing("news", 1_000_000).await, "message_too_large"),
        ] {
            assert_eq!((status.code(), code_of(&status)), (Code::InvalidArgument, code), "{status}");
        }
        let nameless = v1::HistoryRequest::default();
        let status = call::<_, v1::HistoryResponse>(&channel, "History", nameless).await.unwrap_err();
        assert_eq!((status.code(), code_of(&status)), (Code::InvalidArgument, "room_required"));
        let status = call::<_, v1::HistoryResponse>(&channel, "Nothing", v1::Ping {}).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    });
}

#[test]
fn a_stream_that_begins_with_a_mistake_ends_with_it() {
    let (_node, url) = Process::node(&["--handshake-timeout-ms", "1"]);
    story(async {
        let channel = connect(&url).await;
        let mut silent = Session::open(&channel).await.unwrap();
        let status = silent.frames.end().await;
        assert_eq!((status.code(), code_of(&status)), (Code::DeadlineExceeded, "timeout"));
    });
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        for (frame, code) in [
            (Said::Ping(v1::Ping {}), "bad_frame"),
            (chat("hello"), "bad_frame"),
            (Said::Hello(hello("", "ana")), "bad_room"),
            (Said::Hello(hello("news", "")), "bad_user"),
        ] {
            let mut session = Session::open(&channel).await.unwrap();
            session.say(frame).await;
            let status = session.frames.end().await;
            assert_eq!((status.code(), code_of(&status)), (Code::InvalidArgument, code), "{status}");
        }
        let request = v1::SubscribeRequest { rooms: vec![String::new()], ..Default::default() };
        let status = subscribe(&channel, request).await.err().expect("it is refused");
        assert_eq!((status.code(), code_of(&status)), (Code::InvalidArgument, "bad_room"));
    });
}

#[test]
fn a_mistake_within_a_session_is_answered_and_the_session_goes_on() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let mut ana = Session::enter(&connect(&url).await, "news", "ana").await;
        let join = v1::Join { room: "bad\nname".into(), last_message_id: None };
        ana.say_with_ref(Said::Join(join), Some("7")).await;
        let frame = ana.frames.0.message().await.unwrap().unwrap();
        let Some(Heard::Error(error)) = frame.frame else { panic!("{frame:?}") };
        assert_eq!((error.code.as_str(), frame.r#ref.as_deref()), ("bad_room", Some("7")));
        ana.chat("after all").await;
        assert_eq!(ana.frames.text().await, "after all");
    });
}

#[test]
fn a_message_that_is_too_large_ends_its_session_and_no_other() {
    let (_node, url) = Process::node(&["--message-bytes-max", "1000"]);
    story(async {
        let channel = connect(&url).await;
        let mut ben = Session::enter(&channel, "news", "ben").await;
        for bytes in [1_001, 1_000_000] {
            let mut ana = Session::enter(&channel, "news", "ana").await;
            ana.chat(&"x".repeat(bytes)).await;
            let status = ana.frames.end().await;
            assert_eq!(status.code(), Code::InvalidArgument, "{bytes} bytes: {status}");
        }
        publish(&channel, "news", "goes on").await;
        loop {
            if let Heard::Message(message) = ben.frames.next().await {
                break assert_eq!(text(message), "goes on");
            }
        }
    });
}

#[test]
fn a_session_that_is_taken_over_or_sent_away_ends_with_the_reason() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let channel = connect(&url).await;
        let mut first = Session::hello(&channel, hello("news", "ana")).await;
        let session_id = Some(first.frames.session().await.session_id);
        let user_id = Some("ana".to_owned());
        let again = v1::Hello { session_id, user_id, ..Default::default() };
        let mut second = Session::hello(&channel, again).await;
        assert!(second.frames.session().await.resumed);
        assert_eq!(first.frames.end().await.code(), Code::Aborted);
        let sessions = "DELETE /users/ana/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert!(plain(&url, sessions).starts_with("HTTP/1.1 200"));
        assert_eq!(second.frames.end().await.code(), Code::PermissionDenied);
    });
}

#[test]
fn a_stream_takes_a_seat_and_gives_it_back() {
    // The connection has one, too.
    let (_node, url) = Process::node(&["--connections-max", "2"]);
    story(async {
        let channel = connect(&url).await;
        let ana = Session::enter(&channel, "news", "ana").await;
        let status = Session::open(&channel).await.err().expect("it is refused");
        assert_eq!((status.code(), code_of(&status)), (Code::ResourceExhausted, "at_capacity"));
        drop(ana);
        loop {
            match Session::open(&channel).await {
                Ok(session) => {
                    session.say(Said::Hello(hello("news", "ben"))).await;
                    let Session { mut frames, .. } = session;
                    break assert_eq!(frames.session().await.user_id.as_deref(), Some("ben"));
                }
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
        }
    });
}

#[test]
fn clients_that_do_not_read_cost_little_and_disturb_nobody() {
    const SLOW: usize = 16;
    const MESSAGES: usize = 2_000;
    const BYTES: usize = 4_000;
    let (_node, url) = Process::node(&["--messages-per-second-max", "0"]);
    story(async {
        let channel = connect(&url).await;
        let mut slow = Vec::new();
        for number in 0..SLOW {
            // A connection each, so that none fills the others' window.
            let channel = connect(&url).await;
            slow.push(Session::enter(&channel, "news", &format!("slow{number}")).await);
        }
        let mut quick = Session::enter(&channel, "news", "quick").await;
        let before = resident_bytes(&url);
        let filler = "x".repeat(BYTES);
        for number in 0..MESSAGES {
            let sent = format!("{number} {filler}");
            publish(&channel, "news", &sent).await;
            assert_eq!(quick.frames.text().await, sent);
        }
        let (grown, all) = (resident_bytes(&url).saturating_sub(before), SLOW * MESSAGES * BYTES);
        assert!(grown < all / 4, "it grew by {grown} bytes while {all} were not read");
        // Who reads in the end gets what there is, in order, and is told of the rest.
        for session in &mut slow {
            let (mut last, mut gaps) = (None, 0);
            while last != Some(MESSAGES - 1) {
                match session.frames.next().await {
                    Heard::Message(message) => {
                        let number = text(message).split_once(' ').unwrap().0.parse().unwrap();
                        let follows = last.map_or(0, |last| last + 1);
                        assert!(number == follows || gaps > 0, "{number} where {follows} follows");
                        (last, gaps) = (Some(number), 0);
                    }
                    Heard::Gap(_) => gaps += 1,
                    Heard::UserJoined(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    });
}

fn resident_bytes(url: &str) -> usize {
    let page = http::get(&Address::parse(url).unwrap().with_path("/metrics")).unwrap();
    let page = String::from_utf8(page.body).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.expect("the page of metrics tells it").parse::<f64>().unwrap() as usize
}

#[test]
fn tools_learn_of_the_service_by_reflection() {
    let (_node, url) = Process::node(&[]);
    story(async {
        let mut client = ServerReflectionClient::new(connect(&url).await);
        let message_request = Some(MessageRequest::ListServices(String::new()));
        let request = ServerReflectionRequest { host: String::new(), message_request };
        let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
        let answer = answers.into_inner().next().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
        let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
        assert!(
            names.contains(&"tidings.v1.Tidings") && names.contains(&"grpc.health.v1.Health"),
            "{names:?}"
        );
    });
}

#[test]
fn a_node_that_stops_says_so_to_health_checks_and_lets_its_sessions_go() {
    let (node, url) =
        Process::node(&["--restart-ack-timeout-ms", "3600000", "--drain-timeout-ms", "3600000"]);
    story(async {
        let channel = connect(&url).await;
        let mut health = HealthClient::new(channel.clone());
        let about = |service: &str| HealthCheckRequest { service: service.into() };
        let checked = health.check(about("tidings.v1.Tidings")).await.unwrap().into_inner();
        assert_eq!(checked.status(), ServingStatus::Serving);
        assert_eq!(health.check(about("other")).await.unwrap_err().code(), Code::NotFound);
        let mut changes = health.watch(about("")).await.unwrap().into_inner();
        assert_eq!(changes.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        let mut ana = Session::enter(&channel, "news", "ana").await;
        node.signal(Signal::TERM);
        assert!(matches!(ana.frames.next().await, Heard::ServerRestart(_)));
        assert_eq!(changes.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert!(changes.message().await.unwrap().is_none());
        ana.say(Said::RestartAck(v1::RestartAck {})).await;
        assert_eq!(ana.frames.end().await.code(), Code::Unavailable);
    });
    let (code, log) = node.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_session_rehearses_a_restart_that_the_others_do_not_notice() {
    let (_node, url) =
        Process::node(&["--restart-ack-timeout-ms", "3600000", "--drain-timeout-ms", "3600000"]);
    story(async {
        let channel = connect(&url).await;
        let mut ana = Session::enter(&channel, "news", "ana").await;
        let mut ben = Session::enter(&channel, "sport", "ben").await;
        ana.say(Said::RehearseRestart(v1::RehearseRestart {})).await;
        assert!(matches!(ana.frames.next().await, Heard::ServerRestart(_)));
        ana.say(Said::RestartAck(v1::RestartAck {})).await;
        assert_eq!(ana.frames.end().await.code(), Code::Unavailable);
        ben.say(Said::Ping(v1::Ping {})).await;
        assert!(matches!(ben.frames.next().await, Heard::Pong(_)));
    });
}

#[test]
fn whoever_does_not_speak_grpc_is_told_what_to_speak() {
    let (_node, url) = Process::node(&[]);
    let request = "POST /tidings.v1.Tidings/Publish HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = plain(&url, request);
    assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("gRPC"), "{answer}");
}

/// The answer to a request over HTTP/1.1 after which the connection closes.
fn plain(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

//! WebSockets that speak protobuf: what is theirs alone. What they share with the others is in the
//! tests that run over each tongue.

use prost::Message as _;
use tidings_core::telemetry::Counter;
use tidings_protocol::Payload;
use tidings_protocol::proto::v1::{self, client_frame::Frame, publication};
use tidings_protocol::server::Received;
use tidings_websocket::frame::Opcode;

use crate::support::client::{handshake, handshake_for_protobuf};
use crate::support::{ClientId, Seen, Setup, World};

fn worlds() -> impl Iterator<Item = World> {
    Setup::each(|setup| setup.protobuf = true)
}

/// A client of the world that does not follow the others.
fn enter_by(world: &mut World, handshake: &[u8]) -> ClientId {
    let id = world.dial();
    world.raw(id, handshake);
    world.pump();
    world.greeted(id);
    id
}

fn say(world: &mut World, id: ClientId, frame: Option<Frame>, reference: Option<&str>) {
    let frame = v1::ClientFrame { frame, r#ref: reference.map(Into::into) };
    world.client(id).binary(&frame.encode_to_vec());
    world.pump();
}

fn binary(bytes: &[u8]) -> Option<Frame> {
    let payload = Some(publication::Payload::Binary(bytes.into()));
    Some(Frame::Message(v1::Publication { payload, ..Default::default() }))
}

fn error(world: &mut World, id: ClientId) -> (String, Option<String>) {
    let Received::Error(error) = world.frame(id) else { panic!("no error") };
    (error.code, error.reference)
}

#[test]
fn bytes_reach_protobuf_as_they_are_and_json_as_base64() {
    for mut world in worlds() {
        let ana = world.enter("/ws/chat/ana");
        let ben = enter_by(&mut world, &handshake("/ws/chat/ben", false));
        let bytes = [0, 255, 16, 3];
        say(&mut world, ana, binary(&bytes), None);
        world.client(ben).binary(&bytes);
        world.pump();
        for client in [ana, ben] {
            let payloads: Vec<_> = world.messages(client).into_iter().map(|body| body.payload).collect();
            assert_eq!(payloads, [Payload::Binary(bytes.into()), Payload::Binary(bytes.into())]);
        }
    }
}

#[test]
fn text_is_not_taken() {
    for mut world in worlds() {
        let ana = world.enter("/ws/chat/ana");
        world.client(ana).frame(Opcode::Text, br#"{"type":"ping"}"#);
        world.pump();
        let seen = world.take(ana);
        assert!(matches!(seen[..], [Seen::Close(1_003, _), Seen::End]), "{seen:?}");
        assert_eq!(world.counted(Counter::FrameRefused), 1);
    }
}

#[test]
fn bytes_that_are_no_frame_are_answered_and_the_conversation_goes_on() {
    for mut world in worlds() {
        let ana = world.enter("/ws/chat/ana");
        world.client(ana).binary(b"\xff\xff\xff");
        world.pump();
        assert_eq!(error(&mut world, ana), ("bad_frame".into(), None));
        say(&mut world, ana, None, Some("7"));
        assert_eq!(error(&mut world, ana), ("unknown_type".into(), Some("7".into())));
        world.say(ana, "after all");
        assert_eq!(world.texts(ana), ["after all"]);
    }
}

#[test]
fn a_first_frame_that_is_no_hello_leaves_its_client_a_guest() {
    for mut world in worlds() {
        let guest = world.connect("/ws");
        world.say(guest, "hello is said otherwise");
        assert_eq!(world.texts(guest), ["hello is said otherwise"]);
        world.say(guest, r#"{"type":"hello","user_id":"ana"}"#);
        assert_eq!(error(&mut world, guest).0, "bad_frame");
    }
}

#[test]
fn long_messages_are_compressed_where_that_was_agreed_on() {
    for mut world in worlds() {
        let plain = world.enter("/ws/chat");
        let packed = enter_by(&mut world, &handshake_for_protobuf("/ws/chat", true));
        let received_before = world.counted(Counter::ByteSent);
        let long = "all the same ".repeat(1_000);
        world.publish("chat", &long);
        assert_eq!(world.texts(plain), [&long[..]]);
        assert_eq!(world.texts(packed), [&long[..]]);
        let sent = world.counted(Counter::ByteSent) - received_before;
        assert!(sent < long.len() as u64 * 3 / 2, "{sent} bytes for one that is packed and one that is not");
    }
}

//! Frames that break the rules: each gets its close code or its `error`, is counted, and disturbs
//! nobody.

use tidings_core::telemetry::Counter;
use tidings_protocol::server::Received;
use tidings_websocket::deflate::Deflaters;
use tidings_websocket::encoder;
use tidings_websocket::frame::{FrameHeader, Opcode};

use crate::support::client::handshake;
use crate::support::{ClientId, Seen, Setup, World};

const MASK: [u8; 4] = [1, 2, 3, 4];

/// A client with compression, and two that chat.
fn three(world: &mut World) -> (ClientId, ClientId, ClientId) {
    let bad = world.dial();
    world.raw(bad, &handshake("/ws/chat/bad", true));
    world.pump();
    let others = (world.enter("/ws/chat/ana"), world.enter("/ws/chat/ben"));
    world.take(bad);
    (bad, others.0, others.1)
}

fn frame(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder::frame_with(&mut bytes, header, payload);
    bytes
}

fn masked(opcode: Opcode) -> FrameHeader {
    FrameHeader { mask: Some(MASK), ..FrameHeader::whole(opcode) }
}

/// A message of zeros that is small on the wire and larger than any message may be.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder::compressed(&mut bytes, &mut Deflaters::new(), 15, Some(MASK), Opcode::Binary, &vec![0; 1 << 20]);
    assert!(bytes.len() < 60_000, "{} bytes", bytes.len());
    bytes
}

#[test]
fn a_frame_that_breaks_the_rules_closes_its_connection_with_its_code() {
    let too_many_pieces: Vec<u8> = (0..2_000)
        .flat_map(|number| {
            let opcode = if number == 0 { Opcode::Text } else { Opcode::Continuation };
            frame(FrameHeader { fin: false, ..masked(opcode) }, b"")
        })
        .collect();
    let in_pieces = [
        frame(FrameHeader { fin: false, ..masked(Opcode::Text) }, &[b'x'; 60_000]),
        frame(masked(Opcode::Continuation), &[b'x'; 60_000]),
    ];
    for (what, bytes, code) in [
        ("unmasked", frame(FrameHeader::whole(Opcode::Text), b"hi"), 1_002),
        ("reserved bit", vec![0xA1, 0x80, 0, 0, 0, 0], 1_002),
        ("reserved opcode", vec![0x83, 0x80, 0, 0, 0, 0], 1_002),
        ("control frame in pieces", vec![0x09, 0x80, 0, 0, 0, 0], 1_002),
        ("long control frame", vec![0x89, 0xFE, 0, 200, 0, 0, 0, 0], 1_002),
        ("continuation of nothing", frame(masked(Opcode::Continuation), b"hi"), 1_002),
        ("bad UTF-8", frame(masked(Opcode::Text), b"\xC3\x28"), 1_007),
        ("bad UTF-8 in a reason", frame(masked(Opcode::Close), b"\x03\xE8\xC3\x28"), 1_007),
        ("bad close code", frame(masked(Opcode::Close), &1_005_u16.to_be_bytes()), 1_002),
        ("oversized frame", frame(masked(Opcode::Binary), &vec![0; 64 * 1024 + 1]), 1_009),
        (
            "oversized length",
            vec![0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
            1_009,
        ),
        ("oversized message", in_pieces.concat(), 1_009),
        ("too many pieces", too_many_pieces, 1_009),
        ("compression bomb", bomb(), 1_009),
        ("broken compression", frame(FrameHeader { rsv1: true, ..masked(Opcode::Text) }, &[0xFF; 40]), 1_007),
    ] {
        for mut world in Setup::each(|setup| setup.limits.messages_per_second_max = 0) {
            let (bad, ana, ben) = three(&mut world);
            let mut bytes = bytes.clone();
            // Pipelined garbage behind it is not looked at any more.
            bytes.extend([0xFF; 100]);
            world.raw(bad, &bytes);
            world.pump();
            let seen = world.take(bad);
            assert!(
                matches!(&seen[..], [Seen::Close(found, _), Seen::End] if *found == code),
                "{what}: {seen:?}"
            );
            assert_eq!(world.counted(Counter::FrameRefused), 1, "{what}");
            assert_eq!(world.connections(), 2, "{what}");
            world.say(ana, "undisturbed");
            assert_eq!(world.texts(ben), ["undisturbed"]);
        }
    }
}

#[test]
fn a_frame_that_is_not_as_the_contract_asks_is_answered_by_error() {
    let long = format!(r#"{{"type":"join","room":"{}"}}"#, "x".repeat(10_000));
    let long_ref = format!(r#"{{"type":"message","text":"x","ref":"{}"}}"#, "x".repeat(1_000));
    for (text, code) in [
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":7}"#, "bad_frame"),
        (r#"{"type":"message"}"#, "bad_frame"),
        (r#"{"type":"message","text":1}"#, "bad_frame"),
        (r#"{"type":"join","room":""}"#, "bad_room"),
        (r#"{"type":"join","room":"a\u0000"}"#, "bad_room"),
        (long.as_str(), "bad_room"),
        (long_ref.as_str(), "bad_ref"),
        (r#"{"type":"join","room":"a","last_message_id":-1}"#, "bad_frame"),
        (r#"{"type":"leave","room":"elsewhere"}"#, "not_in_room"),
        (r#"{"type":"hello"}"#, "bad_frame"),
        (r#"{"type":"refresh","token":"t"}"#, "not_supported"),
        (r#"{"type":"join","room":"@ana"}"#, "forbidden"),
        (r#"{"type":"message","room":"@ana","text":"x"}"#, "forbidden"),
        (r#"{"type":"history","room":"@ana"}"#, "forbidden"),
    ] {
        for mut world in Setup::each(|_| {}) {
            let (bad, ana, ben) = three(&mut world);
            world.say(bad, text);
            let Received::Error(error) = world.frame(bad) else { panic!("no error for {text}") };
            assert_eq!(error.code, code, "{text}");
            assert!(!error.message.is_empty());
            assert_eq!(world.counted(Counter::CommandRefused), 1);
            world.say(bad, "the connection lives");
            world.say(ana, "undisturbed");
            assert_eq!(world.texts(ben), ["the connection lives", "undisturbed"]);
        }
    }
}

#[test]
fn what_is_no_json_object_is_plain_chat() {
    for mut world in Setup::each(|_| {}) {
        let (odd, ana, _) = three(&mut world);
        let texts = ["[1,2]", "\"text\"", "{broken", "{\"no\":\"type\"}", "", "null", "{}"];
        for text in texts {
            world.say(odd, text);
        }
        assert_eq!(world.texts(ana), texts);
        assert_eq!(world.counted(Counter::CommandRefused), 0);
    }
}

#[test]
fn who_mistyped_its_hello_may_say_it_again() {
    let mut world = Setup::default().build();
    let ana = world.connect("/ws");
    world.say(ana, r#"{"user_id":7}"#);
    assert!(matches!(world.frame(ana), Received::Error(error) if error.code == "bad_frame"));
    world.say(ana, r#"{"user_id":"ana"}"#);
    assert!(matches!(world.frame(ana), Received::Session(_)));
}

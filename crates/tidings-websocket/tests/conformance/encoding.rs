//! What the encoder writes: the examples of the RFC to the byte, and never something a peer would have to refuse.

use crate::chapter_12_compression::{noise, prose};
use crate::harness::{Heard, MASK, SERVER, hear};
use tidings_websocket::deflate::Deflaters;
use tidings_websocket::encoder;
use tidings_websocket::frame::{FrameHeader, Opcode};
use tidings_websocket::{Config, Role};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn client_hears(deflate: bool, bytes: &[u8]) -> Vec<Heard> {
    hear(&Config { role: Role::Client, ..SERVER }, deflate, bytes, &[])
}

#[test]
fn the_examples_of_the_rfc_are_written_to_the_byte() {
    // RFC 6455 §5.7.
    assert_eq!(written(|out| encoder::text(out, "Hello")), b"\x81\x05Hello");
    let masked = written(|out| encoder::masked(out, [0x37, 0xFA, 0x21, 0x3D], Opcode::Text, b"Hello"));
    assert_eq!(masked, b"\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58");
    let first = FrameHeader { fin: false, ..FrameHeader::whole(Opcode::Text) };
    let second = FrameHeader::whole(Opcode::Continuation);
    let fragments = written(|out| {
        encoder::frame_with(out, first, b"Hel");
        encoder::frame_with(out, second, b"lo");
    });
    assert_eq!(fragments, b"\x01\x03Hel\x80\x02lo");
    assert_eq!(written(|out| encoder::ping(out, b"Hello")), b"\x89\x05Hello");
    assert_eq!(*encoder::header(Opcode::Binary, 256), *b"\x82\x7E\x01\x00");
    assert_eq!(*encoder::header(Opcode::Binary, 65_536), *b"\x82\x7F\0\0\0\0\0\x01\0\0");
}

#[test]
fn a_frame_is_its_header_and_its_payload_behind_what_was_there() {
    for length in [0, 125, 126, 65_535, 65_536] {
        let payload = vec![7; length];
        let mut out = b"before".to_vec();
        encoder::binary(&mut out, &payload);
        assert_eq!(out, [b"before", &encoder::header(Opcode::Binary, length)[..], &payload].concat());
    }
}

#[test]
fn control_frames_never_grow_over_125_bytes() {
    let long = "é".repeat(100);
    let pings = written(|out| encoder::ping(out, long.as_bytes()));
    assert_eq!(client_hears(false, &pings), [Heard::Ping(long.as_bytes()[..125].to_vec())]);
    let close = written(|out| encoder::close(out, 1001, &long));
    assert_eq!(client_hears(false, &close), [Heard::Close(Some((1001, "é".repeat(61))))]);
}

#[test]
fn a_close_code_that_may_not_travel_is_left_out() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 2000, 5000] {
        assert_eq!(written(|out| encoder::close(out, code, "reason")), [0x88, 0]);
    }
}

#[test]
fn a_compressed_message_is_heard_whatever_the_window_and_the_payload() {
    let mut deflaters = Deflaters::new();
    for window_bits in 8..=15 {
        for payload in
            [vec![], b"a".to_vec(), prose(300).into_bytes(), prose(70_000).into_bytes(), noise(5000)]
        {
            let bytes = written(|out| {
                encoder::compressed(out, &mut deflaters, window_bits, None, Opcode::Binary, &payload);
            });
            assert!(bytes.len() <= payload.len() + 10, "never longer than plain");
            assert_eq!(client_hears(true, &bytes), [Heard::Binary(payload.clone())]);
            let masked = written(|out| {
                encoder::compressed(out, &mut deflaters, window_bits, Some(MASK), Opcode::Binary, &payload);
            });
            assert_eq!(hear(&SERVER, true, &masked, &[]), [Heard::Binary(payload)]);
        }
    }
}

#[test]
fn text_that_compresses_is_sent_compressed_and_noise_is_not() {
    let mut deflaters = Deflaters::new();
    let text = prose(1000);
    let bytes =
        written(|out| encoder::compressed(out, &mut deflaters, 15, None, Opcode::Text, text.as_bytes()));
    assert_eq!(bytes[0], 0xC1);
    assert!(bytes.len() < 700, "{} bytes", bytes.len());
    let bytes =
        written(|out| encoder::compressed(out, &mut deflaters, 15, None, Opcode::Binary, &noise(1000)));
    assert_eq!(bytes[0], 0x82);
}

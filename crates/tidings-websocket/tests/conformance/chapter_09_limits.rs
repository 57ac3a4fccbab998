//! Autobahn chapter 9: large messages whole, in fragments and in small reads; and the limits that this project adds.

use crate::harness::{Heard, MASK, SERVER, Stream, binary, hear, hears_as, text};
use tidings_websocket::frame::{FrameHeader, Opcode};
use tidings_websocket::{Config, Error};

const MEBIBYTE: usize = 1 << 20;

fn every(step: usize, length: usize) -> Vec<usize> {
    (step..length).step_by(step).collect()
}

fn assert_hears_one(stream: &Stream, read_bytes: usize, expected: &Heard) {
    let heard = hear(&SERVER, false, &stream.0, &every(read_bytes, stream.0.len()));
    assert!(heard.len() == 1 && heard[0] == *expected, "reads of {read_bytes}: {} events", heard.len());
}

#[test]
fn messages_up_to_16_mebibytes_arrive_whole() {
    for length in [64 << 10, 256 << 10, MEBIBYTE, 4 * MEBIBYTE, 16 * MEBIBYTE] {
        let payload = "BAsd7&jh23".repeat(length / 10 + 1)[..length].to_owned();
        let stream = Stream::new().frame(Opcode::Text, &payload);
        assert_hears_one(&stream, stream.0.len(), &text(&payload));
        assert_hears_one(&stream, 64 << 10, &text(&payload));
        let stream = Stream::new().frame(Opcode::Binary, &payload);
        assert_hears_one(&stream, 64 << 10, &binary(payload.as_bytes()));
    }
}

#[test]
fn four_mebibytes_arrive_in_fragments_of_any_size() {
    let payload: String = "κόσμε BAsd7&jh23".chars().cycle().take(2 * MEBIBYTE).collect();
    for fragment_bytes in [64, 256, 1 << 10, 4 << 10, 64 << 10, MEBIBYTE, 4 * MEBIBYTE] {
        let stream = Stream::new().fragments(Opcode::Text, payload.as_bytes(), fragment_bytes);
        assert_hears_one(&stream, 16 << 10, &text(&payload));
    }
}

#[test]
fn one_mebibyte_arrives_in_reads_of_any_size() {
    let payload = vec![0xFE; MEBIBYTE];
    let stream = Stream::new().frame(Opcode::Binary, &payload);
    for read_bytes in [64, 128, 256, 512, 1024, 2048] {
        assert_hears_one(&stream, read_bytes, &binary(&payload));
    }
}

#[test]
fn a_message_of_exactly_the_limit_arrives_and_one_byte_more_fails_with_1009() {
    let config = Config { message_bytes_max: 1000, ..SERVER };
    let error = Error::MessageTooBig { limit_bytes: 1000 };
    let allowed = vec![b'a'; 1000];
    let refused = vec![b'a'; 1001];
    for fragment_bytes in [1, 333, 1000, 1001] {
        let stream = Stream::new().fragments(Opcode::Binary, &allowed, fragment_bytes);
        hears_as(&config, false, &stream, &[binary(&allowed)]);
        let stream = Stream::new().fragments(Opcode::Binary, &refused, fragment_bytes);
        hears_as(&config, false, &stream, &[Heard::Failed(error)]);
    }
    assert_eq!(error.close_code(), 1009);
}

#[test]
fn an_announced_length_over_the_limit_fails_before_any_payload_is_there() {
    let config = Config { message_bytes_max: 1000, ..SERVER };
    let header = FrameHeader { fin: true, rsv1: false, opcode: Opcode::Text, mask: Some(MASK) };
    for announced in [1001, 70_000, 1 << 40] {
        let stream = Stream::new().raw(&header.bytes(announced));
        hears_as(&config, false, &stream, &[Heard::Failed(Error::MessageTooBig { limit_bytes: 1000 })]);
    }
}

#[test]
fn lengths_that_the_rfc_forbids_fail_with_1002() {
    let not_minimal: [&[u8]; 5] = [
        &[0x82, 0xFE, 0, 0],
        &[0x82, 0xFE, 0, 125],
        &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 126],
        &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
    ];
    for header in not_minimal {
        hears_as(&SERVER, false, &Stream::new().raw(header), &[Heard::Failed(Error::LengthNotMinimal)]);
    }
    let top_bit = Stream::new().raw(&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1]);
    hears_as(&SERVER, false, &top_bit, &[Heard::Failed(Error::LengthTopBit)]);
    assert_eq!(Error::LengthNotMinimal.close_code(), 1002);
    assert_eq!(Error::LengthTopBit.close_code(), 1002);
}

#[test]
fn a_frame_without_a_mask_fails_with_1002() {
    for opcode in [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong, Opcode::Close] {
        let stream = Stream::new().with(FrameHeader::whole(opcode), "");
        hears_as(&SERVER, false, &stream, &[Heard::Failed(Error::MaskMissing)]);
    }
    assert_eq!(Error::MaskMissing.close_code(), 1002);
}

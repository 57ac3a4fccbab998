//! Autobahn chapter 12: compressed messages of every size and window, whole and in fragments; then what must fail.

use crate::harness::{Heard, MASK, SERVER, Stream, binary, hears_as, ping, text};
use tidings_websocket::frame::{FrameHeader, Opcode};
use tidings_websocket::{Config, Error};

/// Words that repeat, as texts do, without a period that a compressor would find.
pub(crate) fn prose(length: usize) -> String {
    let words = ["tidings ", "of ", "comfort ", "and ", "joy ", "κόσμε ", "{\"type\":\"message\"} ", "0123 "];
    let mut state = 12_345u32;
    let mut out = String::new();
    while out.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.push_str(words[(state >> 29) as usize]);
    }
    let end = (0..=length).rev().find(|end| out.is_char_boundary(*end)).expect("0 is a boundary");
    out.truncate(end);
    out.extend(std::iter::repeat_n(' ', length - end));
    out
}

/// Bytes that no compressor makes shorter.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[track_caller]
fn hears_deflated(stream: &Stream, expected: &[Heard]) {
    hears_as(&SERVER, true, stream, expected);
}

/// One compressed message whose payload is given as bytes.
fn message(deflated: &[u8]) -> Stream {
    let header = FrameHeader { fin: true, rsv1: true, opcode: Opcode::Text, mask: Some(MASK) };
    Stream::new().with(header, deflated)
}

#[test]
fn text_of_every_size_arrives_from_every_window_whole_and_in_fragments() {
    for length in [0, 1, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072] {
        let payload = prose(length);
        for window_bits in [9, 12, 15] {
            for fragment_bytes in [usize::MAX, 256] {
                let stream =
                    Stream::new().deflated(Opcode::Text, payload.as_bytes(), window_bits, fragment_bytes);
                hears_deflated(&stream, &[text(&payload)]);
            }
        }
    }
}

#[test]
fn incompressible_bytes_arrive() {
    for length in [1, 125, 4096, 65_536, 131_072] {
        let payload = noise(length);
        let stream = Stream::new().deflated(Opcode::Binary, &payload, 15, usize::MAX);
        hears_deflated(&stream, &[binary(&payload)]);
    }
}

#[test]
fn an_incompressible_message_of_exactly_the_limit_arrives() {
    // Compressed, it is longer than the limit: the limit is meant for what the message says.
    let config = Config { message_bytes_max: 10_000, ..SERVER };
    let payload = noise(10_000);
    let stream = Stream::new().deflated(Opcode::Binary, &payload, 15, usize::MAX);
    assert!(stream.0.len() > 10_000 + 8);
    hears_as(&config, true, &stream, &[binary(&payload)]);
}

#[test]
fn a_thousand_messages_arrive_without_remembering_each_other() {
    let payload = prose(512);
    let one = Stream::new().deflated(Opcode::Text, payload.as_bytes(), 15, usize::MAX);
    let stream = (0..1000).fold(Stream::new(), |stream, _| stream.then(&one));
    hears_deflated(&stream, &vec![text(&payload); 1000]);
}

#[test]
fn compressed_and_plain_messages_may_take_turns() {
    let stream = Stream::new()
        .deflated(Opcode::Text, b"compressed", 15, usize::MAX)
        .frame(Opcode::Text, "plain")
        .deflated(Opcode::Binary, b"in two", 15, 4)
        .frame(Opcode::Text, "");
    hears_deflated(&stream, &[text("compressed"), text("plain"), binary(b"in two"), text("")]);
}

#[test]
fn a_ping_between_compressed_fragments_is_heard_first() {
    let first = FrameHeader { fin: false, rsv1: true, opcode: Opcode::Text, mask: Some(MASK) };
    let stream = Stream::new().with(first, [0xF2, 0x48, 0xCD]).frame(Opcode::Ping, "still there?").fragment(
        true,
        Opcode::Continuation,
        [0xC9, 0xC9, 0x07, 0x00],
    );
    hears_deflated(&stream, &[ping(b"still there?"), text("Hello")]);
}

#[test]
fn the_examples_of_the_rfc_arrive() {
    let examples: [&[u8]; 4] = [
        // One block; no compression; a final block with its zero byte; two blocks (RFC 7692 §7.2.3.1, 3, 4, 5).
        &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
        &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
        &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
    ];
    for deflated in examples {
        hears_deflated(&message(deflated), &[text("Hello")]);
    }
    // A final block whose sender forgot the zero byte, and the empty message (§7.2.3.6).
    hears_deflated(&message(&[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]), &[text("Hello")]);
    hears_deflated(&message(&[0x00]), &[text("")]);
    // A final block that ends with the tail that was removed.
    hears_deflated(&message(&[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x04]), &[text("Hello")]);
}

#[test]
fn data_that_does_not_inflate_fails_with_1007() {
    let failed = [Heard::Failed(Error::CompressionInvalid)];
    let invalid: [&[u8]; 4] = [
        // A reserved block type; a stored block whose length contradicts itself.
        &[0xFF, 0xFF],
        &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48],
        // §7.2.3.2: refers to the message before, which context takeover would need.
        &[0xF2, 0x00, 0x11, 0x00, 0x00],
        // Data behind a final block.
        &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00],
    ];
    for deflated in invalid {
        hears_deflated(&message(deflated), &failed);
    }
    assert_eq!(Error::CompressionInvalid.close_code(), 1007);
}

#[test]
fn the_beginning_of_a_compressed_message_does_not_pass_for_all_of_it() {
    // Each is cut inside a block; most inflaters would hand over what they have.
    let payload = prose(3000);
    let whole = Stream::new().deflated(Opcode::Binary, payload.as_bytes(), 15, usize::MAX).0;
    let deflated_bytes = whole.len() - 8;
    let header = FrameHeader { fin: true, rsv1: true, opcode: Opcode::Binary, mask: Some(MASK) };
    for kept in (1..deflated_bytes).step_by(7) {
        let mut cut = whole[8..8 + kept].to_vec();
        tidings_websocket::mask::apply(&mut cut, MASK, 0);
        hears_deflated(&Stream::new().with(header, &cut), &[Heard::Failed(Error::CompressionInvalid)]);
    }
    // A stored block that announces more than comes.
    hears_deflated(
        &message(&[0x00, 0x06, 0x00, 0xF9, 0xFF, 0x48]),
        &[Heard::Failed(Error::CompressionInvalid)],
    );
}

#[test]
fn compressed_text_that_is_not_utf8_fails_with_1007() {
    let stream = Stream::new().deflated(Opcode::Text, b"\xED\xA0\x80edited", 15, usize::MAX);
    hears_deflated(&stream, &[Heard::Failed(Error::TextNotUtf8)]);
}

#[test]
fn a_compressed_message_without_an_agreement_fails_the_connection() {
    let stream = Stream::new().deflated(Opcode::Text, b"Hello", 15, usize::MAX);
    hears_as(&SERVER, false, &stream, &[Heard::Failed(Error::ReservedBits)]);
}

#[test]
fn a_message_that_inflates_to_exactly_the_limit_arrives_and_one_byte_more_fails() {
    for limit_bytes in [1, 100, 4095, 4096, 4097, 65_536] {
        let config = Config { message_bytes_max: limit_bytes, ..SERVER };
        let allowed = vec![b'a'; limit_bytes];
        let stream = Stream::new().deflated(Opcode::Binary, &allowed, 15, usize::MAX);
        hears_as(&config, true, &stream, &[binary(&allowed)]);
        let stream = Stream::new().deflated(Opcode::Binary, &vec![b'a'; limit_bytes + 1], 15, usize::MAX);
        hears_as(&config, true, &stream, &[Heard::Failed(Error::MessageTooBig { limit_bytes })]);
    }
}

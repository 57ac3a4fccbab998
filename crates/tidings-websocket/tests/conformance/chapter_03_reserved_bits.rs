//! Autobahn chapter 3: reserved bits fail the connection on every kind of frame, after what came before them.

use crate::harness::SERVER;
use crate::harness::{Heard, Stream, fails, hears, hears_as, ping, text};
use tidings_websocket::Error;
use tidings_websocket::frame::Opcode;

#[test]
fn any_reserved_bit_on_any_frame_fails_the_connection() {
    for reserved in 1..=7u8 {
        for opcode in [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong, Opcode::Close] {
            let stream = Stream::new().first_byte(0x80 | reserved << 4 | opcode as u8, b"");
            fails(&stream, Error::ReservedBits);
        }
    }
    assert_eq!(Error::ReservedBits.close_code(), 1002);
}

#[test]
fn what_came_before_a_reserved_bit_is_heard_and_what_comes_after_is_not() {
    let stream = Stream::new()
        .frame(Opcode::Text, "Hello, world!")
        .first_byte(0xA1, b"Hello, world!")
        .frame(Opcode::Ping, "");
    hears(&stream, &[text("Hello, world!"), Heard::Failed(Error::ReservedBits)]);
}

#[test]
fn a_reserved_bit_inside_a_fragmented_message_fails_the_connection() {
    let stream =
        Stream::new().fragment(false, Opcode::Text, "a").frame(Opcode::Ping, "b").first_byte(0xC0, b"c");
    hears(&stream, &[ping(b"b"), Heard::Failed(Error::ReservedBits)]);
}

#[test]
fn with_compression_only_the_first_bit_of_a_message_has_a_meaning() {
    let failed = [Heard::Failed(Error::ReservedBits)];
    for first in [0xA1, 0x91, 0xE1, 0xD1, 0xF1, 0xC9, 0xCA, 0xC8] {
        hears_as(&SERVER, true, &Stream::new().first_byte(first, b""), &failed);
    }
    let continuation = Stream::new().fragment(false, Opcode::Text, "a").first_byte(0xC0, b"b");
    hears_as(&SERVER, true, &continuation, &failed);
}

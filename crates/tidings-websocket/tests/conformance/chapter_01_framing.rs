//! Autobahn chapter 1: text and binary messages of every length form, unfragmented.

use crate::harness::{Stream, binary, hears, text};
use tidings_websocket::frame::Opcode;

/// The lengths at which the header changes its form, and their neighbours.
const LENGTHS: [usize; 7] = [0, 125, 126, 127, 128, 65_535, 65_536];

#[test]
fn text_of_every_length_form_arrives() {
    for length in LENGTHS {
        let payload = "*".repeat(length);
        hears(&Stream::new().frame(Opcode::Text, &payload), &[text(&payload)]);
    }
}

#[test]
fn binary_of_every_length_form_arrives() {
    for length in LENGTHS {
        let payload = vec![0xFE; length];
        hears(&Stream::new().frame(Opcode::Binary, &payload), &[binary(&payload)]);
    }
}

#[test]
fn many_frames_in_one_read_arrive_one_by_one() {
    let stream = Stream::new()
        .frame(Opcode::Text, "one")
        .frame(Opcode::Text, "")
        .frame(Opcode::Binary, [3])
        .frame(Opcode::Text, "four");
    hears(&stream, &[text("one"), text(""), binary(&[3]), text("four")]);
}

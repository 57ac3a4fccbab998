//! Autobahn chapter 10: a peer that fragments by itself, at 1,300 bytes.

use crate::harness::{Stream, hears, text};
use tidings_websocket::frame::Opcode;

#[test]
fn a_message_that_its_sender_fragmented_at_1300_bytes_arrives_whole() {
    let payload = "*".repeat(65_536);
    hears(&Stream::new().fragments(Opcode::Text, payload.as_bytes(), 1300), &[text(&payload)]);
}

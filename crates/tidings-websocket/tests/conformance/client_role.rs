//! The decoder of a client, which reads from a server: the same rules, but no frame may be masked.

use crate::harness::{Heard, MASK, SERVER, Stream, hears_as, ping, text};
use tidings_websocket::encoder;
use tidings_websocket::frame::Opcode;
use tidings_websocket::{Config, Error, Role};

const CLIENT: Config = Config { role: Role::Client, ..SERVER };

#[test]
fn a_client_hears_what_a_server_sends() {
    let mut bytes = Vec::new();
    encoder::text(&mut bytes, "κόσμε");
    encoder::ping(&mut bytes, b"still there?");
    encoder::pong(&mut bytes, b"");
    encoder::binary(&mut bytes, &[7; 300]);
    encoder::close(&mut bytes, 1012, "restarted");
    let expected = [
        text("κόσμε"),
        ping(b"still there?"),
        Heard::Pong(vec![]),
        Heard::Binary(vec![7; 300]),
        Heard::Close(Some((1012, "restarted".into()))),
    ];
    hears_as(&CLIENT, false, &Stream(bytes), &expected);
}

#[test]
fn a_masked_frame_from_a_server_fails_the_connection() {
    let mut bytes = Vec::new();
    encoder::masked(&mut bytes, MASK, Opcode::Text, b"Hello");
    hears_as(&CLIENT, false, &Stream(bytes), &[Heard::Failed(Error::MaskUnexpected)]);
    assert_eq!(Error::MaskUnexpected.close_code(), 1002);
}

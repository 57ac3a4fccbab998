//! Autobahn chapter 4: reserved opcodes fail the connection, alone or after a message.

use crate::harness::{Heard, Stream, fails, hears, text};
use tidings_websocket::Error;
use tidings_websocket::frame::Opcode;

const RESERVED: [u8; 10] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];

#[test]
fn a_reserved_opcode_fails_the_connection_with_or_without_payload() {
    for opcode in RESERVED {
        fails(&Stream::new().first_byte(0x80 | opcode, b""), Error::ReservedOpcode { opcode });
        fails(
            &Stream::new().first_byte(0x80 | opcode, b"reserved opcode payload"),
            Error::ReservedOpcode { opcode },
        );
    }
    assert_eq!(Error::ReservedOpcode { opcode: 3 }.close_code(), 1002);
}

#[test]
fn a_message_before_a_reserved_opcode_is_heard_and_a_ping_after_it_is_not() {
    for opcode in RESERVED {
        let stream = Stream::new()
            .frame(Opcode::Text, "Hello, world!")
            .first_byte(0x80 | opcode, b"x")
            .frame(Opcode::Ping, "");
        hears(&stream, &[text("Hello, world!"), Heard::Failed(Error::ReservedOpcode { opcode })]);
    }
}

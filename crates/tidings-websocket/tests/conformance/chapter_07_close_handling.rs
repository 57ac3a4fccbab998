//! Autobahn chapter 7: close frames, their payloads and codes, and the silence after them.

use crate::harness::{Heard, Stream, fails, hears, text};
use tidings_websocket::Error;
use tidings_websocket::frame::Opcode;

fn closed(code: u16, reason: &str) -> Heard {
    Heard::Close(Some((code, reason.to_owned())))
}

#[test]
fn nothing_after_a_close_is_heard() {
    let close = Stream::new().frame(Opcode::Text, "Hello World!").close(1000, "");
    let afterwards = [
        Stream::new().close(1000, ""),
        Stream::new().frame(Opcode::Ping, ""),
        Stream::new().frame(Opcode::Text, "too late"),
        Stream::new().first_byte(0xFF, b"not even wrong"),
    ];
    for after in afterwards {
        hears(&close.clone().then(&after), &[text("Hello World!"), closed(1000, "")]);
    }
}

#[test]
fn nothing_after_an_error_is_heard() {
    let stream = Stream::new().first_byte(0x83, b"").frame(Opcode::Text, "too late").close(1000, "");
    fails(&stream, Error::ReservedOpcode { opcode: 3 });
}

#[test]
fn a_close_without_payload_carries_no_code() {
    hears(&Stream::new().frame(Opcode::Close, ""), &[Heard::Close(None)]);
}

#[test]
fn a_close_of_one_byte_fails_the_connection() {
    fails(&Stream::new().frame(Opcode::Close, "a"), Error::CloseTooShort);
    assert_eq!(Error::CloseTooShort.close_code(), 1002);
}

#[test]
fn a_reason_of_up_to_123_bytes_arrives_and_of_124_fails() {
    for length in [0, 5, 123] {
        let reason = "*".repeat(length);
        hears(&Stream::new().close(1000, &reason), &[closed(1000, &reason)]);
    }
    let payload = [&1000u16.to_be_bytes()[..], &[b'*'; 124]].concat();
    fails(&Stream::new().first_byte(0x88, &payload), Error::ControlTooLong);
}

#[test]
fn a_reason_that_is_not_utf8_fails_the_connection_with_1007() {
    let payload = b"\x03\xE8Hello-\xCE\xBA\xED\xA0\x80edited";
    fails(&Stream::new().frame(Opcode::Close, payload), Error::CloseReasonNotUtf8);
    assert_eq!(Error::CloseReasonNotUtf8.close_code(), 1007);
}

#[test]
fn every_code_that_may_travel_arrives_and_no_other() {
    let may_travel = |code: u16| match code {
        1000..=1003 | 1007..=1011 => true,
        // Registered with IANA since: service restart, try again later, bad gateway.
        1012..=1014 => true,
        3000..=4999 => true,
        _ => false,
    };
    let interesting = (0..=1100u16).chain([1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 32_768, 65_535]);
    for code in interesting {
        for reason in [&b""[..], b"reason"] {
            let stream = Stream::new().frame(Opcode::Close, [&code.to_be_bytes()[..], reason].concat());
            if may_travel(code) {
                hears(&stream, &[closed(code, std::str::from_utf8(reason).unwrap())]);
            } else {
                fails(&stream, Error::CloseCodeInvalid { code });
            }
        }
    }
    assert_eq!(Error::CloseCodeInvalid { code: 0 }.close_code(), 1002);
}

//! Autobahn chapter 2: pings and pongs of every size, solicited or not.

use crate::harness::{Stream, fails, hears, ping, pong};
use tidings_websocket::Error;
use tidings_websocket::frame::Opcode;

#[test]
fn pings_up_to_125_bytes_arrive_with_their_payload() {
    for payload in
        [&b""[..], b"Hello, world!", &[0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF], &[0xFE; 125]]
    {
        hears(&Stream::new().frame(Opcode::Ping, payload), &[ping(payload)]);
    }
}

#[test]
fn a_ping_of_126_bytes_fails_the_connection() {
    let stream = Stream::new().first_byte(0x89, &[0xFE; 126]);
    fails(&stream, Error::ControlTooLong);
    assert_eq!(Error::ControlTooLong.close_code(), 1002);
}

#[test]
fn an_unsolicited_pong_is_no_reason_to_fail() {
    let stream = Stream::new()
        .frame(Opcode::Pong, "")
        .frame(Opcode::Pong, "unsolicited pong payload")
        .frame(Opcode::Ping, "ping payload");
    hears(&stream, &[pong(b""), pong(b"unsolicited pong payload"), ping(b"ping payload")]);
}

#[test]
fn ten_pings_in_a_row_arrive_in_order() {
    let payloads: Vec<String> = (0..10).map(|number| format!("payload-{number}")).collect();
    let stream = payloads.iter().fold(Stream::new(), |stream, payload| stream.frame(Opcode::Ping, payload));
    let expected: Vec<_> = payloads.iter().map(|payload| ping(payload.as_bytes())).collect();
    hears(&stream, &expected);
}

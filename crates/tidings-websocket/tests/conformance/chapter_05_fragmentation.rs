//! Autobahn chapter 5: messages in fragments, control frames between them, and fragments that belong to nothing.

use crate::harness::SERVER;
use crate::harness::{Heard, Stream, binary, fails, hears, hears_as, ping, pong, text};
use tidings_websocket::frame::Opcode;
use tidings_websocket::{Config, Error};

#[test]
fn a_control_frame_in_fragments_fails_the_connection() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
        let stream = Stream::new().fragment(false, opcode, "fragment1").fragment(
            true,
            Opcode::Continuation,
            "fragment2",
        );
        fails(&stream, Error::ControlFragmented);
    }
}

#[test]
fn a_message_in_two_fragments_arrives_whole() {
    for (opcode, expected) in
        [(Opcode::Text, text("fragment1fragment2")), (Opcode::Binary, binary(b"fragment1fragment2"))]
    {
        let stream = Stream::new().fragment(false, opcode, "fragment1").fragment(
            true,
            Opcode::Continuation,
            "fragment2",
        );
        hears(&stream, &[expected]);
    }
}

#[test]
fn a_ping_between_fragments_is_heard_before_the_message() {
    let stream = Stream::new()
        .fragment(false, Opcode::Text, "fragment1")
        .frame(Opcode::Ping, "ping payload")
        .fragment(true, Opcode::Continuation, "fragment2");
    hears(&stream, &[ping(b"ping payload"), text("fragment1fragment2")]);
}

#[test]
fn five_fragments_with_pings_and_pongs_between_them_arrive_whole() {
    let stream = Stream::new()
        .fragment(false, Opcode::Text, "fragment1")
        .fragment(false, Opcode::Continuation, "fragment2")
        .frame(Opcode::Ping, "pongme 1!")
        .fragment(false, Opcode::Continuation, "fragment3")
        .fragment(false, Opcode::Continuation, "fragment4")
        .frame(Opcode::Pong, "pongme 2!")
        .fragment(true, Opcode::Continuation, "fragment5");
    let whole = text("fragment1fragment2fragment3fragment4fragment5");
    hears(&stream, &[ping(b"pongme 1!"), pong(b"pongme 2!"), whole]);
}

#[test]
fn a_continuation_of_nothing_fails_the_connection() {
    for fin in [true, false] {
        let stream = Stream::new()
            .fragment(fin, Opcode::Continuation, "non-continuation payload")
            .frame(Opcode::Text, "Hello, world!");
        fails(&stream, Error::ContinuationWithoutStart);
    }
}

#[test]
fn a_continuation_after_the_last_fragment_fails_the_connection() {
    let stream = Stream::new()
        .fragment(false, Opcode::Text, "fragment1")
        .fragment(true, Opcode::Continuation, "fragment2")
        .fragment(false, Opcode::Continuation, "fragment3")
        .fragment(true, Opcode::Text, "fragment4");
    hears(&stream, &[text("fragment1fragment2"), Heard::Failed(Error::ContinuationWithoutStart)]);
}

#[test]
fn a_new_message_inside_a_fragmented_one_fails_the_connection() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let stream =
            Stream::new().fragment(false, Opcode::Text, "fragment1").fragment(true, opcode, "fragment2");
        fails(&stream, Error::MessageInterrupted);
    }
}

#[test]
fn a_close_between_fragments_ends_the_stream() {
    let stream = Stream::new().fragment(false, Opcode::Text, "fragment1").close(1000, "enough").fragment(
        true,
        Opcode::Continuation,
        "fragment2",
    );
    hears(&stream, &[Heard::Close(Some((1000, "enough".into())))]);
}

#[test]
fn a_message_may_come_in_exactly_as_many_fragments_as_configured() {
    let config = Config { fragments_max: 5, ..SERVER };
    let allowed = Stream::new().fragments(Opcode::Text, b"12345", 1);
    hears_as(&config, false, &allowed, &[text("12345")]);
    let refused = allowed.clone().fragments(Opcode::Text, b"123456", 1);
    let error = Error::TooManyFragments { limit: 5 };
    hears_as(&config, false, &refused, &[text("12345"), Heard::Failed(error)]);
    assert_eq!(error.close_code(), 1009);
}

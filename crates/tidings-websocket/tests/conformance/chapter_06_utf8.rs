//! Autobahn chapter 6: UTF-8 in text messages, whole, in fragments, and refused as early as the bytes allow.
//! The tables follow Markus Kuhn's "UTF-8 decoder capability and stress test", as the suite does.

use crate::harness::{Heard, SERVER, Stream, fails, hear_piece, hears, text};
use tidings_websocket::frame::Opcode;
use tidings_websocket::{Decoder, Error, Scratch};

const KOSME: &[u8] = "κόσμε".as_bytes();

/// Each is text by itself.
const VALID: &[&[u8]] = &[
    "Hello-µ@ßöäüàá-UTF-8!!".as_bytes(),
    KOSME,
    // The first and the last of each length.
    b"\x00",
    b"\x7F",
    "\u{80}".as_bytes(),
    "\u{7FF}".as_bytes(),
    "\u{800}".as_bytes(),
    "\u{FFFF}".as_bytes(),
    "\u{10000}".as_bytes(),
    "\u{10FFFF}".as_bytes(),
    // Around the surrogates, and the replacement character.
    "\u{D7FF}".as_bytes(),
    "\u{E000}".as_bytes(),
    "\u{FFFD}".as_bytes(),
    // Noncharacters are characters on the wire.
    "\u{FFFE}".as_bytes(),
    "\u{1FFFE}\u{1FFFF}\u{8FFFE}\u{FFFFF}\u{10FFFE}".as_bytes(),
];

/// Each is wrong wherever it stands.
const INVALID: &[&[u8]] = &[
    // Forms of five and six bytes, and beyond the last character.
    b"\xF8\x88\x80\x80\x80",
    b"\xFC\x84\x80\x80\x80\x80",
    b"\xF7\xBF\xBF\xBF",
    b"\xFB\xBF\xBF\xBF\xBF",
    b"\xFD\xBF\xBF\xBF\xBF\xBF",
    b"\xF4\x90\x80\x80",
    // Continuation bytes that continue nothing.
    b"\x80",
    b"\xBF",
    b"\x80\xBF",
    b"\x80\xBF\x80",
    b"\x80\xBF\x80\xBF\x80\xBF",
    // First bytes without what they promise, followed by a blank.
    b"\xC0 \xC1 \xC2 \xDF ",
    b"\xE0 \xE1 \xEF ",
    b"\xF0 \xF1 \xF7 ",
    b"\xF8 \xF9 \xFB ",
    b"\xFC \xFD ",
    b"\xC2\xE0\x80",
    b"\xE1\x80\xE1",
    b"\xF1\x80\x80\xC3\x80",
    // Bytes that stand nowhere.
    b"\xFE",
    b"\xFF",
    b"\xFE\xFE\xFF\xFF",
    // Overlong forms: of the slash, the longest, and of NUL.
    b"\xC0\xAF",
    b"\xE0\x80\xAF",
    b"\xF0\x80\x80\xAF",
    b"\xF8\x80\x80\x80\xAF",
    b"\xFC\x80\x80\x80\x80\xAF",
    b"\xC1\xBF",
    b"\xE0\x9F\xBF",
    b"\xF0\x8F\xBF\xBF",
    b"\xF8\x87\xBF\xBF\xBF",
    b"\xFC\x83\xBF\xBF\xBF\xBF",
    b"\xC0\x80",
    b"\xE0\x80\x80",
    b"\xF0\x80\x80\x80",
    b"\xF8\x80\x80\x80\x80",
    b"\xFC\x80\x80\x80\x80\x80",
    // Surrogates, alone and in pairs.
    b"\xED\xA0\x80",
    b"\xED\xAD\xBF",
    b"\xED\xAE\x80",
    b"\xED\xAF\xBF",
    b"\xED\xB0\x80",
    b"\xED\xBE\x80",
    b"\xED\xBF\xBF",
    b"\xED\xA0\x80\xED\xB0\x80",
    b"\xED\xAF\xBF\xED\xBF\xBF",
];

/// Each is the beginning of something valid, and wrong as an end.
const INCOMPLETE: &[&[u8]] = &[
    b"\xC2",
    b"\xDF",
    b"\xE0\xA0",
    b"\xEF\xBF",
    b"\xED\x9F",
    b"\xF0\x90\x80",
    b"\xF4\x8F\xBF",
    b"\xF4\x8F",
    b"\xF4",
];

#[test]
fn empty_text_arrives_whole_and_in_empty_fragments() {
    hears(&Stream::new().frame(Opcode::Text, ""), &[text("")]);
    let stream = Stream::new()
        .fragment(false, Opcode::Text, "")
        .fragment(false, Opcode::Continuation, "")
        .fragment(true, Opcode::Continuation, "");
    hears(&stream, &[text("")]);
    let stream = Stream::new()
        .fragment(false, Opcode::Text, "")
        .fragment(false, Opcode::Continuation, "middle frame payload")
        .fragment(true, Opcode::Continuation, "");
    hears(&stream, &[text("middle frame payload")]);
}

#[test]
fn valid_text_arrives_whole_and_with_every_byte_in_its_own_fragment() {
    for bytes in VALID {
        let expected = [text(std::str::from_utf8(bytes).unwrap())];
        hears(&Stream::new().frame(Opcode::Text, bytes), &expected);
        hears(&Stream::new().fragments(Opcode::Text, bytes, 1), &expected);
    }
}

#[test]
fn invalid_text_fails_the_connection_wherever_it_stands() {
    for bytes in INVALID {
        for (before, after) in [("", ""), ("κόσμε", ""), ("", "edited"), ("κόσμε", "edited")] {
            let payload = [before.as_bytes(), bytes, after.as_bytes()].concat();
            fails(&Stream::new().frame(Opcode::Text, &payload), Error::TextNotUtf8);
            fails(&Stream::new().fragments(Opcode::Text, &payload, 1), Error::TextNotUtf8);
        }
    }
    assert_eq!(Error::TextNotUtf8.close_code(), 1007);
}

#[test]
fn text_that_ends_inside_a_character_fails_the_connection() {
    let prefixes =
        (1..KOSME.len()).map(|end| &KOSME[..end]).filter(|prefix| std::str::from_utf8(prefix).is_err());
    for bytes in INCOMPLETE.iter().copied().chain(prefixes) {
        fails(&Stream::new().frame(Opcode::Text, bytes), Error::TextNotUtf8);
        fails(&Stream::new().fragments(Opcode::Text, bytes, 1), Error::TextNotUtf8);
    }
}

#[test]
fn binary_may_be_anything() {
    for bytes in INVALID {
        hears(&Stream::new().frame(Opcode::Binary, bytes), &[Heard::Binary(bytes.to_vec())]);
    }
}

#[test]
fn a_wrong_byte_in_a_fragment_fails_at_once_though_the_message_goes_on() {
    // Suite cases 6.4.1 and 6.4.2: the message is not over, and its sender would gladly wait.
    let stream = Stream::new().fragment(false, Opcode::Text, KOSME).fragment(
        false,
        Opcode::Continuation,
        b"\xF4\x90\x80\x80",
    );
    fails(&stream, Error::TextNotUtf8);
}

#[test]
fn a_wrong_byte_fails_at_once_though_its_frame_goes_on() {
    // Suite cases 6.4.3 and 6.4.4: the same inside one frame, where most parsers wait for the frame's end.
    let payload = [KOSME, b"\xF4\x90\x80\x80", b"edited"].concat();
    let stream = Stream::new().frame(Opcode::Text, &payload);
    let wrong_byte = stream.0.len() - payload.len() + KOSME.len() + 1;
    for piece in [1, 5, wrong_byte] {
        let (mut decoder, mut scratch, mut heard) = (Decoder::new(false), Scratch::new(), Vec::new());
        let mut sound = stream.0[..wrong_byte].to_vec();
        for chunk in sound.chunks_mut(piece) {
            hear_piece(&mut decoder, &SERVER, &mut scratch, chunk, &mut heard).unwrap();
        }
        let mut wrong = [stream.0[wrong_byte]];
        let error = hear_piece(&mut decoder, &SERVER, &mut scratch, &mut wrong, &mut heard).unwrap_err();
        assert_eq!(error, Error::TextNotUtf8);
        assert_eq!(heard, []);
    }
}

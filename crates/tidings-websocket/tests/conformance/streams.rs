//! Properties of any stream, sound, damaged or random: how it is cut changes nothing, and nothing makes a decoder panic.
//! Also where such streams come from, for the comparison with other parsers.

use crate::harness::{MASK, SERVER, Stream, hear};
use proptest::collection::vec;
use proptest::prelude::*;
use tidings_websocket::frame::{FrameHeader, Opcode};
use tidings_websocket::{Config, Role};

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zé水😀]{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..40),
        1 => (prop_oneof![Just(125usize), Just(126), Just(127), Just(65_535), Just(65_536)], any::<u8>())
            .prop_map(|(length, byte)| vec![byte & 0x7F; length]),
    ]
}

fn data_opcode() -> impl Strategy<Value = Opcode> {
    prop_oneof![Just(Opcode::Text), Just(Opcode::Binary)]
}

fn control() -> impl Strategy<Value = Stream> {
    let close_code = prop_oneof![4 => 1000..1016u16, 1 => any::<u16>(), 2 => 3000..5000u16];
    prop_oneof![
        4 => vec(any::<u8>(), 0..126).prop_map(|payload| Stream::new().frame(Opcode::Ping, payload)),
        4 => vec(any::<u8>(), 0..126).prop_map(|payload| Stream::new().frame(Opcode::Pong, payload)),
        1 => (close_code, "[a-zé]{0,20}").prop_map(|(code, reason)| {
            Stream::new().frame(Opcode::Close, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
        }),
    ]
}

/// A message in one to five fragments with control frames between some of them.
fn message(compressed: bool) -> impl Strategy<Value = Stream> {
    let between = vec(proptest::option::weighted(0.3, control()), 5);
    (data_opcode(), payload(), 1..6usize, between, any::<bool>()).prop_map(
        move |(opcode, payload, fragments, between, deflate)| {
            let deflate = compressed && deflate;
            let payload = if deflate { deflated(&payload) } else { payload };
            let piece = payload.len().div_ceil(fragments).max(1);
            let mut pieces: Vec<&[u8]> = payload.chunks(piece).collect();
            pieces.resize(fragments, b"");
            let mut stream = Stream::new();
            for (index, (piece, between)) in pieces.iter().zip(between).enumerate() {
                let header = FrameHeader {
                    fin: index + 1 == fragments,
                    rsv1: deflate && index == 0,
                    opcode: if index == 0 { opcode } else { Opcode::Continuation },
                    mask: Some(MASK),
                };
                stream = stream.with(header, piece).then(&between.unwrap_or_default());
            }
            stream
        },
    )
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(tidings_websocket::deflate::Deflaters::new().compress(15, payload, &mut out));
    out
}

/// What a well-behaved client might send (but for text that is not UTF-8 and close codes that may not travel).
pub(crate) fn sound_stream(compressed: bool) -> impl Strategy<Value = Stream> {
    vec(prop_oneof![3 => message(compressed), 1 => control()], 0..6)
        .prop_map(|parts| parts.iter().fold(Stream::new(), |stream, part| stream.then(part)))
}

#[derive(Clone, Debug)]
enum Damage {
    Flip { at: prop::sample::Index, bits: u8 },
    Remove { at: prop::sample::Index },
    Insert { at: prop::sample::Index, bytes: Vec<u8> },
    Truncate { at: prop::sample::Index },
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        1 => at().prop_map(|at| Damage::Remove { at }),
        1 => (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        1 => at().prop_map(|at| Damage::Truncate { at }),
    ]
}

fn apply(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Flip { at, bits } => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Damage::Remove { at } => {
                bytes.remove(at.index(bytes.len()));
            }
            Damage::Insert { at, bytes: added } => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, added.iter().copied());
            }
            Damage::Truncate { at } => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

/// A sound stream, or one with a few faults, or noise.
pub(crate) fn any_stream(compressed: bool) -> impl Strategy<Value = Stream> {
    prop_oneof![
        2 => sound_stream(compressed),
        5 => (sound_stream(compressed), vec(damage(), 1..4)).prop_map(|(stream, damages)| Stream(apply(stream.0, &damages))),
        1 => vec(any::<u8>(), 0..100).prop_map(Stream),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn how_a_stream_is_cut_changes_nothing(
        Stream(bytes) in any_stream(true),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        deflate in any::<bool>(),
        message_bytes_max in prop_oneof![Just(16usize << 20), 0..200usize],
        fragments_max in prop_oneof![Just(100usize), 1..4usize],
        is_server in proptest::bool::weighted(0.9),
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let config = Config { role, message_bytes_max, fragments_max };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = hear(&config, deflate, &bytes, &[]);
        prop_assert_eq!(&hear(&config, deflate, &bytes, &cuts), &whole);
        if bytes.len() < 2000 {
            let every_byte: Vec<usize> = (1..bytes.len().max(1)).collect();
            prop_assert_eq!(&hear(&config, deflate, &bytes, &every_byte), &whole);
        }
    }

    #[test]
    fn a_message_is_heard_as_it_was_sent(text in "[a-zé水😀]{0,300}", fragment_bytes in 1..50usize, deflate in any::<bool>()) {
        let stream = match deflate {
            true => Stream::new().deflated(Opcode::Text, text.as_bytes(), 15, fragment_bytes),
            false if text.is_empty() => Stream::new().frame(Opcode::Text, ""),
            false => Stream::new().fragments(Opcode::Text, text.as_bytes(), fragment_bytes),
        };
        prop_assert_eq!(hear(&SERVER, true, &stream.0, &[]), [crate::harness::text(&text)]);
    }
}

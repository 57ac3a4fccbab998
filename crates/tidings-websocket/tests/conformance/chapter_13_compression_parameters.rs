//! Autobahn chapter 13: which offers of permessage-deflate are answered how, and that windows are kept to.

use crate::chapter_12_compression::{noise, prose};
use flate2::{Decompress, FlushDecompress};
use tidings_websocket::deflate::{
    Agreed, AnswerError, Deflaters, Malformed, Offer, negotiate, window_bits_needed,
};

const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn answer(offers: &[&str]) -> Option<String> {
    negotiate(offers.iter().map(|offer| offer.as_bytes()))
        .expect("the grammar is kept")
        .map(|agreed| agreed.response_value())
}

fn answer_with(parameters: &str) -> Option<String> {
    Some(format!("{ANSWER}{parameters}"))
}

#[test]
fn every_offer_of_the_suite_and_of_browsers_is_accepted() {
    let offers = [
        ("permessage-deflate", ""),
        // Chromium and Firefox.
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_no_context_takeover; client_max_window_bits", ""),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", ""),
        ("permessage-deflate; server_max_window_bits=8", "; server_max_window_bits=8"),
        (
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10",
            "; server_max_window_bits=9; client_max_window_bits=10",
        ),
        ("permessage-deflate;server_max_window_bits=\"12\"", "; server_max_window_bits=12"),
        ("  permessage-deflate ;\tserver_max_window_bits = \"1\\2\" ", "; server_max_window_bits=12"),
    ];
    for (offer, parameters) in offers {
        assert_eq!(answer(&[offer]), answer_with(parameters), "{offer}");
    }
}

#[test]
fn an_offer_with_parameters_that_are_not_allowed_is_declined() {
    let parameters = [
        "unknown",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=+9",
        "server_max_window_bits=256",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=0",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=9",
        "server_max_window_bits=9; server_max_window_bits=9",
    ];
    for parameters in parameters {
        assert_eq!(answer(&[&format!("permessage-deflate; {parameters}")]), None, "{parameters}");
    }
    assert_eq!(answer(&["x-webkit-deflate-frame", "permessage-bzip2; level=9"]), None);
    assert_eq!(answer(&[]), None);
}

#[test]
fn the_first_acceptable_offer_wins_across_lists_and_headers() {
    let offers = "permessage-deflate; server_max_window_bits=99, permessage-deflate; server_max_window_bits=10, \
                  permessage-deflate";
    assert_eq!(answer(&[offers]), answer_with("; server_max_window_bits=10"));
    assert_eq!(
        answer(&["foo; a=\"b\", bar; c", "", ", ,", offers]),
        answer_with("; server_max_window_bits=10")
    );
}

#[test]
fn a_malformed_header_is_an_error_wherever_it_stands() {
    for value in [
        ";",
        "permessage-deflate;",
        "permessage deflate",
        "permessage-deflate; =9",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"9",
        "permessage-deflate; server_max_window_bits=\"9 \"",
        "permessage-deflate; a=b=c",
        "permessage-d\u{e9}flate",
    ] {
        assert_eq!(negotiate([&b"permessage-deflate"[..], value.as_bytes()]), Err(Malformed), "{value}");
    }
    assert_eq!(negotiate([&b"\xFF"[..]]), Err(Malformed));
}

#[test]
fn a_client_accepts_only_answers_within_its_offer() {
    let plain = Offer::default();
    let windows = Offer { server_max_window_bits: Some(10), client_max_window_bits: true };
    let check = |offer: &Offer, answer: &str| offer.check_answer([answer.as_bytes()]);
    let agreed =
        |server, client| Ok(Some(Agreed { server_max_window_bits: server, client_max_window_bits: client }));

    assert_eq!(plain.check_answer([]), Ok(None));
    assert_eq!(check(&plain, ANSWER), agreed(15, None));
    assert_eq!(check(&plain, "permessage-deflate; server_no_context_takeover"), agreed(15, None));
    assert_eq!(check(&plain, &format!("{ANSWER}; server_max_window_bits=9")), agreed(9, None));
    let narrow = format!("{ANSWER}; server_max_window_bits=10; client_max_window_bits=9");
    assert_eq!(check(&windows, &narrow), agreed(10, Some(9)));

    let outside = Err(AnswerError::OutsideOffer);
    assert_eq!(check(&plain, "permessage-deflate"), outside, "the server would take its context over");
    assert_eq!(check(&plain, &format!("{ANSWER}; client_max_window_bits=9")), outside);
    assert_eq!(check(&windows, ANSWER), outside, "the server's window is 15");
    assert_eq!(
        check(&windows, &format!("{ANSWER}; server_max_window_bits=9; client_max_window_bits")),
        outside
    );
    assert_eq!(check(&plain, &format!("{ANSWER}; unknown")), outside);
    assert_eq!(check(&plain, &format!("{ANSWER}, {ANSWER}")), Err(AnswerError::NotOffered));
    assert_eq!(check(&plain, "permessage-bzip2"), Err(AnswerError::NotOffered));
    assert_eq!(check(&plain, ";"), Err(Malformed.into()));
}

#[test]
fn both_our_sides_understand_each_other() {
    for offer in [
        Offer::default(),
        Offer { server_max_window_bits: Some(8), client_max_window_bits: true },
        Offer { server_max_window_bits: Some(12), client_max_window_bits: false },
    ] {
        let chosen = negotiate([offer.header_value().as_bytes()]).unwrap().unwrap();
        assert_eq!(offer.check_answer([chosen.response_value().as_bytes()]), Ok(Some(chosen)));
    }
}

/// Inflates with an inflater of exactly this window, which refuses references that reach further back.
fn inflate_within(window_bits: u8, deflated: &[u8], message_bytes: usize) -> Vec<u8> {
    let mut inflate = Decompress::new_with_window_bits(false, window_bits);
    let mut out = Vec::with_capacity(message_bytes + 1);
    let whole = [deflated, &[0x00, 0x00, 0xFF, 0xFF]].concat();
    inflate.decompress_vec(&whole, &mut out, FlushDecompress::Sync).expect("the window is kept");
    assert_eq!(inflate.total_in() as usize, whole.len());
    out
}

#[test]
fn what_is_compressed_for_a_window_inflates_within_it() {
    let mut deflaters = Deflaters::new();
    for window_bits in 9..=15u8 {
        for length in [0, 1, 511, 512, 513, 4096, 32_768, 32_769, 100_000] {
            for payload in [prose(length).into_bytes(), noise(length), vec![b'a'; length]] {
                let mut deflated = b"kept".to_vec();
                assert!(deflaters.compress(window_bits, &payload, &mut deflated));
                assert_eq!(&deflated[..4], b"kept");
                assert!(!deflated[4..].is_empty(), "RFC 7692 §7.2.1 leaves at least one byte");
                assert_eq!(inflate_within(window_bits, &deflated[4..], payload.len()), payload);
            }
        }
    }
}

#[test]
fn a_window_of_8_is_kept_by_compressing_short_messages_only() {
    // zlib's inflater has no window of 256 either; that nothing reaches further back follows from the length.
    let mut deflaters = Deflaters::new();
    let mut out = Vec::new();
    assert!(deflaters.compress(8, &[b'a'; 256], &mut out));
    assert_eq!(inflate_within(9, &out, 256), [b'a'; 256]);
    out.clear();
    assert!(!deflaters.compress(8, &[b'a'; 257], &mut out));
    assert_eq!(out, []);
}

#[test]
fn a_frame_may_be_shared_by_all_whose_window_holds_the_message() {
    for (length, bits) in
        [(0, 8), (1, 8), (256, 8), (257, 9), (512, 9), (16_384, 14), (16_385, 15), (1 << 20, 15)]
    {
        assert_eq!(window_bits_needed(length), bits, "{length} bytes");
    }
    let mut deflaters = Deflaters::new();
    for bits in 9..=15u8 {
        let payload = prose(1 << bits);
        assert!(window_bits_needed(payload.len()) <= bits);
        let (mut widest, mut narrow) = (Vec::new(), Vec::new());
        assert!(deflaters.compress(15, payload.as_bytes(), &mut widest));
        assert!(deflaters.compress(bits, payload.as_bytes(), &mut narrow));
        assert_eq!(widest, narrow);
        assert_eq!(inflate_within(bits, &widest, payload.len()), payload.as_bytes());
    }
}

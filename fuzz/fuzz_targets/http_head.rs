//! Any bytes as the head of a request: reading never panics, what is refused stays refused whatever
//! follows, a head that is whole does not depend on how it was cut, and what a shard answers is HTTP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_protocol::{Limits, Origins};
use tidings_shard::head::{self, Head, Rules};
use tidings_shard::http::Terms;

fuzz_target!(|input: &[u8]| {
    let limits = Limits { head_bytes_max: 1_024, headers_max: 16, ..Limits::default() };
    let origins = Origins::default();
    let rules = Rules { limits: &limits, node: "n1", echo: true, compression: true, origins: &origins };
    let whole = head::read(input, rules);
    check(&whole, input, &limits);
    // Cut anywhere, the beginning asks for more or says already what the whole says.
    for cut in (0..input.len()).step_by(1 + input.len() / 64) {
        let begun = head::read(&input[..cut], rules);
        match (&begun, &whole) {
            (Head::Incomplete, _) => {}
            (Head::Elsewhere, Head::Elsewhere) => {}
            (Head::WebSocket(early), Head::WebSocket(late)) => {
                assert_eq!(early.head_bytes, late.head_bytes);
                assert_eq!(early.response, late.response);
            }
            (Head::Request(early), Head::Request(late)) => assert_eq!(early.head_bytes, late.head_bytes),
            // What is too large is not read on, be the rest good or bad.
            (Head::Refused(early, _), Head::Refused(late, _)) => {
                assert!(early.status == late.status || early.status == 431);
            }
            (early, late) => panic!("cut at {cut}: {early:?}, whole: {late:?}"),
        }
    }
    if let Ok(target) = std::str::from_utf8(input) {
        let _ = head::target(target, rules);
    }
});

fn check(head: &Head, input: &[u8], limits: &Limits) {
    match head {
        // What is kept while more has to come is bounded.
        Head::Incomplete => assert!(input.len() < limits.head_bytes_max),
        Head::Elsewhere => {}
        Head::WebSocket(opening) => {
            assert!(opening.head_bytes <= input.len().min(limits.head_bytes_max));
            assert_eq!(status(&opening.response), 101);
        }
        Head::Request(request) => assert!(request.head_bytes <= input.len().min(limits.head_bytes_max)),
        Head::Refused(refused, _) => {
            let mut answer = Vec::new();
            head::write_refusal(&mut answer, refused, &Terms::default(), "n1");
            assert_eq!(status(&answer), refused.status);
        }
    }
}

fn status(answer: &[u8]) -> u16 {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    assert!(response.parse(answer).is_ok_and(|status| status.is_complete()));
    response.code.expect("a whole answer has a status")
}

//! The opening handshake, both sides: what is accepted, what is refused and how, and that no header can be smuggled in.

use tidings_websocket::deflate::{Agreed, AnswerError, Offer};
use tidings_websocket::handshake::{
    ClientKey, ClientRequest, Established, Mismatch, Refusal, Request, Response, accept, accept_stream,
    choose_subprotocol, response,
};

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

/// The request of RFC 6455 §1.3.
fn sound() -> Headers<'static> {
    vec![
        ("Host", b"server.example.com"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", b"http://example.com"),
        ("Sec-WebSocket-Protocol", b"chat, superchat"),
        ("Sec-WebSocket-Version", b"13"),
    ]
}

fn without(name: &str) -> Headers<'static> {
    sound().into_iter().filter(|(other, _)| *other != name).collect()
}

fn with(name: &'static str, value: &'static [u8]) -> Headers<'static> {
    let mut headers = without(name);
    headers.push((name, value));
    headers
}

fn refused(headers: Headers<'_>) -> Refusal {
    accept(&Request { method: "GET", minor_version: 1, headers: headers.into_iter() }).unwrap_err()
}

fn is_accepted(headers: Headers<'_>) -> bool {
    accept(&Request { method: "GET", minor_version: 1, headers: headers.into_iter() }).is_ok()
}

#[test]
fn the_handshake_of_the_rfc_gets_the_answer_of_the_rfc() {
    let request = Request { method: "GET", minor_version: 1, headers: sound().into_iter() };
    let accepted = accept(&request).unwrap();
    assert_eq!(accepted.subprotocols, ["chat", "superchat"]);
    assert_eq!(accepted.deflate, None);
    let subprotocol = choose_subprotocol(&accepted.subprotocols, &["superchat", "chat"]);
    assert_eq!(subprotocol, Some("chat"), "the client's order counts");
    let mut out = Vec::new();
    response(&mut out, &accepted, subprotocol, &[("Tidings-Node", "a")]);
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
                    Tidings-Node: a\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn tokens_are_found_in_any_case_in_lists_and_in_repeated_headers() {
    assert!(is_accepted(with("Connection", b"keep-alive, Upgrade")));
    assert!(is_accepted(with("Connection", b"keep-alive ,\tuPGRADE,")));
    assert!(is_accepted(with("Upgrade", b"WebSocket")));
    assert!(is_accepted(with("Upgrade", b"h2c, websocket")));
    let mut twice = with("Connection", b"keep-alive");
    twice.push(("connection", b"upgrade"));
    assert!(is_accepted(twice));
    let lower: Vec<_> = sound().into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    assert!(is_accepted(lower.iter().map(|(name, value)| (name.as_str(), *value)).collect()));
    assert!(!is_accepted(with("Connection", b"Upgrades")));
    assert!(!is_accepted(with("Connection", b"close Upgrade")));
}

#[test]
fn each_fault_gets_its_own_refusal() {
    let start = |method, minor_version| {
        accept(&Request { method, minor_version, headers: sound().into_iter() }).unwrap_err()
    };
    assert_eq!(start("POST", 1), Refusal::MethodNotGet);
    assert_eq!(start("get", 1), Refusal::MethodNotGet);
    assert_eq!(start("GET", 0), Refusal::HttpVersionTooOld);
    assert_eq!(refused(without("Upgrade")), Refusal::UpgradeMissing);
    assert_eq!(refused(with("Upgrade", b"h2c")), Refusal::UpgradeMissing);
    assert_eq!(refused(without("Connection")), Refusal::ConnectionMissing);
    assert_eq!(refused(with("Connection", b"close")), Refusal::ConnectionMissing);
    assert_eq!(refused(without("Host")), Refusal::HostInvalid);
    assert_eq!(refused(without("Sec-WebSocket-Version")), Refusal::VersionUnsupported);
    for version in [&b"12"[..], b"8", b"013", b"13, 8", b""] {
        assert_eq!(refused(with("Sec-WebSocket-Version", version)), Refusal::VersionUnsupported);
    }
    assert_eq!(refused(without("Sec-WebSocket-Key")), Refusal::KeyInvalid);
    for key in [&b""[..], b"c2hvcnQ=", b"dGhlIHNhbXBsZSBub25jZQ", b"dGhlIHNhbXBsZSBub25jZSE=", b"\xFF"] {
        assert_eq!(refused(with("Sec-WebSocket-Key", key)), Refusal::KeyInvalid);
    }
    for protocol in [&b"two words"[..], b"a, b c", b"caf\xC3\xA9", b"a;b"] {
        assert_eq!(refused(with("Sec-WebSocket-Protocol", protocol)), Refusal::SubprotocolsMalformed);
    }
    assert_eq!(refused(with("Sec-WebSocket-Extensions", b"a;;b")), Refusal::ExtensionsMalformed);
}

#[test]
fn a_header_that_may_come_once_is_refused_twice() {
    for (name, refusal) in [
        ("Host", Refusal::HostInvalid),
        ("Sec-WebSocket-Version", Refusal::VersionUnsupported),
        ("Sec-WebSocket-Key", Refusal::KeyInvalid),
    ] {
        let value = sound().into_iter().find(|(other, _)| *other == name).unwrap().1;
        let mut headers = sound();
        headers.push((name, value));
        assert_eq!(refused(headers), refusal);
    }
}

#[test]
fn an_http_2_stream_needs_the_version_and_nothing_that_http_2_says_otherwise() {
    let with = |name, value: &'static str| {
        accept_stream([("sec-websocket-version", b"13".as_slice()), (name, value.as_bytes())].into_iter())
    };
    assert_eq!(with("sec-websocket-protocol", "a, b").unwrap().subprotocols, ["a", "b"]);
    let offer = "permessage-deflate; server_max_window_bits=10";
    let agreed = with("sec-websocket-extensions", offer).unwrap().deflate.unwrap();
    assert_eq!(agreed.server_max_window_bits, 10);
    assert_eq!(with("origin", "x").unwrap().deflate, None);
    assert_eq!(with("sec-websocket-version", "13"), Err(Refusal::VersionUnsupported));
    assert_eq!(accept_stream([].into_iter()), Err(Refusal::VersionUnsupported));
    assert_eq!(with("sec-websocket-protocol", "a b"), Err(Refusal::SubprotocolsMalformed));
    assert_eq!(with("sec-websocket-extensions", "a;;b"), Err(Refusal::ExtensionsMalformed));
}

#[test]
fn refusals_carry_the_status_and_the_headers_that_http_demands() {
    let wanted = Refusal::VersionUnsupported;
    assert_eq!((wanted.status(), wanted.reason()), (426, "Upgrade Required"));
    assert!(wanted.headers().contains(&("Sec-WebSocket-Version", "13")));
    assert_eq!(Refusal::UpgradeMissing.status(), 426);
    assert_eq!(Refusal::MethodNotGet.status(), 405);
    assert_eq!(Refusal::MethodNotGet.headers(), [("Allow", "GET")]);
    assert_eq!((Refusal::KeyInvalid.status(), Refusal::KeyInvalid.code()), (400, "key_invalid"));
    assert!(Refusal::HttpVersionTooOld.message().contains("proxy_http_version"));
}

#[test]
fn an_extra_header_cannot_end_its_line() {
    let accepted =
        accept(&Request { method: "GET", minor_version: 1, headers: sound().into_iter() }).unwrap();
    let mut out = Vec::new();
    response(&mut out, &accepted, None, &[("Tidings-Node", "a\r\nSet-Cookie: b")]);
    assert!(String::from_utf8(out).unwrap().ends_with("Tidings-Node: a  Set-Cookie: b\r\n\r\n"));
}

/// The lines of a head after the first, split as an HTTP parser would.
fn headers_of(head: &[u8]) -> Headers<'_> {
    let head = std::str::from_utf8(head).unwrap().strip_suffix("\r\n\r\n").unwrap();
    head.split("\r\n")
        .skip(1)
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name, value.as_bytes())
        })
        .collect()
}

fn client_request() -> ClientRequest<'static> {
    ClientRequest {
        host: "localhost:8080",
        path: "/ws/lobby?a=b",
        key: ClientKey::from_bytes([7; 16]),
        subprotocols: &["tidings.v1", "tidings.v1.json"],
        deflate: Some(Offer::default()),
        extra: &[("Origin", "http://localhost")],
    }
}

#[test]
fn both_our_sides_understand_each_other() {
    let client = client_request();
    let mut sent = Vec::new();
    client.write(&mut sent);
    assert!(sent.starts_with(b"GET /ws/lobby?a=b HTTP/1.1\r\nHost: localhost:8080\r\n"));
    let request = Request { method: "GET", minor_version: 1, headers: headers_of(&sent).into_iter() };
    let accepted = accept(&request).unwrap();
    let agreed = Agreed { server_max_window_bits: 15, client_max_window_bits: None };
    assert_eq!(accepted.deflate, Some(agreed));
    let chosen = choose_subprotocol(&accepted.subprotocols, &["tidings.v1.json"]);
    let mut answered = Vec::new();
    response(&mut answered, &accepted, chosen, &[]);
    let answer = Response { status: 101, headers: headers_of(&answered).into_iter() };
    let established = Established { subprotocol: Some("tidings.v1.json"), deflate: Some(agreed) };
    assert_eq!(client.verify(&answer), Ok(established));
}

#[test]
fn a_client_refuses_an_answer_that_proves_nothing_or_names_what_was_not_offered() {
    let client = client_request();
    let accept = client.key.accept();
    let sound = vec![
        ("upgrade", &b"WebSocket"[..]),
        ("connection", b"keep-alive, upgrade"),
        ("sec-websocket-accept", accept.as_str().as_bytes()),
    ];
    let verify = |status, change: Option<(&'static str, &'static [u8])>| {
        let mut headers: Headers<'_> =
            sound.iter().copied().filter(|(name, _)| Some(*name) != change.map(|change| change.0)).collect();
        headers.extend(change);
        client.verify(&Response { status, headers: headers.into_iter() })
    };
    assert_eq!(verify(101, None), Ok(Established { subprotocol: None, deflate: None }));
    assert_eq!(verify(401, None), Err(Mismatch::Status { status: 401 }));
    assert_eq!(verify(101, Some(("upgrade", b"h2c"))), Err(Mismatch::Upgrade));
    assert_eq!(verify(101, Some(("connection", b"close"))), Err(Mismatch::Connection));
    assert_eq!(
        verify(101, Some(("sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))),
        Err(Mismatch::Accept)
    );
    assert_eq!(verify(101, Some(("sec-websocket-protocol", b"other"))), Err(Mismatch::Subprotocol));
    assert_eq!(
        verify(101, Some(("sec-websocket-protocol", b"tidings.v1, tidings.v1"))),
        Err(Mismatch::Subprotocol)
    );
    let outside = Err(Mismatch::Extensions(AnswerError::OutsideOffer));
    assert_eq!(verify(101, Some(("sec-websocket-extensions", b"permessage-deflate"))), outside);
    let plain = ClientRequest { deflate: None, ..client_request() };
    let mut headers = sound.clone();
    headers.push(("sec-websocket-extensions", b"permessage-deflate; server_no_context_takeover"));
    let not_offered = Err(Mismatch::Extensions(AnswerError::NotOffered));
    assert_eq!(plain.verify(&Response { status: 101, headers: headers.into_iter() }), not_offered);
}

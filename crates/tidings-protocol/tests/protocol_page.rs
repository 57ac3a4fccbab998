//! The frames that `docs/protocol.md` shows are frames of this version.

use std::path::Path;

use serde_json::value::RawValue;
use tidings_protocol::client::{self, Decoded};
use tidings_protocol::proto::SUBPROTOCOL;
use tidings_protocol::server::{self, Received};
use tidings_protocol::{Cursor, ErrorCode, Limits, RoomName, SessionId};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

/// The lines of the blocks of a kind; of `json`, each is a frame or an answer.
fn examples<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    let blocks: Vec<_> = page.split(&fence).skip(1).collect();
    blocks.into_iter().flat_map(|block| block.split("```").next().unwrap_or_default().lines()).collect()
}

fn is_client_frame(text: &str) -> bool {
    let named = matches!(client::decode(text, &Limits::default()), Decoded::Frame(_));
    named
        || !text.contains("\"type\"")
            && matches!(client::decode_first(text, &Limits::default()), Decoded::Frame(_))
}

fn is_server_frame(text: &str) -> bool {
    !matches!(server::decode(text), Err(_) | Ok(Received::Unknown { .. }))
}

/// An answer to a long poll, with one frame, a list of them, or none.
fn is_poll_answer(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
        cursor: String,
        session_id: String,
    }
    let Ok(answer) = serde_json::from_str::<Answer<'_>>(text) else { return false };
    let frames = match serde_json::from_str::<Vec<&RawValue>>(answer.data.get()) {
        Ok(list) => list.into_iter().all(|frame| is_server_frame(frame.get())),
        Err(_) => answer.data.get() == "null" || is_server_frame(answer.data.get()),
    };
    let room = RoomName::new("news", &Limits::default()).unwrap();
    let cursor = Cursor::decode(&answer.cursor, &[room]);
    frames && cursor.is_ok() && SessionId::parse(&answer.session_id).is_some()
}

#[test]
fn every_frame_shown_is_understood() {
    let page = page();
    let examples = examples(&page, "json");
    for example in &examples {
        assert!(is_client_frame(example) || is_server_frame(example) || is_poll_answer(example), "{example}");
    }
    assert!(examples.len() >= 35, "{} examples", examples.len());
    assert!(examples.iter().filter(|example| is_poll_answer(example)).count() >= 3);
}

#[test]
fn every_event_shown_is_a_frame_of_its_type() {
    let page = page();
    let lines = examples(&page, "text");
    let mut seen = 0;
    for pair in lines.windows(2) {
        let Some(kind) = pair[0].strip_prefix("event: ") else { continue };
        let data = pair[1].strip_prefix("data: ").expect("data follows the event's type");
        assert!(data.starts_with(&format!("{{\"type\":\"{kind}\"")) && is_server_frame(data), "{data}");
        seen += 1;
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn every_frame_of_the_contract_is_shown() {
    let page = page();
    let examples = examples(&page, "json");
    let shown = |kind: &str, is_frame: fn(&str) -> bool| {
        let begin = format!("{{\"type\":\"{kind}\"");
        examples.iter().any(|example| example.starts_with(&begin) && is_frame(example))
    };
    for kind in [
        "hello",
        "join",
        "leave",
        "message",
        "typing_start",
        "typing_stop",
        "presence",
        "history",
        "ping",
        "refresh",
        "restart_ack",
        "rehearse_restart",
    ] {
        assert!(shown(kind, is_client_frame), "{kind} of clients has no example");
    }
    for kind in [
        "session",
        "restore",
        "joined",
        "left",
        "message",
        "ack",
        "user_typing",
        "user_stopped_typing",
        "user_joined",
        "user_left",
        "presence_changed",
        "presence",
        "history",
        "pong",
        "gap",
        "error",
        "server_restart",
    ] {
        assert!(shown(kind, is_server_frame), "{kind} of the server has no example");
    }
}

#[test]
fn every_limit_named_exists() {
    let page = page();
    let quoted = page.split('`').skip(1).step_by(2);
    let like_limits = quoted.filter(|word| word.ends_with("_max") || word.ends_with("_ms"));
    let (known, unknown): (Vec<_>, Vec<_>) =
        like_limits.partition(|word| Limits::default().get(word).is_some());
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(known.len() >= 20, "{known:?}");
}

#[test]
fn every_rpc_of_the_service_is_told() {
    let page = page();
    let service = include_str!("../../../proto/tidings/v1/tidings.proto");
    let mut seen = 0;
    for rpc in service.lines().filter_map(|line| line.trim().strip_prefix("rpc ")) {
        let signature = rpc.replace(") returns (", " → ").replace(");", "");
        let (name, types) = signature.split_once('(').expect("an rpc has a type");
        let (asked, answered) = types.split_once(" → ").expect("an rpc has an answer");
        assert!(page.contains(&format!("`{name}({asked}) → {answered}`")), "{rpc}");
        seen += 1;
    }
    assert_eq!(seen, 5);
    assert!(page.contains(&format!("`{SUBPROTOCOL}`")));
}

#[test]
fn every_error_code_named_exists() {
    let page = page();
    let quoted = page.split('`').skip(1).step_by(2);
    let like_codes = quoted.filter(|word| {
        ["bad_", "not_", "too_", "unknown_"].iter().any(|prefix| word.starts_with(prefix))
            || word.ends_with("_required")
    });
    let mut seen = 0;
    for word in like_codes {
        assert!(ErrorCode::from_name(word).is_some(), "{word}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}

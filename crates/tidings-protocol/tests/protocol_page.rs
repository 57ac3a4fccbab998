//! The frames that `docs/protocol.md` shows are frames of this version.

use std::path::Path;

use tidings_protocol::client::{self, Decoded};
use tidings_protocol::server::{self, Received};
use tidings_protocol::{ErrorCode, Limits};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

/// The lines of the blocks marked as JSON: one frame each.
fn examples(page: &str) -> Vec<&str> {
    let blocks = page.split("```json\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines()).collect()
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

#[test]
fn every_frame_shown_is_understood() {
    let page = page();
    let examples = examples(&page);
    for example in &examples {
        assert!(is_client_frame(example) || is_server_frame(example), "{example}");
    }
    assert!(examples.len() >= 20, "{} examples", examples.len());
}

#[test]
fn every_frame_of_the_contract_is_shown() {
    let page = page();
    let shown = examples(&page).concat();
    for kind in [
        "hello",
        "join",
        "leave",
        "message",
        "history",
        "ping",
        "restart_ack",
        "session",
        "restore",
        "joined",
        "left",
        "ack",
        "pong",
        "gap",
        "error",
        "server_restart",
    ] {
        assert!(shown.contains(&format!("{{\"type\":\"{kind}\"")), "{kind} has no example");
    }
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

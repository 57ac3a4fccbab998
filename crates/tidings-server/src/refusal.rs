//! hyper's own refusals, said in our words.
//!
//! A head that hyper cannot parse never reaches a route: hyper answers it by itself, with a bare
//! status and no way to add to it. The stream looks for that answer among what hyper writes and
//! sends the contract's JSON instead. Refuses to touch anything that a route has written.

use tidings_protocol::codes::ErrorCode;
use tidings_protocol::rest::ErrorAnswer;

/// hyper's refusals are shorter than this.
const LENGTH_MAX: usize = 256;

/// Finds a refusal of hyper's at the end of what it writes, after which it closes the connection.
/// Gives the place where it begins and its status.
pub(crate) fn find(written: &[u8]) -> Option<(usize, u16)> {
    if !written.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = written.len().saturating_sub(LENGTH_MAX);
    let begin = from + written[from..].windows(10).rposition(|window| window == b"HTTP/1.1 4")?;
    let head = std::str::from_utf8(&written[begin..]).ok()?;
    // Whatever comes from a route names the node, and only the end of an answer can be its head:
    // bodies of ours have no bare line ends.
    let bare =
        head.contains("\r\nconnection: close\r\ncontent-length: 0\r\n") && !head.contains("tidings-node");
    let status = head.get(9..12)?.parse().ok()?;
    bare.then_some((begin, status))
}

/// The answer to send instead.
pub(crate) fn answer(status: u16, node: &str) -> Vec<u8> {
    let (reason, code, message) = match status {
        414 => ("URI Too Long", ErrorCode::HeadTooLarge, "the address is too long: shorten it"),
        431 => (
            "Request Header Fields Too Large",
            ErrorCode::HeadTooLarge,
            "the request's head is larger than it may be: send fewer or shorter headers",
        ),
        _ => (
            "Bad Request",
            ErrorCode::BadHead,
            "the request's head is not HTTP: send an HTTP/1.1 request, and no bytes beyond Content-Length",
        ),
    };
    let body = serde_json::to_string(&ErrorAnswer::new(code, message)).expect("our own answers are JSON");
    format!(
        "HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         tidings-node: {node}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str =
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";

    #[test]
    fn a_refusal_is_found_behind_other_answers() {
        let before = "HTTP/1.1 200 OK\r\ntidings-node: n\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(find(BARE.as_bytes()), Some((0, 400)));
        assert_eq!(find(format!("{before}{BARE}").as_bytes()), Some((before.len(), 400)));
    }

    #[test]
    fn answers_of_routes_are_left_alone() {
        let ours = BARE.replace("date: x", "tidings-node: n");
        for written in [&ours, "", "HTTP/1.1 4", "HTTP/1.1 404 x\r\n\r\n", &BARE[..BARE.len() - 1]] {
            assert_eq!(find(written.as_bytes()), None, "{written}");
        }
    }
}

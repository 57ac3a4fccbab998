//! An HTTP answer that refuses: a status, `{"code","message"}`, and the end of the connection.

use tidings_protocol::ErrorCode;
use tidings_protocol::codes::Retry;
use tidings_websocket::handshake::Refusal;

/// Why a request is refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The code in the body.
    pub code: ErrorCode,
    /// What happened, then what to do.
    pub message: String,
    /// Headers that the status asks for.
    pub headers: &'static [(&'static str, &'static str)],
}

impl Refused {
    /// With the code's own status and words.
    pub fn new(code: ErrorCode) -> Self {
        let message = format!("{} What to do: {}.", code.meaning(), code.remedy());
        Self { status: code.http_status(), code, message, headers: &[] }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status() {
            405 => ErrorCode::MethodNotAllowed,
            426 => ErrorCode::UpgradeRequired,
            _ => ErrorCode::BadHandshake,
        };
        Self { status: refusal.status(), code, message: refusal.message(), headers: refusal.headers() }
    }
}

/// Appends the response.
pub fn write_refusal(out: &mut Vec<u8>, refused: &Refused, node: &str) {
    let body = serde_json::json!({ "code": refused.code.name(), "message": refused.message }).to_string();
    let mut head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close{}\r\n",
        refused.status,
        words(refused.status),
        body.len(),
        if refused.status == 426 { ", Upgrade" } else { "" },
    );
    for (name, value) in refused.headers.iter().filter(|(name, _)| *name != "Connection") {
        head += &format!("{name}: {value}\r\n");
    }
    if refused.code.retry() == Retry::Later {
        head += "Retry-After: 1\r\n";
    }
    let node: String = node.chars().filter(|character| !character.is_control()).collect();
    out.extend_from_slice(format!("{head}Tidings-Node: {node}\r\n\r\n{body}").as_bytes());
}

const fn words(status: u16) -> &'static str {
    match status {
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Bad Request",
    }
}

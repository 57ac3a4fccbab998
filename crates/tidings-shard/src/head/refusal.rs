//! An HTTP answer that refuses: a status, `{"code","message"}`, and the end of the connection.

use tidings_protocol::codes::Retry;
use tidings_protocol::{CloseCode, ErrorCode};
use tidings_websocket::handshake::Refusal;

use crate::http::{self, Answer, Body, Terms};

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
    /// See [`Terms::origin`].
    pub origin: Option<Box<str>>,
}

impl Refused {
    /// With the code's own status and words.
    pub fn new(code: ErrorCode) -> Self {
        Self::because(code, format!("{} What to do: {}.", code.meaning(), code.remedy()))
    }

    /// With the code's own status.
    pub fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status: code.http_status(), code, message: message.into(), headers: &[], origin: None }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status() {
            405 => ErrorCode::MethodNotAllowed,
            426 => ErrorCode::UpgradeRequired,
            _ => ErrorCode::BadHandshake,
        };
        let refused = Self::because(code, refusal.message());
        Self { status: refusal.status(), headers: refusal.headers(), ..refused }
    }
}

/// A request that was sent away where a WebSocket would have been closed.
impl From<CloseCode> for Refused {
    fn from(code: CloseCode) -> Self {
        Self::new(match code {
            CloseCode::GoingAway | CloseCode::ServiceRestart => ErrorCode::Restarting,
            CloseCode::TryAgainLater => ErrorCode::AtCapacity,
            CloseCode::PolicyViolation | CloseCode::TokenExpired => ErrorCode::Forbidden,
            CloseCode::Superseded => ErrorCode::Superseded,
            _ => ErrorCode::Internal,
        })
    }
}

/// Appends the response, after which the connection ends unless the terms say otherwise.
pub fn write_refusal(out: &mut Vec<u8>, refused: &Refused, terms: &Terms, node: &str) {
    let body = serde_json::json!({ "code": refused.code.name(), "message": refused.message }).to_string();
    let own = refused.headers.iter().filter(|(name, _)| *name != "Connection");
    let retry = (refused.code.retry() == Retry::Later).then_some(&("Retry-After", "1"));
    let headers: Vec<(&str, &str)> = own.chain(retry).copied().collect();
    let answer = Answer { status: refused.status, headers: &headers, body: Body::Json(body.as_bytes()) };
    http::write(out, &answer, terms, node);
}

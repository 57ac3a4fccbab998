//! Why a request is no WebSocket handshake: status, headers, a short code, and words that say what to do.
//! Used by the server's side. The client, or the proxy before us, is always the one to act.

use thiserror::Error;

/// A request that cannot be answered with 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The method is not GET.
    #[error("a WebSocket handshake must be a GET request; use GET")]
    MethodNotGet,
    /// HTTP/1.0 knows no upgrade. The usual cause is a proxy with its default settings.
    #[error("HTTP/1.0 cannot upgrade; use HTTP/1.1 (behind nginx: proxy_http_version 1.1)")]
    HttpVersionTooOld,
    /// No `Upgrade: websocket`: an ordinary request came to a WebSocket's address, or a proxy took the header away.
    #[error("this address speaks WebSocket; connect with a WebSocket client (a proxy must pass Upgrade on)")]
    UpgradeMissing,
    /// `Connection` does not list `Upgrade`.
    #[error(
        "the Connection header does not list Upgrade; send Connection: Upgrade (a proxy must pass it on)"
    )]
    ConnectionMissing,
    /// No `Host`, or several.
    #[error("the Host header is missing or repeated; send it once")]
    HostInvalid,
    /// A version other than 13, or none.
    #[error("only WebSocket version 13 is spoken here; send Sec-WebSocket-Version: 13")]
    VersionUnsupported,
    /// `Sec-WebSocket-Key` is missing, repeated, or not base64 of 16 bytes.
    #[error("Sec-WebSocket-Key must be sent once, as base64 of 16 random bytes")]
    KeyInvalid,
    /// `Sec-WebSocket-Protocol` is not a list of tokens.
    #[error("Sec-WebSocket-Protocol must be a list of tokens; see RFC 6455, section 4.1")]
    SubprotocolsMalformed,
    /// `Sec-WebSocket-Extensions` breaks its grammar (RFC 6455 §9.1).
    #[error("Sec-WebSocket-Extensions is malformed; see RFC 6455, section 9.1")]
    ExtensionsMalformed,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Refusal::MethodNotGet => 405,
            Refusal::UpgradeMissing | Refusal::VersionUnsupported => 426,
            _ => 400,
        }
    }

    /// The status's usual words.
    pub fn reason(self) -> &'static str {
        match self.status() {
            405 => "Method Not Allowed",
            426 => "Upgrade Required",
            _ => "Bad Request",
        }
    }

    /// The headers that the status demands (RFC 9110 §15.5.6, §15.5.22; RFC 6455 §4.4).
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            405 => &[("Allow", "GET")],
            426 => &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        }
    }

    /// A short name that never changes, for the answer's body, counters and logs.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::MethodNotGet => "method_not_get",
            Refusal::HttpVersionTooOld => "http_version_too_old",
            Refusal::UpgradeMissing => "upgrade_missing",
            Refusal::ConnectionMissing => "connection_missing",
            Refusal::HostInvalid => "host_invalid",
            Refusal::VersionUnsupported => "version_unsupported",
            Refusal::KeyInvalid => "key_invalid",
            Refusal::SubprotocolsMalformed => "subprotocols_malformed",
            Refusal::ExtensionsMalformed => "extensions_malformed",
        }
    }

    /// What happened, and what to do.
    pub fn message(self) -> String {
        self.to_string()
    }
}

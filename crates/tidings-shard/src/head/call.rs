//! Requests over plain HTTP that the shard serves itself: `/events`, `/poll/{client_id}`,
//! `/sessions/{session_id}/send`.

use tidings_core::Introduction;
use tidings_protocol::ErrorCode;

use super::Rules;
use super::feed;
use super::headers::Headers;
use super::poll::{self, Polling};
use super::query::Query;
use super::refusal::Refused;
use super::send::{self, Sending};
use crate::http::Terms;

/// The header that names an address's methods.
pub type Allow = &'static [(&'static str, &'static str)];

/// A request that can be served.
#[derive(Debug)]
pub struct Request {
    /// Bytes of the head.
    pub head_bytes: usize,
    /// What the answer depends on besides.
    pub terms: Terms,
    /// What is asked for.
    pub call: Call,
}

/// What is asked for.
#[derive(Debug)]
pub enum Call {
    /// An event stream.
    Feed(Introduction),
    /// A long poll.
    Poll(Polling),
    /// A frame, for a session elsewhere.
    Send(Sending),
    /// What may be asked for.
    Options {
        /// The header that says so.
        allow: Allow,
        /// It is a browser that asks before it lets a page of another site do it.
        is_preflight: bool,
    },
}

/// An address that is served.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    Events,
    Poll(&'a str),
    Send(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn of(path: &'a str) -> Option<Self> {
        if path == "/events" {
            return Some(Self::Events);
        }
        if let Some(client) = path.strip_prefix("/poll/") {
            return Some(Self::Poll(client));
        }
        let session = path.strip_prefix("/sessions/")?.strip_suffix("/send")?;
        (!session.contains('/')).then_some(Self::Send(session))
    }

    const fn method(self) -> &'static str {
        match self {
            Self::Events | Self::Poll(_) => "GET",
            Self::Send(_) => "POST",
        }
    }

    const fn allow(self) -> Allow {
        match self {
            Self::Events | Self::Poll(_) => &[("Allow", "GET, OPTIONS")],
            Self::Send(_) => &[("Allow", "POST, OPTIONS")],
        }
    }
}

/// Reads a request for one of the addresses.
pub(super) fn read(
    place: Place<'_>,
    request: &httparse::Request<'_, '_>,
    query: &str,
    head_bytes: usize,
    rules: Rules<'_>,
) -> Result<Request, Refused> {
    let headers = Headers(request.headers);
    let (query, limits) = (&Query::new(query), rules.limits);
    let minor_version = request.version.unwrap_or_default();
    let method = request.method.unwrap_or_default();
    if method == "OPTIONS" {
        let is_preflight = headers.first("Access-Control-Request-Method").is_some();
        let call = Call::Options { allow: place.allow(), is_preflight };
        return Ok(Request { head_bytes, terms: headers.terms(minor_version, rules.origins), call });
    }
    if method != place.method() {
        let refused = Refused::new(ErrorCode::MethodNotAllowed);
        return Err(Refused { headers: place.allow(), ..refused });
    }
    let call = match place {
        Place::Events => Call::Feed(feed::read(query, headers, limits)?),
        Place::Poll(client) if client.contains('/') => return Err(Refused::new(ErrorCode::NotFound)),
        Place::Poll(client) => Call::Poll(poll::read(client, query, limits)?),
        Place::Send(session) => Call::Send(send::read(session, headers, limits)?),
    };
    let terms = match call {
        Call::Send(_) => headers.terms_with_body(minor_version, rules.origins),
        _ => headers.terms(minor_version, rules.origins),
    };
    Ok(Request { head_bytes, terms, call })
}

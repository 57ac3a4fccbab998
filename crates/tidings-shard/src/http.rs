//! Answers over HTTP/1.1, as bytes.
//!
//! Pure; used wherever the shard answers a request that is no WebSocket. Refuses to know what is
//! answered and why.

/// On which terms a request is answered: what its head asked for.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Whether the connection serves another request afterwards.
    pub keeps: bool,
    /// Whether the client speaks HTTP/1.0, where a kept connection is an exception to be named.
    pub is_old: bool,
    /// What `Access-Control-Allow-Origin` says, if a page of another site asked and may read the answer.
    pub origin: Option<Box<str>>,
}

/// What follows the headers.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Nothing, as the status says.
    Absent,
    /// A whole JSON text.
    Json(&'a [u8]),
    /// Events, until the connection ends: not in chunks, so that their bytes can be shared.
    Events,
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// Headers that only this answer has.
    pub headers: &'a [(&'a str, &'a str)],
    /// What follows the headers.
    pub body: Body<'a>,
}

/// Appends the answer; of [`Body::Events`] only the head.
pub fn write(out: &mut Vec<u8>, answer: &Answer<'_>, terms: &Terms, node: &str) {
    let Answer { status, headers, body } = *answer;
    let mut head = Head { out };
    head.status(status);
    match body {
        Body::Absent => {}
        Body::Json(json) => {
            head.field("Content-Type", "application/json");
            head.number("Content-Length", json.len());
            head.field("Cache-Control", "no-store");
        }
        Body::Events => {
            head.field("Content-Type", "text/event-stream");
            head.field("Cache-Control", "no-cache");
            // nginx would else hold events back until it has a buffer full of them.
            head.field("X-Accel-Buffering", "no");
        }
    }
    match terms {
        Terms { keeps: false, .. } if status == 426 => head.field("Connection", "close, Upgrade"),
        Terms { keeps: false, .. } => head.field("Connection", "close"),
        Terms { is_old: true, .. } => head.field("Connection", "keep-alive"),
        Terms { .. } => {}
    }
    for (name, value) in headers {
        head.field(name, value);
    }
    if let Some(origin) = &terms.origin {
        head.field("Access-Control-Allow-Origin", origin);
        head.field("Access-Control-Expose-Headers", "Tidings-Node, Retry-After");
        if &**origin != "*" {
            head.field("Vary", "Origin");
        }
    }
    head.field("Tidings-Node", node);
    out.extend_from_slice(b"\r\n");
    if let Body::Json(json) = body {
        out.extend_from_slice(json);
    }
}

struct Head<'a> {
    out: &'a mut Vec<u8>,
}

impl Head<'_> {
    fn status(&mut self, status: u16) {
        self.out.extend_from_slice(b"HTTP/1.1 ");
        self.decimal(status.into());
        self.out.push(b' ');
        self.out.extend_from_slice(words(status).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, name: &str, value: usize) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.decimal(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Without the formatter: an answer to a poll is written for each message and client.
    fn decimal(&mut self, value: usize) {
        let (mut digits, mut at, mut rest) = ([0; 20], 20, value);
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).expect("it is a digit");
            rest /= 10;
            if rest == 0 {
                return self.out.extend_from_slice(&digits[at..]);
            }
        }
    }

    /// A control character in a value, such as the node's name, would forge fields.
    fn field(&mut self, name: &str, value: &str) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        match value.bytes().any(|byte| byte.is_ascii_control()) {
            false => self.out.extend_from_slice(value.as_bytes()),
            true => self.out.extend(value.bytes().filter(|byte| !byte.is_ascii_control())),
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

const fn words(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: Body<'_>, terms: &Terms, node: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, &Answer { status: 200, headers: &[], body }, terms, node);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_says_whether_the_connection_goes_on() {
        let answered = |keeps, is_old| {
            let terms = Terms { keeps, is_old, origin: None };
            let text = written(Body::Json(b"{}"), &terms, "n");
            let line = text.lines().find(|line| line.starts_with("Connection: "));
            line.map(|line| line.trim_start_matches("Connection: ").to_owned())
        };
        assert_eq!(answered(true, false), None);
        assert_eq!(answered(true, true).as_deref(), Some("keep-alive"));
        assert_eq!(answered(false, false).as_deref(), Some("close"));
        assert_eq!(answered(false, true).as_deref(), Some("close"));
    }

    #[test]
    fn a_nodes_name_forges_no_headers() {
        let text = written(Body::Absent, &Terms::default(), "n\r\nSet-Cookie: x");
        assert!(text.ends_with("\r\nTidings-Node: nSet-Cookie: x\r\n\r\n"), "{text}");
    }
}

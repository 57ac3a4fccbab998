//! What nodes write to each other about sessions: a word, numbers and names in the first line, the rest
//! after it.

use tidings_protocol::{Limits, SessionId};

/// See the module. `token` is the writer's name for its question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Letter<'a> {
    /// Give me this session.
    Claim { token: u64, from: &'a str, session: SessionId, attempt: u32, user: &'a str },
    /// I do not have it any more.
    Decided { token: u64 },
    /// A newer connection of the client has it.
    Late { token: u64 },
    /// Let this session say something.
    Errand { token: u64, from: &'a str, session: SessionId, frame: &'a str },
    /// It did, with this answer; status 0 if I do not have the session.
    Done { token: u64, status: u16, json: &'a [u8] },
    /// This user is to be disconnected.
    Disconnect { user: &'a str },
}

impl<'a> Letter<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (head, rest): (String, &[u8]) = match self {
            Self::Claim { token, from, session, attempt, user } => {
                (format!("claim {token} {from} {session} {attempt}"), user.as_bytes())
            }
            Self::Decided { token } => (format!("decided {token}"), b""),
            Self::Late { token } => (format!("late {token}"), b""),
            Self::Errand { token, from, session, frame } => {
                (format!("errand {token} {from} {session}"), frame.as_bytes())
            }
            Self::Done { token, status, json } => (format!("done {token} {status}"), json),
            Self::Disconnect { user } => ("disconnect".to_owned(), user.as_bytes()),
        };
        [head.as_bytes(), b"\n", rest].concat()
    }

    pub(super) fn decode(letter: &'a [u8], limits: &Limits) -> Option<Self> {
        let end = letter.iter().position(|&byte| byte == b'\n')?;
        let (head, rest) = (str::from_utf8(&letter[..end]).ok()?, &letter[end + 1..]);
        if rest.len() > limits.message_bytes_max.saturating_mul(2) + (1 << 20) {
            return None;
        }
        let words: Vec<&str> = head.split(' ').collect();
        let text = || str::from_utf8(rest).ok();
        match words.as_slice() {
            ["claim", token, from, session, attempt] => Some(Self::Claim {
                token: token.parse().ok()?,
                from,
                session: SessionId::parse(session)?,
                attempt: attempt.parse().ok()?,
                user: text()?,
            }),
            ["late", token] => Some(Self::Late { token: token.parse().ok()? }),
            ["decided", token] => Some(Self::Decided { token: token.parse().ok()? }),
            ["errand", token, from, session] => Some(Self::Errand {
                token: token.parse().ok()?,
                from,
                session: SessionId::parse(session)?,
                frame: text()?,
            }),
            ["done", token, status] => {
                Some(Self::Done { token: token.parse().ok()?, status: status.parse().ok()?, json: rest })
            }
            ["disconnect"] => Some(Self::Disconnect { user: text()? }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let session = SessionId::from_bytes([7; 16]);
        for letter in [
            Letter::Claim { token: 1, from: "ams-1:5:9", session, attempt: 5, user: "ana b" },
            Letter::Claim { token: 1, from: "ams-1:5:9", session, attempt: 0, user: "" },
            Letter::Decided { token: 2 },
            Letter::Late { token: 2 },
            Letter::Errand { token: 3, from: "b", session, frame: "{\"type\":\n\"ping\"}" },
            Letter::Done { token: 4, status: 204, json: b"" },
            Letter::Disconnect { user: "ana" },
        ] {
            assert_eq!(Letter::decode(&letter.encode(), &Limits::default()), Some(letter));
        }
    }

    #[test]
    fn what_is_no_letter_is_refused() {
        for text in ["", "claim", "claim 1 a\n", "claim x a 07\n", "done 1 70000\n", "hello\n", "decided 1"] {
            assert_eq!(Letter::decode(text.as_bytes(), &Limits::default()), None, "{text:?}");
        }
    }
}

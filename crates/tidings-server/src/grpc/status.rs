//! The one table from our codes to those of gRPC, which docs/protocol.md shows.
//!
//! Pure. Refuses a status without a word of what to do.

use tidings_protocol::codes::{CloseCode, ErrorCode};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::answer::Problem;

/// Our own code beside a status that several share.
const CODE: &str = "tidings-code";

/// What an error is in gRPC.
const fn of_error(code: ErrorCode) -> Code {
    match code {
        ErrorCode::BadFrame
        | ErrorCode::UnknownType
        | ErrorCode::BadRoom
        | ErrorCode::BadUser
        | ErrorCode::BadRef
        | ErrorCode::BadQuery
        | ErrorCode::RoomRequired
        | ErrorCode::BadCursor
        | ErrorCode::MessageTooLarge
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::BodyIncomplete
        | ErrorCode::BadHead
        | ErrorCode::HeadTooLarge
        | ErrorCode::BadHandshake
        | ErrorCode::UpgradeRequired => Code::InvalidArgument,
        ErrorCode::NotInRoom => Code::FailedPrecondition,
        ErrorCode::NotFound | ErrorCode::SessionUnknown => Code::NotFound,
        ErrorCode::NotSupported | ErrorCode::MethodNotAllowed => Code::Unimplemented,
        ErrorCode::Forbidden => Code::PermissionDenied,
        ErrorCode::Superseded => Code::Aborted,
        ErrorCode::TooManyRooms | ErrorCode::RateLimited | ErrorCode::AtCapacity => Code::ResourceExhausted,
        ErrorCode::Unavailable | ErrorCode::Restarting => Code::Unavailable,
        ErrorCode::Timeout => Code::DeadlineExceeded,
        ErrorCode::Internal => Code::Internal,
    }
}

/// What the end of a WebSocket is in gRPC.
const fn of_close(code: CloseCode) -> Code {
    match code {
        CloseCode::Normal => Code::Ok,
        CloseCode::GoingAway | CloseCode::ServiceRestart | CloseCode::PongTimeout => Code::Unavailable,
        CloseCode::ProtocolError
        | CloseCode::UnsupportedData
        | CloseCode::InvalidPayload
        | CloseCode::MessageTooBig => Code::InvalidArgument,
        CloseCode::PolicyViolation => Code::PermissionDenied,
        CloseCode::InternalError => Code::Internal,
        CloseCode::TryAgainLater => Code::ResourceExhausted,
        CloseCode::Superseded => Code::Aborted,
        CloseCode::TokenExpired => Code::Unauthenticated,
    }
}

/// How a stream ends whose WebSocket was closed.
pub(super) fn closed(number: u16, reason: &str) -> Status {
    match CloseCode::from_number(number) {
        Some(code) => Status::new(of_close(code), format!("{number} {reason}: {}", code.remedy())),
        None => Status::unknown(format!("{number} {reason}")),
    }
}

/// A message over the limit.
pub(super) fn too_large(bytes_max: usize) -> Status {
    let advice = format!("the message is larger than message_bytes_max {bytes_max}: send a smaller one");
    Problem::new(ErrorCode::MessageTooLarge, advice).into()
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut status = Self::new(of_error(problem.code), problem.message);
        status.metadata_mut().insert(CODE, MetadataValue::from_static(problem.code.name()));
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the page: a status, the error codes and the close codes that become it.
    fn rows() -> Vec<(String, String, String)> {
        let page = include_str!("../../../../docs/protocol.md");
        let (_, table) = page.split_once("| status | error codes | closed with |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        rows.map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            let mut cell = || cells.next().expect("a row has three cells");
            (cell(), cell(), cell())
        })
        .collect()
    }

    /// As gRPC spells it.
    fn spelled(code: Code) -> String {
        let camel = format!("{code:?}");
        let upper = |(at, letter): (usize, char)| {
            let gap = if at > 0 && letter.is_uppercase() { "_" } else { "" };
            format!("{gap}{}", letter.to_ascii_uppercase())
        };
        format!("`{}`", camel.chars().enumerate().map(upper).collect::<String>())
    }

    #[test]
    fn the_page_tells_every_status() {
        let rows = rows();
        let row = |code: Code| rows.iter().find(|(status, ..)| *status == spelled(code)).expect("a row");
        for &code in ErrorCode::ALL {
            let told = row(of_error(code)).1.split(", ").any(|told| told == format!("`{code}`"));
            assert!(told, "{code}");
        }
        for &code in CloseCode::ALL {
            let number = code.number().to_string();
            assert!(row(of_close(code)).2.split(", ").any(|told| told == number), "{number}");
        }
    }
}

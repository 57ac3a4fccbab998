//! The names of things on the wire: rooms, users, messages, sessions.
//!
//! Owned by whoever holds them; cheap to clone. They refuse what the wire contract refuses
//! (empty, too long, control characters), so that nothing behind them has to ask again.

use std::fmt;
use std::sync::Arc;

use crate::limits::Limits;

/// Identifies a message within its room: below 2^53, strictly increasing, never reused.
/// `0` means "before the first message".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId(pub u64);

impl MessageId {
    /// The position before the first message of a room.
    pub const ZERO: Self = Self(0);
    /// JSON numbers are exact below 2^53; an id never reaches it.
    pub const LIMIT: u64 = 1 << 53;
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("is empty: give it at least one character")]
    Empty,
    /// More bytes than the limit (given in bytes).
    #[error("is longer than {0} bytes: choose a shorter one")]
    TooLong(usize),
    /// A control character, which would break logs and SSE.
    #[error("contains a control character: use printable characters")]
    Control,
}

pub(crate) fn check(name: &str, bytes_max: usize) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.len() > bytes_max {
        Err(NameError::TooLong(bytes_max))
    } else if name.chars().any(char::is_control) {
        Err(NameError::Control)
    } else {
        Ok(())
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $limit:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the name against the limits.
            pub fn new(name: &str, limits: &Limits) -> Result<Self, NameError> {
                check(name, limits.$limit)?;
                Ok(Self(name.into()))
            }

            /// Checks a name that need not be kept.
            pub fn check(name: &str, limits: &Limits) -> Result<(), NameError> {
                check(name, limits.$limit)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// What one joins.
    RoomName, room_name_bytes_max
}
name_type! {
    /// Who someone is, as the application names them.
    UserId, user_id_bytes_max
}

/// What the name of a user's own room begins with. Clients cannot join or name other users' rooms.
const OWN_ROOM_MARK: char = '@';

impl RoomName {
    /// The room in which messages to a user are stored; each of the user's sessions is in it.
    pub fn of_user(user: &UserId) -> Self {
        Self(format!("{OWN_ROOM_MARK}{user}").into())
    }

    /// Whether it is some user's own room.
    pub fn is_of_a_user(&self) -> bool {
        self.0.starts_with(OWN_ROOM_MARK)
    }
}

/// Names a client across reconnects, transports and nodes: 128 bits of the system's randomness.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Wraps random bytes; where they come from is the caller's duty.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 32 hexadecimal digits that it displays as.
    pub fn to_digits(&self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }

    /// Reads the 32 hexadecimal digits that [`SessionId`] displays as; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte");
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_digits()).expect("hexadecimal digits are ASCII"))
    }
}

/// Shows only its beginning: a session id in a log would be a key left in the door.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

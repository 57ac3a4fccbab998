//! Who someone is and what they may do: a value handed to the core by whoever made it (a path
//! while authentication is off, a token, a dialect's signature).

use tidings_protocol::UserId;

/// A client's identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user; `None` is a guest.
    pub user: Option<UserId>,
}

//! permessage-deflate (RFC 7692), always without context takeover: each message stands alone, so a compressor or an
//! inflater serves a whole thread, and one compressed frame serves every receiver whose window allows it.
//!
//! Nothing here belongs to a connection; what a connection remembers of its negotiation is the window it agreed on.

mod deflaters;
mod extensions;
mod inflater;
mod negotiation;

pub use deflaters::{Deflaters, window_bits_needed};
pub use extensions::Malformed;
pub(crate) use inflater::{Inflater, deflated_bytes_max};
pub use negotiation::{Agreed, AnswerError, Offer, negotiate};

/// What a sender removes from the end of a compressed message and a receiver puts back (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The smallest and the largest window that can be negotiated, as powers of two (RFC 7692 §7.1.2).
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

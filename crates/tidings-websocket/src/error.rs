//! Why a decoder gave up on a connection: one variant per broken rule, each with its close code, a stable name for
//! counters, and words that say what happened and what to do. The peer is always the one to act.

use thiserror::Error;

/// A broken rule of RFC 6455 or RFC 7692, or a limit that was reached. The connection must be failed (§7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// RSV2, RSV3, or RSV1 where no extension gives it a meaning (§5.2).
    #[error("a reserved bit is set; leave it 0 unless an extension was agreed on")]
    ReservedBits,
    /// Opcodes 3 to 7 and 11 to 15 (§5.2).
    #[error("opcode {opcode} is reserved; send text, binary, close, ping or pong")]
    ReservedOpcode {
        /// The four bits found.
        opcode: u8,
    },
    /// A ping, pong or close without FIN (§5.4).
    #[error("a control frame came in fragments; send it whole")]
    ControlFragmented,
    /// A ping, pong or close over 125 bytes (§5.5).
    #[error("a control frame is over 125 bytes; shorten its payload")]
    ControlTooLong,
    /// A length written longer than needed (§5.2).
    #[error("a payload length is not in its shortest form; use the fewest bytes")]
    LengthNotMinimal,
    /// A 64-bit length of 2^63 or more (§5.2).
    #[error("a payload length has its top bit set; send smaller frames")]
    LengthTopBit,
    /// A client's frame without a mask (§5.1).
    #[error("a frame from the client is not masked; mask every frame")]
    MaskMissing,
    /// A server's frame with a mask (§5.1).
    #[error("a frame from the server is masked; send it unmasked")]
    MaskUnexpected,
    /// A continuation frame while no message is in progress (§5.4).
    #[error("a continuation came with no message to continue; start with text or binary")]
    ContinuationWithoutStart,
    /// A text or binary frame while a fragmented message is in progress (§5.4).
    #[error("a new message began inside a fragmented one; finish the first")]
    MessageInterrupted,
    /// A close frame whose payload is a single byte (§5.5.1).
    #[error("a close frame carries one byte; send none, or a two-byte code and a reason")]
    CloseTooShort,
    /// A close code that may not stand in a frame (§7.4).
    #[error("close code {code} may not be sent; use 1000 or one of 3000 to 4999")]
    CloseCodeInvalid {
        /// The code found.
        code: u16,
    },
    /// A close reason that is not UTF-8 (§5.5.1, §8.1).
    #[error("a close reason is not UTF-8; encode it as UTF-8")]
    CloseReasonNotUtf8,
    /// A text message that is not UTF-8 (§8.1).
    #[error("a text message is not UTF-8; encode it as UTF-8 or send it as binary")]
    TextNotUtf8,
    /// A compressed message that does not inflate (RFC 7692 §7.2.2).
    #[error("a compressed message is no valid DEFLATE data; reset the compressor for each message")]
    CompressionInvalid,
    /// A message over the configured size, before or after inflating.
    #[error("a message is over {limit_bytes} bytes; split it")]
    MessageTooBig {
        /// The limit, in bytes of the inflated message.
        limit_bytes: usize,
    },
    /// A message in more fragments than configured.
    #[error("a message came in more than {limit} fragments; use larger ones")]
    TooManyFragments {
        /// The limit, in fragments.
        limit: usize,
    },
}

impl Error {
    /// The code for the close frame that fails the connection: 1002, 1007 or 1009 (§7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Error::CloseReasonNotUtf8 | Error::TextNotUtf8 | Error::CompressionInvalid => 1007,
            Error::MessageTooBig { .. } | Error::TooManyFragments { .. } => 1009,
            _ => 1002,
        }
    }

    /// A short name that never changes, for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Error::ReservedBits => "reserved_bits",
            Error::ReservedOpcode { .. } => "reserved_opcode",
            Error::ControlFragmented => "control_fragmented",
            Error::ControlTooLong => "control_too_long",
            Error::LengthNotMinimal => "length_not_minimal",
            Error::LengthTopBit => "length_top_bit",
            Error::MaskMissing => "mask_missing",
            Error::MaskUnexpected => "mask_unexpected",
            Error::ContinuationWithoutStart => "continuation_without_start",
            Error::MessageInterrupted => "message_interrupted",
            Error::CloseTooShort => "close_too_short",
            Error::CloseCodeInvalid { .. } => "close_code_invalid",
            Error::CloseReasonNotUtf8 => "close_reason_not_utf8",
            Error::TextNotUtf8 => "text_not_utf8",
            Error::CompressionInvalid => "compression_invalid",
            Error::MessageTooBig { .. } => "message_too_big",
            Error::TooManyFragments { .. } => "too_many_fragments",
        }
    }
}

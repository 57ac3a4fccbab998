//! Which permessage-deflate parameters both sides can live with (RFC 7692 §7.1).
//! Used by the handshakes. Refuses an offer with an unknown, repeated or ill-valued parameter, as §7 demands, and
//! context takeover always: a compressor per connection costs more memory than everything else about it.

use thiserror::Error;

use super::WINDOW_BITS;
use super::extensions::{self, Extension, Malformed};

const NAME: &str = "permessage-deflate";

/// What was agreed on. Context takeover is off in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The window of what the server sends, 8 to 15.
    pub server_max_window_bits: u8,
    /// The window the client promised to keep to, if it spoke of one; our inflater reads any.
    pub client_max_window_bits: Option<u8>,
}

impl Agreed {
    /// The value of the server's `Sec-WebSocket-Extensions`.
    pub fn response_value(&self) -> String {
        let mut value = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if self.server_max_window_bits < *WINDOW_BITS.end() {
            value.push_str(&format!("; server_max_window_bits={}", self.server_max_window_bits));
        }
        if let Some(bits) = self.client_max_window_bits {
            value.push_str(&format!("; client_max_window_bits={bits}"));
        }
        value
    }
}

/// The server's choice: the first acceptable offer of the `Sec-WebSocket-Extensions` headers, in their order.
pub fn negotiate<'a>(offers: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Agreed>, Malformed> {
    let mut chosen = None;
    for value in offers {
        // Later headers are still read: a malformed one fails the handshake wherever it stands.
        for extension in extensions::parse(value)? {
            chosen = chosen.or_else(|| Parameters::read(&extension).map(Parameters::accept_offer));
        }
    }
    Ok(chosen)
}

/// What a client offers. It always asks the server not to take its context over, and never does so itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Asks the server to keep to this window, 8 to 15.
    pub server_max_window_bits: Option<u8>,
    /// Says that the client can keep to a smaller window when told to.
    pub client_max_window_bits: bool,
}

/// A server's answer to an [`Offer`] that the client cannot go on with; it must fail the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The header's grammar is broken.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An extension that was not offered, or more than one.
    #[error("the server answered with an extension that was not offered; connect without compression")]
    NotOffered,
    /// Parameters that are not allowed, or not within what was offered.
    #[error("the server answered with parameters outside the offer; connect without compression")]
    OutsideOffer,
}

impl Offer {
    /// The value of the client's `Sec-WebSocket-Extensions`.
    pub fn header_value(&self) -> String {
        let mut value = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if let Some(bits) = self.server_max_window_bits {
            value.push_str(&format!("; server_max_window_bits={bits}"));
        }
        if self.client_max_window_bits {
            value.push_str("; client_max_window_bits");
        }
        value
    }

    /// Checks the server's `Sec-WebSocket-Extensions` headers against this offer; none means no compression.
    pub fn check_answer<'a>(
        &self,
        answers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Agreed>, AnswerError> {
        let mut agreed = None;
        for value in answers {
            for extension in extensions::parse(value)? {
                if extension.name != NAME || agreed.is_some() {
                    return Err(AnswerError::NotOffered);
                }
                let parameters = Parameters::read(&extension).ok_or(AnswerError::OutsideOffer)?;
                agreed = Some(parameters.accept_answer(self).ok_or(AnswerError::OutsideOffer)?);
            }
        }
        Ok(agreed)
    }
}

/// The four parameters of one offer or answer, each at most once.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer the value may be missing.
    client_max_window_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` for another extension, and for parameters that are unknown, repeated, or have a value not allowed.
    fn read(extension: &Extension<'_>) -> Option<Parameters> {
        if extension.name != NAME {
            return None;
        }
        let mut read = Parameters::default();
        for (name, value) in &extension.parameters {
            let is_first = match (*name, value) {
                ("server_no_context_takeover", None) => {
                    !std::mem::replace(&mut read.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    !std::mem::replace(&mut read.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(value)) => {
                    read.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                ("client_max_window_bits", None) => read.client_max_window_bits.replace(None).is_none(),
                ("client_max_window_bits", Some(value)) => {
                    read.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
                }
                _ => false,
            };
            if !is_first {
                return None;
            }
        }
        Some(read)
    }

    /// Every well-formed offer is acceptable: turning context takeover off needs no leave of the client (§7.1.1), and
    /// a server window of 8 is kept by sending what does not fit it uncompressed.
    fn accept_offer(self) -> Agreed {
        Agreed {
            server_max_window_bits: self.server_max_window_bits.unwrap_or(*WINDOW_BITS.end()),
            client_max_window_bits: self.client_max_window_bits.flatten(),
        }
    }

    fn accept_answer(self, offer: &Offer) -> Option<Agreed> {
        let server_bits = self.server_max_window_bits.unwrap_or(*WINDOW_BITS.end());
        let server_keeps_window = server_bits <= offer.server_max_window_bits.unwrap_or(*WINDOW_BITS.end());
        let client_window_is_allowed = match self.client_max_window_bits {
            None => true,
            // An answer must name the window (§7.1.2.2), and may do so only when asked.
            Some(value) => offer.client_max_window_bits && value.is_some(),
        };
        let all = self.server_no_context_takeover && server_keeps_window && client_window_is_allowed;
        all.then_some(Agreed {
            server_max_window_bits: server_bits,
            client_max_window_bits: self.client_max_window_bits.flatten(),
        })
    }
}

/// 8 to 15, in decimal without leading zeros (§7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    if value.starts_with('0') || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().filter(|bits| WINDOW_BITS.contains(bits))
}

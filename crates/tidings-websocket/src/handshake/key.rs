//! The challenge of the handshake: the client's key and the answer that proves the server understood (RFC 6455 §4.2.2).
//! Used by both sides. Refuses keys that are not 16 bytes in base64; makes no randomness of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey([u8; 24]);

/// The value of `Sec-WebSocket-Accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl ClientKey {
    /// The key of 16 bytes, which the caller takes from a source of randomness, fresh for each connection.
    pub fn from_bytes(bytes: [u8; 16]) -> ClientKey {
        let mut text = [0; 24];
        let length = STANDARD.encode_slice(bytes, &mut text).expect("16 bytes make 24 characters");
        assert_eq!(length, text.len());
        ClientKey(text)
    }

    /// The key of a header value; `None` unless it is base64 of exactly 16 bytes.
    pub fn parse(value: &[u8]) -> Option<ClientKey> {
        let text: [u8; 24] = value.try_into().ok()?;
        // One byte longer than needed: base64 asks for room by the length of the text, padding included.
        let mut bytes = [0; 18];
        (STANDARD.decode_slice(text, &mut bytes) == Ok(16)).then_some(ClientKey(text))
    }

    /// The key as it stands in the header.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }

    /// The only right answer to this key.
    pub fn accept(&self) -> AcceptKey {
        let digest = Sha1::new().chain_update(self.0).chain_update(GUID).finalize();
        let mut text = [0; 28];
        let length = STANDARD.encode_slice(digest, &mut text).expect("20 bytes make 28 characters");
        assert_eq!(length, text.len());
        AcceptKey(text)
    }
}

impl AcceptKey {
    /// The answer as it stands in the header.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::ClientKey;

    #[test]
    fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
        let key = ClientKey::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, ClientKey::from_bytes(*b"the sample nonce"));
        assert_eq!(key.accept().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_that_are_not_16_bytes_are_refused() {
        for value in [
            "",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZWU=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "!!!!!!!!!!!!!!!!!!!!!!==",
        ] {
            assert_eq!(ClientKey::parse(value.as_bytes()), None, "{value}");
        }
    }
}

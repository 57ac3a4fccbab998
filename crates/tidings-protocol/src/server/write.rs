//! Appends one JSON object, field by field, to a buffer.
//!
//! Owned by the encoder of one frame. Refuses to check names: they are literals without escapes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::ids::UserId;
use crate::message::Message;
use crate::server::encode_message;

pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Opens a frame with its `type`.
    pub(crate) fn begin(&mut self, kind: &'static str) -> &mut Self {
        self.append(b"{\"type\":\"").append(kind.as_bytes()).append(b"\"")
    }

    /// Opens an object whose first field is a string.
    pub(crate) fn begin_untyped(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.append(b"{\"").append(name.as_bytes()).append(b"\":").json(text)
    }

    pub(crate) fn end(&mut self) {
        self.append(b"}");
    }

    pub(crate) fn string(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.name(name).json(text)
    }

    pub(crate) fn optional(&mut self, name: &'static str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.string(name, text),
            None => self,
        }
    }

    pub(crate) fn strings<'b>(
        &mut self,
        name: &'static str,
        texts: impl Iterator<Item = &'b str>,
    ) -> &mut Self {
        self.name(name).append(b"[");
        for (index, text) in texts.enumerate() {
            self.separate(index).json(text);
        }
        self.append(b"]")
    }

    pub(crate) fn messages(&mut self, messages: &[Arc<Message>]) -> &mut Self {
        self.name("messages").append(b"[");
        for (index, message) in messages.iter().enumerate() {
            self.separate(index);
            encode_message(message, self.out);
        }
        self.append(b"]")
    }

    pub(crate) fn users(&mut self, users: &[(UserId, u32)]) -> &mut Self {
        self.name("users").append(b"[");
        for (index, (user, connections)) in users.iter().enumerate() {
            self.separate(index).begin_untyped("user_id", user.as_str());
            self.number("connections", u64::from(*connections)).end();
        }
        self.append(b"]")
    }

    pub(crate) fn count(&mut self, name: &'static str, count: usize) -> &mut Self {
        self.name(name).json(&count)
    }

    pub(crate) fn number(&mut self, name: &'static str, number: u64) -> &mut Self {
        self.name(name).json(&number)
    }

    pub(crate) fn boolean(&mut self, name: &'static str, value: bool) -> &mut Self {
        self.name(name).append(if value { b"true" } else { b"false" })
    }

    pub(crate) fn raw(&mut self, name: &'static str, json: &str) -> &mut Self {
        self.name(name).append(json.as_bytes())
    }

    pub(crate) fn hex(&mut self, name: &'static str, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.name(name).append(b"\"");
        for byte in bytes {
            self.out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        self.append(b"\"")
    }

    pub(crate) fn base64(&mut self, name: &'static str, bytes: &[u8]) -> &mut Self {
        self.name(name).append(b"\"");
        let start = self.out.len();
        // Four characters for every three bytes begun.
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(bytes, &mut self.out[start..]);
        self.out.truncate(start + written.expect("the room made is what padded base64 needs"));
        self.append(b"\"")
    }

    fn name(&mut self, name: &'static str) -> &mut Self {
        self.append(b",\"").append(name.as_bytes()).append(b"\":")
    }

    fn separate(&mut self, index: usize) -> &mut Self {
        if index > 0 {
            self.append(b",");
        }
        self
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> &mut Self {
        serde_json::to_writer(&mut *self.out, value).expect("strings and numbers have JSON, a Vec takes it");
        self
    }

    fn append(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }
}

//! What the scripts announce and what a log's entries look like, read back into messages.
//!
//! Refuses what it cannot read as a whole: another program may have written there.

use std::sync::Arc;

use redis::Value;
use serde_json::value::RawValue;
use tidings_core::Hole;
use tidings_protocol::{Limits, Message, MessageId, Payload, RoomName, UserId};

/// What is heard on a room's channel.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message was stored.
    Message(Arc<Message>),
    /// The server lost messages.
    Hole(Hole),
}

/// Reads what was published on a room's channel; `None` if it is nothing of ours.
pub(crate) fn heard(room: &RoomName, bytes: &[u8], limits: &Limits) -> Option<Heard> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let mut words = str::from_utf8(&bytes[..end]).ok()?.split(' ');
    let rest = &bytes[end + 1..];
    let number = |words: &mut std::str::Split<'_, char>| words.next()?.parse::<u64>().ok();
    match words.next()? {
        "h" => {
            let (after, before) = (number(&mut words)?, number(&mut words)?);
            Some(Heard::Hole(Hole { after: MessageId(after), before: MessageId(before) }))
        }
        "m" => {
            let (id, prev, stored_at_ms) = (number(&mut words)?, number(&mut words)?, number(&mut words)?);
            let kind = words.next()?;
            let user_bytes = usize::try_from(number(&mut words)?).ok()?;
            let key_bytes = usize::try_from(number(&mut words)?).ok()?;
            let (user, rest) = rest.split_at_checked(user_bytes)?;
            let (key, payload) = rest.split_at_checked(key_bytes)?;
            Some(Heard::Message(Arc::new(Message {
                room: room.clone(),
                id: MessageId(id),
                prev: MessageId(prev),
                user: user_id(user, limits)?,
                key: key_text(key)?,
                payload: payload_of(kind.as_bytes(), payload)?,
                stored_at_ms,
            })))
        }
        _ => None,
    }
}

/// Reads one entry of a log, `[id, [field, value, …]]`.
pub(crate) fn entry(room: &RoomName, entry: &Value, limits: &Limits) -> Option<Arc<Message>> {
    let Value::Array(pair) = entry else { return None };
    let [Value::BulkString(id), Value::Array(fields)] = pair.as_slice() else { return None };
    let id = str::from_utf8(id).ok()?.strip_suffix("-0")?.parse().ok()?;
    let mut message = Message {
        room: room.clone(),
        id: MessageId(id),
        prev: MessageId::ZERO,
        user: None,
        key: None,
        payload: Payload::Binary([].into()),
        stored_at_ms: 0,
    };
    for field in fields.chunks_exact(2) {
        let [Value::BulkString(name), Value::BulkString(value)] = field else { return None };
        match name.as_slice() {
            b"p" => message.prev = MessageId(decimal(value)?),
            b"at" => message.stored_at_ms = decimal(value)?,
            b"u" => message.user = user_id(value, limits)?,
            b"k" => message.key = key_text(value)?,
            kind => message.payload = payload_of(kind, value)?,
        }
    }
    Some(Arc::new(message))
}

/// A payload's kind, as scripts and logs name it.
pub(crate) const fn kind(payload: &Payload) -> &'static str {
    match payload {
        Payload::Text(_) => "t",
        Payload::Data(_) => "d",
        Payload::Binary(_) => "b",
    }
}

/// A payload's bytes.
pub(crate) fn bytes(payload: &Payload) -> &[u8] {
    match payload {
        Payload::Text(text) => text.as_bytes(),
        Payload::Data(json) => json.get().as_bytes(),
        Payload::Binary(bytes) => bytes,
    }
}

fn payload_of(kind: &[u8], bytes: &[u8]) -> Option<Payload> {
    let text = || str::from_utf8(bytes).ok();
    match kind {
        b"t" => Some(Payload::Text(text()?.into())),
        b"d" => Some(Payload::Data(RawValue::from_string(text()?.to_owned()).ok()?)),
        b"b" => Some(Payload::Binary(bytes.into())),
        _ => None,
    }
}

fn decimal(bytes: &[u8]) -> Option<u64> {
    str::from_utf8(bytes).ok()?.parse().ok()
}

/// No name is empty, so that an empty one stands for none.
#[expect(clippy::option_option, reason = "unreadable, absent and present are three cases")]
fn user_id(bytes: &[u8], limits: &Limits) -> Option<Option<UserId>> {
    let text = str::from_utf8(bytes).ok()?;
    if text.is_empty() { Some(None) } else { UserId::new(text, limits).ok().map(Some) }
}

#[expect(clippy::option_option, reason = "unreadable, absent and present are three cases")]
fn key_text(bytes: &[u8]) -> Option<Option<Box<str>>> {
    let text = str::from_utf8(bytes).ok()?;
    Some((!text.is_empty()).then(|| text.into()))
}

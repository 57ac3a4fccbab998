//! Client frames and requests in protobuf, read into the same [`ClientFrame`] as JSON.
//!
//! Borrowed from the generated types, which gRPC has anyway.

use std::borrow::Cow;
use std::collections::HashSet;

use prost::Message as _;

use super::v1;
use super::v1::client_frame::Frame;
use super::v1::{publication, publish_request};
use crate::attempt::Attempt;
use crate::client::checks::{self, Result};
use crate::client::{ClientFrame, FrameError, Hello, Said, Unserved, check_reference};
use crate::ids::{MessageId, RoomName, SessionId, UserId};
use crate::limits::Limits;

/// What is published without a session.
#[derive(Debug)]
pub struct Publish<'a> {
    /// Where to.
    pub room: RoomName,
    /// What is said.
    pub payload: Said<'a>,
    /// Conflation key.
    pub key: Option<Cow<'a, str>>,
    /// Who publishes.
    pub user_id: Option<UserId>,
    /// Makes a repeat harmless.
    pub idempotency_key: Option<Cow<'a, str>>,
}

/// Reads the bytes of one client frame, nothing interpreted yet; [`decode`] does that.
pub fn parse(bytes: &[u8]) -> Result<v1::ClientFrame> {
    v1::ClientFrame::decode(bytes).map_err(|_| {
        checks::bad_frame(
            "the bytes are no tidings.v1.ClientFrame: encode one frame per binary message".into(),
        )
    })
}

/// Checks a frame and gives it the meaning that its JSON namesake has.
pub fn decode<'a>(frame: &'a v1::ClientFrame, limits: &Limits) -> Result<ClientFrame<'a>> {
    let usable_reference = || frame.r#ref.clone().filter(|text| check_reference(text, limits).is_ok());
    build(frame, limits).map_err(|error| FrameError { reference: usable_reference(), ..error })
}

fn build<'a>(frame: &'a v1::ClientFrame, limits: &Limits) -> Result<ClientFrame<'a>> {
    let reference = || short_string("ref", frame.r#ref.as_deref(), limits);
    Ok(match frame.frame.as_ref().ok_or_else(checks::unknown_type)? {
        Frame::Message(message) => ClientFrame::Message {
            room: room(message.room.as_deref(), limits)?,
            payload: said(message.payload.as_ref())?,
            key: short_string("key", message.key.as_deref(), limits)?,
            reference: reference()?,
        },
        Frame::Join(join) => ClientFrame::Join {
            room: checks::room_name(&join.room, limits)?,
            last_message_id: position("last_message_id", join.last_message_id)?,
            reference: reference()?,
        },
        Frame::Leave(leave) => {
            ClientFrame::Leave { room: room(leave.room.as_deref(), limits)?, reference: reference()? }
        }
        Frame::TypingStart(typing) => {
            ClientFrame::TypingStart { room: room(typing.room.as_deref(), limits)? }
        }
        Frame::TypingStop(typing) => ClientFrame::TypingStop { room: room(typing.room.as_deref(), limits)? },
        Frame::Ping(v1::Ping {}) => ClientFrame::Ping,
        Frame::History(history) => ClientFrame::History {
            room: room(history.room.as_deref(), limits)?,
            after: checks::position("after", Some(history.after))?,
            limit: history.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            reference: reference()?,
        },
        Frame::Presence(presence) => ClientFrame::Presence {
            room: room(presence.room.as_deref(), limits)?,
            after: user(presence.after.as_deref(), limits)?,
            reference: reference()?,
        },
        Frame::Hello(greeting) => ClientFrame::Hello(hello(greeting, limits)?),
        Frame::Refresh(_) => ClientFrame::Unserved { kind: Unserved::Refresh, reference: reference()? },
        Frame::RestartAck(v1::RestartAck {}) => ClientFrame::RestartAck,
        Frame::RehearseRestart(v1::RehearseRestart {}) => ClientFrame::RehearseRestart,
    })
}

fn hello<'a>(hello: &'a v1::Hello, limits: &Limits) -> Result<Hello<'a>> {
    Ok(Hello {
        token: hello.token.as_deref().map(Cow::Borrowed),
        user_id: user(hello.user_id.as_deref(), limits)?,
        rooms: rooms(&hello.rooms, limits)?,
        session_id: hello.session_id.as_deref().and_then(SessionId::parse),
        attempt: hello.attempt.map_or(Attempt::UNKNOWN, Attempt::new),
        last_message_id: position("last_message_id", hello.last_message_id)?,
        positions: positions(&hello.positions, limits)?,
    })
}

/// Checks a request to listen: a `hello` of few words.
pub fn subscribe<'a>(request: &'a v1::SubscribeRequest, limits: &Limits) -> Result<Hello<'a>> {
    Ok(Hello {
        user_id: user(request.user_id.as_deref(), limits)?,
        rooms: rooms(&request.rooms, limits)?,
        session_id: request.session_id.as_deref().and_then(SessionId::parse),
        attempt: request.attempt.map_or(Attempt::UNKNOWN, Attempt::new),
        positions: positions(&request.positions, limits)?,
        ..Hello::default()
    })
}

/// Checks a request to publish.
pub fn publish<'a>(request: &'a v1::PublishRequest, limits: &Limits) -> Result<Publish<'a>> {
    let payload = match request.payload.as_ref().ok_or_else(checks::no_payload)? {
        publish_request::Payload::Text(text) => Said::Text(text.into()),
        publish_request::Payload::Data(json) => data(json)?,
        publish_request::Payload::Binary(bytes) => Said::Binary(bytes),
    };
    Ok(Publish {
        room: checks::room_name(&request.room, limits)?,
        payload,
        key: short_string("key", request.key.as_deref(), limits)?,
        user_id: user(request.user_id.as_deref(), limits)?,
        idempotency_key: short_string("idempotency_key", request.idempotency_key.as_deref(), limits)?,
    })
}

fn said(payload: Option<&publication::Payload>) -> Result<Said<'_>> {
    Ok(match payload.ok_or_else(checks::no_payload)? {
        publication::Payload::Text(text) => Said::Text(text.into()),
        publication::Payload::Data(json) => data(json)?,
        publication::Payload::Binary(bytes) => Said::Binary(bytes),
    })
}

fn data(json: &str) -> Result<Said<'_>> {
    checks::data(serde_json::from_str(json).map_err(|_| checks::must_be("data", "JSON"))?)
}

/// Each room once, in their order.
fn rooms(names: &[String], limits: &Limits) -> Result<Vec<RoomName>> {
    let mut seen = HashSet::new();
    let distinct: Vec<_> = names.iter().filter(|name| seen.insert(name.as_str())).collect();
    if distinct.len() > limits.rooms_per_connection_max {
        return Err(checks::too_many_rooms(limits));
    }
    distinct.into_iter().map(|name| checks::room_name(name, limits)).collect()
}

fn positions(positions: &[v1::Position], limits: &Limits) -> Result<Vec<(RoomName, MessageId)>> {
    if positions.len() > limits.rooms_per_connection_max {
        return Err(checks::too_many_rooms(limits));
    }
    let entries = positions.iter().map(|position| (position.room.as_str().into(), position.last_message_id));
    checks::positions(entries, limits)
}

fn room<'a>(name: Option<&'a str>, limits: &Limits) -> Result<Option<Cow<'a, str>>> {
    name.map(|name| checks::room(name.into(), limits)).transpose()
}

fn user(name: Option<&str>, limits: &Limits) -> Result<Option<UserId>> {
    name.map(|name| checks::user_id(name, limits)).transpose()
}

fn short_string<'a>(name: &str, text: Option<&'a str>, limits: &Limits) -> Result<Option<Cow<'a, str>>> {
    text.map(|text| checks::short_string(name, text.into(), limits)).transpose()
}

fn position(name: &str, id: Option<u64>) -> Result<Option<MessageId>> {
    id.map(|id| checks::position(name, Some(id))).transpose()
}

//! The same words in protobuf: what a test writes as JSON goes out as a `ClientFrame`, and what comes
//! in is understood as if it had been JSON. Refuses what has no protobuf: frames with mistakes.

use std::collections::HashMap;

use prost::Message as _;
use serde_json::Value;
use serde_json::value::RawValue;
use tidings_protocol::proto::v1::{self, client_frame, message, publication, server_frame::Frame};
use tidings_protocol::server::{self, MessageBody, Received};
use tidings_protocol::{GapReason, Payload};

/// The protobuf of a text that a JSON client would send; chat becomes a `message`.
pub fn client_frame(text: &str) -> Vec<u8> {
    let fields: Value = serde_json::from_str(text).unwrap_or_default();
    let frame = match fields.is_object() {
        true => frame(&fields, text),
        false => client_frame::Frame::Message(v1::Publication {
            payload: Some(publication::Payload::Text(text.to_owned())),
            ..Default::default()
        }),
    };
    v1::ClientFrame { frame: Some(frame), r#ref: string(&fields["ref"]) }.encode_to_vec()
}

fn frame(fields: &Value, text: &str) -> client_frame::Frame {
    use client_frame::Frame;
    let room = || string(&fields["room"]);
    let last_message_id = fields["last_message_id"].as_u64();
    match fields["type"].as_str().unwrap_or("hello") {
        "message" => {
            let data = || publication::Payload::Data(data(text).to_owned());
            let payload = Some(string(&fields["text"]).map_or_else(data, publication::Payload::Text));
            Frame::Message(v1::Publication { room: room(), payload, key: string(&fields["key"]) })
        }
        "join" => Frame::Join(v1::Join { room: room().unwrap_or_default(), last_message_id }),
        "leave" => Frame::Leave(v1::Leave { room: room() }),
        "typing_start" => Frame::TypingStart(v1::Typing { room: room() }),
        "typing_stop" => Frame::TypingStop(v1::Typing { room: room() }),
        "ping" => Frame::Ping(v1::Ping {}),
        "restart_ack" => Frame::RestartAck(v1::RestartAck {}),
        "rehearse_restart" => Frame::RehearseRestart(v1::RehearseRestart {}),
        "history" => {
            let after = fields["after"].as_u64().unwrap_or_default();
            let limit = fields["limit"].as_u64().map(|limit| limit.try_into().unwrap());
            Frame::History(v1::HistoryRequest { room: room(), after, limit })
        }
        "presence" => Frame::Presence(v1::PresenceRequest { room: room(), after: string(&fields["after"]) }),
        "hello" => {
            let rooms = fields["rooms"].as_array().into_iter().flatten();
            let positions = fields["positions"].as_object().into_iter().flatten();
            let position = |(room, id): (&String, &Value)| v1::Position {
                room: room.clone(),
                last_message_id: id.as_u64().unwrap(),
            };
            Frame::Hello(v1::Hello {
                token: None,
                user_id: string(&fields["user_id"]),
                rooms: rooms.map(|room| string(room).unwrap()).collect(),
                session_id: string(&fields["session_id"]),
                attempt: fields["attempt"].as_u64(),
                last_message_id,
                positions: positions.map(position).collect(),
            })
        }
        other => panic!("no frame {other} in protobuf"),
    }
}

/// The data of a message, byte for byte.
fn data(text: &str) -> &str {
    let fields: HashMap<&str, &RawValue> = serde_json::from_str(text).unwrap();
    fields["data"].get()
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What a client understands from a protobuf frame.
pub fn received(bytes: &[u8]) -> Received {
    let v1::ServerFrame { frame, r#ref: reference } = v1::ServerFrame::decode(bytes).expect("a frame");
    match frame.expect("the server sends no empty frames") {
        Frame::Message(message) => Received::Message(body(message)),
        Frame::Ack(v1::Ack { room, id }) => Received::Ack(server::Ack { reference, room, id }),
        Frame::UserTyping(event) => Received::UserTyping(about(event)),
        Frame::UserStoppedTyping(event) => Received::UserStoppedTyping(about(event)),
        Frame::UserJoined(event) => Received::UserJoined(about(event)),
        Frame::UserLeft(event) => Received::UserLeft(about(event)),
        Frame::PresenceChanged(v1::PresenceChanged { room, users, joined, left, joined_ids, left_ids }) => {
            let [users, joined, left] = [users, joined, left].map(|count| count as usize);
            let changed = server::PresenceChanged { room, users, joined, left, joined_ids, left_ids };
            Received::PresenceChanged(changed)
        }
        Frame::Pong(v1::Pong {}) => Received::Pong,
        Frame::Joined(v1::Joined { room, last_message_id, recovered }) => {
            Received::Joined(server::Joined { room, last_message_id, recovered, reference })
        }
        Frame::Left(v1::Left { room, last_message_id }) => {
            Received::Left(server::Left { room, last_message_id, reference })
        }
        Frame::Gap(gap) => {
            let reason = match gap.reason() {
                v1::GapReason::Unspecified => panic!("it has a reason"),
                v1::GapReason::Expired => GapReason::Expired,
                v1::GapReason::Overflow => GapReason::Overflow,
                v1::GapReason::RolledBack => GapReason::RolledBack,
            };
            let v1::Gap { room, after, before, .. } = gap;
            Received::Gap(server::Gap { room, after, before, reason })
        }
        Frame::Restore(v1::Restore { room, messages, last_message_id, recovered }) => {
            let messages = messages.into_iter().map(body).collect();
            Received::Restore(server::Restore { room, messages, last_message_id, recovered })
        }
        Frame::Session(v1::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node }) => {
            let session = server::Session { session_id, user_id, rooms, resumed, ping_interval_ms, node };
            Received::Session(session)
        }
        Frame::Error(v1::Error { code, message }) => {
            Received::Error(server::Error { code, message, reference })
        }
        Frame::History(v1::HistoryResponse { room, messages, complete }) => {
            let messages = messages.into_iter().map(body).collect();
            Received::History(server::History { room, messages, complete, reference })
        }
        Frame::Presence(v1::PresenceResponse { room, users, total, complete }) => {
            let present = |user: v1::PresentUser| server::PresentUser {
                user_id: user.user_id,
                connections: user.connections,
            };
            let users = users.into_iter().map(present).collect();
            Received::Presence(server::Presence { room, users, total: total as usize, complete, reference })
        }
        Frame::ServerRestart(v1::ServerRestart { reconnect_after_ms }) => {
            Received::ServerRestart { reconnect_after_ms }
        }
    }
}

fn body(v1::Message { room, id, user_id, key, payload }: v1::Message) -> MessageBody {
    let payload = match payload.expect("a message says something") {
        message::Payload::Text(text) => Payload::Text(text.into()),
        message::Payload::Data(json) => Payload::Data(RawValue::from_string(json).unwrap()),
        message::Payload::Binary(bytes) => Payload::Binary(bytes.into()),
    };
    MessageBody { room, id, user_id, key, payload }
}

fn about(v1::UserEvent { room, user_id }: v1::UserEvent) -> server::UserEvent {
    server::UserEvent { room, user_id }
}

//! gRPC: the service of `proto/tidings/v1/tidings.proto`, and what its users' tools ask for, health and
//! reflection.
//!
//! Part of the router. Sessions are carried to the shards, single calls ask the engine as the REST
//! routes do. Refuses what is no gRPC over HTTP/2, and requests that do not arrive in time.

pub(crate) mod codec;
mod health;
mod session;
mod status;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tidings_protocol::codes::ErrorCode;
use tidings_protocol::proto::FILE_DESCRIPTOR_SET;
use tidings_protocol::proto::v1;
use tonic::server::NamedService;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_server::HealthServer;

use self::health::Health;
use self::made::tidings_server::{Tidings, TidingsServer};
use self::session::Session;
use crate::activity::{Activity, Hold};
use crate::answer::Problem;
use crate::state::State;

#[expect(unreachable_pub, reason = "it is made for crates that show it")]
#[expect(clippy::default_constructed_unit_structs, reason = "it does not know our codec")]
mod made {
    include!(concat!(env!("OUT_DIR"), "/tidings.v1.Tidings.rs"));
}

/// What a message has around its payload: names, a key.
const MESSAGE_OVERHEAD_BYTES: usize = 4 * 1024;

/// Every service.
pub(crate) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    let tidings = TidingsServer::new(Service(Arc::clone(state)))
        .max_decoding_message_size(state.limits().message_bytes_max + MESSAGE_OVERHEAD_BYTES);
    let health = HealthServer::new(Health(Arc::clone(state)));
    let files = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection = files().build_v1().expect("our own files describe themselves");
    let reflection_alpha = files().build_v1alpha().expect("our own files describe themselves");
    Router::new()
        .route_service(&methods_of(&tidings), tidings)
        .route_service(&methods_of(&health), health)
        .route_service(&methods_of(&reflection), reflection)
        .route_service(&methods_of(&reflection_alpha), reflection_alpha)
        .layer(middleware::from_fn_with_state(Arc::clone(state), guard))
}

fn methods_of<S: NamedService>(_: &S) -> String {
    format!("/{}/{{method}}", S::NAME)
}

/// Lets gRPC in and sees to it that it is answered: a stream at once, a call in its time.
async fn guard(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    if request.version() != Version::HTTP_2 || !is_grpc(request.headers()) {
        let advice = "this address speaks gRPC: send application/grpc over HTTP/2";
        return Problem::new(ErrorCode::UnsupportedMediaType, advice).into_response();
    }
    let limits = state.limits();
    let time = Duration::from_millis(limits.body_timeout_ms + limits.engine_timeout_ms);
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => in_our_words(response, limits.message_bytes_max),
        Err(_) => {
            let advice = "the request did not arrive in time: send it at once";
            Status::from(Problem::new(ErrorCode::Timeout, advice)).into_http()
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let rest = kind.and_then(|kind| kind.strip_prefix("application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// A request that is too large is refused before it reaches a method, and not with our code.
fn in_our_words(response: Response, bytes_max: usize) -> Response {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange => status::too_large(bytes_max).into_http(),
        _ => response,
    }
}

/// Keeps the connection of a stream from being taken for an idle one.
fn hold<T>(request: &tonic::Request<T>) -> Option<Hold> {
    request.extensions().get::<Arc<Activity>>().map(Activity::hold)
}

/// The service of the proto file.
struct Service(Arc<State>);

type Answer<T> = Result<tonic::Response<T>, Status>;

#[tonic::async_trait]
impl Tidings for Service {
    type SessionStream = Session;
    type SubscribeStream = Session;

    async fn session(&self, request: tonic::Request<Streaming<Bytes>>) -> Answer<Session> {
        Session::knock(&self.0, request).map(tonic::Response::new)
    }

    async fn subscribe(&self, request: tonic::Request<Bytes>) -> Answer<Session> {
        Session::listen(&self.0, &request).map(tonic::Response::new)
    }

    async fn publish(&self, request: tonic::Request<v1::PublishRequest>) -> Answer<v1::PublishResponse> {
        Ok(unary::publish(&self.0, request.get_ref()).await.map(tonic::Response::new)?)
    }

    async fn history(&self, request: tonic::Request<v1::HistoryRequest>) -> Answer<v1::HistoryResponse> {
        Ok(unary::history(&self.0, request.get_ref()).await.map(tonic::Response::new)?)
    }

    async fn presence(&self, request: tonic::Request<v1::PresenceRequest>) -> Answer<v1::PresenceResponse> {
        Ok(unary::presence(&self.0, request.get_ref()).await.map(tonic::Response::new)?)
    }
}

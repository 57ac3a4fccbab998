//! The standard health service (`grpc.health.v1`), which says what `/ready` says.
//!
//! Refuses services that are not there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::hold;
use crate::activity::Hold;
use crate::state::{Readiness, State};

/// See the module.
pub(super) struct Health(pub(super) Arc<State>);

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Watch;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request.get_ref().service) {
            return Err(Status::not_found("no such service: ask for tidings.v1.Tidings, or for none"));
        }
        Ok(Response::new(told(self.0.readiness())))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watch>, Status> {
        let is_known = is_known(&request.get_ref().service);
        let changes = WatchStream::new(self.0.watch_readiness());
        Ok(Response::new(Watch { changes, is_known, is_over: false, _hold: hold(&request) }))
    }
}

fn is_known(service: &str) -> bool {
    matches!(service, "" | "tidings.v1.Tidings")
}

fn told(readiness: Readiness) -> HealthCheckResponse {
    let status = match readiness {
        Readiness::Ready => ServingStatus::Serving,
        Readiness::Starting | Readiness::Cut | Readiness::Draining => ServingStatus::NotServing,
    };
    HealthCheckResponse { status: status.into() }
}

/// Tells of every change. It ends when the node drains, whose connections would else have to be cut.
pub(super) struct Watch {
    changes: WatchStream<Readiness>,
    is_known: bool,
    is_over: bool,
    _hold: Option<Hold>,
}

impl Stream for Watch {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Some(readiness) = ready!(Pin::new(&mut self.changes).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        self.is_over = readiness == Readiness::Draining;
        let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
        Poll::Ready(Some(Ok(if self.is_known { told(readiness) } else { unknown })))
    }
}

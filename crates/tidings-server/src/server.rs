//! The server: takes connections and serves each in a task of its own until it closes, idles, or
//! becomes a WebSocket.
//!
//! Owned by the binary. Refuses connections over `http_connections_max`, and keeps no task beyond
//! [`Server::drain`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use tidings_protocol::Limits;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

use crate::activity::Activity;
use crate::routes;
use crate::state::{Readiness, Seat, Setup, Shards, State};
use crate::stream::Stream;
use crate::upgrade::Departure;

/// What hyper holds of one HTTP/2 stream in each direction, beyond what its reader has taken or its
/// client has room for. A shard's outbox and rules for slow readers begin behind it, and one stream
/// that is not read from does not use up the window of its connection, which is sixteen times as
/// large.
const STREAM_BYTES: u16 = u16::MAX;

/// A connection that is no WebSocket, on its way to the control plane.
pub struct Visitor {
    /// The socket, non-blocking.
    pub socket: std::net::TcpStream,
    /// What was read from it already, intact.
    pub prefix: Vec<u8>,
    /// Dropped when the connection ends; handed on when it becomes a WebSocket.
    pub seat: Box<dyn std::any::Any + Send>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    state: Arc<State>,
    router: Router,
    node: HeaderValue,
    builder: auto::Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    runtime: Handle,
}

impl Server {
    /// A server whose tasks run on the given runtime.
    pub fn new(setup: Setup, runtime: Handle) -> Self {
        let node = HeaderValue::from_str(&setup.node).unwrap_or(HeaderValue::from_static("unnamed"));
        let places = Arc::new(Semaphore::new(setup.limits.http_connections_max));
        let builder = builder(&setup);
        let state = Arc::new(State::new(setup));
        let router = routes::router(Arc::clone(&state));
        let stop = watch::Sender::new(false);
        Self { inner: Arc::new(Inner { state, router, node, builder, places, stop, runtime }) }
    }

    /// Names the shards. Until then the node is not ready and no WebSocket can be handed on.
    ///
    /// # Panics
    /// If called twice: wiring is ours to get right.
    pub fn connect(&self, shards: Shards) {
        assert!(self.inner.state.shards.set(shards).is_ok(), "the shards are named once");
        self.inner.state.turn(Readiness::Ready);
    }

    /// Takes a connection, from any thread. Gives it back when as many are served as may be, or
    /// when the server drains.
    pub fn receive(&self, visitor: Visitor) -> Result<(), Visitor> {
        let inner = &self.inner;
        if inner.state.readiness() == Readiness::Draining {
            return Err(visitor);
        }
        let Ok(place) = Arc::clone(&inner.places).try_acquire_owned() else { return Err(visitor) };
        inner.runtime.spawn(serve(Arc::clone(inner), visitor, place));
        Ok(())
    }

    /// About once a second: `/ready` says whether the engine's store can be had, and other nodes are
    /// told how this one fares.
    pub fn tick(&self) {
        let state = &self.inner.state;
        if state.shards.get().is_some() {
            state.setup.engine.report(&state.report());
            state.turn(if state.setup.engine.is_ready() { Readiness::Ready } else { Readiness::Cut });
        }
    }

    /// From now on `/ready` says no, so that load balancers look elsewhere.
    pub fn announce_stop(&self) {
        self.inner.state.turn(Readiness::Draining);
    }

    /// Takes no more connections, lets requests under way finish, and returns when all connections
    /// are closed or the time is over. Says whether all were.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.announce_stop();
        self.inner.stop.send_replace(true);
        let all = u32::try_from(self.inner.state.limits().http_connections_max).unwrap_or(u32::MAX);
        tokio::time::timeout(timeout, self.inner.places.acquire_many(all)).await.is_ok()
    }
}

/// How connections are served: HTTP/1.1 and HTTP/2, within the limits.
fn builder(setup: &Setup) -> auto::Builder<TokioExecutor> {
    let limits = &setup.limits;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.http_idle_timeout_ms))
        .max_headers(limits.headers_max)
        // hyper's least is 8 KiB; below it it panics.
        .max_buf_size(limits.head_bytes_max.max(8 * 1024))
        // A client that sends all and then closes its side still gets its answer.
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .initial_stream_window_size(u32::from(STREAM_BYTES))
        .max_send_buf_size(usize::from(STREAM_BYTES))
        .max_concurrent_streams(limits.http2_streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    builder
}

/// Lets the system find out that a client's machine is gone: a silent stream may live for days, and
/// what it has no pings for, such as gRPC, would keep its seat. Without it, it lives as it did before.
fn keep_alive(socket: &std::net::TcpStream, limits: &Limits) {
    // The system counts in seconds, and takes none below one.
    let seconds = |ms: u64| Duration::from_secs(ms.div_ceil(1_000).clamp(1, 32_767));
    let probes = TcpKeepalive::new()
        .with_time(seconds(limits.ping_interval_ms))
        .with_interval(seconds(limits.pong_timeout_ms))
        .with_retries(2);
    let _ = SockRef::from(socket).set_tcp_keepalive(&probes);
}

/// A connection's whole life here.
async fn serve(inner: Arc<Inner>, visitor: Visitor, _place: OwnedSemaphorePermit) {
    let Visitor { socket, prefix, seat } = visitor;
    keep_alive(&socket, inner.state.limits());
    let activity = Arc::new(Activity::default());
    let node = Arc::clone(&inner.state.setup.node);
    let Ok(stream) = Stream::new(socket, prefix, Arc::clone(&activity), node) else { return };
    let mut client_left = std::pin::pin!(stream.watcher().client_left());
    let seat = SharedSeat::new(seat);
    let service = {
        let (inner, activity) = (Arc::clone(&inner), Arc::clone(&activity));
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&activity));
            answer(Arc::clone(&inner), seat.clone(), request)
        })
    };
    let connection = inner.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let idle = Duration::from_millis(inner.state.limits().http_idle_timeout_ms);
    let mut stop = inner.stop.subscribe();
    let mut stopping = false;
    let mut ceased = std::pin::pin!(activity.ceased(idle));
    loop {
        tokio::select! {
            // How a client went away is its own business.
            _ = connection.as_mut() => return,
            () = ceased.as_mut() => return,
            () = client_left.as_mut() => return,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The seat of a connection or a stream, until a WebSocket takes it along.
#[derive(Clone)]
pub(crate) struct SharedSeat(Arc<Mutex<Option<Seat>>>);

impl SharedSeat {
    pub(crate) fn new(seat: Seat) -> Self {
        Self(Arc::new(Mutex::new(Some(seat))))
    }

    pub(crate) fn take(&self) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers one request, names the node, and sends a connection on its way that became a WebSocket.
async fn answer(
    inner: Arc<Inner>,
    seat: SharedSeat,
    mut request: Request<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let mut response = inner.router.clone().call(request.map(Body::new)).await?;
    inner.state.requests.count(response.status().as_u16());
    response.headers_mut().insert("tidings-node", inner.node.clone());
    if let Some(departure) = response.extensions_mut().remove::<Departure>() {
        inner.runtime.spawn(departure.depart(upgrade, seat, Arc::clone(&inner.state)));
    }
    Ok(response)
}

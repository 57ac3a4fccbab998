//! A client that speaks HTTP/2, made of hyper's.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::node::Node;

pub(crate) struct Http2(SendRequest<Full<Bytes>>);

impl Http2 {
    /// Connects, and lets the server say that it knows extended CONNECT.
    pub(crate) async fn to(node: &Node) -> Self {
        let stream = tokio::net::TcpStream::connect(node.address).await.unwrap();
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(65_535)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut client = Self(sender);
        assert_eq!(client.get("/health").await.status(), 200);
        client
    }

    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.0.send_request(request).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response<Incoming> {
        self.try_get(path).await.unwrap()
    }

    pub(crate) async fn try_get(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = Request::get(format!("http://tidings.test{path}")).body(Full::default()).unwrap();
        self.0.send_request(request).await
    }

    /// Asks for a protocol on a stream.
    pub(crate) async fn connect(
        &mut self,
        path: &str,
        protocol: &'static str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let mut request = Request::connect(format!("http://tidings.test{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.extension(Protocol::from_static(protocol)).body(Full::default()).unwrap();
        self.ask(request).await
    }

    /// Opens a WebSocket, which must be agreed to.
    pub(crate) async fn websocket(&mut self, path: &str) -> TokioIo<Upgraded> {
        let response = self.connect(path, "websocket", &[("sec-websocket-version", "13")]).await;
        assert_eq!(response.status(), 200);
        TokioIo::new(hyper::upgrade::on(response).await.unwrap())
    }
}

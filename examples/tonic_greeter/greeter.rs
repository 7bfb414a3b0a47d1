//! `helloworld.Greeter` as `tonic-build` would generate it, written by hand so that the example
//! needs no `protoc`:
//!
//! ```proto
//! service Greeter {
//!   rpc SayHello (HelloRequest) returns (HelloReply);
//!   rpc SayHellos (HelloRequest) returns (stream HelloReply);
//!   rpc Converse (stream HelloRequest) returns (stream HelloReply);
//! }
//! message HelloRequest { string name = 1; }
//! message HelloReply { string message = 1; }
//! ```

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

pub(crate) const SERVICE: &str = "helloworld.Greeter";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HelloReply {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
}

/// A stream of answers.
pub(crate) type Replies = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

/// What a server has to write.
#[tonic::async_trait]
pub(crate) trait Greeter: Send + Sync + 'static {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status>;

    async fn say_hellos(&self, request: Request<HelloRequest>)
    -> Result<Response<Replies>, Status>;

    async fn converse(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Replies>, Status>;
}

/// The service for `Server::add_service`.
pub(crate) struct GreeterServer<T>(Arc<T>);

impl<T> GreeterServer<T> {
    pub(crate) fn new(greeter: T) -> Self {
        Self(Arc::new(greeter))
    }
}

impl<T> Clone for GreeterServer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> NamedService for GreeterServer<T> {
    const NAME: &'static str = SERVICE;
}

impl<T: Greeter> Service<http::Request<Body>> for GreeterServer<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let greeter = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(greeter, request).await) })
    }
}

async fn answer<T: Greeter>(greeter: Arc<T>, request: http::Request<Body>) -> http::Response<Body> {
    let mut grpc = Grpc::new(ProstCodec::default());
    match request.uri().path() {
        "/helloworld.Greeter/SayHello" => {
            let method = service_fn(move |request| {
                let greeter = Arc::clone(&greeter);
                async move { greeter.say_hello(request).await }
            });
            grpc.unary(method, request).await
        }
        "/helloworld.Greeter/SayHellos" => {
            let method = service_fn(move |request| {
                let greeter = Arc::clone(&greeter);
                async move { greeter.say_hellos(request).await }
            });
            grpc.server_streaming(method, request).await
        }
        "/helloworld.Greeter/Converse" => {
            let method = service_fn(move |request| {
                let greeter = Arc::clone(&greeter);
                async move { greeter.converse(request).await }
            });
            grpc.streaming(method, request).await
        }
        _ => Status::unimplemented("no such method").into_http(),
    }
}

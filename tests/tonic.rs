//! tonic behind the gate, with tonic's own client and, for the frames, a plain HTTP/2 one.
#![cfg(feature = "tonic")]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;
#[path = "../examples/tonic_greeter/greeter.rs"]
mod greeter;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use common::{Away, all_of, clock, count, counter, issue, issue_as, unknown_key};
use greeter::{Greeter, GreeterServer, HelloReply, HelloRequest, Replies};
use http::uri::PathAndQuery;
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keygate::policy::{ClientAddress, Routes};
use keygate::store::{KeyStore, MemoryStore};
use keygate::{Access, ScopeSet};
use keygate::{AuthLayer, Limit, Policy, Principal, Quota, Rejection, RejectionKind, Require};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::client::Grpc;
use tonic::transport::server::TcpConnectInfo;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::ServiceBuilder;
use tower::layer::util::Stack;

// ---- Server -------------------------------------------------------------------------------------

/// Greets callers by the name of their key; asks more of who wants to greet `root`.
#[derive(Default)]
struct Named {
    calls: Arc<AtomicUsize>,
}

fn caller<T>(request: &Request<T>) -> Result<Principal, Rejection> {
    let caller = request.extensions().get::<Principal>().cloned();
    caller.ok_or(RejectionKind::MissingCredential.into())
}

fn reply(name: &str, caller: &Principal) -> HelloReply {
    HelloReply { message: format!("{name} from {}", caller.subject()) }
}

#[tonic::async_trait]
impl Greeter for Named {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let caller = caller(&request)?;
        if request.get_ref().name == "root" {
            caller.require(&all_of(&["admin"]))?;
        }
        let mut response = Response::new(reply(&request.get_ref().name, &caller));
        let sent = request.metadata().get("x-sent").cloned();
        sent.map(|sent| response.metadata_mut().insert("x-echoed", sent));
        Ok(response)
    }

    async fn say_hellos(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Replies>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let caller = caller(&request)?;
        let replies = (0..100).map(move |i| Ok(reply(&i.to_string(), &caller)));
        let end = std::iter::once(Err(Status::data_loss("the end")));
        let ends_badly = request.get_ref().name == "bad end";
        let replies = replies.chain(end.filter(move |_| ends_badly));
        Ok(Response::new(Box::pin(tokio_stream::iter(replies))))
    }

    async fn converse(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<Replies>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let caller = caller(&request)?;
        let said = request.into_inner();
        Ok(Response::new(Box::pin(said.map(move |said| Ok(reply(&said?.name, &caller))))))
    }
}

/// Starts the server behind `layer`; its URL, and how often its methods were called.
macro_rules! start {
    ($layer:expr) => {{
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let calls = counter();
        let named = GreeterServer::new(Named { calls: Arc::clone(&calls) });
        let server = Server::builder().layer($layer).add_service(named);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (base, calls)
    }};
}

fn gate(store: impl KeyStore) -> AuthLayer {
    AuthLayer::new(store).clock(clock())
}

// ---- Client -------------------------------------------------------------------------------------

/// What `tonic-build` would generate, with the metadata to send as a parameter.
struct GreeterClient(Grpc<Channel>);

type Sent<'a> = &'a [(&'static str, &'a str)];

impl GreeterClient {
    async fn connect(base: &str) -> Self {
        let channel = Channel::from_shared(base.to_owned()).unwrap().connect().await.unwrap();
        Self(Grpc::new(channel))
    }

    async fn ready(&mut self) {
        self.0.ready().await.unwrap();
    }

    async fn unary(&mut self, name: &str, sent: Sent<'_>) -> Result<Response<HelloReply>, Status> {
        self.ready().await;
        let path = PathAndQuery::from_static("/helloworld.Greeter/SayHello");
        self.0.unary(request(hello(name), sent), path, ProstCodec::default()).await
    }

    async fn stream(
        &mut self,
        name: &str,
        sent: Sent<'_>,
    ) -> Result<Response<Streaming<HelloReply>>, Status> {
        self.ready().await;
        let path = PathAndQuery::from_static("/helloworld.Greeter/SayHellos");
        self.0.server_streaming(request(hello(name), sent), path, ProstCodec::default()).await
    }

    async fn converse(
        &mut self,
        said: impl tokio_stream::Stream<Item = HelloRequest> + Send + 'static,
        sent: Sent<'_>,
    ) -> Result<Response<Streaming<HelloReply>>, Status> {
        self.ready().await;
        let path = PathAndQuery::from_static("/helloworld.Greeter/Converse");
        self.0.streaming(request(said, sent), path, ProstCodec::default()).await
    }

    /// The refusals of all kinds of methods; they must be alike.
    async fn refused(&mut self, sent: Sent<'_>) -> Status {
        let unary = self.unary("x", sent).await.unwrap_err();
        let streamed = self.stream("x", sent).await.map(drop).unwrap_err();
        let both = self.converse(tokio_stream::pending(), sent).await.map(drop).unwrap_err();
        for other in [streamed, both] {
            assert_eq!((other.code(), other.message()), (unary.code(), unary.message()));
            assert_eq!(text(&other, "www-authenticate"), text(&unary, "www-authenticate"));
            assert_eq!(text(&other, "retry-after"), text(&unary, "retry-after"));
        }
        unary
    }
}

fn hello(name: &str) -> HelloRequest {
    HelloRequest { name: name.to_owned() }
}

fn request<T>(message: T, sent: Sent<'_>) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in sent {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn text(status: &Status, name: &str) -> Option<String> {
    status.metadata().get(name).map(|value| value.to_str().unwrap().to_owned())
}

async fn messages(mut replies: Streaming<HelloReply>) -> (Vec<String>, Option<Status>) {
    let mut messages = Vec::new();
    while let Some(reply) = replies.next().await {
        match reply {
            Ok(reply) => messages.push(reply.message),
            Err(status) => return (messages, Some(status)),
        }
    }
    (messages, None)
}

// ---- Success ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_good_key_reaches_the_method_and_metadata_passes_both_ways() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(9).unwrap());
    let (base, _) = start!(gate(store).limit(limit).unwrap());
    let mut client = GreeterClient::connect(&base).await;
    let bearer = format!("Bearer {key}");
    for credential in [("authorization", bearer.as_str()), ("x-api-key", &key)] {
        let reply = client.unary("hello", &[credential, ("x-sent", "this")]).await.unwrap();
        assert_eq!(reply.get_ref().message, "hello from key_1");
        assert_eq!(reply.metadata().get("x-echoed").unwrap(), "this");
        assert_eq!(reply.metadata().get("x-ratelimit-limit").unwrap(), "9");
    }
}

#[tokio::test]
async fn streams_pass_whole_with_their_own_end() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let (base, _) = start!(gate(store));
    let mut client = GreeterClient::connect(&base).await;
    for (name, end) in [("good end", None), ("bad end", Some(Code::DataLoss))] {
        let replies = client.stream(name, &[("x-api-key", &key)]).await.unwrap().into_inner();
        let (messages, status) = messages(replies).await;
        assert_eq!(messages.len(), 100);
        assert_eq!(messages[99], "99 from key_1");
        assert_eq!(status.map(|status| status.code()), end);
    }
}

/// Each word is said after the answer to the one before.
#[tokio::test]
async fn a_conversation_goes_back_and_forth() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let (base, _) = start!(gate(store));
    let mut client = GreeterClient::connect(&base).await;
    let (say, said) = tokio::sync::mpsc::channel(1);
    let said = tokio_stream::wrappers::ReceiverStream::new(said);
    let mut replies = client.converse(said, &[("x-api-key", &key)]).await.unwrap().into_inner();
    for word in ["one", "two", "three"] {
        say.send(hello(word)).await.unwrap();
        let reply = replies.message().await.unwrap().unwrap();
        assert_eq!(reply.message, format!("{word} from key_1"));
    }
    drop(say);
    assert!(replies.message().await.unwrap().is_none());
}

// ---- Refusals -----------------------------------------------------------------------------------

#[tokio::test]
async fn missing_and_bad_credentials_are_unauthenticated() {
    let store = MemoryStore::new();
    issue(&store, "key_1").await;
    let (base, calls) = start!(gate(store));
    let mut client = GreeterClient::connect(&base).await;
    let missing = client.refused(&[]).await;
    assert_eq!(
        (missing.code(), missing.message()),
        (Code::Unauthenticated, "Authentication required")
    );
    assert_eq!(text(&missing, "www-authenticate").unwrap(), r#"Bearer realm="api""#);
    let unknown = client.refused(&[("x-api-key", &unknown_key())]).await;
    assert_eq!((unknown.code(), unknown.message()), (Code::Unauthenticated, "Invalid API key"));
    assert!(text(&unknown, "www-authenticate").unwrap().contains("invalid_token"));
    assert_eq!(count(&calls), 0);
}

#[tokio::test]
async fn two_credentials_are_an_invalid_argument() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let bearer = format!("Bearer {key}");
    let (base, calls) = start!(gate(store));
    let mut client = GreeterClient::connect(&base).await;
    for sent in [
        [("authorization", bearer.as_str()), ("x-api-key", &key)],
        [("authorization", &bearer), ("authorization", &bearer)],
        [("x-api-key", &key), ("x-api-key", &key)],
    ] {
        assert_eq!(client.refused(&sent).await.code(), Code::InvalidArgument);
    }
    assert_eq!(count(&calls), 0);
}

#[tokio::test]
async fn scopes_are_asked_by_service_and_method() {
    let store = MemoryStore::new();
    let reader = issue(&store, "reader").await;
    let streams = |r: keygate::KeyRecord| r.with_access(ScopeSet::new(["stream"]).unwrap());
    let streamer = issue_as(&store, "streamer", streams).await;
    let all = issue_as(&store, "all", |r| r.with_access(Access::Full)).await;
    let routes = Routes::new()
        .grpc(greeter::SERVICE, "SayHello", all_of(&["read"]))
        .and_then(|routes| routes.grpc(greeter::SERVICE, "SayHellos", all_of(&["stream"])))
        .unwrap()
        .deny_unknown();
    let (base, calls) = start!(gate(store).routes(routes));
    let mut client = GreeterClient::connect(&base).await;

    assert!(client.unary("x", &[("x-api-key", &reader)]).await.is_ok());
    assert!(client.stream("x", &[("x-api-key", &streamer)]).await.is_ok());
    let refused = client.stream("x", &[("x-api-key", &reader)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let needed = text(&refused, "www-authenticate").unwrap();
    assert!(needed.ends_with(r#"error="insufficient_scope", scope="stream""#), "{needed}");
    let refused = client.unary("x", &[("x-api-key", &streamer)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    // No rule names it.
    let said = tokio_stream::empty();
    let refused = client.converse(said, &[("x-api-key", &all)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(count(&calls), 2);
}

#[tokio::test]
async fn over_the_limit_is_resource_exhausted_and_says_when_to_come_back() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(1).unwrap());
    let (base, calls) = start!(gate(store).limit(limit).unwrap());
    let mut client = GreeterClient::connect(&base).await;
    assert!(client.unary("x", &[("x-api-key", &key)]).await.is_ok());
    let refused = client.refused(&[("x-api-key", &key)]).await;
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::ResourceExhausted, "Rate limit exceeded")
    );
    assert_eq!(text(&refused, "retry-after").unwrap(), "60");
    assert_eq!(text(&refused, "grpc-retry-pushback-ms").unwrap(), "60000");
    assert_eq!(text(&refused, "cache-control").unwrap(), "no-store");
    assert_eq!(text(&refused, "x-ratelimit-limit").unwrap(), "1");
    assert_eq!(text(&refused, "x-ratelimit-remaining").unwrap(), "0");
    assert_eq!(text(&refused, "x-ratelimit-reset").unwrap(), (common::NOW + 60).to_string());
    assert_eq!(count(&calls), 1);
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    for peeks in [false, true] {
        let (base, calls) = start!(gate(Away { peeks }));
        let mut client = GreeterClient::connect(&base).await;
        let refused = client.refused(&[("x-api-key", &unknown_key())]).await;
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(text(&refused, "retry-after").unwrap(), "5");
        assert_eq!(text(&refused, "www-authenticate"), None);
        assert!(!refused.message().contains("db-7"));
        assert_eq!(count(&calls), 0);
    }
}

#[tokio::test]
async fn a_method_refuses_by_itself() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let (base, calls) = start!(gate(store));
    let mut client = GreeterClient::connect(&base).await;
    let refused = client.unary("root", &[("x-api-key", &key)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.message(), RejectionKind::InsufficientScope.text());
    assert_eq!(count(&calls), 1);
}

#[tokio::test]
async fn a_method_that_no_gate_guards_finds_no_principal() {
    let (base, _) = start!(tower::layer::util::Identity::new());
    let mut client = GreeterClient::connect(&base).await;
    let refused = client.unary("x", &[("x-api-key", &unknown_key())]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_require_layer_behind_the_gate_refuses_in_grpc() {
    let store = MemoryStore::new();
    let reader = issue(&store, "reader").await;
    let all = issue_as(&store, "all", |r| r.with_access(Access::Full)).await;
    let limit = Limit::per_key(Quota::per_minute(9).unwrap());
    let gate = gate(store).limit(limit).unwrap();
    let layers: Stack<Require, AuthLayer> = Stack::new(Require::new(all_of(&["admin"])), gate);
    let (base, calls) = start!(layers);
    let mut client = GreeterClient::connect(&base).await;
    assert!(client.unary("x", &[("x-api-key", &all)]).await.is_ok());
    let refused = client.refused(&[("x-api-key", &reader)]).await;
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(text(&refused, "www-authenticate").unwrap().contains(r#"scope="admin""#));
    assert_eq!(text(&refused, "x-ratelimit-remaining").unwrap(), "8");
    assert_eq!(count(&calls), 1);
}

#[tokio::test]
async fn a_require_layer_without_a_gate_refuses_everybody_in_grpc() {
    let (base, calls) =
        start!(ServiceBuilder::new().layer(Require::new(Policy::authenticated())).into_inner());
    let mut client = GreeterClient::connect(&base).await;
    let refused = client.refused(&[("x-api-key", &unknown_key())]).await;
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unauthenticated, "Authentication required")
    );
    assert_eq!(count(&calls), 0);
}

/// tonic's own connection info is where the peer's address is.
#[tokio::test]
async fn the_peer_is_found_in_tonics_connection_info() {
    let store = MemoryStore::new();
    let bind = |net: &str| [net.parse::<ipnet::IpNet>().unwrap()];
    let here = issue_as(&store, "here", |r| r.with_networks(bind("127.0.0.0/8"))).await;
    let there = issue_as(&store, "there", |r| r.with_networks(bind("192.0.2.0/24"))).await;
    let peer = ClientAddress::peer_from(|extensions| -> Option<IpAddr> {
        extensions.get::<TcpConnectInfo>()?.remote_addr().map(|peer| peer.ip())
    });
    let (base, _) = start!(gate(store).client_address(peer));
    let mut client = GreeterClient::connect(&base).await;
    assert!(client.unary("x", &[("x-api-key", &here)]).await.is_ok());
    let refused = client.refused(&[("x-api-key", &there)]).await;
    assert_eq!(refused.code(), Code::PermissionDenied);
}

// ---- Frames -------------------------------------------------------------------------------------

/// One HEADERS frame that ends the stream: whatever followed, clients would take it for a message.
#[tokio::test]
async fn a_refusal_is_trailers_only() {
    let store = MemoryStore::new();
    let key = issue_as(&store, "key_1", |r| r.with_access(ScopeSet::default())).await;
    let routes = Routes::new().require_all("/{*all}", all_of(&["read"])).unwrap();
    let (base, _) = start!(gate(store).routes(routes));
    let both = [("x-api-key", key.as_str()), ("x-api-key", &key)];
    for (headers, status) in [(&[][..], "16"), (&[("x-api-key", key.as_str())], "7"), (&both, "3")]
    {
        let response = send(&base, headers).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], status);
        assert!(response.headers().contains_key("grpc-message"));
        assert!(!response.headers().contains_key("content-length"));
        assert!(response.body().is_end_stream(), "the frame of the headers ends the stream");
        let rest = response.into_body().collect().await.unwrap();
        assert!(rest.trailers().is_none());
        assert!(rest.to_bytes().is_empty());
    }
}

/// A client that is none of gRPC is answered in the gate's own form.
#[tokio::test]
async fn a_browser_at_the_same_port_is_refused_in_http() {
    let (base, _) = start!(gate(MemoryStore::new()));
    let answer = support::Client::http2(base).get("/helloworld.Greeter/SayHello").send().await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("grpc-status"), None);
}

async fn send(base: &str, headers: &[(&str, &str)]) -> http::Response<hyper::body::Incoming> {
    let stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::post(format!("{base}/helloworld.Greeter/SayHello"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // A message of no bytes: not compressed, of length 0.
    let message = Full::new(Bytes::from_static(&[0; 5]));
    client.send_request(request.body(message).unwrap()).await.unwrap()
}

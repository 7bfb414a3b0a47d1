//! hyper 1 without a framework, over real sockets: HTTP/1.1 and HTTP/2.
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use common::{BoxError, all_of, api_key, call, clock, counted, counter, issue, issue_as, serve};
use common::{code, count, unknown_key};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keygate::policy::{PeerAddr, Routes};
use keygate::store::MemoryStore;
use keygate::{AuthLayer, Concurrency, Limit, Policy, Principal, Quota, ScopeSet};
use support::{Answer, Client};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::{Layer, ServiceExt, service_fn};

/// Both versions of the protocol.
fn clients(base: &str) -> [Client; 2] {
    [Client::new(base), Client::http2(base)]
}

/// Tells who called, from where, what.
async fn tell(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, BoxError> {
    let peer = request.extensions().get::<PeerAddr>().map(|peer| peer.ip());
    let caller = request.extensions().get::<Principal>().map_or("nobody", Principal::subject);
    // hyper sends over HTTP/2 what it is given, to HEAD too.
    let told = format!("{caller} {} {} {peer:?}", request.method(), request.uri().path());
    let told = if request.method() == Method::HEAD { Full::default() } else { Full::from(told) };
    Ok(Response::builder().header("x-inner", "yes").body(told).unwrap())
}

async fn start(gate: AuthLayer) -> String {
    serve(gate.clock(clock()).layer(service_fn(tell))).await
}

fn routes() -> Routes {
    Routes::new()
        .public("/health")
        .and_then(|routes| routes.require(Method::GET, "/notes/{id}", all_of(&["read"])))
        .and_then(|routes| routes.require(Method::DELETE, "/notes/{id}", all_of(&["write"])))
        .and_then(|routes| routes.require_all("/admin/{*rest}", all_of(&["admin"])))
        .unwrap()
}

// ---- Answers ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_good_key_reaches_the_service() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    for client in clients(&start(AuthLayer::new(store)).await) {
        for call in [client.get("/").bearer(&key), client.get("/").header("X-API-Key", &key)] {
            let answer = call.send().await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body, "key_1 GET / Some(127.0.0.1)");
            assert_eq!(answer.header("x-inner"), Some("yes"));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_a_problem_document_with_a_challenge() {
    for client in clients(&start(AuthLayer::new(MemoryStore::new())).await) {
        let missing = client.get("/").send().await;
        assert_eq!(missing.status, 401);
        assert_eq!(missing.header("content-type"), Some("application/problem+json"));
        assert_eq!(missing.header("www-authenticate"), Some(r#"Bearer realm="api""#));
        assert_eq!(missing.header("cache-control"), Some("no-store"));
        assert_eq!(missing.number("content-length"), missing.body.len() as u64);
        assert_eq!(missing.json()["status"], 401);
        assert_eq!(code(&missing), "missing_credential");
        assert_eq!(missing.header("x-inner"), None);
        let unknown = client.get("/").bearer(&unknown_key()).send().await;
        assert_eq!(
            (unknown.status, code(&unknown).as_str()),
            (StatusCode::UNAUTHORIZED, "key_invalid")
        );
        assert!(unknown.header("www-authenticate").unwrap().contains(r#"error="invalid_token""#));
    }
}

/// Everything of the answer to GET but the body (RFC 9110 section 9.3.2).
#[tokio::test]
async fn a_refused_head_has_the_headers_of_get_and_no_body() {
    for client in clients(&start(AuthLayer::new(MemoryStore::new())).await) {
        let strip = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            headers
        };
        let get = client.get("/").send().await;
        let head = client.call(Method::HEAD, "/").send().await;
        assert_eq!(head.status, get.status);
        assert_eq!(strip(&head), strip(&get));
        assert!(head.number("content-length") > 0);
        assert!(head.body.is_empty() && !get.body.is_empty());
        // The connection is still in step.
        assert_eq!(client.get("/").send().await.body, get.body);
    }
}

#[tokio::test]
async fn two_credentials_are_refused_and_never_chosen_from() {
    let store = MemoryStore::new();
    let (key, other) = (issue(&store, "key_1").await, issue(&store, "key_2").await);
    for client in clients(&start(AuthLayer::new(store)).await) {
        for (name, call) in [
            ("two lines", client.get("/").bearer(&key).bearer(&other)),
            ("the same line twice", client.get("/").bearer(&key).bearer(&key)),
            (
                "another scheme first",
                client.get("/").header("authorization", "Basic eA==").bearer(&key),
            ),
            ("two places", client.get("/").bearer(&key).header("x-api-key", &other)),
            ("one key in two places", client.get("/").bearer(&key).header("x-api-key", &key)),
            ("two keys", client.get("/").header("x-api-key", &key).header("x-api-key", &other)),
        ] {
            let answer = call.send().await;
            assert_eq!(
                (answer.status.as_u16(), code(&answer).as_str()),
                (400, "ambiguous_credential"),
                "{name}"
            );
        }
    }
}

/// RFC 6750 section 2.2 lets a service read a token from a form. Nothing is read here but the head.
#[tokio::test]
async fn a_credential_in_a_form_is_none() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    for client in clients(&start(AuthLayer::new(store)).await) {
        let form = |call: support::Call| {
            let call = call.header("content-type", "application/x-www-form-urlencoded");
            call.body(format!("access_token={key}&api_key={key}"))
        };
        let answer = form(client.post("/")).send().await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (401, "missing_credential"));
        assert_eq!(
            form(client.post("/").bearer(&key)).send().await.status,
            200,
            "and no second one"
        );
    }
}

#[tokio::test]
async fn a_limit_is_told_and_kept() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(2).unwrap());
    let base = start(AuthLayer::new(store).limit(limit).unwrap()).await;
    let client = Client::new(base);
    for remaining in [1, 0] {
        let answer = client.get("/").bearer(&key).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.number("x-ratelimit-remaining"), remaining);
    }
    let refused = client.get("/").bearer(&key).send().await;
    assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (429, "rate_limited"));
    assert_eq!(refused.number("x-ratelimit-limit"), 2);
    assert_eq!(refused.number("x-ratelimit-remaining"), 0);
    assert_eq!(refused.number("x-ratelimit-reset"), common::NOW + 60);
    assert_eq!(refused.number("retry-after"), 60);
}

/// The peer that the server put into the extensions is the one that a key is bound to.
#[tokio::test]
async fn a_key_is_bound_to_the_networks_of_its_record() {
    let store = MemoryStore::new();
    let bind = |net: &str| [net.parse::<ipnet::IpNet>().unwrap()];
    let here = issue_as(&store, "here", |r| r.with_networks(bind("127.0.0.0/8"))).await;
    let there = issue_as(&store, "there", |r| r.with_networks(bind("192.0.2.0/24"))).await;
    for client in clients(&start(AuthLayer::new(store)).await) {
        assert_eq!(client.get("/").bearer(&here).send().await.status, 200);
        let refused = client.get("/").bearer(&there).header("x-forwarded-for", "192.0.2.7").send();
        let refused = refused.await;
        assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (403, "address_denied"));
    }
}

// ---- Routes -------------------------------------------------------------------------------------

#[tokio::test]
async fn routes_ask_by_path_and_method() {
    let store = MemoryStore::new();
    let key = issue(&store, "reader").await;
    let admin = |r: keygate::KeyRecord| r.with_access(ScopeSet::new(["admin"]).unwrap());
    let admin = issue_as(&store, "admin", admin).await;
    let (read, delete) = (Method::GET, Method::DELETE);
    for client in clients(&start(AuthLayer::new(store).routes(routes())).await) {
        for (method, path, key, status) in [
            (&read, "/health", None, 200),
            (&delete, "/health", None, 200),
            (&read, "/health", Some("sk_live_mistyped"), 200),
            (&read, "/notes/7", Some(key.as_str()), 200),
            (&read, "/notes/7?as=text", Some(&key), 200),
            (&read, "/notes/7", None, 401),
            (&read, "/notes/7", Some(&admin), 403),
            (&Method::HEAD, "/notes/7", Some(&key), 200),
            (&Method::HEAD, "/notes/7", Some(&admin), 403),
            (&delete, "/notes/7", Some(&key), 403),
            // What no rule names asks for a caller and nothing else.
            (&Method::POST, "/notes/7", Some(&key), 200),
            (&Method::POST, "/notes/7", None, 401),
            (&read, "/other", Some(&key), 200),
            (&read, "/admin/a/b", Some(&key), 403),
            (&read, "/admin/a/b", Some(&admin), 200),
        ] {
            let mut call = client.call(method.clone(), path);
            if let Some(key) = key {
                call = call.bearer(key);
            }
            let answer = call.send().await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} {key:?}");
        }
        // A public route has no caller, whatever credential comes with the request.
        let answer = client.get("/health").bearer(&key).send().await;
        assert!(answer.body.starts_with(b"nobody "), "{:?}", answer.body);
    }
}

#[tokio::test]
async fn what_no_rule_names_can_be_denied() {
    let store = MemoryStore::new();
    let key = issue_as(&store, "all", |r| r.with_access(keygate::Access::Full)).await;
    for client in clients(&start(AuthLayer::new(store).routes(routes().deny_unknown())).await) {
        assert_eq!(client.get("/notes/7").bearer(&key).send().await.status, 200);
        assert_eq!(client.get("/health").send().await.status, 200);
        for (method, path) in
            [(Method::POST, "/notes/7"), (Method::GET, "/other"), (Method::GET, "/")]
        {
            let denied = client.call(method, path).bearer(&key).send().await;
            assert_eq!(
                (denied.status.as_u16(), code(&denied).as_str()),
                (403, "not_permitted"),
                "{path}"
            );
            assert_eq!(client.get(path).send().await.status, 401, "{path}");
        }
    }
}

/// The service may read such a path as one that a rule protects, or as a public one.
#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let store = MemoryStore::new();
    let key = issue_as(&store, "all", |r| r.with_access(keygate::Access::Full)).await;
    let confusing = [
        "//notes/7",
        "/notes//7",
        "/health//",
        "/health/../admin/x",
        "/./health",
        "/admin/.",
        "/admin/..",
        "/admin%2fx",
        "/admin%2Fx",
        "/health/%2e%2e/admin/x",
        "/health/%2E./admin/x",
        "/%61dmin/x",
        "/he%61lth",
        "/health;x",
        "/admin;v=1/x",
        "/health\\..\\admin",
        "/health%5c..%5cadmin",
        "/health%3bx",
        "/notes/7%00",
        "/notes/7%0a",
        "/notes/%",
        "/notes/%2",
        "/notes/%zz",
        "/notes/%252e",
        "/health/",
    ];
    for client in clients(&start(AuthLayer::new(store).routes(routes())).await) {
        for path in confusing {
            for call in [client.get(path), client.get(path).bearer(&key)] {
                let answer = call.send().await;
                assert_eq!(answer.status.as_u16(), 400, "{path}");
                assert_eq!(code(&answer), "invalid_path", "{path}");
            }
        }
        for path in
            ["/notes/a%20b", "/notes/%C3%A4", "/notes/a.b", "/notes/...", "/notes/7?a=//..;%2e"]
        {
            assert_eq!(client.get(path).bearer(&key).send().await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn without_rules_any_path_is_the_services_own_matter() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    for client in clients(&start(AuthLayer::new(store)).await) {
        for path in ["//", "/a/../b", "/a%2fb", "/a;b", "/a/"] {
            assert_eq!(client.get(path).bearer(&key).send().await.status, 200, "{path}");
            assert_eq!(client.get(path).send().await.status, 401, "{path}");
        }
    }
}

#[tokio::test]
async fn a_policy_for_all_holds_besides_those_of_routes() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = AuthLayer::new(store).routes(routes()).require(Policy::deny());
    let client = Client::new(start(gate).await);
    assert_eq!(client.get("/notes/7").bearer(&key).send().await.status, 403);
    assert_eq!(client.get("/health").send().await.status, 200);
}

// ---- Bodies -------------------------------------------------------------------------------------

type Sent = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

fn body() -> (mpsc::Sender<Result<Frame<Bytes>, Infallible>>, Sent) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, StreamBody::new(ReceiverStream::new(receiver)))
}

async fn echo(request: Request<Incoming>) -> Result<Response<Incoming>, BoxError> {
    Ok(Response::new(request.into_body()))
}

async fn send_http1(base: &str, request: Request<Sent>) -> Response<Incoming> {
    let stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut client, connection) = conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client.send_request(request).await.unwrap()
}

async fn send_http2(base: &str, request: Request<Sent>) -> Response<Incoming> {
    let stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let executor = TokioExecutor::new();
    let (mut client, connection) =
        conn::http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client.send_request(request).await.unwrap()
}

/// Each part is sent after the one before it has come back: nobody on the way waits for the end.
#[tokio::test]
async fn a_body_streams_through_in_both_directions() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let base = serve(AuthLayer::new(store).layer(service_fn(echo))).await;
    for http2 in [false, true] {
        let (sender, sent) = body();
        let request = Request::post(if http2 { format!("{base}/") } else { "/".into() })
            .header("host", "localhost")
            .header("x-api-key", &key)
            .body(sent)
            .unwrap();
        let response =
            if http2 { send_http2(&base, request).await } else { send_http1(&base, request).await };
        assert_eq!(response.status(), 200);
        let mut echoed = response.into_body();
        for part in ["one", "two", "three"] {
            sender.send(Ok(Frame::data(Bytes::from(part)))).await.unwrap();
            let frame = echoed.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), part);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "11".parse().unwrap());
        if http2 {
            sender.send(Ok(Frame::trailers(trailers.clone()))).await.unwrap();
            let frame = echoed.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_trailers().unwrap(), trailers);
        }
        drop(sender);
        assert!(echoed.frame().await.is_none());
    }
}

/// Over both versions of the protocol: a stream holds its place until it ends or its client goes.
#[tokio::test]
async fn a_stream_counts_for_as_long_as_it_lasts() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = AuthLayer::new(store).concurrency(Concurrency::per_key(1).unwrap()).unwrap();
    let base = serve(gate.layer(service_fn(echo))).await;
    let client = Client::new(&base);
    let call = || async { client.post("/").header("x-api-key", &key).send().await.status };
    for http2 in [false, true] {
        for ends in [true, false] {
            let (sender, sent) = body();
            let request = Request::post(if http2 { format!("{base}/") } else { "/".into() })
                .header("host", "localhost")
                .header("x-api-key", &key)
                .body(sent)
                .unwrap();
            let response = if http2 {
                send_http2(&base, request).await
            } else {
                send_http1(&base, request).await
            };
            assert_eq!(response.status(), 200);
            assert_eq!(call().await, 429);
            if ends {
                drop(sender);
                assert!(response.into_body().collect().await.is_ok());
            } else {
                drop(response);
                drop(sender);
            }
            // The server hears of it in its own time.
            support::eventually("it ends", async || call().await == 200).await;
        }
    }
}

/// Neither `Send`, `Sync`, `Default` nor `'static`, and its errors are no `std::error::Error`.
struct Odd<'t>(Option<&'t Rc<str>>);

#[derive(Debug, PartialEq)]
struct NoError;

impl Body for Odd<'_> {
    type Data = Bytes;
    type Error = NoError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoError>>> {
        let text = self.0.take();
        Poll::Ready(text.map(|text| Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))))
    }
}

async fn pass(request: Request<Odd<'_>>) -> Result<Response<Odd<'_>>, NoError> {
    Ok(Response::new(request.into_body()))
}

#[tokio::test]
async fn the_gate_asks_nothing_of_the_bodies_that_pass() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let text: Rc<str> = Rc::from("odd");
    let gate = AuthLayer::new(store);
    for (key, status) in [(key, 200), (unknown_key(), 401)] {
        let request = Request::get("/").header("x-api-key", key).body(Odd(Some(&text))).unwrap();
        let response = gate.layer(service_fn(pass)).oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body == "odd", status == 200);
    }
}

#[tokio::test]
async fn an_error_of_the_service_passes_untouched() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let broken =
        service_fn(|_: Request<Full<Bytes>>| async { Err::<Response<Full<Bytes>>, _>(NoError) });
    let service = AuthLayer::new(store).layer(broken);
    let error = service.clone().oneshot(api_key(&key)).await.map(drop);
    assert_eq!(error, Err(NoError));
    let refused = service.oneshot(api_key(&unknown_key())).await;
    assert_eq!(refused.unwrap().status(), 401);
}

#[tokio::test]
async fn a_clone_of_a_layer_guards_another_service_with_the_same_counts() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(1).unwrap());
    let gate = AuthLayer::new(store).clock(clock()).limit(limit).unwrap();
    let calls = counter();
    let (one, other) = (gate.clone().layer(counted(&calls)), gate.layer(counted(&calls)));
    assert_eq!(call(&one, api_key(&key)).await.status, 200);
    assert_eq!(call(&other, api_key(&key)).await.status, 429);
    assert_eq!(count(&calls), 1);
}

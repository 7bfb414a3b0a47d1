//! What the tests at the edges share: keys, stores that misbehave, tokens, servers on real sockets.
#![allow(dead_code, reason = "each test uses its part")]

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::policy::PeerAddr;
use keygate::store::{KeyAdmin, KeyStore, MemoryStore, StoreError, TenantDirectory};
use keygate::{Environment, KeyDigest, KeyFormat, KeyRecord, ManualClock, Policy, ScopeSet};
use keygate::{Tenant, TenantId, Timestamp};
use serde_json::{Value, json};
use support::Answer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
type Found = Result<Option<Arc<KeyRecord>>, StoreError>;

// ---- Time ---------------------------------------------------------------------------------------

/// The whole minute at which the tests' clocks stand.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_secs(NOW))
}

// ---- Keys ---------------------------------------------------------------------------------------

/// Puts a new `sk_live_` key of tenant `acme` that may `read` into `store`.
pub(crate) async fn issue(store: &MemoryStore, id: &str) -> String {
    issue_as(store, id, |record| record).await
}

/// The same with another record.
pub(crate) async fn issue_as(
    store: &MemoryStore,
    id: &str,
    change: impl FnOnce(KeyRecord) -> KeyRecord,
) -> String {
    let key = KeyFormat::sk().generate(Environment::Live).unwrap();
    let record = KeyRecord::new(id, key.digest(), Tenant::new("acme"))
        .with_access(ScopeSet::new(["read"]).unwrap());
    store.insert(change(record)).await.unwrap();
    key.reveal().to_owned()
}

/// A well-formed key that no store knows.
pub(crate) fn unknown_key() -> String {
    KeyFormat::sk().generate(Environment::Live).unwrap().reveal().to_owned()
}

pub(crate) fn all_of(scopes: &[&str]) -> Policy {
    Policy::all_of(scopes).unwrap()
}

// ---- Stores -------------------------------------------------------------------------------------

/// A store on a network: it answers `find` only, and not at once.
#[derive(Clone)]
pub(crate) struct Remote(pub(crate) MemoryStore);

#[async_trait]
impl KeyStore for Remote {
    async fn find(&self, digest: &KeyDigest) -> Found {
        tokio::task::yield_now().await;
        self.0.find(digest).await
    }
}

#[async_trait]
impl TenantDirectory for Remote {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        tokio::task::yield_now().await;
        self.0.tenant(id).await
    }
}

/// A store that is away: its answers fail, `peek`'s too where `peeks`.
#[derive(Clone, Copy)]
pub(crate) struct Away {
    pub(crate) peeks: bool,
}

#[async_trait]
impl KeyStore for Away {
    async fn find(&self, _: &KeyDigest) -> Found {
        Err(StoreError::unavailable("connection to db-7.internal refused"))
    }

    fn peek(&self, _: &KeyDigest) -> Option<Found> {
        self.peeks.then(|| Err(StoreError::other("row 17 of db-7.internal is broken")))
    }
}

#[async_trait]
impl TenantDirectory for Away {
    async fn tenant(&self, _: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        Err(StoreError::unavailable("connection to db-7.internal refused"))
    }
}

/// A store that counts how often it is asked, and answers when it is let.
#[derive(Clone)]
pub(crate) struct Slow {
    pub(crate) keys: MemoryStore,
    pub(crate) asked: Arc<AtomicUsize>,
    pub(crate) given_up: Arc<AtomicUsize>,
    pub(crate) let_through: Arc<Semaphore>,
}

impl Slow {
    pub(crate) fn new(keys: MemoryStore) -> Self {
        let counter = || Arc::new(AtomicUsize::new(0));
        let let_through = Arc::new(Semaphore::new(0));
        Self { keys, asked: counter(), given_up: counter(), let_through }
    }
}

#[async_trait]
impl KeyStore for Slow {
    async fn find(&self, digest: &KeyDigest) -> Found {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(&self.given_up);
        self.let_through.acquire().await.map_err(StoreError::other)?.forget();
        std::mem::forget(waiting);
        self.keys.find(digest).await
    }
}

/// Tells when it is dropped, which a future that runs to its end prevents.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

// ---- Tokens -------------------------------------------------------------------------------------

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "orders";
pub(crate) const SECRET: &str = "kX3uV9qLw7ZrT1yNb5MhC8sDf2GjP4aE";

pub(crate) fn verifier() -> JwtVerifier {
    let key = JwtKey::secret(Algorithm::HS256, SECRET).unwrap();
    JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build().unwrap()
}

/// The claims of a token that [`verifier`] accepts at [`NOW`].
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user_1", "tenant": "acme", "scope": "read",
        "exp": NOW + 600,
    })
}

/// The same with one claim changed; removed where `value` is null.
pub(crate) fn claims_but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

pub(crate) fn token(claims: &Value) -> String {
    signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

/// Signed here, not by `jsonwebtoken`, which asks for a crypto provider where both are built in.
pub(crate) fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let content = unsigned(header, claims);
    let signature = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), content.as_bytes());
    format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Header and claims, encoded, with a dot between them.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

// ---- Services -----------------------------------------------------------------------------------

/// A service that counts its calls and answers `reached`.
pub(crate) fn counted(
    calls: &Arc<AtomicUsize>,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    let calls = Arc::clone(calls);
    tower::service_fn(move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        async { Ok(Response::new(Full::from("reached"))) }
    })
}

pub(crate) fn counter() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

pub(crate) fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}

/// A GET of `/` with these headers.
pub(crate) fn get(headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

pub(crate) fn bearer(credential: &str) -> Request<Full<Bytes>> {
    get(&[("authorization", &format!("Bearer {credential}"))])
}

pub(crate) fn api_key(key: &str) -> Request<Full<Bytes>> {
    get(&[("x-api-key", key)])
}

/// Calls a service in this process, and reads the whole answer.
pub(crate) async fn call<S, B>(service: &S, request: Request<Full<Bytes>>) -> Answer
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let response = service.clone().oneshot(request).await.map_err(Into::into).unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Into::into).unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Polls a future once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The code in a problem document.
pub(crate) fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap().to_owned()
}

// ---- Servers ------------------------------------------------------------------------------------

/// Serves on a free port of loopback, HTTP/1.1 and HTTP/2; the URL.
pub(crate) async fn serve<S, B>(service: S) -> String
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = service.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddr::new(peer));
                request
            });
            tokio::spawn(async move {
                let service = TowerToHyperService::new(service);
                let builder = Builder::new(TokioExecutor::new());
                // A client that goes away ends a connection with an error.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    base
}

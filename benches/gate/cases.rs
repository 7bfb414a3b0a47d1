//! The requests, the bare service, the gates in front of it.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::render::{Envelope, RateLimitHeaders};
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{
    AuthLayer, Environment, KeyFormat, KeyRecord, Limit, Policy, Quota, ScopeSet, Tenant, Timestamp,
};
use tower::{Layer, Service};

use crate::floor::{Floor, Keys, Record, unix_time};
use crate::floor_jwt::FloorJwt;
use crate::harness::Case;

const SECRET: &[u8; 32] =
    b"\x11Q\x9b4\xe2\x07zF\xd5\x8c!\xf03j\xb9P\x1d\xc6`\xab\x94\x02\xee?Wq\x85,\xfa\x60\x0d\xb3";
const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "orders";
const SCOPES: [&str; 3] = ["read:customers", "read:orders", "write:orders"];
const NEEDED: &str = "read:orders";
const MUCH: u32 = 4_000_000_000;
/// So many keys are kept, and so many of them are used.
const KEYS: usize = 1_000;
const HOT: usize = 64;

pub(crate) type Answered = Result<Response<Full<Bytes>>, Infallible>;
type Call = Request<Full<Bytes>>;

/// Answers 200 to everything.
#[derive(Clone)]
pub(crate) struct Hello;

impl Service<Call> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Answered>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Call) -> Self::Future {
        drop(std::hint::black_box(request));
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

/// As from a client that says little, with or without something in the extensions already.
struct Requests {
    uri: Uri,
    credentials: Vec<HeaderValue>,
    warm: bool,
    next: usize,
}

impl Requests {
    fn new(credentials: Vec<HeaderValue>) -> Self {
        Self { uri: Uri::from_static("/orders"), credentials, warm: false, next: 0 }
    }

    fn make(&mut self) -> Call {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("api.example.com"));
        headers.insert(USER_AGENT, HeaderValue::from_static("orders/1.0"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(credential) = self.credentials.get(self.next) {
            headers.insert(AUTHORIZATION, credential.clone());
            self.next = (self.next + 1) % self.credentials.len();
        }
        if self.warm {
            request.extensions_mut().insert(Warm);
        }
        request
    }
}

#[derive(Clone)]
struct Warm;

/// One request through `service` in each step.
fn case<S, B>(
    name: &'static str,
    mut service: S,
    mut requests: Requests,
    expected: StatusCode,
) -> Case
where
    S: Service<Call, Response = Response<B>, Error = Infallible> + 'static,
{
    Case::new(name, move || {
        let request = requests.make();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(service.poll_ready(cx).is_ready());
        let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(cx) else {
            panic!("{name}: not answered at once");
        };
        assert_eq!(response.status(), expected, "{name}");
        drop(std::hint::black_box(response));
    })
}

struct World {
    records: Vec<KeyRecord>,
    floor: Arc<Keys>,
    known: Vec<HeaderValue>,
    unknown: Vec<HeaderValue>,
    mistyped: Vec<HeaderValue>,
    tokens: Vec<HeaderValue>,
}

pub(crate) fn bearer(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {text}")).expect("credentials are visible ASCII")
}

impl World {
    /// `limit` a window for each key.
    fn new(limit: u32) -> Self {
        let format = KeyFormat::sk();
        let generate = || format.generate(Environment::Live).expect("random numbers");
        let mut records = Vec::new();
        let floor = Keys::with_capacity_and_hasher(4 * KEYS, Default::default());
        let expires = unix_time() + 86_400;
        let mut known = Vec::new();
        for index in 0..KEYS {
            let key = generate();
            let record =
                KeyRecord::new(format!("key_{index}").as_str(), key.digest(), Tenant::new("acme"))
                    .with_access(ScopeSet::new(SCOPES).expect("scopes"))
                    .with_expires(Timestamp::from_secs(expires));
            records.push(record);
            let record = Record {
                scopes: SCOPES.map(str::to_owned).into(),
                expires,
                limit,
                used: AtomicU64::new(0),
            };
            floor.pin().insert(*key.digest().as_bytes(), Arc::new(record));
            known.push(bearer(key.reveal()));
        }
        known.truncate(HOT);
        let unknown: Vec<_> = (0..HOT).map(|_| bearer(generate().reveal())).collect();
        let mistyped = unknown.iter().map(mistype).collect();
        let tokens = (0..HOT).map(|index| bearer(&token(index, expires))).collect();
        Self { records, floor: Arc::new(floor), known, unknown, mistyped, tokens }
    }

    fn floor(&self, needed: &'static str, with_headers: bool) -> Floor<Hello> {
        Floor { inner: Hello, keys: Arc::clone(&self.floor), needed, with_headers }
    }

    /// A store for each gate, as services have it.
    fn store(&self) -> MemoryStore {
        let store = MemoryStore::new();
        for record in &self.records {
            answer(store.insert(record.clone())).expect("a new key");
        }
        store
    }

    fn gate(&self, needed: &str, limit: u32, headers: RateLimitHeaders) -> keygate::Auth<Hello> {
        let quota = Quota::per_hour(u64::from(limit)).expect("a quota");
        AuthLayer::new(self.store())
            .require(Policy::all_of([needed]).expect("a policy"))
            .limit(Limit::per_key(quota))
            .expect("a limit")
            .rate_limit_headers(headers)
            .render(Envelope::convotic())
            .layer(Hello)
    }
}

/// Completes a future that never waits.
fn answer<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a store in memory never waits"),
    }
}

fn mistype(key: &HeaderValue) -> HeaderValue {
    let mut text = key.as_bytes().to_vec();
    let last = text.last_mut().expect("a key");
    *last = if *last == b'0' { b'1' } else { b'0' };
    HeaderValue::try_from(text).expect("visible ASCII")
}

fn token(index: usize, expires: u64) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let scopes = SCOPES.join(" ");
    let claims = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"iss":"{ISSUER}","sub":"user_{index}","aud":"{AUDIENCE}","scope":"{scopes}","exp":{expires}}}"#
    ));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let tag = hmac::sign(&key, format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn jwt_gate() -> keygate::Auth<Hello> {
    let key = JwtKey::secret(Algorithm::HS256, SECRET).expect("a key");
    let verifier =
        JwtVerifier::builder(ISSUER, AUDIENCE).key(key).cache(0).build().expect("a verifier");
    AuthLayer::tokens_only(verifier)
        .require(Policy::all_of([NEEDED]).expect("a policy"))
        .layer(Hello)
}

fn jwt_floor() -> FloorJwt {
    let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET));
    FloorJwt { inner: Hello, key, issuer: ISSUER, audience: AUDIENCE, needed: NEEDED }
}

/// Bare, then pairs of floor and gate.
pub(crate) fn all() -> Vec<Case> {
    let world = World::new(MUCH);
    let mut cases = admitted(&world);
    cases.extend(refused(&world));
    cases.extend(limited());
    cases
}

fn admitted(world: &World) -> Vec<Case> {
    const OK: StatusCode = StatusCode::OK;
    let known = || Requests::new(world.known.clone());
    let warm = || Requests { warm: true, ..known() };
    let tokens = || Requests::new(world.tokens.clone());
    let (off, x) = (RateLimitHeaders::off(), RateLimitHeaders::x());
    vec![
        case("bare", Hello, known(), OK),
        case("bare, warm", Hello, warm(), OK),
        case("floor: key", world.floor(NEEDED, false), known(), OK),
        case("gate: key", world.gate(NEEDED, MUCH, off), known(), OK),
        case("floor: key, warm", world.floor(NEEDED, false), warm(), OK),
        case("gate: key, warm", world.gate(NEEDED, MUCH, off), warm(), OK),
        case("floor: key, headers", world.floor(NEEDED, true), known(), OK),
        case("gate: key, headers", world.gate(NEEDED, MUCH, x), known(), OK),
        case("floor: JWT", jwt_floor(), tokens(), OK),
        case("gate: JWT", jwt_gate(), tokens(), OK),
    ]
}

fn refused(world: &World) -> Vec<Case> {
    const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
    let none = || Requests::new(Vec::new());
    let unknown = || Requests::new(world.unknown.clone());
    let mistyped = || Requests::new(world.mistyped.clone());
    let known = || Requests::new(world.known.clone());
    let floor = |needed| world.floor(needed, true);
    let gate = |needed| world.gate(needed, MUCH, RateLimitHeaders::x());
    vec![
        case("floor: no credential", floor(NEEDED), none(), UNAUTHORIZED),
        case("gate: no credential", gate(NEEDED), none(), UNAUTHORIZED),
        case("floor: wrong checksum", floor(NEEDED), mistyped(), UNAUTHORIZED),
        case("gate: wrong checksum", gate(NEEDED), mistyped(), UNAUTHORIZED),
        case("floor: unknown key", floor(NEEDED), unknown(), UNAUTHORIZED),
        case("gate: unknown key", gate(NEEDED), unknown(), UNAUTHORIZED),
        case("floor: scope", floor("admin"), known(), StatusCode::FORBIDDEN),
        case("gate: scope", gate("admin"), known(), StatusCode::FORBIDDEN),
    ]
}

/// Each key used up its only permit beforehand.
fn limited() -> Vec<Case> {
    const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;
    let world = World::new(1);
    let known = || Requests::new(world.known.clone());
    let mut floor = world.floor(NEEDED, true);
    let mut gate = world.gate(NEEDED, 1, RateLimitHeaders::x());
    let mut requests = known();
    for _ in 0..HOT {
        let _ = answer(floor.call(requests.make()));
    }
    for _ in 0..HOT {
        let _ = answer(gate.call(requests.make()));
    }
    vec![
        case("floor: over the limit", floor, known(), LIMITED),
        case("gate: over the limit", gate, known(), LIMITED),
    ]
}

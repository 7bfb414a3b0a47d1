//! What the tests of the gate share: requests, tokens, stores that count, and short ways to a verdict.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part")]

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::policy::PeerAddr;
use keygate::store::{KeyAdmin, KeyStore, MemoryStore, StoreError};
use keygate::{
    AuthLayer, Authenticator, Environment, KeyDigest, KeyFormat, KeyRecord, KeyToken, ManualClock,
    Principal, Rejection, RejectionKind, Tenant, Timestamp,
};

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const SECRET: &str = "f2c1a9e47b60d35881c4be0792ad6f13";
pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "https://api.example";

/// Runs a future that needs no reactor.
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub fn head(method: Method, path: &str, headers: &[(&str, &[u8])]) -> Parts {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request.into_parts().0
}

/// A GET of `/` with these headers.
pub fn get(headers: &[(&str, &str)]) -> Parts {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    head(Method::GET, "/", &headers)
}

pub fn with_peer(mut parts: Parts, peer: &str) -> Parts {
    let peer: IpAddr = peer.parse().unwrap();
    parts.extensions.insert(PeerAddr::new(SocketAddr::new(peer, 4711)));
    parts
}

pub fn bearer(credential: &str) -> Parts {
    get(&[("authorization", &format!("Bearer {credential}"))])
}

pub fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

pub fn verdict(gate: &Authenticator, parts: &Parts) -> Result<Option<Principal>, Rejection> {
    wait(gate.authenticate(parts)).verdict
}

/// Why `gate` refuses.
pub fn refusal(gate: &Authenticator, parts: &Parts) -> RejectionKind {
    verdict(gate, parts).expect_err("a refusal").kind()
}

/// Who passes `gate`.
pub fn subject(gate: &Authenticator, parts: &Parts) -> String {
    let principal = verdict(gate, parts).expect("a pass").expect("a principal");
    principal.subject().to_owned()
}

pub fn clock() -> ManualClock {
    ManualClock::new(NOW)
}

pub fn live_key() -> KeyToken {
    KeyFormat::sk().generate(Environment::Live).unwrap()
}

pub fn record(id: &str, key: &KeyToken, tenant: Tenant) -> KeyRecord {
    KeyRecord::new(id, key.digest(), tenant)
}

/// A store with one live key, `key_1` of `acme`.
pub fn one_key() -> (MemoryStore, KeyToken) {
    let key = live_key();
    (holding([record("key_1", &key, Tenant::new("acme"))]), key)
}

pub fn holding(records: impl IntoIterator<Item = KeyRecord>) -> MemoryStore {
    let store = MemoryStore::new().with_clock(clock());
    records.into_iter().for_each(|record| wait(store.insert(record)).unwrap());
    store
}

pub fn verifier() -> JwtVerifier {
    let key = JwtKey::secret(Algorithm::HS256, SECRET).unwrap();
    JwtVerifier::builder(ISSUER, AUDIENCE).key(key).build().unwrap()
}

pub fn gate(store: impl KeyStore) -> AuthLayer {
    AuthLayer::new(store).clock(clock())
}

/// A token with these members besides `iss`, `aud`, `exp` and `sub`.
pub fn token(more: &str) -> String {
    claims(&format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":1800000600,"sub":"ann"{more}}}"#
    ))
}

pub fn claims(json: &str) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, json)
}

pub fn signed(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Counts how often it is asked.
#[derive(Clone)]
pub struct Counting {
    pub inner: MemoryStore,
    asked: Arc<AtomicUsize>,
}

impl Counting {
    pub fn over(inner: MemoryStore) -> Self {
        Self { inner, asked: Arc::default() }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyStore for Counting {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.inner.find(digest).await
    }
}

/// Always gives the same answer, whatever it is asked.
pub struct Fixed(pub Result<Option<Arc<KeyRecord>>, &'static str>);

#[async_trait]
impl KeyStore for Fixed {
    async fn find(&self, _: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        self.0.clone().map_err(StoreError::unavailable)
    }
}

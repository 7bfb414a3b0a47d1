//! How often a request through a gate allocates: exact numbers, so that none creeps in unseen.
//!
//! A request's own making and the service's own answer are counted apart and taken off.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use keygate::jwt::{Algorithm, JwtIssuer, NewToken, SigningKey};
use keygate::render::RateLimitHeaders;
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{
    Auth, AuthLayer, Clock, Environment, KeyFormat, KeyRecord, KeyToken, Limit, Policy, Quota,
    Require, ScopeSet, SystemClock, Tenant,
};
use support::allocations;
use tower::{Layer, Service};

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

/// The map of a request's extensions, its table, and what is put into it.
const EXTENSION: u64 = 3;
/// The two lists of a header map.
const HEADERS: u64 = 2;
/// The digits of three rate-limit headers, and of `Retry-After`.
const DIGITS: u64 = 1;
/// A challenge that names scopes, of another gate than the first that asked for them.
const CHALLENGE: u64 = 1;
/// A rejection that is put in place of the same, which its answer has not got yet.
const AGAIN: u64 = 2;

#[derive(Clone)]
struct Hello;

impl Service<Request<Full<Bytes>>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn key() -> KeyToken {
    KeyFormat::sk().generate(Environment::Live).unwrap()
}

/// A gate over a store that knows `key`.
fn layer(key: &KeyToken) -> AuthLayer {
    let store = MemoryStore::new();
    let record = KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))
        .with_access(ScopeSet::new(["read:orders", "write:orders"]).unwrap());
    at_once(store.insert(record)).unwrap();
    AuthLayer::new(store)
}

fn reads() -> Policy {
    Policy::all_of(["read:orders"]).unwrap()
}

fn per_key(limit: u64) -> Limit {
    Limit::per_key(Quota::per_day(limit).unwrap())
}

fn request(credential: Option<&HeaderValue>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("api.example.com"));
    credential.map(|credential| headers.insert(AUTHORIZATION, credential.clone()));
    request
}

fn bearer(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {text}")).unwrap()
}

/// What the gate allocates for a request that is answered with `status`, when it has seen others.
fn added<S, B>(
    gate: &mut Auth<S>,
    credential: Option<&HeaderValue>,
    warm: bool,
    status: StatusCode,
) -> u64
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
{
    let mut count = || {
        let mut request = request(credential);
        if warm {
            request.extensions_mut().insert(());
        }
        let (response, count) = allocations(|| at_once(gate.call(request)).unwrap());
        assert_eq!(response.status(), status);
        count
    };
    count();
    count()
}

#[test]
fn a_request_that_passes_allocates_for_its_principal_alone() {
    let key = key();
    let mut gate = layer(&key)
        .require(reads())
        .limit(per_key(1_000))
        .unwrap()
        .rate_limit_headers(RateLimitHeaders::off())
        .layer(Hello);
    let credential = bearer(key.reveal());
    assert_eq!(added(&mut gate, Some(&credential), false, StatusCode::OK), EXTENSION);
    assert_eq!(added(&mut gate, Some(&credential), true, StatusCode::OK), 1);
}

#[test]
fn rate_limit_headers_take_one_allocation_and_the_map_that_they_are_in() {
    let key = key();
    let mut gate = layer(&key).require(reads()).limit(per_key(1_000)).unwrap().layer(Hello);
    let added = added(&mut gate, Some(&bearer(key.reveal())), false, StatusCode::OK);
    assert_eq!(added, EXTENSION + HEADERS + DIGITS);
}

#[test]
fn a_bad_credential_allocates_for_the_answer_alone() {
    let (known, unknown) = (key(), key());
    let mut gate = layer(&known).limit(per_key(1_000)).unwrap().layer(Hello);
    let mistyped = bearer(&unknown.reveal().to_ascii_uppercase());
    for credential in [None, Some(bearer(unknown.reveal())), Some(bearer("x")), Some(mistyped)] {
        let added = added(&mut gate, credential.as_ref(), false, StatusCode::UNAUTHORIZED);
        assert_eq!(added, HEADERS + EXTENSION);
    }
}

#[test]
fn a_missing_scope_allocates_for_the_answer_alone() {
    let key = key();
    let admins = Policy::all_of(["admin"]).unwrap();
    let mut gate = layer(&key).require(admins).limit(per_key(1_000)).unwrap().layer(Hello);
    let added = added(&mut gate, Some(&bearer(key.reveal())), false, StatusCode::FORBIDDEN);
    assert_eq!(added, HEADERS + EXTENSION + DIGITS, "the challenge was made for another");
}

#[test]
fn a_refusal_from_behind_the_gate_allocates_for_two_answers() {
    let key = key();
    let admins = Require::new(Policy::all_of(["admin"]).unwrap());
    let mut gate = layer(&key).layer(admins.layer(Hello));
    let added = added(&mut gate, Some(&bearer(key.reveal())), false, StatusCode::FORBIDDEN);
    assert_eq!(added, EXTENSION + HEADERS + EXTENSION + AGAIN + CHALLENGE);
}

#[test]
fn a_used_up_limit_allocates_for_the_answer_alone() {
    let key = key();
    let mut gate = layer(&key).limit(per_key(1)).unwrap().layer(Hello);
    let credential = bearer(key.reveal());
    let _ = at_once(gate.call(request(Some(&credential))));
    let added = added(&mut gate, Some(&credential), false, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(added, HEADERS + EXTENSION + DIGITS, "Retry-After stands among the digits");
}

/// The claims of a token, and what is told of them.
const CLAIMS: u64 = 2;
/// A tenant, and its name.
const TENANT: u64 = 2;

fn issuer() -> JwtIssuer {
    let key = SigningKey::secret(Algorithm::HS256, "kX3uV9qLw7ZrT1yNb5MhC8sDf2GjP4aE").unwrap();
    JwtIssuer::builder("https://id.example.com", "orders", key.with_kid("2026-01")).build().unwrap()
}

/// What is added for a token that a verifier with room for `remembered` has seen before.
fn added_for_token(new: &NewToken, remembered: usize) -> u64 {
    let issuer = issuer();
    let token = issuer.issue(new, SystemClock::new().now()).unwrap();
    let verifier = issuer.verifier().cache(remembered).build().unwrap();
    let mut gate = AuthLayer::tokens_only(verifier).require(reads()).layer(Hello);
    added(&mut gate, Some(&bearer(token.reveal())), false, StatusCode::OK)
}

#[test]
fn a_token_seen_before_allocates_for_its_principal_alone() {
    let new = NewToken::new("user-7").with_scopes(ScopeSet::new(["read:orders", "x"]).unwrap());
    assert_eq!(added_for_token(&new, 100), EXTENSION);
    assert_eq!(added_for_token(&new.with_tenant("acme"), 100), EXTENSION);
}

#[test]
fn a_token_verified_anew_allocates_for_its_claims_and_its_tenant_besides() {
    let new = NewToken::new("user-7").with_scopes(ScopeSet::new(["read:orders", "x"]).unwrap());
    assert_eq!(added_for_token(&new, 0), EXTENSION + CLAIMS);
    assert_eq!(added_for_token(&new.with_tenant("acme"), 0), EXTENSION + CLAIMS + TENANT);
}

#[test]
fn a_token_with_a_bad_signature_allocates_for_the_answer_alone() {
    let issuer = issuer();
    let token = issuer.issue(&NewToken::new("user-7"), SystemClock::new().now()).unwrap();
    let (signed, _) = token.reveal().rsplit_once('.').unwrap();
    let forged = bearer(&format!("{signed}.{}", "A".repeat(43)));
    let mut gate = AuthLayer::tokens_only(issuer.verifier().build().unwrap()).layer(Hello);
    let added = added(&mut gate, Some(&forged), false, StatusCode::UNAUTHORIZED);
    assert_eq!(added, HEADERS + EXTENSION);
}

//! Where the crates of this field fail, one test a weakness, named after it. None of them is ours.
//!
//! Not here: what needs key sets fetched from an issuer, or counters outside the process.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use common::{AUDIENCE, BoxError, ISSUER, NOW, SECRET, unsigned, verifier};
use common::{Away, Remote, Slow, all_of, api_key, bearer, call, claims, claims_but, clock, code};
use common::{count, counted, counter, get, issue, issue_as, poll, signed, token, unknown_key};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use keygate::jwt::{Algorithm, JwtKey, JwtVerifier};
use keygate::policy::{ClientAddress, ForwardingHeader, PeerAddr, Routes};
use keygate::render::{Envelope, RateLimitHeaders};
use keygate::store::{KeyAdmin, KeyStore, MemoryStore};
use keygate::{AuthLayer, Environment, EnvironmentPolicy, KeyFormat, KeyRecord, KeyStatus, Limit};
use keygate::{Policy, Quota, Rejection, RejectionKind, ScopeSet, Source, Tenant, TenantStatus};
use keygate::{Timestamp, jwt::JwtVerifierBuilder};
use serde_json::{Value, json};
use support::Answer;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

// ---- Tools --------------------------------------------------------------------------------------

fn tokens(verifier: JwtVerifier) -> AuthLayer {
    AuthLayer::tokens_only(verifier).clock(clock())
}

fn keys(store: impl KeyStore) -> AuthLayer {
    AuthLayer::new(store).clock(clock())
}

fn secret() -> JwtKey {
    JwtKey::secret(Algorithm::HS256, SECRET).unwrap()
}

fn builder() -> JwtVerifierBuilder {
    JwtVerifier::builder(ISSUER, AUDIENCE)
}

/// What a gate answers to one request, and whether the service behind it was reached.
async fn ask(gate: &AuthLayer, request: Request<Full<Bytes>>) -> (Answer, bool) {
    let calls = counter();
    let answer = call(&gate.layer(counted(&calls)), request).await;
    let reached = count(&calls) > 0;
    assert_eq!(reached, answer.status == 200, "refused is not reached");
    (answer, reached)
}

async fn status(gate: &AuthLayer, request: Request<Full<Bytes>>) -> u16 {
    ask(gate, request).await.0.status.as_u16()
}

/// Asserts that a token is refused as one that is bad, by the client's fault, with a challenge.
async fn assert_bad_token(gate: &AuthLayer, token: &str) {
    let (answer, reached) = ask(gate, bearer(token)).await;
    assert_eq!((answer.status.as_u16(), reached), (401, false), "{token}");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
}

/// One answer for each way to refuse, as a gate renders it.
async fn refusals(gate: AuthLayer) -> Vec<(RejectionKind, Answer)> {
    let mut answers = Vec::new();
    for kind in RejectionKind::ALL {
        let inner = service_fn(move |_: Request<Full<Bytes>>| async move {
            let mut response = Response::new(Full::<Bytes>::default());
            response.extensions_mut().insert(Rejection::new(kind));
            Ok::<_, BoxError>(response)
        });
        answers.push((kind, call(&gate.clone().optional().layer(inner), get(&[])).await));
    }
    answers
}

// ---- What a token must say ----------------------------------------------------------------------

/// jwt-authorizer, tower-jwt, axum-jwt-auth: a configured claim that is absent passes.
#[tokio::test]
async fn a_token_without_iss_or_aud_is_refused_once_both_are_configured() {
    let gate = tokens(verifier());
    assert_eq!(status(&gate, bearer(&token(&claims()))).await, 200);
    for absent in ["iss", "aud"] {
        assert_bad_token(&gate, &token(&claims_but(absent, Value::Null))).await;
    }
}

/// axum-keycloak-auth, jwks_client_rs: the issuer is never looked at.
#[tokio::test]
async fn a_foreign_issuer_is_refused() {
    let gate = tokens(verifier());
    for issuer in
        ["https://evil.example.com", "https://id.example.com/", "HTTPS://id.example.com", ""]
    {
        assert_bad_token(&gate, &token(&claims_but("iss", json!(issuer)))).await;
    }
    let both = json!([ISSUER, "https://evil.example.com"]);
    assert_bad_token(&gate, &token(&claims_but("iss", both))).await;
}

/// jwt-authorizer: without a configured audience every token that names one is refused.
#[tokio::test]
async fn a_token_with_an_audience_passes_where_none_is_asked_for() {
    let gate = tokens(builder().key(secret()).danger_any_audience().build().unwrap());
    for audience in [json!("anything"), json!(["a", "b"]), Value::Null] {
        assert_eq!(status(&gate, bearer(&token(&claims_but("aud", audience)))).await, 200);
    }
}

/// tower-jwt: 499.
#[tokio::test]
async fn an_expired_token_is_401_and_not_499() {
    let gate = tokens(verifier());
    let (answer, _) = ask(&gate, bearer(&token(&claims_but("exp", json!(NOW - 600))))).await;
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (401, "token_expired"));
    assert!(answer.header("www-authenticate").unwrap().contains(r#"error="invalid_token""#));
}

/// tower-jwt: 500, 500.
#[tokio::test]
async fn a_wrong_audience_and_a_missing_exp_are_401_and_not_500() {
    let gate = tokens(verifier());
    assert_bad_token(&gate, &token(&claims_but("aud", json!("billing")))).await;
    assert_bad_token(&gate, &token(&claims_but("aud", json!(["billing", 7])))).await;
    assert_bad_token(&gate, &token(&claims_but("exp", Value::Null))).await;
}

/// axum-jwt-auth: 500, which whoever wants can cause.
#[tokio::test]
async fn malformed_tokens_and_unknown_kids_are_401_not_500() {
    let verifier = builder().key(secret().with_kid("2026-01")).build().unwrap();
    let gate = tokens(verifier);
    let of = |kid: Value| signed(&json!({"alg": "HS256", "kid": kid}), &claims(), SECRET);
    assert_eq!(status(&gate, bearer(&of(json!("2026-01")))).await, 200);
    let good = of(json!("2026-01"));
    for kid in ["unknown", "", "../../etc/passwd", "' OR 1=1 --", "\u{0}", "?kid=1&x=2"] {
        assert_bad_token(&gate, &of(json!(kid))).await;
    }
    for kid in [json!(7), json!([]), json!({}), json!("k".repeat(4000)), Value::Null] {
        assert_bad_token(&gate, &of(kid)).await;
    }
    for malformed in [
        "a.b.c",
        "...",
        "..",
        ".",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        "!.!.!",
        "e30.e30.e30",
        "e30.e30.",
        &good[..good.len() - 1],
        &format!("{good}="),
        &format!("{good}."),
        &good.replace('.', ".."),
    ] {
        assert_bad_token(&gate, malformed).await;
    }
}

/// tower-jwt: fails open by design.
#[tokio::test]
async fn no_authorization_header_never_reaches_the_service() {
    let (store, token) = (MemoryStore::new(), token(&claims()));
    let basic = STANDARD.encode(format!("{token}:"));
    for gate in [tokens(verifier()), keys(store.clone()), keys(store).jwt(verifier())] {
        for headers in [
            &[][..],
            &[("authorization", &*format!("Basic {basic}"))],
            &[("authorization", "Negotiate abc")],
            &[("proxy-authorization", &format!("Bearer {token}"))],
            &[("cookie", &format!("token={token}; authorization={token}"))],
            &[("x-user-id", "root"), ("x-forwarded-user", "root")],
        ] {
            let (answer, _) = ask(&gate, get(headers)).await;
            assert_eq!(
                (answer.status.as_u16(), code(&answer).as_str()),
                (401, "missing_credential")
            );
        }
    }
}

/// axum-keycloak-auth tries every key, whatever the `kid`.
#[tokio::test]
async fn the_kid_chooses_the_key_and_no_other_is_tried() {
    const OTHER: &str = "pW8dR2mXy6KcT0vZqB4nJ7fLs9Gh3EuA";
    let other = JwtKey::secret(Algorithm::HS256, OTHER).unwrap();
    let keys = [secret().with_kid("old"), other.with_kid("new")];
    let gate = tokens(builder().keys(keys).build().unwrap());
    let of = |kid: &str, secret| signed(&json!({"alg": "HS256", "kid": kid}), &claims(), secret);
    // While keys rotate, both verify.
    assert_eq!(status(&gate, bearer(&of("old", SECRET))).await, 200);
    assert_eq!(status(&gate, bearer(&of("new", OTHER))).await, 200);
    assert_bad_token(&gate, &of("old", OTHER)).await;
    assert_bad_token(&gate, &of("new", SECRET)).await;
    assert_bad_token(&gate, &signed(&json!({"alg": "HS256"}), &claims(), SECRET)).await;
}

/// aliri: an empty list of algorithms accepts all of them.
#[tokio::test]
async fn no_algorithm_is_accepted_but_that_of_a_key() {
    assert!(builder().build().is_err(), "without a key there is no verifier");
    let gate = tokens(verifier());
    for alg in ["none", "None", "nOnE", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", ""] {
        let header = json!({"alg": alg});
        assert_bad_token(&gate, &signed(&header, &claims(), SECRET)).await;
        assert_bad_token(&gate, &format!("{}.", unsigned(&header, &claims()))).await;
    }
}

/// axum-gate: any `kid` breaks verification, because headers are compared whole.
#[tokio::test]
async fn a_kid_does_not_break_a_key_that_was_configured_without_one() {
    let header = json!({"typ": "JWT", "kid": "2026-01", "alg": "HS256"});
    let token = signed(&header, &claims(), SECRET);
    assert_eq!(status(&tokens(verifier()), bearer(&token)).await, 200);
}

// ---- Keys of issuers ----------------------------------------------------------------------------

/// jwt-authorizer: always 401. aliri: no EdDSA at all.
#[tokio::test]
async fn an_ed25519_jwk_without_alg_verifies() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    let key = JwtKey::jwk(&jwk.to_string()).unwrap();
    let gate = tokens(builder().key(key).build().unwrap());
    let content = unsigned(&json!({"alg": "EdDSA"}), &claims());
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(content.as_bytes()));
    assert_eq!(status(&gate, bearer(&format!("{content}.{signature}"))).await, 200);
    let altered = unsigned(&json!({"alg": "EdDSA"}), &claims_but("sub", json!("root")));
    assert_bad_token(&gate, &format!("{altered}.{signature}")).await;
}

/// axum-jwt-auth, jwks_client_rs: one key that can't be read fails the whole set.
#[tokio::test]
async fn one_bad_key_does_not_spoil_the_others() {
    let k = URL_SAFE_NO_PAD.encode(SECRET);
    let set = [
        json!({"kty": "oct", "alg": "HS256", "kid": 7, "k": k}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "future", "pub": "AAAA"}),
        json!({"kty": "oct", "alg": "HS256", "kid": "short", "k": "AAAA"}),
        json!({"kty": "oct", "alg": "HS256", "kid": "enc", "use": "enc", "k": k}),
        json!({"kty": "oct", "alg": "HS256", "kid": "good", "k": k}),
        json!({"kty": "oct", "alg": "HS256", "kid": "x5c", "x5c": "text", "k": "!"}),
        Value::Null,
    ];
    let good: Vec<_> = set.iter().filter_map(|jwk| JwtKey::jwk(&jwk.to_string()).ok()).collect();
    assert_eq!(good.iter().map(JwtKey::kid).collect::<Vec<_>>(), [Some("good")]);
    let gate = tokens(builder().keys(good).build().unwrap());
    let token = signed(&json!({"alg": "HS256", "kid": "good"}), &claims(), SECRET);
    assert_eq!(status(&gate, bearer(&token)).await, 200);
}

/// tower-oauth2-resource-server: one key without `kid`, and every token is refused. axum-jwt-auth:
/// such keys replace each other.
#[tokio::test]
async fn a_key_without_kid_does_not_spoil_the_others_and_two_are_told_at_start_up() {
    let other = || JwtKey::secret(Algorithm::HS256, "pW8dR2mXy6KcT0vZqB4nJ7fLs9Gh3EuA").unwrap();
    let gate = tokens(builder().keys([other(), secret().with_kid("a")]).build().unwrap());
    let token = signed(&json!({"alg": "HS256", "kid": "a"}), &claims(), SECRET);
    assert_eq!(status(&gate, bearer(&token)).await, 200);
    assert!(builder().keys([other(), secret()]).build().is_err());
    assert!(builder().keys([other().with_kid("a"), secret().with_kid("a")]).build().is_err());
}

// ---- Where credentials stand --------------------------------------------------------------------

/// tower-oauth2-resource-server, modo-rs: 401 for `bearer`.
#[tokio::test]
async fn a_lower_case_scheme_is_accepted() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = keys(store).jwt(verifier());
    let token = token(&claims());
    for scheme in ["bearer", "Bearer", "BEARER", "bEaReR", "Bearer  "] {
        for credential in [&key, &token] {
            let request = get(&[("authorization", &format!("{scheme} {credential}"))]);
            assert_eq!(status(&gate, request).await, 200, "{scheme}");
        }
    }
    let basic = STANDARD.encode(format!("{key}:"));
    let gate = gate.sources([Source::basic()]).unwrap();
    assert_eq!(status(&gate, get(&[("authorization", &format!("bASIC {basic}"))])).await, 200);
}

/// jwt-authorizer and others: the first line wins. rskit-auth does it right.
#[tokio::test]
async fn the_first_of_two_credentials_does_not_win() {
    let store = MemoryStore::new();
    let (key, token) = (issue(&store, "key_1").await, token(&claims()));
    let gate = keys(store).jwt(verifier());
    let line = |credential: &str| format!("Bearer {credential}");
    for headers in [
        [("authorization", line(&key)), ("authorization", line(&unknown_key()))],
        [("authorization", line(&token)), ("authorization", line(&key))],
        [("authorization", line(&token)), ("x-api-key", key.clone())],
        [("x-api-key", key.clone()), ("x-api-key", unknown_key())],
    ] {
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(status(&gate, get(&headers)).await, 400);
    }
}

/// rskit-auth refuses them too; others cut them off.
#[tokio::test]
async fn white_space_within_a_credential_is_refused() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = keys(store);
    for text in [format!("{key} {key}"), format!("{key}\t"), format!("\t{key}"), format!("{key},x")]
    {
        let request = get(&[("authorization", &format!("Bearer {text}"))]);
        assert_eq!(status(&gate, request).await, 401, "{text:?}");
    }
}

/// composable-tower-http alone has it; elsewhere two layers exclude each other.
#[tokio::test]
async fn a_key_or_a_token_opens_the_same_route() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = keys(store).jwt(verifier()).require(all_of(&["read"]));
    for request in [bearer(&key), api_key(&key), bearer(&token(&claims()))] {
        assert_eq!(status(&gate, request).await, 200);
    }
}

/// axum-keycloak-auth panics at `?token=%FF`, modo-rs at a key that is split within a character.
#[tokio::test]
async fn non_ascii_credentials_do_not_panic() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let sources = [
        Source::bearer(),
        Source::header("x-api-key").unwrap(),
        Source::cookie("session").unwrap(),
    ];
    let gate = keys(store.clone()).jwt(verifier()).sources(sources).unwrap();
    let basic = keys(store).sources([Source::basic()]).unwrap();
    let texts: [&[u8]; 7] = [
        b"\xff",
        "sk_live_äöü".as_bytes(),
        "🦀🦀🦀🦀🦀🦀🦀".as_bytes(),
        b"sk_live_\x80",
        b"eyJ\xff.a.b",
        b"\xe2\x82",
        b"%FF",
    ];
    for text in texts.map(<[u8]>::to_vec).into_iter().chain((1..60).map(|n| {
        // A key with a character of three bytes at each of its places.
        [&key.as_bytes()[..n.min(key.len())], "€".as_bytes()].concat()
    })) {
        for (name, before) in
            [("authorization", "Bearer "), ("x-api-key", ""), ("cookie", "session=")]
        {
            let value = [before.as_bytes(), &text].concat();
            assert_eq!(status(&gate, with(name, &value)).await, 401, "{text:?}");
        }
        for value in [
            text.clone(),
            STANDARD.encode(&text).into(),
            STANDARD.encode([&text, &b":"[..]].concat()).into(),
        ] {
            let value = [b"Basic ", &value[..]].concat();
            assert_eq!(status(&basic, with("authorization", &value)).await, 401, "{text:?}");
        }
    }
}

fn with(name: &str, value: &[u8]) -> Request<Full<Bytes>> {
    let mut request = get(&[]);
    let name = http::HeaderName::try_from(name).unwrap();
    request.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
    request
}

/// axum-keycloak-auth reads it there, where logs and histories keep it.
#[tokio::test]
async fn a_credential_in_the_query_is_none() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = keys(store).jwt(verifier()).routes(Routes::new().public("/health").unwrap());
    for name in ["token", "access_token", "api_key", "key"] {
        for credential in [key.as_str(), &token(&claims()), "%FF"] {
            let mut request = get(&[]);
            *request.uri_mut() = format!("/?{name}={credential}").parse().unwrap();
            let (answer, _) = ask(&gate, request).await;
            assert_eq!(code(&answer), "missing_credential");
        }
    }
}

/// prefixed-api-key has no cap; only api-keys-simplified has.
#[tokio::test]
async fn an_oversized_credential_costs_no_look_into_the_store() {
    let slow = Slow::new(MemoryStore::new());
    let gate = keys(slow.clone()).jwt(verifier());
    for length in [200, 9_000, 20_000, 1_000_000] {
        for text in
            [format!("sk_live_{}", "a".repeat(length)), format!("e.{}.e", "a".repeat(length))]
        {
            assert_eq!(status(&gate, bearer(&text)).await, 401);
        }
    }
    assert_eq!(count(&slow.asked), 0);
}

// ---- Readiness and order ------------------------------------------------------------------------

/// tower-jwt, tower-oauth2-resource-server, composable-tower-http, protect-axum: they call a clone
/// that was never polled, and `ConcurrencyLimit` panics.
#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called_above_a_concurrency_limit() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    async fn run(gate: AuthLayer, key: &str) {
        let calls = counter();
        let service = gate.layer(ConcurrencyLimit::new(counted(&calls), 2));
        let mut tasks = Vec::new();
        for _ in 0..50 {
            let (mut service, request) = (service.clone(), api_key(key));
            tasks.push(tokio::spawn(async move {
                // One after the other on one instance, as a connection does it.
                for _ in 0..3 {
                    let response = service.ready().await.unwrap().call(request.clone()).await;
                    assert_eq!(response.unwrap().status(), 200);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(count(&calls), 150);
    }
    run(keys(store.clone()), &key).await;
    run(keys(Remote(store)), &key).await;
}

/// A service that insists: each readiness is for one call, and a clone has none.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<Full<Bytes>>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        let was_ready = std::mem::take(&mut self.is_ready);
        assert!(was_ready, "called without having been polled ready");
        std::future::ready(Ok(Response::new(Full::default())))
    }
}

#[tokio::test]
async fn readiness_is_asked_for_before_every_call() {
    async fn run(gate: AuthLayer, key: &str) {
        let mut service = gate.layer(Strict::default());
        // Refused requests between good ones use up no readiness that is needed.
        for request in [api_key(key), get(&[]), api_key(&unknown_key()), api_key(key)] {
            let response = service.ready().await.unwrap().call(request).await;
            assert!(response.unwrap().status().as_u16() < 500);
        }
    }
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    run(keys(store.clone()), &key).await;
    run(keys(Remote(store)), &key).await;
}

/// apikeys-rs calls the service first and withholds its answer.
#[tokio::test]
async fn the_service_does_no_work_for_a_refused_request() {
    for gate in [keys(MemoryStore::new()), keys(Remote(MemoryStore::new()))] {
        let calls = counter();
        let service = gate.layer(Buffer::new(counted(&calls), 8));
        for request in [get(&[]), api_key(&unknown_key()), bearer("a.b.c")] {
            assert_eq!(call(&service, request).await.status, 401);
        }
        // Whatever stood in the buffer would be done by now.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(count(&calls), 0);
    }
}

/// jwt-authorizer holds one lock over a fetch, jwks_client_rs blocks readers.
#[tokio::test]
async fn a_hanging_store_holds_up_nobody_who_needs_it_not() {
    let slow = Slow::new(MemoryStore::new());
    let service = keys(slow).jwt(verifier()).layer(counted(&counter()));
    let mut hanging = Box::pin(service.clone().oneshot(api_key(&unknown_key())));
    assert!(poll(&mut hanging).is_pending());
    assert_eq!(call(&service, bearer(&token(&claims()))).await.status, 200);
    assert!(poll(&mut hanging).is_pending());
}

/// tower's own rate limit can't be used in a router (tokio-rs/axum#876).
#[tokio::test]
async fn a_guarded_service_can_be_cloned_sent_and_shared() {
    fn assert_usable<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn assert_send<T: Send>(_: &T) {}
    let limit = Limit::per_tenant(Quota::per_minute(1).unwrap());
    let mut service =
        keys(Remote(MemoryStore::new())).limit(limit).unwrap().layer(Strict::default());
    assert_usable(&service);
    assert_send(&service.ready().await.unwrap().call(get(&[])));
}

// ---- Answers ------------------------------------------------------------------------------------

/// tower-oauth2-resource-server, tower-jwt: 401 without `WWW-Authenticate`.
#[tokio::test]
async fn every_401_has_a_challenge() {
    let store = MemoryStore::new;
    let (header, cookie) = (Source::header("x-key").unwrap(), Source::cookie("session").unwrap());
    for (gate, scheme) in [
        (keys(store()), "Bearer"),
        (tokens(verifier()), "Bearer"),
        (keys(store()).sources([header]).unwrap(), "ApiKey"),
        (keys(store()).sources([cookie]).unwrap(), "ApiKey"),
        (keys(store()).sources([Source::basic()]).unwrap(), "Basic"),
        (keys(store()).render(Envelope::g_tateth()), "Bearer"),
        (keys(store()).render(Envelope::convotic()), "Bearer"),
    ] {
        for (kind, answer) in refusals(gate).await {
            if answer.status == 401 {
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.starts_with(&format!("{scheme} realm=\"")), "{kind:?}");
            }
        }
    }
}

/// aliri separates them by spaces.
#[tokio::test]
async fn challenge_parameters_are_separated_by_commas() {
    let mut seen = 0;
    for (kind, answer) in refusals(keys(MemoryStore::new())).await {
        let Some(challenge) = answer.header("www-authenticate") else { continue };
        let mut rest = challenge.strip_prefix("Bearer ").unwrap();
        let mut names = HashSet::new();
        while !rest.is_empty() {
            let (name, value) = rest.split_once("=\"").unwrap();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{challenge}");
            assert!(names.insert(name), "{name} stands twice for {kind:?}");
            let (text, after) = value.split_once('"').unwrap();
            assert!(!text.contains('\\'), "{challenge}");
            assert!(after.is_empty() || after.starts_with(", "), "{challenge}");
            rest = after.strip_prefix(", ").unwrap_or_default();
        }
        seen += usize::from(names.len() > 1);
    }
    assert!(seen >= 5, "some challenges have several parameters");
}

/// axum-gate: 401 for a lack of rights. jwt-authorizer, tower-http: no word on what is missing.
#[tokio::test]
async fn insufficient_rights_are_403_not_401() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = keys(store).jwt(verifier()).require(all_of(&["write"]));
    for credential in [key, token(&claims())] {
        let (answer, _) = ask(&gate, bearer(&credential)).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (403, "insufficient_scope"));
        assert!(answer.header("www-authenticate").unwrap().contains(r#"scope="write""#));
    }
}

/// rskit-auth, modo-rs: an outage tells good clients that their keys are bad.
#[tokio::test]
async fn a_store_outage_is_503_not_401() {
    for peeks in [false, true] {
        let (answer, _) = ask(&keys(Away { peeks }), api_key(&unknown_key())).await;
        assert_eq!(answer.status, 503);
        assert!(answer.number("retry-after") > 0);
    }
}

/// apikeys-rs.
#[tokio::test]
async fn over_the_limit_is_429_not_401() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(1).unwrap());
    let gate = keys(store).limit(limit).unwrap();
    assert_eq!(status(&gate, api_key(&key)).await, 200);
    let (answer, _) = ask(&gate, api_key(&key)).await;
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (429, "rate_limited"));
    assert_eq!(answer.header("www-authenticate"), None, "other credentials would not help");
}

/// jwt-authorizer answers without a body, tower_governor in plain text without its type.
#[tokio::test]
async fn every_refusal_has_a_body_of_json_that_says_so() {
    let gates: [fn() -> AuthLayer; 4] = [
        || keys(MemoryStore::new()),
        || keys(MemoryStore::new()).render(Envelope::g_tateth()),
        || keys(MemoryStore::new()).render(Envelope::convotic()),
        || keys(MemoryStore::new()).render(Envelope::nested()),
    ];
    for gate in gates {
        for (kind, answer) in refusals(gate()).await {
            assert_eq!(answer.status, kind.status());
            assert!(answer.json().is_object(), "{kind:?}");
            let content_type = answer.header("content-type").unwrap();
            assert!(["application/json", "application/problem+json"].contains(&content_type));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}

/// axum-keycloak-auth tells clients what its libraries said.
#[tokio::test]
async fn no_answer_tells_what_went_wrong_inside() {
    let gate = keys(Away { peeks: false }).jwt(verifier());
    let kid = signed(&json!({"alg": "HS256", "kid": "hostile-kid"}), &claims(), "wrong");
    let iss = token(&claims_but("iss", json!("https://hostile.example")));
    let exp = token(&claims_but("exp", json!("hostile")));
    for credential in [&kid, &iss, &exp, "e30.hostile.e30", "sk_live_hostile", &unknown_key()] {
        let (answer, _) = ask(&gate, bearer(credential)).await;
        let told = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        let told = told.to_lowercase();
        for secret in [
            "hostile",
            "base64",
            "serde",
            "utf",
            "issuer",
            "claim",
            "signature",
            "db-7",
            "line 1",
            "sk_live",
        ] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

// ---- Limits -------------------------------------------------------------------------------------

/// tower_governor rounds waits below a second down to `Retry-After: 0`.
#[tokio::test]
async fn retry_after_is_never_zero() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    for quota in [
        Quota::per_second(1).unwrap(),
        Quota::per_second(1).unwrap().sliding(),
        Quota::per_second(1).unwrap().gcra(),
        Quota::per_second(1000).unwrap().gcra(),
        Quota::new(1, Duration::from_millis(50)).unwrap(),
        Quota::new(3, Duration::from_millis(3_999)).unwrap().gcra(),
    ] {
        let clock = clock();
        let gate = AuthLayer::new(store.clone())
            .clock(clock.clone())
            .render(Envelope::g_tateth())
            .limit(Limit::per_key(quota))
            .unwrap();
        clock.advance(Duration::from_millis(7));
        for _ in 0..quota.limit() {
            assert_eq!(status(&gate, api_key(&key)).await, 200);
        }
        let (refused, _) = ask(&gate, api_key(&key)).await;
        let wait = refused.number("retry-after");
        assert_eq!(refused.status, 429);
        assert!(wait >= 1, "{quota:?}");
        assert_eq!(refused.json()["retryAfter"], wait);
        // Who waits as told is let in.
        clock.advance(Duration::from_secs(wait));
        assert_eq!(status(&gate, api_key(&key)).await, 200, "{quota:?} after {wait}");
    }
}

/// tower_governor: no reset at all. tower-rate-limiter: no `X-RateLimit-*`.
#[tokio::test]
async fn every_answer_to_a_caller_tells_limit_remaining_and_reset() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_key(Quota::per_minute(2).unwrap());
    let headers = RateLimitHeaders::x().and_draft();
    let gate = keys(store).limit(limit).unwrap().rate_limit_headers(headers);
    for (status, remaining) in [(200, 1), (200, 0), (429, 0)] {
        let (answer, _) = ask(&gate, api_key(&key)).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.number("x-ratelimit-limit"), 2);
        assert_eq!(answer.number("x-ratelimit-remaining"), remaining);
        assert_eq!(answer.number("x-ratelimit-reset"), NOW + 60);
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""key";q=2;w=60"#));
        assert_eq!(answer.header("ratelimit"), Some(&*format!(r#""key";r={remaining};t=60"#)));
    }
}

/// In tower_governor `per_second(2)` is one request each two seconds.
#[tokio::test]
async fn two_per_second_are_two_per_second() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    for quota in [Quota::per_second(2).unwrap(), Quota::per_second(2).unwrap().gcra()] {
        let clock = clock();
        let gate = AuthLayer::new(store.clone()).clock(clock.clone());
        let gate = gate.limit(Limit::per_key(quota)).unwrap();
        for _ in 0..3 {
            assert_eq!(status(&gate, api_key(&key)).await, 200);
            assert_eq!(status(&gate, api_key(&key)).await, 200);
            assert_eq!(status(&gate, api_key(&key)).await, 429);
            clock.advance(Duration::from_secs(1));
        }
    }
}

fn from(peer: &str, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let peer: SocketAddr = format!("{peer}:40000").parse().unwrap();
    request.extensions_mut().insert(PeerAddr::new(peer));
    request
}

/// tower_governor trusts the left end of `X-Forwarded-For`: 1000 spoofed requests, 1000 let in.
#[tokio::test]
async fn spoofed_x_forwarded_for_does_not_reset_the_limit() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let proxies = || ["10.0.0.0/8".parse().unwrap()];
    let behind = |header| ClientAddress::default().behind_networks(proxies(), header);
    let hop = ClientAddress::default().behind_hops(1, ForwardingHeader::XForwardedFor);
    for (address, peer, appended) in [
        (ClientAddress::default(), "203.0.113.9", ""),
        (behind(ForwardingHeader::XForwardedFor), "203.0.113.9", ""),
        (behind(ForwardingHeader::XForwardedFor), "10.0.0.1", ", 203.0.113.9"),
        (behind(ForwardingHeader::XForwardedFor), "10.0.0.1", ", 203.0.113.9, 10.0.0.2"),
        (behind(ForwardingHeader::Forwarded), "10.0.0.1", ""),
        (hop, "10.0.0.1", ", 203.0.113.9"),
    ] {
        let limit = Limit::per_address(Quota::per_minute(5).unwrap());
        let gate = keys(store.clone()).client_address(address).limit(limit).unwrap();
        let mut passed = 0;
        for n in 0..1000 {
            let spoofed = format!("198.51.{}.{}{appended}", n / 250, n % 250);
            let forwarded = format!("for=203.0.113.9;by=198.51.100.{}", n % 250);
            let headers = [
                ("x-api-key", key.as_str()),
                ("x-forwarded-for", &spoofed),
                ("forwarded", &forwarded),
            ];
            passed += u16::from(status(&gate, from(peer, get(&headers))).await == 200);
        }
        assert_eq!(passed, 5, "{peer} {appended}");
    }
}

/// Behind a trusted proxy clients are told apart all the same.
#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_limits_of_their_own() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let address = ClientAddress::default()
        .behind_networks(["10.0.0.0/8".parse().unwrap()], ForwardingHeader::XForwardedFor);
    let limit = Limit::per_address(Quota::per_minute(1).unwrap());
    let gate = keys(store).client_address(address).limit(limit).unwrap();
    for (client, expected) in [("203.0.113.9", 200), ("203.0.113.9", 429), ("203.0.113.10", 200)] {
        let headers = [("x-api-key", key.as_str()), ("x-forwarded-for", client)];
        assert_eq!(status(&gate, from("10.0.0.1", get(&headers))).await, expected);
    }
}

/// tower_governor: 500 for every request.
#[tokio::test]
async fn without_connect_info_requests_are_served() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limit = Limit::per_address(Quota::per_minute(2).unwrap());
    let gate = keys(store).limit(limit).unwrap();
    // And not without bound: callers whose address is not known share one count.
    for expected in [200, 200, 429] {
        assert_eq!(status(&gate, api_key(&key)).await, expected);
    }
}

/// tower_governor has one quota a layer; benwis/tower-governor#59 asks for more.
#[tokio::test]
async fn plans_and_keys_have_quotas_of_their_own() {
    let store = MemoryStore::new();
    let on = |plan: &str| Tenant::new(plan).with_plan(plan);
    let starter = issue_as(&store, "starter", |r| r.with_tenant(on("starter"))).await;
    let pro = issue_as(&store, "pro", |r| r.with_tenant(on("pro"))).await;
    let own = Quota::per_minute(7).unwrap();
    let special =
        issue_as(&store, "special", |r| r.with_tenant(on("starter")).with_quota(own)).await;
    let limit = Limit::per_tenant(Quota::per_minute(1).unwrap())
        .plan("pro", Quota::per_minute(3).unwrap())
        .prefer_key_quota();
    let gate = keys(store).limit(limit).unwrap();
    for (key, quota) in [(&special, 7), (&pro, 3), (&starter, 1)] {
        let (answer, _) = ask(&gate, api_key(key)).await;
        assert_eq!(answer.number("x-ratelimit-limit"), quota);
        assert_eq!(answer.number("x-ratelimit-remaining"), quota - 1);
    }
}

/// What is refused for its credential uses up nobody's quota.
#[tokio::test]
async fn a_stranger_can_not_use_up_the_quota_of_a_caller() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let limits = [Limit::per_key, Limit::per_tenant, Limit::per_address];
    let mut gate = keys(store).jwt(verifier());
    for limit in limits {
        gate = gate.limit(limit(Quota::per_minute(1).unwrap())).unwrap();
    }
    let forged = signed(&json!({"alg": "HS256"}), &claims(), "another secret of enough length!");
    for _ in 0..5 {
        for credential in [&forged, &unknown_key(), &format!("{key}x")] {
            assert_eq!(status(&gate, bearer(credential)).await, 401);
        }
    }
    assert_eq!(status(&gate, bearer(&key)).await, 200);
}

// ---- Keys ---------------------------------------------------------------------------------------

/// prefixed-api-key can't read `sk_live` back; modo-rs allows no underscore at all.
#[tokio::test]
async fn a_prefix_with_underscores_is_read_back() {
    for brand in ["sk", "sk_live", "a_b_c", "acme_corp_2", "sk_live_test"] {
        let format = KeyFormat::new(brand).unwrap();
        let store = MemoryStore::new();
        let gate = keys(store.clone()).key_formats([format.clone()]).unwrap();
        for _ in 0..50 {
            let key = format.generate(Environment::Live).unwrap();
            let record = KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))
                .with_display(format.display_prefix(&key));
            store.insert(record).await.unwrap();
            assert_eq!(status(&gate, bearer(key.reveal())).await, 200, "{brand}");
            store.delete(&"acme".into(), &"key_1".into()).await.unwrap();
            assert_eq!(status(&gate, bearer(key.reveal())).await, 401, "{brand}");
        }
    }
}

/// prefixed-api-key with a seeded generator: all keys are one, and its public part tells the secret.
#[test]
fn thousand_keys_are_thousand_different_keys() {
    let format = KeyFormat::sk();
    let made: Vec<_> = (0..1000).map(|_| format.generate(Environment::Live).unwrap()).collect();
    let whole: HashSet<_> = made.iter().map(|key| key.reveal().to_owned()).collect();
    assert_eq!(whole.len(), 1000);
    // Nor do they share their first or last halves.
    let halves = |from: usize, to: usize| -> HashSet<_> {
        made.iter().map(|key| key.reveal()[from..to].to_owned()).collect()
    };
    assert_eq!((halves(8, 24).len(), halves(24, 40).len()), (1000, 1000));
    for key in &made {
        let shown = format.display_prefix(key);
        assert_eq!(shown.len(), "sk_live_".len() + 4, "28 of its 32 characters stay hidden");
    }
}

/// api-keys-simplified, prefixed-api-key: nothing keeps test and production apart.
#[tokio::test]
async fn a_test_key_is_blocked_in_production() {
    let store = MemoryStore::new();
    let live = issue(&store, "live").await;
    let test = KeyFormat::sk().generate(Environment::Test).unwrap();
    let record = KeyRecord::new("test", test.digest(), Tenant::new("acme"));
    store.insert(record.with_environment(Environment::Test)).await.unwrap();
    // A record that contradicts its key's text lets nobody in.
    let odd = KeyFormat::sk().generate(Environment::Test).unwrap();
    let record = KeyRecord::new("odd", odd.digest(), Tenant::new("acme"));
    store.insert(record.with_environment(Environment::Live)).await.unwrap();
    for (gate, of_live, of_test) in [
        (keys(store.clone()), 200, 401),
        (keys(store.clone()).environment(Environment::Live), 200, 401),
        (keys(store.clone()).environment(Environment::Test), 401, 200),
        (keys(store.clone()).environment(EnvironmentPolicy::TestAndLive), 200, 200),
    ] {
        assert_eq!(status(&gate, bearer(&live)).await, of_live);
        assert_eq!(status(&gate, bearer(test.reveal())).await, of_test);
        assert_eq!(status(&gate, bearer(odd.reveal())).await, 401);
    }
}

/// apikeys-rs never looks at them.
#[tokio::test]
async fn status_and_addresses_are_checked() {
    let store = MemoryStore::new();
    let networks = || ["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let inactive = issue_as(&store, "a", |r| r.with_status(KeyStatus::Inactive)).await;
    let revoked = issue_as(&store, "b", |r| r.with_status(KeyStatus::Revoked)).await;
    let expired = issue_as(&store, "c", |r| r.with_expires(Timestamp::from_secs(NOW))).await;
    let owing = Tenant::new("owing").with_status(TenantStatus::Suspended);
    let suspended = issue_as(&store, "d", |r| r.with_tenant(owing)).await;
    let bound = issue_as(&store, "e", |r| r.with_networks(networks())).await;
    let gate = keys(store);
    for (key, peer, expected) in [
        (&inactive, "192.0.2.7", "key_inactive"),
        (&revoked, "192.0.2.7", "key_invalid"),
        (&expired, "192.0.2.7", "key_expired"),
        (&suspended, "192.0.2.7", "tenant_suspended"),
        (&bound, "192.0.3.1", "address_denied"),
        (&bound, "127.0.0.1", "address_denied"),
        (&bound, "[2001:db9::1]", "address_denied"),
    ] {
        assert_eq!(code(&ask(&gate, from(peer, api_key(key))).await.0), expected);
    }
    for peer in ["192.0.2.7", "[2001:db8::7]", "[::ffff:192.0.2.7]"] {
        assert_eq!(status(&gate, from(peer, api_key(&bound))).await, 200, "{peer}");
    }
    let (unknown, _) = ask(&gate, api_key(&bound)).await;
    assert_eq!(code(&unknown), "address_denied", "an unknown address is no excuse");
}

/// A cache that outlives a revocation was reverted elsewhere (UsefulSoftwareCo/executor#1870).
#[tokio::test]
async fn a_revoked_key_is_refused_at_the_next_request() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let gate = keys(store.clone());
    assert_eq!(status(&gate, bearer(&key)).await, 200);
    let record = store.get(&"acme".into(), &"key_1".into()).await.unwrap().unwrap();
    let revoked = KeyRecord::clone(&record).with_status(KeyStatus::Revoked);
    store.replace(revoked).await.unwrap();
    assert_eq!(status(&gate, bearer(&key)).await, 401);
}

/// rskit-auth asks for all keys of a prefix and compares each.
#[tokio::test]
async fn the_store_is_asked_once_however_many_keys_share_a_prefix() {
    let store = MemoryStore::new();
    let mut key = String::new();
    for n in 0..100 {
        key = issue(&store, &format!("key_{n}")).await;
    }
    let slow = Slow::new(store);
    slow.let_through.add_permits(9);
    assert_eq!(status(&keys(slow.clone()), bearer(&key)).await, 200);
    assert_eq!(count(&slow.asked), 1);
}

/// composable-tower-http and apikeys-rs keep keys as they are.
#[tokio::test]
async fn nobody_but_the_client_has_the_key() {
    let store = MemoryStore::new();
    let key = issue(&store, "key_1").await;
    let secret = &key["sk_live_".len() + 4..];
    let record = store.get(&"acme".into(), &"key_1".into()).await.unwrap().unwrap();
    let gate = keys(store.clone());
    let service = gate.clone().layer(Strict::default());
    let (head, ()) = Request::get("/").header("x-api-key", &key).body(()).unwrap().into_parts();
    let outcome = gate.clone().into_authenticator().authenticate(&head).await;
    let principal = outcome.verdict.as_ref().unwrap().clone().unwrap();
    for debug in [
        format!("{store:?} {gate:?} {service:?} {outcome:?} {principal:?}"),
        format!("{record:?} {:?}", principal.key()),
        String::from_utf8_lossy(record.digest().as_bytes()).into_owned(),
    ] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

/// modo-rs: one scope, compared as it is. aliri's policies are the model.
#[tokio::test]
async fn scopes_are_and_or_and_families() {
    let policies: [(Policy, &[&str], &[&str]); 4] = [
        (all_of(&["a:x", "b:y"]), &["a:x b:y", "a:* b:y c:z"], &["a:x", "b:y", "a", ""]),
        (Policy::any_of(["a:x", "b:y"]).unwrap(), &["a:x", "b:*"], &["c:z", "a:xx", ""]),
        (all_of(&["a:x", "b:y"]).or(["admin"]).unwrap(), &["admin", "a:x b:y"], &["a:x", "adm"]),
        (Policy::deny(), &[], &["admin", "a:*"]),
    ];
    for (policy, good, bad) in policies {
        for (held, expected) in
            good.iter().map(|held| (held, 200)).chain(bad.iter().map(|held| (held, 403)))
        {
            let store = MemoryStore::new();
            let scopes = ScopeSet::parse(held).unwrap();
            let key = issue_as(&store, "key_1", |r| r.with_access(scopes)).await;
            let gate = keys(store).jwt(verifier()).require(policy.clone());
            let token = token(&claims_but("scope", json!(held)));
            assert_eq!(status(&gate, bearer(&key)).await, expected, "{policy:?} {held:?}");
            assert_eq!(status(&gate, bearer(&token)).await, expected, "{policy:?} {held:?}");
        }
    }
}

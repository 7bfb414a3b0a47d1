//! A store that answers later: the same outcomes as from memory, no call before the verdict, and
//! nothing lost when a client gives up.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![allow(clippy::unwrap_used)]

#[path = "common/wire.rs"]
mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use common::{Away, Remote, Slow, api_key, bearer, call, claims, claims_but, clock, code, count};
use common::{BoxError, verifier};
use common::{NOW, all_of, counted, counter, get, issue, issue_as, poll, token, unknown_key};
use http::{Request, Response};
use http_body_util::Full;
use keygate::policy::{PeerAddr, Routes};
use keygate::store::{KeyAdmin, KeyStore, MemoryStore};
use keygate::{AuthLayer, Environment, KeyFormat, KeyStatus, Limit, Quota, Tenant};
use keygate::{TenantStatus, Timestamp};
use serde_json::json;
use support::Answer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

fn gate(store: impl KeyStore) -> AuthLayer {
    let routes = Routes::new().require_all("/write", all_of(&["write"])).unwrap();
    AuthLayer::new(store).clock(clock()).routes(routes)
}

/// One request for each way in which a key can be judged, and the code of its refusal.
async fn cases(store: &MemoryStore) -> Vec<(Request<Full<Bytes>>, Option<&'static str>)> {
    let then = Timestamp::from_secs(NOW);
    let network = "192.0.2.0/24".parse().unwrap();
    let good = issue(store, "good").await;
    let expired = issue_as(store, "expired", |r| r.with_expires(then)).await;
    let inactive = issue_as(store, "inactive", |r| r.with_status(KeyStatus::Inactive)).await;
    let revoked = issue_as(store, "revoked", |r| r.with_status(KeyStatus::Revoked)).await;
    let bound = issue_as(store, "bound", |r| r.with_networks([network])).await;
    let owing = Tenant::new("owing").with_status(TenantStatus::Suspended);
    let suspended = issue_as(store, "suspended", |r| r.with_tenant(owing)).await;
    let test = KeyFormat::sk().generate(Environment::Test).unwrap();
    let mut inside = api_key(&bound);
    let peer: SocketAddr = "192.0.2.7:40000".parse().unwrap();
    inside.extensions_mut().insert(PeerAddr::new(peer));
    let mut write = api_key(&good);
    *write.uri_mut() = "/write".parse().unwrap();
    vec![
        (api_key(&good), None),
        (bearer(&good), None),
        (inside, None),
        (api_key(&bound), Some("address_denied")),
        (api_key(&unknown_key()), Some("key_invalid")),
        (api_key(&format!("{good}x")), Some("key_invalid")),
        (api_key(test.reveal()), Some("key_invalid")),
        (api_key(&expired), Some("key_expired")),
        (api_key(&inactive), Some("key_inactive")),
        (api_key(&revoked), Some("key_invalid")),
        (api_key(&suspended), Some("tenant_suspended")),
        (write, Some("insufficient_scope")),
        (get(&[]), Some("missing_credential")),
        (get(&[("x-api-key", &good), ("x-api-key", &good)]), Some("ambiguous_credential")),
    ]
}

#[tokio::test]
async fn a_store_that_answers_later_leads_to_the_same_answers() {
    let store = MemoryStore::new();
    let cases = cases(&store).await;
    for (request, refusal) in cases {
        let calls = counter();
        let limit = || Limit::per_key(Quota::per_minute(9).unwrap());
        let at_once = gate(store.clone()).limit(limit()).unwrap().layer(counted(&calls));
        let later = gate(Remote(store.clone())).limit(limit()).unwrap().layer(counted(&calls));
        let at_once = call(&at_once, request.clone()).await;
        let later = call(&later, request.clone()).await;
        let facts = |answer: &Answer| (answer.status, answer.headers.clone(), answer.body.clone());
        assert_eq!(facts(&at_once), facts(&later), "{refusal:?}");
        match refusal {
            None => assert_eq!(at_once.body, "reached"),
            Some(refusal) => assert_eq!(code(&at_once), refusal),
        }
        assert_eq!(count(&calls), if refusal.is_none() { 2 } else { 0 }, "{refusal:?}");
    }
}

#[tokio::test]
async fn a_directory_that_answers_later_leads_to_the_same_answers() {
    let store = MemoryStore::new();
    let owing = Tenant::new("owing").with_status(TenantStatus::Suspended);
    store.put_tenant(Tenant::new("acme")).await.unwrap();
    store.put_tenant(owing).await.unwrap();
    let gate = || AuthLayer::tokens_only(verifier()).clock(clock());
    let calls = counter();
    let at_once = gate().tenants(store.clone()).layer(counted(&calls));
    let later = gate().tenants(Remote(store)).layer(counted(&calls));
    for (tenant, refusal) in [
        (json!("acme"), None),
        (json!("owing"), Some("tenant_suspended")),
        (json!("nobody"), Some("token_invalid")),
        (json!(null), Some("token_invalid")),
    ] {
        let token = token(&claims_but("tenant", tenant));
        let at_once = call(&at_once, bearer(&token)).await;
        let later = call(&later, bearer(&token)).await;
        assert_eq!((at_once.status, &at_once.body), (later.status, &later.body));
        assert_eq!((at_once.status != 200).then(|| code(&at_once)).as_deref(), refusal);
    }
    assert_eq!(count(&calls), 2);
}

/// Nothing is known of the credential, and the reason is nobody's business.
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503);
    assert!(answer.number("retry-after") >= 1);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(code(answer), "unavailable");
    assert!(!String::from_utf8_lossy(&answer.body).contains("db-7"), "{:?}", answer.body);
}

#[tokio::test]
async fn a_failing_store_is_503_and_lets_nobody_in() {
    let calls = counter();
    for peeks in [false, true] {
        let service = gate(Away { peeks }).layer(counted(&calls));
        assert_unavailable(&call(&service, api_key(&unknown_key())).await);
        let optional = gate(Away { peeks }).optional().layer(counted(&calls));
        assert_unavailable(&call(&optional, api_key(&unknown_key())).await);
    }
    assert_eq!(count(&calls), 0);
}

#[tokio::test]
async fn a_failing_directory_is_503_and_lets_nobody_in() {
    let calls = counter();
    let gate = AuthLayer::tokens_only(verifier()).tenants(Away { peeks: false }).clock(clock());
    let service = gate.layer(counted(&calls));
    assert_unavailable(&call(&service, bearer(&token(&claims()))).await);
    assert_eq!(count(&calls), 0);
}

/// What needs no store is judged without it.
#[tokio::test]
async fn a_store_that_is_away_refuses_no_more_than_keys() {
    let calls = counter();
    let routes = Routes::new().public("/health").unwrap();
    let gate = AuthLayer::new(Away { peeks: false }).jwt(verifier()).clock(clock());
    let service = gate.routes(routes).layer(counted(&calls));
    let mut health = api_key(&unknown_key());
    *health.uri_mut() = "/health".parse().unwrap();
    assert_eq!(call(&service, health).await.status, 200);
    assert_eq!(call(&service, bearer(&token(&claims()))).await.status, 200);
    assert_eq!(call(&service, get(&[])).await.status, 401);
    assert_eq!(call(&service, api_key("sk_live_mistyped")).await.status, 401);
    assert_eq!(count(&calls), 2);
}

#[tokio::test]
async fn the_service_is_called_after_the_verdict_and_once() {
    let keys = MemoryStore::new();
    let key = issue(&keys, "key_1").await;
    let (slow, calls) = (Slow::new(keys), counter());
    let mut service = gate(slow.clone()).layer(counted(&calls));
    let mut answer = Box::pin(service.ready().await.unwrap().call(api_key(&key)));
    assert_eq!(count(&slow.asked), 0, "a future that is not polled does nothing");
    for _ in 0..3 {
        assert!(poll(&mut answer).is_pending());
    }
    assert_eq!((count(&slow.asked), count(&calls)), (1, 0));
    slow.let_through.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!((count(&slow.asked), count(&calls)), (1, 1));
}

#[tokio::test]
async fn an_unknown_key_never_calls_the_service_however_late_the_store_answers() {
    let (slow, calls) = (Slow::new(MemoryStore::new()), counter());
    let mut service = gate(slow.clone()).layer(counted(&calls));
    let mut answer = Box::pin(service.ready().await.unwrap().call(api_key(&unknown_key())));
    assert!(poll(&mut answer).is_pending());
    slow.let_through.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), 401);
    assert_eq!(count(&calls), 0);
}

#[tokio::test]
async fn a_request_given_up_while_the_store_is_asked_leaves_the_gate_as_it_was() {
    let keys = MemoryStore::new();
    let key = issue(&keys, "key_1").await;
    let (slow, calls) = (Slow::new(keys), counter());
    // One request at a time: a permit that is not given back would end everything.
    let inner = ConcurrencyLimit::new(counted(&calls), 1);
    let limit = Limit::per_key(Quota::per_minute(2).unwrap());
    let mut service = gate(slow.clone()).limit(limit).unwrap().layer(inner);

    for given_up in 1..=3 {
        let mut answer = Box::pin(service.ready().await.unwrap().call(api_key(&key)));
        assert!(poll(&mut answer).is_pending());
        drop(answer);
        assert_eq!(count(&slow.given_up), given_up, "the store's future is dropped with it");
    }
    assert_eq!(count(&calls), 0);

    slow.let_through.add_permits(1);
    let answer = service.ready().await.unwrap().call(api_key(&key)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "1", "what is given up is not counted");
    assert_eq!(count(&calls), 1);
}

#[tokio::test]
async fn a_request_given_up_inside_the_service_leaves_the_gate_as_it_was() {
    let keys = MemoryStore::new();
    let key = issue(&keys, "key_1").await;
    for inner_answers in [false, true] {
        let inner = tower::service_fn(move |_: Request<Full<Bytes>>| async move {
            if !inner_answers {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
        });
        let inner = ConcurrencyLimit::new(inner, 1);
        let mut service = gate(keys.clone()).layer(inner);
        for _ in 0..2 {
            let mut answer = Box::pin(service.ready().await.unwrap().call(api_key(&key)));
            assert_eq!(poll(&mut answer).is_ready(), inner_answers);
        }
    }
}

/// The verdict is of the moment at which the store has answered.
#[tokio::test]
async fn a_key_that_expires_while_the_store_is_asked_is_refused() {
    let keys = MemoryStore::new();
    let end = Timestamp::from_secs(NOW + 1);
    let key = issue_as(&keys, "key_1", |record| record.with_expires(end)).await;
    let (slow, calls, clock) = (Slow::new(keys), counter(), clock());
    let gate = AuthLayer::new(slow.clone()).clock(clock.clone());
    let mut service = gate.layer(counted(&calls));
    let mut answer = Box::pin(service.ready().await.unwrap().call(api_key(&key)));
    assert!(poll(&mut answer).is_pending());
    clock.advance(Duration::from_secs(1));
    slow.let_through.add_permits(1);
    assert_eq!(answer.await.unwrap().status(), 401);
    assert_eq!(count(&calls), 0);
}

#[tokio::test]
async fn waiting_requests_do_not_wait_for_each_other() {
    let keys = MemoryStore::new();
    let key = issue(&keys, "key_1").await;
    let (slow, calls) = (Slow::new(keys), counter());
    let service = gate(slow.clone()).layer(counted(&calls));
    let mut stuck = Box::pin(service.clone().oneshot(api_key(&key)));
    assert!(poll(&mut stuck).is_pending());
    // What needs no store passes a request that hangs.
    let refused = call(&service, get(&[])).await;
    assert_eq!(refused.status, 401);
    assert!(matches!(poll(&mut stuck), Poll::Pending));
}

#[tokio::test]
async fn the_store_is_asked_once_a_request_and_never_for_what_can_be_no_key() {
    let keys = MemoryStore::new();
    let key = issue(&keys, "key_1").await;
    let slow = Slow::new(keys);
    slow.let_through.add_permits(9);
    let service = gate(slow.clone()).layer(counted(&counter()));
    let mistyped = format!("{}0", &key[..key.len() - 1]);
    let test = KeyFormat::sk().generate(Environment::Test).unwrap();
    for text in [&mistyped, test.reveal(), "sk_live_", "eyJ.eyJ.sig", "pk_live_other"] {
        if text != key {
            assert_eq!(call(&service, bearer(text)).await.status, 401, "{text}");
        }
    }
    assert_eq!(slow.asked.load(Ordering::SeqCst), 0);
    assert_eq!(call(&service, bearer(&key)).await.status, 200);
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_behind_an_arc_is_a_store() {
    let keys = MemoryStore::new();
    let key = issue(&keys, "key_1").await;
    let shared: Arc<dyn KeyStore> = Arc::new(Remote(keys));
    let service = gate(shared).layer(counted(&counter()));
    assert_eq!(call(&service, api_key(&key)).await.status, 200);
}

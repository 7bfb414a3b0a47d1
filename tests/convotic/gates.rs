//! What no request to the example brings about: its own gate, around a service of the test's, with
//! a store and a clock of the test's.

#[path = "../../examples/convotic/gates.rs"]
#[allow(dead_code, reason = "the dashboard's gate is driven over HTTP")]
mod example;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use keygate::limit::FailureBudget;
use keygate::store::{KeyAdmin, KeyStore, MemoryStore, StoreError};
use keygate::{
    AuthLayer, Environment, KeyDigest, KeyFormat, KeyRecord, KeyStatus, KeyToken, ManualClock,
    Quota, Tenant, TenantStatus, Timestamp,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::*;

/// Ten seconds into a minute.
const START: Timestamp = Timestamp::from_secs(1_700_000_050);

struct Gate {
    layer: AuthLayer,
    clock: ManualClock,
}

impl Gate {
    fn new(store: impl KeyStore, environment: Environment) -> Self {
        let clock = ManualClock::new(START);
        let failures = FailureBudget::new(Quota::per_minute(600).unwrap());
        let layer = example::api(store, environment, example::limit().unwrap(), failures)
            .unwrap()
            .clock(clock.clone());
        Self { layer, clock }
    }

    async fn call(&self, key: &KeyToken) -> Answer {
        self.call_from([192, 0, 2, 1], key.reveal()).await
    }

    async fn call_from(&self, address: [u8; 4], key: &str) -> Answer {
        let peer = ConnectInfo(SocketAddr::from((address, 5000)));
        let request = Request::get("/v1/contacts").header("x-api-key", key).extension(peer);
        let inner = service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let Ok(answer) = self.layer.layer(inner).oneshot(request.body(()).unwrap()).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

fn key() -> KeyToken {
    KeyFormat::cvtk().generate(Environment::Live).unwrap()
}

/// A gate that knows one key, whose record `change` has changed.
async fn gate_with(change: impl FnOnce(KeyRecord) -> KeyRecord) -> (Gate, KeyToken) {
    let (store, key) = (MemoryStore::new(), key());
    let record = KeyRecord::new("key_1", key.digest(), Tenant::new("demo"));
    store.insert(change(record)).await.unwrap();
    (Gate::new(store, Environment::Live), key)
}

#[tokio::test]
async fn a_good_key_passes_this_gate_too() {
    let (gate, key) = gate_with(|record| record).await;
    assert_eq!(gate.call(&key).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_expired_key_is_invalid() {
    let end = START.saturating_add(Duration::from_secs(1));
    let (gate, key) = gate_with(|record| record.with_expires(end)).await;
    assert_eq!(gate.call(&key).await.status, StatusCode::OK);
    gate.clock.set(end);
    assert_refused(&gate.call(&key).await, 401, "invalid_api_key");
}

#[tokio::test]
async fn an_inactive_key_is_invalid() {
    let (gate, key) = gate_with(|record| record.with_status(KeyStatus::Inactive)).await;
    assert_refused(&gate.call(&key).await, 401, "invalid_api_key");
}

#[tokio::test]
async fn a_suspended_workspace_has_no_valid_key() {
    let suspended = Tenant::new("demo").with_status(TenantStatus::Suspended);
    let (gate, key) = gate_with(|record| record.with_tenant(suspended)).await;
    assert_refused(&gate.call(&key).await, 401, "invalid_api_key");
}

#[tokio::test]
async fn a_known_key_of_the_other_environment_is_invalid() {
    let (live, test) = (Environment::Live, Environment::Test);
    let store = MemoryStore::new();
    let keys = [live, test].map(|environment| KeyFormat::cvtk().generate(environment).unwrap());
    for (key, environment) in keys.iter().zip([live, test]) {
        let record = KeyRecord::new(key.reveal(), key.digest(), Tenant::new("demo"));
        store.insert(record.with_environment(environment)).await.unwrap();
    }
    let [of_live, of_test] = &keys;
    let (production, staging) = (Gate::new(store.clone(), live), Gate::new(store, test));
    assert_eq!(production.call(of_live).await.status, StatusCode::OK);
    assert_eq!(staging.call(of_test).await.status, StatusCode::OK);
    assert_refused(&production.call(of_test).await, 401, "invalid_api_key");
    assert_refused(&staging.call(of_live).await, 401, "invalid_api_key");
}

#[tokio::test]
async fn a_key_from_an_address_that_it_does_not_allow_is_not_permitted() {
    let network = "198.51.100.0/24".parse().unwrap();
    let (gate, key) = gate_with(|record| record.with_networks([network])).await;
    let refused = gate.call(&key).await;
    assert_refused(&refused, 403, "insufficient_permissions");
    assert_uncounted(&refused);
    let answer = gate.call_from([198, 51, 100, 7], key.reveal()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// A store that has lost its database.
struct Away;

#[async_trait::async_trait]
impl KeyStore for Away {
    async fn find(&self, _: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        Err(StoreError::unavailable("the database does not answer"))
    }
}

#[tokio::test]
async fn while_the_store_is_away_so_is_the_service() {
    let gate = Gate::new(Away, Environment::Live);
    let answer = gate.call(&key()).await;
    assert_refused(&answer, 503, "service_unavailable");
    assert!(answer.number("retry-after") > 0);
    // What needs no store is answered as ever.
    let answer = gate.call_from([192, 0, 2, 1], "nonsense").await;
    assert_refused(&answer, 401, "invalid_api_key");
}

#[tokio::test]
async fn the_workspace_is_served_again_when_the_minute_is_over() {
    let (gate, key) = gate_with(|record| record).await;
    for left in (0..1000).rev() {
        let answer = gate.call(&key).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.number("x-ratelimit-limit"), 1000);
        assert_eq!(answer.number("x-ratelimit-remaining"), left);
        assert_eq!(answer.number("x-ratelimit-reset"), 1_700_000_100);
    }
    for (elapsed, wait) in [(0, 50), (20, 30), (29, 1)] {
        gate.clock.advance(Duration::from_secs(elapsed));
        let answer = gate.call(&key).await;
        assert_refused(&answer, 429, "rate_limit_exceeded");
        assert_eq!(answer.number("retry-after"), wait);
        assert_eq!(answer.number("x-ratelimit-limit"), 1000);
        assert_eq!(answer.number("x-ratelimit-remaining"), 0);
        assert_eq!(answer.number("x-ratelimit-reset"), 1_700_000_100);
    }
    gate.clock.advance(Duration::from_secs(1));
    let answer = gate.call(&key).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.number("x-ratelimit-remaining"), 999);
    assert_eq!(answer.number("x-ratelimit-reset"), 1_700_000_160);
}

#[tokio::test]
async fn an_address_that_fails_too_often_keeps_no_other_from_its_answer() {
    let (gate, key) = gate_with(|record| record).await;
    let [here, there] = [[192, 0, 2, 1], [192, 0, 2, 2]];
    for _ in 0..600 {
        assert_refused(&gate.call_from(here, "nonsense").await, 401, "invalid_api_key");
    }
    let refused = gate.call_from(here, "nonsense").await;
    assert_refused(&refused, 429, "rate_limit_exceeded");
    assert_eq!(refused.number("retry-after"), 50);
    assert_uncounted(&refused);
    assert_refused(&gate.call_from(there, "nonsense").await, 401, "invalid_api_key");
    assert_eq!(gate.call_from(here, key.reveal()).await.status, StatusCode::OK);

    gate.clock.advance(Duration::from_secs(50));
    assert_refused(&gate.call_from(here, "nonsense").await, 401, "invalid_api_key");
}

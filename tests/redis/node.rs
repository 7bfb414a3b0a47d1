//! A node: a gate with limits on a server, and how it is called.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::request::Parts;
use keygate::limit::Reservation;
use keygate::limit::redis::{RedisCounters, Shared};
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{
    AuthLayer, Authenticator, Clock, Environment, KeyFormat, KeyRecord, KeyToken, Limit, Quota,
    RejectionKind, Standing, Tenant,
};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use support::PATIENCE;

/// Far more than a test's server needs: that it is busy with other tests is no fault of its own.
pub(crate) const PATIENT: Duration = Duration::from_secs(10);

/// In the longest window there is, of whose end hardly any test sees anything.
pub(crate) fn year(limit: u64) -> Quota {
    Quota::new(limit, Duration::from_secs(366 * 86_400)).unwrap()
}

/// A prefix that no other test has.
pub(crate) fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("test-{}-{}:", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn counters(url: &str, prefix: &str, patience: Duration) -> RedisCounters {
    RedisCounters::at(url).unwrap().prefix(prefix).unwrap().patience(patience).unwrap().start()
}

/// A connection of the test's own, which waits for its answers.
pub(crate) async fn connection(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let config = config.set_connection_timeout(Some(PATIENCE));
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

pub(crate) struct Node {
    pub(crate) gate: Authenticator,
    pub(crate) redis: RedisCounters,
}

/// What came of a request.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "a failing test shows why")]
pub(crate) struct Told {
    pub(crate) kind: Option<RejectionKind>,
    /// What a log would say.
    pub(crate) why: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) standings: Vec<Standing>,
}

impl Told {
    pub(crate) fn is_admitted(&self) -> bool {
        self.kind.is_none()
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.kind == Some(RejectionKind::RateLimited)
    }

    pub(crate) fn is_unavailable(&self) -> bool {
        self.kind == Some(RejectionKind::Unavailable)
    }

    pub(crate) fn one(&self) -> &Standing {
        let [standing] = &self.standings[..] else { panic!("{self:?}") };
        standing
    }

    /// The window that it was counted in, by its end.
    pub(crate) fn window(&self) -> u64 {
        self.one().reset.as_nanos()
    }
}

impl Node {
    /// One limit per tenant.
    pub(crate) async fn new(
        redis: RedisCounters,
        quota: Quota,
        shared: impl Fn(&RedisCounters) -> Shared,
    ) -> Self {
        let limit = limit(quota).shared(shared(&redis));
        Self::with(redis, [limit]).await
    }

    pub(crate) async fn with(
        redis: RedisCounters,
        limits: impl IntoIterator<Item = Limit>,
    ) -> Self {
        Self { gate: gate(limits, None::<keygate::SystemClock>).await, redis }
    }

    /// A request of `tenant`'s key that costs `cost`.
    pub(crate) async fn call(&self, tenant: &str, cost: u64) -> Told {
        call(&self.gate, tenant, cost).await
    }
}

/// What came of requests, by the window in which they were counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows(pub(crate) BTreeMap<u64, Window>);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
}

impl Windows {
    pub(crate) fn count(&mut self, told: &Told) {
        assert!(told.is_admitted() || told.is_limited(), "{told:?}");
        self.add(told.window(), told.is_admitted());
    }

    pub(crate) fn add(&mut self, window: u64, is_admitted: bool) {
        let window = self.0.entry(window).or_default();
        match is_admitted {
            true => window.admitted += 1,
            false => window.refused += 1,
        }
    }

    /// How many were admitted where somebody was refused.
    pub(crate) fn used_up(&self) -> impl Iterator<Item = u64> {
        self.0.values().filter(|window| window.refused > 0).map(|window| window.admitted)
    }

    pub(crate) fn most(&self) -> u64 {
        self.0.values().map(|window| window.admitted).max().unwrap_or_default()
    }
}

/// A limit per tenant by the cost that a request says.
pub(crate) fn limit(quota: Quota) -> Limit {
    weighed(Limit::per_tenant(quota))
}

pub(crate) fn weighed(limit: Limit) -> Limit {
    limit.cost_by(|caller| caller.head().headers["x-cost"].to_str().unwrap().parse().unwrap())
}

/// A gate that knows the keys `key-of-t0` to `key-of-t9`.
pub(crate) async fn gate(
    limits: impl IntoIterator<Item = Limit>,
    clock: Option<impl Clock>,
) -> Authenticator {
    let layer = layer().await;
    let layer = limits.into_iter().fold(layer, |layer, limit| layer.limit(limit).unwrap());
    let layer = match clock {
        Some(clock) => layer.clock(clock),
        None => layer,
    };
    layer.into_authenticator()
}

/// A gate without limits that knows them.
pub(crate) async fn layer() -> AuthLayer {
    let store = MemoryStore::new();
    for n in 0..10 {
        let digest = key(&format!("t{n}")).digest();
        let tenant = Tenant::new(format!("t{n}").as_str());
        store.insert(KeyRecord::new(format!("k{n}").as_str(), digest, tenant)).await.unwrap();
    }
    AuthLayer::new(store)
}

/// The key of the tenant `t0` to `t9`.
fn key(tenant: &str) -> &'static KeyToken {
    static KEYS: LazyLock<Vec<KeyToken>> = LazyLock::new(|| {
        let key = || KeyFormat::sk().generate(Environment::Live).unwrap();
        (0..10).map(|_| key()).collect()
    });
    &KEYS[tenant[1..].parse::<usize>().unwrap()]
}

pub(crate) fn head(tenant: &str, cost: u64) -> Parts {
    let request = http::Request::get("/").header("x-api-key", key(tenant).reveal());
    request.header("x-cost", cost.to_string()).body(()).unwrap().into_parts().0
}

pub(crate) async fn call(gate: &Authenticator, tenant: &str, cost: u64) -> Told {
    let head = head(tenant, cost);
    let outcome = gate.authenticate(&head).await;
    let rejection = outcome.verdict.err();
    Told {
        retry_after: rejection.as_ref().and_then(|why| why.retry_after()),
        why: rejection.as_ref().map(|why| whole(why)),
        kind: rejection.map(|why| why.kind()),
        standings: outcome.standings.as_slice().to_vec(),
    }
}

/// What a request holds that is let in.
pub(crate) async fn reserve(gate: &Authenticator, tenant: &str, cost: u64) -> Option<Reservation> {
    gate.authenticate(&head(tenant, cost)).await.reservation
}

/// An error and what it came from.
fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}

//! What users write by hand: axum's `from_fn` with SHA-256 and DashMap, and tower_governor behind it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use tower::{Layer, Service};
use tower_governor::GovernorLayer;
use tower_governor::errors::GovernorError;
use tower_governor::governor::{Governor, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;

use crate::floor::unix_time;
use crate::service::{Boxed, Call, Hello, Plain};
use crate::world::{NEEDED, SCOPES, World};

pub(crate) struct Record {
    scopes: Vec<String>,
    expires: u64,
}

type Keys = Arc<DashMap<[u8; 32], Arc<Record>>>;

#[derive(Clone)]
struct Caller(#[allow(dead_code, reason = "for a handler to read")] Arc<Record>);

/// The keys of `world`, as they are kept by hand.
fn keys(world: &World) -> Keys {
    let keys = DashMap::new();
    for (digest, record) in world.floor.pin().iter() {
        let (scopes, expires) = (SCOPES.map(str::to_owned).into(), record.expires);
        keys.insert(*digest, Arc::new(Record { scopes, expires }));
    }
    Arc::new(keys)
}

async fn admit(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    match judge(&keys, request.headers()) {
        Ok(record) => {
            request.extensions_mut().insert(Caller(record));
            next.run(request).await
        }
        Err(StatusCode::UNAUTHORIZED) => {
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "invalid API key")
                .into_response()
        }
        Err(status) => (status, "insufficient permissions").into_response(),
    }
}

fn judge(keys: &Keys, headers: &HeaderMap) -> Result<Arc<Record>, StatusCode> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key =
        value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    let digest: [u8; 32] = Sha256::digest(key).into();
    let record = keys.get(&digest).map(|kept| Arc::clone(&kept)).ok_or(StatusCode::UNAUTHORIZED)?;
    if unix_time() >= record.expires {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let may = record.scopes.iter().any(|scope| scope == NEEDED);
    may.then_some(record).ok_or(StatusCode::FORBIDDEN)
}

/// Key and scope.
pub(crate) fn keys_only(
    world: &World,
) -> impl Service<Call, Response = Boxed, Error = Infallible> + use<> {
    from_fn_with_state(keys(world), admit).layer(Hello::<Boxed>::new())
}

/// Key, scope and limit.
pub(crate) fn with_governor(
    world: &World,
    limit: Option<u32>,
) -> impl Service<Call, Response = Boxed, Error = Infallible> + use<> {
    from_fn_with_state(keys(world), admit).layer(by_governor(limit))
}

/// The same in front of a router.
pub(crate) fn in_front_of(app: axum::Router, world: &World) -> axum::Router {
    let mut builder = GovernorConfigBuilder::default();
    let mut builder = builder.key_extractor(Credential);
    let limit = builder.per_nanosecond(1).burst_size(u32::MAX).finish().expect("a quota");
    app.layer(GovernorLayer::new(limit)).layer(from_fn_with_state(keys(world), admit))
}

/// The text of the credential, as in tower_governor's own example.
#[derive(Clone)]
pub(crate) struct Credential;

impl KeyExtractor for Credential {
    type Key = String;

    fn extract<T>(&self, request: &http::Request<T>) -> Result<String, GovernorError> {
        let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or(GovernorError::UnableToExtractKey)
    }
}

type Limited<M> = Governor<Credential, M, Hello<Boxed>, axum::body::Body>;

/// tower_governor alone; `limit` an hour, or more than anybody uses.
pub(crate) fn by_governor(limit: Option<u32>) -> Limited<NoOpMiddleware> {
    let mut builder = GovernorConfigBuilder::default();
    let mut builder = builder.key_extractor(Credential);
    match limit {
        Some(limit) => builder.per_second(3_600).burst_size(limit),
        None => builder.per_nanosecond(1).burst_size(u32::MAX),
    };
    GovernorLayer::new(builder.finish().expect("a quota")).layer(Hello::new())
}

/// The same with its `x-ratelimit-*` headers.
pub(crate) fn by_governor_with_headers() -> Limited<StateInformationMiddleware> {
    let mut builder = GovernorConfigBuilder::default();
    let mut builder = builder.key_extractor(Credential);
    let mut builder = builder.per_nanosecond(1).burst_size(u32::MAX).use_headers();
    GovernorLayer::new(builder.finish().expect("a quota")).layer(Hello::new())
}

/// One check of governor's in the road of a request, by the shortest key that there is, at hand.
pub(crate) struct Governed {
    inner: Hello<Plain>,
    limiter: DefaultKeyedRateLimiter<u64>,
    next: u64,
}

impl Governed {
    pub(crate) fn new() -> Self {
        let quota = Quota::with_period(Duration::from_nanos(1)).expect("a period");
        let limiter = RateLimiter::keyed(quota.allow_burst(NonZeroU32::MAX));
        Self { inner: Hello::new(), limiter, next: 0 }
    }
}

impl Service<Call> for Governed {
    type Response = Plain;
    type Error = Infallible;
    type Future = Ready<Result<Plain, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Call) -> Self::Future {
        // As many keys take turns as in the other cases.
        self.next = (self.next + 1) % 64;
        if self.limiter.check_key(&self.next).is_err() {
            let mut refused = Plain::default();
            *refused.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            return ready(Ok(refused));
        }
        self.inner.call(request)
    }
}

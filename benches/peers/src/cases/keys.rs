//! Requests with keys that are let in.

use keygate::render::RateLimitHeaders;
use tower::Layer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use super::{
    ANNOUNCED, BARE, BARE_BOXED, BY_HAND, BY_HAND_LIMITED, FLOOR, GATE, GOVERNOR, KEY, KEY_ONLY,
    LIMIT,
};
use crate::by_hand::{Governed, by_governor, by_governor_with_headers, keys_only, with_governor};
use crate::harness::Case;
use crate::service::{Hello, Plain, Requests, step};
use crate::world::{MUCH, NEEDED, World};

pub(crate) fn all(world: &World) -> Vec<Case> {
    let mut cases = limited(world);
    cases.extend(unlimited(world));
    cases.extend(limits(world));
    cases
}

fn limited(world: &World) -> Vec<Case> {
    let known = || Requests::new(&world.known);
    let gate = |headers| step(world.limited(NEEDED, MUCH, headers), known(), 200);
    let (off, x) = (RateLimitHeaders::off(), RateLimitHeaders::x());
    let by_hand = step(with_governor(world, None), known(), 200);
    vec![
        Case::new(KEY, FLOOR, BARE, step(world.floor(NEEDED, false), known(), 200)),
        Case::new(KEY, GATE, BARE, gate(off)),
        Case::new(KEY, BY_HAND_LIMITED, BARE_BOXED, by_hand),
        Case::new(ANNOUNCED, FLOOR, BARE, step(world.floor(NEEDED, true), known(), 200)),
        Case::new(ANNOUNCED, GATE, BARE, gate(x)),
    ]
}

/// tower-http's check knows one key only, and compares it with `==`.
#[allow(deprecated, reason = "people use it")]
fn unlimited(world: &World) -> Vec<Case> {
    let known = || Requests::new(&world.known);
    let only = &world.known[..1];
    let key = only[0].to_str().unwrap_or_default().trim_start_matches("Bearer ");
    let bearer = ValidateRequestHeaderLayer::bearer(key).layer(Hello::<Plain>::new());
    let gate = world.unlimited(NEEDED).layer(Hello::<Plain>::new());
    vec![
        Case::new(KEY_ONLY, GATE, BARE, step(gate, known(), 200)),
        Case::new(KEY_ONLY, BY_HAND, BARE_BOXED, step(keys_only(world), known(), 200)),
        Case::new("one key", "tower-http's bearer", BARE, step(bearer, Requests::new(only), 200)),
    ]
}

fn limits(world: &World) -> Vec<Case> {
    let known = || Requests::new(&world.known);
    let governor = by_governor(None);
    let announcing = by_governor_with_headers();
    #[allow(unused_mut, reason = "with a feature there is one more")]
    let mut cases = vec![
        Case::new(LIMIT, GOVERNOR, BARE, step(Governed::new(), known(), 200)),
        Case::new(LIMIT, "tower_governor", BARE_BOXED, step(governor, known(), 200)),
        Case::new(LIMIT, "tower_governor, headers", BARE_BOXED, step(announcing, known(), 200)),
    ];
    #[cfg(feature = "tower-rate-limiter")]
    cases.push(Case::new(LIMIT, "tower-rate-limiter", BARE, tower_rate_limiter(known())));
    cases
}

#[cfg(feature = "tower-rate-limiter")]
fn tower_rate_limiter(requests: Requests) -> impl FnMut() {
    use std::time::Duration;

    use tower_rate_limiter::{KeyExtractor, MemoryStore, RateLimitError, RateLimitLayer};

    #[derive(Clone)]
    struct Header;

    impl KeyExtractor for Header {
        type Key = String;

        fn extract<T>(&self, request: &http::Request<T>) -> Result<String, RateLimitError> {
            let value = request.headers().get(http::header::AUTHORIZATION);
            Ok(value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned())
        }
    }

    let layer = RateLimitLayer::builder(Header)
        .policy_name("keys")
        .limit(u64::from(MUCH))
        .window(Duration::from_secs(3_600))
        .with_store(MemoryStore::new())
        .build()
        .expect("a policy");
    step(layer.layer(Hello::<Plain>::new()), requests, 200)
}

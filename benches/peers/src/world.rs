//! The keys that exist, those that don't, and gates and floors in front of them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::header::HeaderValue;
use keygate::render::{Envelope, RateLimitHeaders};
use keygate::store::{KeyAdmin, MemoryStore};
use keygate::{
    Auth, AuthLayer, Environment, KeyFormat, KeyRecord, Limit, Policy, Quota, ScopeSet, Tenant,
    Timestamp,
};
use tower::Layer;

use crate::floor::{Floor, Keys, Record, unix_time};
use crate::service::{Hello, Plain, at_once, bearer};

pub(crate) const SCOPES: [&str; 3] = ["read:customers", "read:orders", "write:orders"];
pub(crate) const NEEDED: &str = "read:orders";
/// A limit that nobody reaches.
pub(crate) const MUCH: u32 = 4_000_000_000;
/// So many keys are kept, and so many of them are used.
const KEYS: usize = 1_000;
const HOT: usize = 64;

pub(crate) struct World {
    records: Vec<KeyRecord>,
    pub(crate) floor: Arc<Keys>,
    pub(crate) known: Vec<HeaderValue>,
    pub(crate) unknown: Vec<HeaderValue>,
    pub(crate) mistyped: Vec<HeaderValue>,
}

impl World {
    /// `limit` an hour for each key of the floor.
    pub(crate) fn new(limit: u32) -> Self {
        let format = KeyFormat::sk();
        let generate = || format.generate(Environment::Live).expect("random numbers");
        let expires = unix_time() + 86_400;
        let floor = Keys::with_capacity_and_hasher(4 * KEYS, Default::default());
        let (mut records, mut known) = (Vec::new(), Vec::new());
        for index in 0..KEYS {
            let key = generate();
            let id = format!("key_{index}");
            let record = KeyRecord::new(id.as_str(), key.digest(), Tenant::new("acme"))
                .with_access(ScopeSet::new(SCOPES).expect("scopes"))
                .with_expires(Timestamp::from_secs(expires));
            records.push(record);
            floor.pin().insert(*key.digest().as_bytes(), Arc::new(by_hand(expires, limit)));
            known.push(bearer(key.reveal()));
        }
        known.truncate(HOT);
        let unknown: Vec<_> = (0..HOT).map(|_| bearer(generate().reveal())).collect();
        let mistyped = unknown.iter().map(mistype).collect();
        Self { records, floor: Arc::new(floor), known, unknown, mistyped }
    }

    pub(crate) fn floor(&self, needed: &'static str, with_headers: bool) -> Floor<Hello<Plain>> {
        Floor { inner: Hello::new(), keys: Arc::clone(&self.floor), needed, with_headers }
    }

    /// A store for each gate, as services have it.
    pub(crate) fn store(&self) -> MemoryStore {
        let store = MemoryStore::new();
        for record in &self.records {
            at_once(store.insert(record.clone())).expect("a new key");
        }
        store
    }

    /// As [`limited`](Self::limited), before the limit and its headers.
    pub(crate) fn unlimited(&self, needed: &str) -> AuthLayer {
        AuthLayer::new(self.store())
            .require(Policy::all_of([needed]).expect("a policy"))
            .render(Envelope::convotic())
    }

    pub(crate) fn limited(
        &self,
        needed: &str,
        limit: u32,
        headers: RateLimitHeaders,
    ) -> Auth<Hello<Plain>> {
        self.unlimited(needed)
            .limit(per_key(limit))
            .expect("a limit")
            .rate_limit_headers(headers)
            .layer(Hello::new())
    }
}

pub(crate) fn per_key(limit: u32) -> Limit {
    Limit::per_key(Quota::per_hour(u64::from(limit)).expect("a quota"))
}

fn by_hand(expires: u64, limit: u32) -> Record {
    Record { scopes: SCOPES.map(str::to_owned).into(), expires, limit, used: AtomicU64::new(0) }
}

fn mistype(key: &HeaderValue) -> HeaderValue {
    let mut text = key.as_bytes().to_vec();
    let last = text.last_mut().expect("a key");
    *last = if *last == b'0' { b'1' } else { b'0' };
    HeaderValue::try_from(text).expect("visible ASCII")
}

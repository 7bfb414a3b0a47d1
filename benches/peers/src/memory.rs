//! What is kept for each key, token and identity, and how much of it at most.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use keygate::jwt::{JwtKey, JwtVerifier};
use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore, StoreError};
use keygate::{Auth, Clock, KeyDigest, KeyRecord, Limit, Quota, ScopeSet, SystemClock, Tenant};
use support::bytes;
use tower::Layer;

use crate::service::{Hello, Plain, Requests, at_once, step};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};
use crate::world::{MUCH, NEEDED, SCOPES, World};

const MANY: usize = 100_000;
/// A capacity that the growth goes beyond.
const CAPACITY: usize = 1_000_000;

pub(crate) fn run() {
    println!("\n| kept | bytes each |\n| --- | ---: |");
    println!("| key in `MemoryStore`, its record included | {} |", stored());
    println!("| key in `Cached`, its record included | {} |", cached());
    println!("| digest without a key in `Cached` | {} |", unknown());
    println!("| JWT seen before, of {} bytes | {} |", token().len(), remembered());
    grow();
}

fn each(bytes: i64) -> i64 {
    bytes / MANY as i64
}

fn digest(kind: char, number: usize) -> KeyDigest {
    KeyDigest::of(&format!("{kind}{number}"))
}

fn record(digest: KeyDigest, number: usize) -> KeyRecord {
    KeyRecord::new(format!("key_{number}").as_str(), digest, Tenant::new("acme"))
        .with_access(ScopeSet::new(SCOPES).expect("scopes"))
}

fn stored() -> i64 {
    let store = MemoryStore::new();
    let fill = |number| {
        let record = record(digest('k', number), number);
        at_once(store.insert(record)).expect("a new key");
    };
    each(bytes(|| (0..MANY).for_each(fill)).1)
}

/// Has every key, made when it is asked for, or none.
struct Database(bool);

#[async_trait]
impl KeyStore for Database {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        let number = usize::from(digest.as_bytes()[0]);
        Ok(self.0.then(|| Arc::new(record(*digest, 10_000 + number))))
    }
}

fn filled(database: Database) -> i64 {
    let cached = Cached::new(database).capacity(2 * MANY).unknown_capacity(2 * MANY);
    let cached = cached.fresh_for(Duration::from_secs(3_600));
    let fill = |number| drop(at_once(cached.find(&digest('k', number))).expect("an answer"));
    each(bytes(|| (0..MANY).for_each(fill)).1)
}

fn cached() -> i64 {
    filled(Database(true))
}

fn unknown() -> i64 {
    filled(Database(false))
}

fn token() -> String {
    Issuer::new("HS256").token(MANY)
}

fn remembered() -> i64 {
    let issuer = Issuer::new("HS256");
    let key = JwtKey::secret(issuer.algorithm, issuer.secret().unwrap_or_default()).expect("a key");
    let verifier = JwtVerifier::builder(ISSUER, AUDIENCE).key(key).cache(4 * MANY).build();
    let (verifier, clock) = (verifier.expect("a verifier"), SystemClock::new());
    let fill = |number| {
        drop(verifier.verify(&issuer.token(MANY + number), clock.now()).expect("a good token"));
    };
    each(bytes(|| (0..MANY).for_each(fill)).1)
}

/// Each request comes from an identity that was never seen.
fn gate(world: &World, next: &'static AtomicU64) -> Auth<Hello<Plain>> {
    let quota = Quota::per_hour(u64::from(MUCH)).expect("a quota");
    let fresh = || Some(Cow::Owned(format!("user_{}", next.fetch_add(1, Ordering::Relaxed))));
    let limit = Limit::by(quota, move |_| fresh()).capacity(CAPACITY).expect("a capacity");
    world.unlimited(NEEDED).limit(limit).expect("a limit").layer(Hello::new())
}

/// Beside a governor that is never told to forget.
fn grow() {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let world = World::new(MUCH);
    let mut request = step(gate(&world, &NEXT), Requests::new(&world.known[..1]), 200);
    let governor: DefaultKeyedRateLimiter<String> =
        RateLimiter::keyed(governor::Quota::per_hour(NonZeroU32::MAX));
    let mut check = |number| drop(governor.check_key(&format!("user_{number}")));
    println!("\n| identities | keygate, bounded to {CAPACITY}: MB | ns a request | governor: MB |");
    println!("| ---: | ---: | ---: | ---: |");
    let (mut ours, mut theirs, mut seen) = (0, 0, 0);
    for identities in (0..8).map(|power| 10_u64.pow(power)) {
        let new = identities - seen;
        let start = Instant::now();
        ours += bytes(|| (0..new).for_each(|_| request())).1;
        let nanos = start.elapsed().as_nanos() as f64 / new as f64;
        theirs += bytes(|| (seen..identities).for_each(&mut check)).1;
        seen = identities;
        println!(
            "| {identities} | {:.3} | {nanos:.0} | {:.3} |",
            megabytes(ours),
            megabytes(theirs)
        );
    }
}

fn megabytes(bytes: i64) -> f64 {
    bytes as f64 / 1e6
}

//! What a hit of the cache costs, against a hit of the store in memory, and what a kept key takes.
//!
//! ```text
//! cargo bench --bench cache                  the tables
//! cargo bench --bench cache -- --check       fails when a hit costs more than promised
//! ```
//!
//! Times are medians of interleaved rounds; ratios are medians of each round's own ratio.

#[path = "gate/harness.rs"]
#[allow(dead_code, reason = "shared with the gate's bench")]
mod harness;

use std::fs;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use harness::{Case, Rounds};
use keygate::store::feed::Invalidation;
use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore, StoreError};
use keygate::{KeyDigest, KeyRecord, ScopeSet, Tenant};

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

/// The most that a hit may cost, of what one of the store in memory costs.
const SLOWEST: f64 = 1.5;
const SIZES: [(usize, [&str; 3]); 3] = [
    (64, ["memory, 64 keys", "cached, 64 keys", "unknown, 64 digests"]),
    (10_000, ["memory, 10,000 keys", "cached, 10,000 keys", "unknown, 10,000 digests"]),
    (1_000_000, ["memory, 1,000,000 keys", "cached, 1,000,000 keys", "unknown, 1,000,000 digests"]),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // `cargo test --benches` asks whether it runs, not how fast.
    let (sizes, rounds, times) = if has("--bench") { (3, 300, 500) } else { (2, 3, 5) };
    let mut cases = Vec::new();
    println!("| kept | |\n| --- | ---: |");
    for (size, names) in &SIZES[..sizes] {
        cases.extend(hits(*size, names));
    }
    let allocations: Vec<u64> = cases.iter_mut().map(Case::allocations).collect();
    let measured = Rounds::run(&mut cases, rounds, times);
    let mut slowest = print(&cases, &allocations, &measured);
    if has("--bench") {
        slowest = slowest.max(contention());
    }
    println!("\npromised: a hit within {SLOWEST} times a hit in memory; seen: {slowest:.2}");
    if has("--check") && slowest > SLOWEST { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Cases come in threes: memory, cached, unknown.
fn print(cases: &[Case], allocations: &[u64], measured: &Rounds) -> f64 {
    println!("\n| hit | ns | of memory's | allocations |\n| --- | ---: | ---: | ---: |");
    let mut slowest = 0_f64;
    for (at, case) in cases.iter().enumerate() {
        let nanos = measured.median(|round| round[at]);
        let ratio = measured.median(|round| round[at] / round[at / 3 * 3]);
        println!("| {} | {nanos:.0} | {ratio:.2} | {} |", case.name, allocations[at]);
        slowest = slowest.max(ratio);
    }
    slowest
}

fn hits(size: usize, names: &[&'static str; 3]) -> [Case; 3] {
    let memory = MemoryStore::new();
    let known: Arc<[KeyDigest]> = (0..size).map(|n| digest('k', n)).collect();
    let unknown: Arc<[KeyDigest]> = (0..size).map(|n| digest('u', n)).collect();
    known.iter().for_each(|digest| ready(memory.insert(record(*digest))).expect("a new key"));
    let cached = Cached::new(Database).capacity(size * 2).unknown_capacity(size * 2);
    let cached = cached.fresh_for(Duration::from_secs(3600));
    fill(&cached, &known, "keys, with their records");
    fill(&cached, &unknown, "digests without a key");
    walk(&cached, size);
    [
        lookups(names[0], memory, known.clone()),
        lookups(names[1], cached.clone(), known),
        lookups(names[2], cached, unknown),
    ]
}

/// Keys whose digest is one of [`known`](digest) exist, made when they are asked for.
struct Database;

#[async_trait]
impl KeyStore for Database {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        Ok((digest.as_bytes()[0] & 1 == 0).then(|| Arc::new(record(*digest))))
    }
}

/// A digest of a key that exists or does not.
fn digest(kind: char, number: usize) -> KeyDigest {
    let mut bytes = *KeyDigest::of(&format!("{kind}{number}")).as_bytes();
    bytes[0] = bytes[0] & !1 | u8::from(kind == 'u');
    KeyDigest::from_bytes(bytes)
}

fn record(digest: KeyDigest) -> KeyRecord {
    let [a, b, c, d, e, f, ..] = *digest.as_bytes();
    KeyRecord::new(&*format!("key_{a:x}{b:x}{c:x}{d:x}{e:x}{f:x}"), digest, Tenant::new("acme"))
        .with_name("billing job")
        .with_access(ScopeSet::new(["read:customers"]).expect("a scope"))
}

fn fill(cached: &Cached<Database>, digests: &[KeyDigest], what: &str) {
    let before = resident();
    digests.iter().for_each(|digest| drop(ready(cached.find(digest)).expect("an answer")));
    let bytes = resident().saturating_sub(before) / digests.len();
    println!("| {} {what} | {bytes} bytes each |", digests.len());
}

/// What a message takes that names no digest.
fn walk(cached: &Cached<Database>, size: usize) {
    let start = Instant::now();
    cached.invalidate(&Invalidation::Id("nobody".into())).expect("no panic");
    let millis = start.elapsed().as_secs_f64() * 1e3;
    println!("| {size} keys, looked through for an id | {millis:.1} ms |");
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

/// One lookup in each step, in an order that no prefetcher guesses, with a look at the record as the
/// gate takes one; the next begins when that is there, as no two requests are in one another.
fn lookups(name: &'static str, store: impl KeyStore, digests: Arc<[KeyDigest]>) -> Case {
    let mut at = 0_usize;
    Case::new(name, move || {
        let found = store.peek(&digests[at]).expect("from memory").expect("an answer");
        let revision = found.as_ref().map_or(0, |record| record.revision() as usize);
        at = (at * 1_664_501 + 7_654_321 + revision) % digests.len();
        drop(black_box(found));
    })
}

/// What a hit takes while another thread asks for the same few keys: as many hits as can be, with
/// nothing between them. The ratio of memory's, in the median of rounds.
fn contention() -> f64 {
    let digests: Vec<_> = (0..16).map(|n| digest('k', n)).collect();
    let memory = MemoryStore::new();
    digests.iter().for_each(|digest| ready(memory.insert(record(*digest))).expect("a new key"));
    let cached = Cached::new(Database).fresh_for(Duration::from_secs(3600));
    digests.iter().for_each(|digest| drop(ready(cached.find(digest)).expect("an answer")));
    let mut rounds: Vec<_> = (0..41)
        .map(|_| (contended(&memory, &digests), contended(&cached, &digests)))
        .map(|(memory, cached)| (cached / memory, memory, cached))
        .collect();
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, memory, cached) = rounds[rounds.len() / 2];
    println!("| memory, 16 keys, two threads | {memory:.0} | 1.00 | |");
    println!("| cached, 16 keys, two threads | {cached:.0} | {ratio:.2} | |");
    ratio
}

/// Nanoseconds a hit, of each of two threads.
fn contended(store: &impl KeyStore, digests: &[KeyDigest]) -> f64 {
    const HITS: usize = 1_000_000;
    let start = Barrier::new(2);
    let hits = |thread: usize| {
        start.wait();
        let began = Instant::now();
        for at in 0..HITS {
            let digest = &digests[(at * 7 + thread) % digests.len()];
            drop(black_box(store.peek(digest).expect("from memory")));
        }
        began.elapsed().as_nanos() as f64 / HITS as f64
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| hits(1));
        f64::midpoint(hits(0), other.join().expect("no panic"))
    })
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("not answered at once"),
    }
}

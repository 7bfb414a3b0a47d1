//! Four nodes that share a limit under load, through several windows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keygate::Quota;
use keygate::limit::redis::{RedisCounters, RedisStats, Shared as SharedLimit};
use tokio::task::JoinSet;

use crate::node::*;
use crate::{Shared, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("nodes::exact_admits_the_limit_in_each_window", |url| wait(exact(url))),
    ("nodes::leased_admits_the_limit_in_each_window", |url| wait(leased(url))),
    ("nodes::approximate_stays_within_its_bound", |url| wait(approximate(url))),
    ("nodes::approximate_asks_beside_the_requests", |url| wait(beside(url))),
];

const WINDOW: Duration = Duration::from_secs(1);

type Mode = fn(&RedisCounters) -> SharedLimit;

/// What was admitted in each window that was seen whole, and how it was counted.
struct Load {
    admitted: Vec<u64>,
    requests: u64,
    stats: Vec<RedisStats>,
}

/// How long a node waits between its requests, which come three at a time.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_micros(500),
    Duration::from_millis(3),
    Duration::from_millis(40),
];

/// Four nodes, of which the first calls as often as it can and the others less and less.
async fn load(url: &str, quota: Quota, mode: Mode) -> Load {
    let prefix = unique();
    let end = Instant::now() + WINDOW * 4;
    let (mut tasks, mut counted) = (JoinSet::new(), Vec::new());
    for pause in PAUSES {
        let redis = counters(url, &prefix, PATIENT);
        let node = Arc::new(Node::new(redis.clone(), quota, mode).await);
        counted.push(redis);
        for _ in 0..3 {
            tasks.spawn(calls(Arc::clone(&node), pause, end));
        }
    }
    let mut windows = BTreeMap::<u64, u64>::new();
    let mut requests = 0;
    for (admitted, sent) in tasks.join_all().await {
        requests += sent;
        admitted
            .into_iter()
            .for_each(|(window, count)| *windows.entry(window).or_default() += count);
    }
    // The first and the last were not seen whole.
    let admitted: Vec<_> = windows.into_values().collect();
    let admitted = admitted[1..admitted.len() - 1].to_vec();
    let stats = counted.iter().map(RedisCounters::stats).collect();
    Load { admitted, requests, stats }
}

async fn calls(node: Arc<Node>, pause: Duration, end: Instant) -> (BTreeMap<u64, u64>, u64) {
    let (mut admitted, mut sent) = (BTreeMap::new(), 0);
    while Instant::now() < end {
        let told = node.call("t0", 1).await;
        assert!(!told.is_unavailable(), "{told:?}");
        if told.is_admitted() {
            *admitted.entry(told.window()).or_default() += 1;
        }
        sent += 1;
        match pause {
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
    }
    (admitted, sent)
}

fn quota(limit: u64) -> Quota {
    Quota::new(limit, WINDOW).unwrap()
}

async fn exact(url: &str) {
    let load = load(url, quota(300), |redis| redis.exact()).await;
    assert!(load.admitted.len() >= 2);
    assert!(load.admitted.iter().all(|admitted| *admitted == 300), "{:?}", load.admitted);
}

async fn leased(url: &str) {
    let load = load(url, quota(1_000), |redis| redis.leased()).await;
    assert!(load.admitted.len() >= 2);
    assert_used(&load, 1_000);
    let trips: u64 = load.stats.iter().map(|stats| stats.round_trips).sum();
    // It touches five windows, of which each takes about 35 however many requests there are.
    assert!(trips <= 5 * 80 + load.requests / 1_000, "{trips} for {}", load.requests);
}

async fn approximate(url: &str) {
    let mode: Mode = |redis| redis.approximate(4, 10).unwrap();
    let load = load(url, quota(1_000), mode).await;
    let bound = mode(&counters(url, &unique(), PATIENT)).overshoot(&quota(1_000));
    assert_eq!(bound, 100);
    assert_used(&load, 1_000 + bound);
}

/// That no window let in more than `most`, and one at least 99 % of the limit of 1,000: a busy
/// machine may leave the nodes too little time to use up each of them.
fn assert_used(load: &Load, most: u64) {
    assert!(load.admitted.iter().all(|admitted| *admitted <= most), "{:?}", load.admitted);
    assert!(load.admitted.iter().any(|admitted| *admitted >= 990), "{:?}", load.admitted);
}

async fn beside(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let node = Node::new(redis, Quota::per_day(100_000).unwrap(), |redis| {
        redis.approximate(4, 40).unwrap()
    });
    let node = node.await;
    for _ in 0..20_000 {
        assert!(node.call("t0", 1).await.is_admitted());
    }
    node.redis.release().await;
    let stats = node.redis.stats();
    assert_eq!(stats.local, 20_000);
    assert!(stats.round_trips <= 40, "{stats:?}");
    assert_eq!(node.call("t0", 0).await.one().remaining, 80_000);
}

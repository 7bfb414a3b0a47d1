//! Four nodes that share a limit under load, through several windows.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keygate::Quota;
use keygate::limit::redis::{RedisCounters, RedisStats, Shared as SharedLimit};
use support::PATIENCE;
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

/// What came of a load, and how it was counted.
struct Load {
    windows: Windows,
    stats: Vec<RedisStats>,
}

/// True when a load has shown what it is there for: a machine may stop in the midst of a window.
type Enough = fn(&Windows) -> bool;

/// How long a node waits between its requests, which come three at a time.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_micros(500),
    Duration::from_millis(3),
    Duration::from_millis(40),
];

/// Four nodes, of which the first calls as often as it can and the others less and less.
async fn load(url: &str, quota: Quota, mode: Mode, enough: Enough) -> Load {
    let (prefix, windows) = (unique(), Arc::<Mutex<Windows>>::default());
    let (mut tasks, mut counted) = (JoinSet::new(), Vec::new());
    for pause in PAUSES {
        let redis = counters(url, &prefix, PATIENT);
        let node = Arc::new(Node::new(redis.clone(), quota, mode).await);
        counted.push(redis);
        for _ in 0..3 {
            tasks.spawn(calls(Arc::clone(&node), pause, Arc::clone(&windows), enough));
        }
    }
    tasks.join_all().await;
    let windows = windows.lock().unwrap().clone();
    Load { windows, stats: counted.iter().map(RedisCounters::stats).collect() }
}

async fn calls(node: Arc<Node>, pause: Duration, windows: Arc<Mutex<Windows>>, enough: Enough) {
    let begun = Instant::now();
    loop {
        let told = node.call("t0", 1).await;
        {
            let mut windows = windows.lock().unwrap();
            windows.count(&told);
            if enough(&windows) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{windows:?}");
        }
        match pause {
            Duration::ZERO => tokio::task::yield_now().await,
            pause => tokio::time::sleep(pause).await,
        }
    }
}

fn quota(limit: u64) -> Quota {
    Quota::new(limit, WINDOW).unwrap()
}

/// Whoever is refused finds all of it taken, wherever the window was when the load began or ended.
async fn exact(url: &str) {
    let enough: Enough = |windows| windows.used_up().count() >= 3;
    let Load { windows, .. } = load(url, quota(300), |redis| redis.exact(), enough).await;
    assert!(windows.used_up().all(|admitted| admitted == 300), "{windows:?}");
    assert_eq!(windows.most(), 300, "{windows:?}");
}

/// Two windows in which all but a hundredth was used.
const NINETY_NINE: Enough =
    |windows| windows.used_up().filter(|admitted| *admitted >= 990).count() >= 2;

async fn leased(url: &str) {
    let Load { windows, stats } =
        load(url, quota(1_000), |redis| redis.leased(), NINETY_NINE).await;
    assert!(windows.most() <= 1_000, "{windows:?}");
    let requests: u64 = windows.0.values().map(|window| window.admitted + window.refused).sum();
    let trips: u64 = stats.iter().map(|stats| stats.round_trips).sum();
    println!("leased: {trips} round trips for {requests} requests, {windows:?}");
    // A window takes about 35, however many requests there are.
    let most = 80 * windows.0.len() as u64 + requests / 1_000;
    assert!(trips <= most, "{trips} for {requests}, {windows:?}");
}

async fn approximate(url: &str) {
    let mode: Mode = |redis| redis.approximate(4, 10).unwrap();
    let Load { windows, .. } = load(url, quota(1_000), mode, NINETY_NINE).await;
    let bound = mode(&counters(url, &unique(), PATIENT)).overshoot(&quota(1_000));
    assert_eq!(bound, 100);
    assert!(windows.most() <= 1_000 + bound, "{windows:?}");
}

async fn beside(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let node = Node::new(redis, year(100_000), |redis| redis.approximate(4, 40).unwrap()).await;
    let begun = Instant::now();
    for _ in 0..20_000 {
        assert!(node.call("t0", 1).await.is_admitted());
    }
    node.redis.release().await;
    let stats = node.redis.stats();
    assert_eq!(stats.local, 20_000);
    // It tells what it has spent every half a batch of 10,000, and every second.
    assert!(stats.round_trips <= 20 + begun.elapsed().as_secs(), "{stats:?}");
    assert_eq!(node.call("t0", 0).await.one().remaining, 80_000);
}

//! Estimates that are taken where many nodes count, and settled later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keygate::limit::redis::{Away, RedisCounters, Shared as SharedLimit};
use keygate::limit::{Algorithm, Reservation};
use keygate::{Limit, Quota};
use support::Redis;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::node::*;
use crate::{Private, Shared, proxy, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("reserved::what_was_spent_is_paid_and_the_rest_is_back", |url| wait(paid(url))),
    ("reserved::a_dropped_request_has_cost_nothing", |url| wait(dropped(url))),
    ("reserved::what_was_spent_besides_is_taken_and_no_more_than_there_is", |url| {
        wait(spent_besides(url));
    }),
    ("reserved::an_estimate_is_held_on_all_nodes_until_it_is_settled", |url| wait(held(url))),
    ("reserved::no_rest_is_given_into_the_next_window", |url| wait(next_window(url))),
    ("reserved::a_killed_node_keeps_its_estimates", |url| wait(killed_node(url))),
    ("reserved::limits_here_and_there_are_settled_together", |url| wait(together(url))),
    ("reserved::a_request_that_one_limit_refuses_holds_nothing", |url| wait(refused(url))),
    ("reserved::a_fallback_is_settled_where_it_was_taken", |url| wait(fallback(url))),
    ("reserved::nodes_together_spend_the_limit_and_no_more", |url| wait(nodes_together(url))),
];

pub(crate) const FAULTS: &[(&str, Private)] = &[
    ("reserved::a_request_dropped_before_its_answer_gets_its_estimate_back", || wait(cancelled())),
    ("reserved::an_answer_that_comes_too_late_gives_back_what_it_took", || wait(late())),
    ("reserved::a_server_that_is_away_is_told_once_and_that_is_counted", || wait(away())),
];

type Mode = fn(&RedisCounters) -> SharedLimit;

const MODES: [(&str, Mode); 3] = [
    ("exact", |redis| redis.exact()),
    ("leased", |redis| redis.leased()),
    // 1,000 of 10,000 untold.
    ("approximate", |redis| redis.approximate(2, 20).unwrap()),
];

/// Quotas under which nothing comes back by itself while a test runs, in all modes that they have.
fn all() -> Vec<(&'static str, Mode, Quota)> {
    let mut all: Vec<_> =
        MODES.into_iter().map(|(name, mode)| (name, mode, year(10_000))).collect();
    let (name, exact) = MODES[0];
    all.extend([(name, exact, year(10_000).sliding()), (name, exact, year(10_000).gcra())]);
    all
}

/// A bucket counts the part of a permit that has leaked meanwhile as given back.
fn lost(quota: Quota) -> u64 {
    if quota.algorithm() == Algorithm::Gcra { 2 } else { 0 }
}

async fn node(url: &str, prefix: &str, quota: Quota, mode: Mode) -> Node {
    let redis = counters(url, prefix, PATIENT);
    let limit = limit(quota).settle_later().shared(mode(&redis));
    Node::with(redis, [limit]).await
}

async fn reserve(node: &Node, cost: u64) -> Option<Reservation> {
    crate::node::reserve(&node.gate, "t0", cost).await
}

/// What is left for all, when this node has told everything.
async fn left(url: &str, prefix: &str, quota: Quota, node: &Node) -> u64 {
    node.redis.release().await;
    let other = Node::new(counters(url, prefix, PATIENT), quota, |redis| redis.exact()).await;
    other.call("t0", 0).await.one().remaining
}

async fn paid(url: &str) {
    for (name, mode, quota) in all() {
        let prefix = unique();
        let node = node(url, &prefix, quota, mode).await;
        let reservation = reserve(&node, 400).await.unwrap();
        assert_eq!(reservation.estimate(), 400);
        reservation.commit(150);
        assert_eq!(left(url, &prefix, quota, &node).await, 9_850, "{name}: {quota:?}");
        reserve(&node, 400).await.unwrap().commit(400);
        let streamed = reserve(&node, 400).await.unwrap();
        streamed.spend(30);
        streamed.clone().spend(20);
        drop(streamed);
        assert_eq!(left(url, &prefix, quota, &node).await, 9_400, "{name}: {quota:?}");
        assert_eq!(node.redis.stats().unsettled, 0);
    }
}

async fn dropped(url: &str) {
    for (name, mode, quota) in all() {
        let prefix = unique();
        let node = node(url, &prefix, quota, mode).await;
        for _ in 0..50 {
            drop(reserve(&node, 900).await.unwrap_or_else(|| panic!("{name}: {quota:?}")));
            node.redis.release().await;
        }
        assert_eq!(left(url, &prefix, quota, &node).await, 10_000, "{name}: {quota:?}");
    }
}

async fn spent_besides(url: &str) {
    for (name, mode, quota) in all() {
        let prefix = unique();
        let node = node(url, &prefix, quota, mode).await;
        reserve(&node, 100).await.unwrap().commit(4_100);
        assert_eq!(left(url, &prefix, quota, &node).await, 5_900, "{name}: {quota:?}");
        let reservation = reserve(&node, 100).await.unwrap();
        reservation.spend(u64::MAX);
        drop(reservation);
        let left = left(url, &prefix, quota, &node).await;
        // A slice may have been on its way, of which no node has spent anything.
        assert!(left == 0 || name == "leased" && left < 1_500, "{name}: {left} of {quota:?}");
        assert!(left >= 100 || reserve(&node, 100).await.is_none(), "{name}: {quota:?}");
    }
}

async fn held(url: &str) {
    let quota = year(10_000);
    for (name, mode) in MODES {
        let prefix = unique();
        let nodes = [
            node(url, &prefix, quota, mode).await,
            node(url, &prefix, quota, |redis| redis.exact()).await,
        ];
        let mut held = Vec::new();
        for _ in 0..12 {
            held.extend(reserve(&nodes[0], 900).await);
            nodes[0].redis.release().await;
        }
        assert_eq!(held.len(), 11, "{name}");
        assert!(reserve(&nodes[1], 900).await.is_none(), "{name}: 9,900 are held");
        held.pop().unwrap().commit(0);
        nodes[0].redis.release().await;
        assert!(reserve(&nodes[1], 900).await.is_some(), "{name}");
    }
}

async fn next_window(url: &str) {
    for (name, mode) in MODES {
        let (prefix, quota) = (unique(), Quota::new(10_000, Duration::from_secs(1)).unwrap());
        let node = node(url, &prefix, quota, mode).await;
        let early = reserve(&node, 900).await.unwrap();
        let window = node.call("t0", 0).await.window();
        while node.call("t0", 0).await.window() == window {
            sleep(Duration::from_millis(5)).await;
        }
        let now = reserve(&node, 900).await.unwrap();
        early.commit(0);
        node.redis.release().await;
        let told = node.call("t0", 0).await;
        assert!(told.one().remaining <= 9_100, "{name}: {told:?}");
        drop(now);
    }
}

async fn killed_node(url: &str) {
    for (name, mode) in MODES {
        let (prefix, quota) = (unique(), year(10_000));
        let victim = node(url, &prefix, quota, mode).await;
        // Nobody is left to settle it.
        std::mem::forget(reserve(&victim, 900).await.unwrap());
        reserve(&victim, 900).await.unwrap().commit(1);
        assert_eq!(left(url, &prefix, quota, &victim).await, 9_099, "{name}");
    }
}

async fn together(url: &str) {
    for (name, mode) in MODES {
        let redis = counters(url, &unique(), PATIENT);
        let limits = [
            limit(year(10_000)).settle_later().name("there").unwrap().shared(mode(&redis)),
            limit(year(10_000)).settle_later().name("here").unwrap(),
            Limit::per_key(year(100)).shared(redis.exact()),
            weighed(Limit::per_address(year(10_000))).settle_later().shared(redis.exact()),
        ];
        let node = Node::with(redis, limits).await;
        let reservation = reserve(&node, 500).await.unwrap();
        assert_eq!(reservation.estimate(), 500);
        reservation.commit(120);
        node.redis.release().await;
        let told = node.call("t0", 0).await;
        let remaining: Vec<_> = told.standings.iter().map(|one| one.remaining).collect();
        assert_eq!(remaining, [9_880, 9_880, 98, 9_880], "{name}");
    }
}

async fn refused(url: &str) {
    for (name, mode) in MODES {
        let (prefix, quota) = (unique(), year(10_000));
        let redis = counters(url, &prefix, PATIENT);
        let limits = [
            limit(quota).settle_later().shared(mode(&redis)),
            weighed(Limit::per_key(year(600))).settle_later().shared(redis.exact()),
        ];
        let node = Node::with(redis, limits).await;
        let held = reserve(&node, 500).await.unwrap();
        for _ in 0..5 {
            assert!(reserve(&node, 500).await.is_none());
        }
        drop(held);
        assert_eq!(left(url, &prefix, quota, &node).await, 10_000, "{name}");
        assert_eq!(node.call("t0", 0).await.standings[1].remaining, 600, "{name}");
    }
}

/// A server that nobody has ever heard of: all is this node's share.
async fn fallback(_: &str) {
    for (name, mode) in MODES {
        let redis = counters("redis://127.0.0.1:1/", &unique(), Duration::from_millis(20));
        let shared = mode(&redis).when_away(Away::Share { nodes: 10 });
        let node = Node::with(redis, [limit(year(10_000)).settle_later().shared(shared)]).await;
        reserve(&node, 500).await.unwrap().commit(100);
        let held = reserve(&node, 900).await.unwrap_or_else(|| panic!("{name}"));
        assert!(reserve(&node, 1).await.is_none(), "{name}: 1,000 are this node's");
        drop(held);
        assert_eq!(node.call("t0", 0).await.one().remaining, 900, "{name}");
        let stats = node.redis.stats();
        assert_eq!(stats.unsettled, 0, "{name}: {stats:?}");
    }
}

async fn nodes_together(url: &str) {
    for (name, mode, quota) in all() {
        let (prefix, running, most) = (unique(), Arc::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        let mut nodes = Vec::new();
        for n in 0..3_u64 {
            let node = Arc::new(node(url, &prefix, quota, mode).await);
            nodes.push(Arc::clone(&node));
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            tasks.spawn(async move { spend(&node, n, &running, &most).await });
        }
        let spent: u64 = tasks.join_all().await.iter().sum();
        for node in &nodes {
            node.redis.release().await;
        }
        let (left, most) =
            (left(url, &prefix, quota, &nodes[0]).await, most.load(Ordering::SeqCst));
        let overshoot = mode(&nodes[0].redis).overshoot(&quota);
        assert!(most <= 10_000 + overshoot, "{name}: {most} were held and spent");
        let expected = 10_000 - spent.min(10_000);
        assert!(
            (expected - lost(quota).min(expected)..=expected).contains(&left),
            "{name}: {left}"
        );
    }
}

/// Reserves, and spends all, a part or nothing of it; `most` is what was held and spent at a time.
async fn spend(node: &Node, n: u64, running: &AtomicU64, most: &AtomicU64) -> u64 {
    let mut all = 0;
    for turn in 0..60 {
        let estimate = 100 + (turn * 37 + n * 11) % 200;
        let Some(reservation) = reserve(node, estimate).await else { continue };
        let now = running.fetch_add(estimate, Ordering::SeqCst) + estimate;
        most.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let spent = [0, estimate / 3, estimate][turn as usize % 3];
        // Less first: what comes back may be taken at once.
        running.fetch_sub(estimate - spent, Ordering::SeqCst);
        reservation.commit(spent);
        all += spent;
    }
    all
}

async fn cancelled() {
    let server = Redis::start();
    let url = proxy::slow(server.address(), Duration::from_millis(100)).await;
    for (name, mode, quota) in all() {
        let prefix = unique();
        let node = node(&url, &prefix, quota, mode).await;
        // Connected, and known to the server.
        assert!(node.call("t0", 0).await.is_admitted());
        for _ in 0..3 {
            let call = timeout(Duration::from_millis(30), reserve(&node, 900)).await;
            // Who has a slice by now is answered, and drops its reservation.
            assert!(call.is_err() || name != "exact", "{name}");
        }
        // What the answers bring is given back when they come.
        sleep(Duration::from_millis(300)).await;
        let left = left(&server.url(), &prefix, quota, &node).await;
        assert!((10_000 - lost(quota)..=10_000).contains(&left), "{name}: {left} of {quota:?}");
    }
}

async fn late() {
    let server = Redis::start();
    let url = proxy::slow(server.address(), Duration::from_millis(100)).await;
    let (prefix, quota) = (unique(), year(10_000));
    let redis = counters(&url, &prefix, Duration::from_millis(10));
    let limit = limit(quota).settle_later().shared(redis.exact());
    let node = Node::with(redis, [limit]).await;
    assert!(node.call("t0", 900).await.is_unavailable());
    assert_eq!(node.redis.stats().failures, 1);
    let taken = async {
        while !server.tell("DBSIZE").starts_with(":1") {
            sleep(Duration::from_millis(2)).await;
        }
        while !server.tell("DBSIZE").starts_with(":0") {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), taken).await.expect("taken, and given back");
}

async fn away() {
    for (name, mode) in MODES {
        let mut server = Redis::start();
        let quota = year(10_000);
        let node = node(&server.url(), "keygate:", quota, mode).await;
        let held: Vec<_> = [reserve(&node, 400).await, reserve(&node, 900).await].into();
        assert!(held.iter().all(Option::is_some), "{name}");
        server.kill();
        for reservation in held.into_iter().flatten() {
            reservation.commit(if name == "exact" { 100 } else { 9_000 });
        }
        let counted = async {
            while name != "approximate" && node.redis.stats().unsettled < 2 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), counted).await.unwrap_or_else(|_| panic!("{name}"));
        server.resume();
        // Nothing was told to the new server, and nothing is given back to it.
        let other =
            Node::new(counters(&server.url(), "keygate:", PATIENT), quota, |redis| redis.exact());
        let told = other.await.call("t0", 0).await;
        assert!(told.one().remaining <= 10_000, "{name}");
    }
}

//! Slices of a limit on nodes.

use std::time::Duration;

use keygate::{Limit, ManualClock, Quota, Timestamp};
use support::eventually;
use tokio::time::timeout;

use crate::node::*;
use crate::{Shared, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("leased::most_requests_need_no_round_trip", |url| wait(few_trips(url))),
    ("leased::a_crowd_waits_for_one_round_trip", |url| wait(one_trip_for_many(url))),
    ("leased::what_is_idle_goes_back", |url| wait(idle_goes_back(url))),
    ("leased::what_a_node_has_is_given_back_when_it_stops", |url| wait(release(url))),
    ("leased::a_dropped_request_loses_nothing", |url| wait(dropped(url))),
    ("leased::several_limits_are_taken_all_or_none", |url| wait(all_or_none(url))),
    ("leased::quotas_without_windows_are_exact", |url| wait(without_windows(url))),
    ("leased::a_nodes_wall_clock_does_not_matter", |url| wait(wall_clock(url))),
    ("leased::remaining_falls_and_reset_stays", |url| wait(remaining_falls(url))),
    ("leased::exact_and_leased_limits_share_a_count", |url| wait(exact_and_leased(url))),
];

async fn leased(url: &str, prefix: &str, quota: Quota) -> Node {
    Node::new(counters(url, prefix, PATIENT), quota, |redis| redis.leased()).await
}

async fn few_trips(url: &str) {
    let node = leased(url, &unique(), year(100_000)).await;
    for _ in 0..20_000 {
        assert!(node.call("t0", 1).await.is_admitted());
    }
    let stats = node.redis.stats();
    assert!(stats.round_trips * 50 <= 20_000, "{stats:?}");
    assert_eq!(stats.local, 20_000);
}

async fn one_trip_for_many(url: &str) {
    let node = leased(url, &unique(), year(1_000_000)).await;
    let calls = (0..200).map(|_| node.call("t0", 1));
    let told = futures_join(calls).await;
    assert!(told.iter().all(Told::is_admitted));
    // One flight goes again for those who came while it was away, and may find no script first.
    assert!(node.redis.stats().round_trips <= 5, "{:?}", node.redis.stats());
}

/// All of them at once.
async fn futures_join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// What is left on the server, as another node sees it.
async fn left(url: &str, prefix: &str, quota: Quota) -> u64 {
    let node = Node::new(counters(url, prefix, PATIENT), quota, |redis| redis.exact()).await;
    node.call("t0", 0).await.one().remaining
}

async fn idle_goes_back(url: &str) {
    let (prefix, quota) = (unique(), year(1_000));
    let clock = ManualClock::new(Timestamp::EPOCH);
    let redis = keygate::limit::redis::RedisCounters::at(url).unwrap();
    let redis =
        redis.prefix(&prefix).unwrap().patience(PATIENT).unwrap().clock(clock.clone()).start();
    let node = Node::new(redis, quota, |redis| redis.leased()).await;
    // Until it holds more than the smallest slice.
    let mut spent = 0;
    while left(url, &prefix, quota).await + 2 >= 1_000 - spent {
        assert!(node.call("t0", 1).await.is_admitted());
        spent += 1;
    }
    // It is asked too seldom to be idle sooner.
    clock.advance(Duration::from_secs(29));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(node.redis.stats().given_back, 0);
    clock.advance(Duration::from_secs(1));
    // The task that gives it back looks ten times a second.
    let back = async || left(url, &prefix, quota).await >= 1_000 - spent;
    eventually("it goes back", back).await;
    assert_eq!(left(url, &prefix, quota).await, 1_000 - spent);
    assert!(node.redis.stats().given_back > 0);
    assert!(node.call("t0", 1).await.is_admitted(), "and is lent again");
}

async fn release(url: &str) {
    let (prefix, quota) = (unique(), year(10_000));
    let node = leased(url, &prefix, quota).await;
    for _ in 0..1_234 {
        assert!(node.call("t0", 1).await.is_admitted());
    }
    assert!(left(url, &prefix, quota).await < 10_000 - 1_234);
    node.redis.release().await;
    assert_eq!(left(url, &prefix, quota).await, 10_000 - 1_234);
}

async fn dropped(url: &str) {
    let (prefix, quota) = (unique(), year(10_000));
    let node = leased(url, &prefix, quota).await;
    for _ in 0..50 {
        // Polled once: the question is on its way.
        let call = timeout(Duration::ZERO, node.call("t0", 3)).await;
        assert!(call.is_err() || call.unwrap().is_admitted());
    }
    while node.call("t0", 0).await.one().remaining < 1 {}
    node.redis.release().await;
    let admitted = node.redis.stats().local.saturating_sub(1) * 3;
    assert_eq!(left(url, &prefix, quota).await, 10_000 - admitted);
}

async fn all_or_none(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let limits = [
        Limit::per_tenant(year(1_000)).shared(redis.leased()),
        Limit::per_key(year(5)).shared(redis.leased()),
        Limit::per_subject(year(1_000)).shared(redis.exact()),
        Limit::per_address(year(1_000)),
    ];
    let node = Node::with(redis, limits).await;
    let remaining =
        |told: &Told| told.standings.iter().map(|one| one.remaining).collect::<Vec<_>>();
    for left in (0..5).rev() {
        let told = node.call("t0", 1).await;
        assert_eq!(remaining(&told), [995 + left, left, 995 + left, 995 + left]);
    }
    for _ in 0..3 {
        let told = node.call("t0", 1).await;
        assert!(told.is_limited());
        // What is decided here does not ask the server.
        assert_eq!(remaining(&told), [995, 0, 995]);
    }
}

async fn without_windows(url: &str) {
    let short = Quota::new(1_000, Duration::from_millis(999)).unwrap();
    for quota in [year(1_000).sliding(), year(1_000).gcra(), short] {
        let node = leased(url, &unique(), quota).await;
        for _ in 0..10 {
            assert!(node.call("t0", 1).await.is_admitted());
        }
        let stats = node.redis.stats();
        assert_eq!((stats.local, stats.round_trips >= 10), (0, true), "{quota:?}");
    }
}

async fn wall_clock(url: &str) {
    let prefix = unique();
    let mut admitted = 0;
    for days in [0, 1, 400] {
        let redis = counters(url, &prefix, PATIENT);
        let limits = [limit(year(300)).shared(redis.leased())];
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000 + days * 86_400));
        let gate = gate(limits, Some(clock)).await;
        let mut ends = Vec::new();
        for _ in 0..200 {
            let told = call(&gate, "t0", 1).await;
            ends.push(told.window());
            admitted += u64::from(told.is_admitted());
        }
        ends.dedup();
        assert_eq!(ends.len(), 1, "by the server's clock");
        redis.release().await;
    }
    assert_eq!(admitted, 300);
}

async fn remaining_falls(url: &str) {
    let prefix = unique();
    for quota in [year(2_000), year(50)] {
        let nodes = [leased(url, &prefix, quota).await, leased(url, &prefix, quota).await];
        let mut least = [u64::MAX; 2];
        for turn in 0..3_000 {
            let index = usize::from(turn % 7 == 0);
            let told = nodes[index].call("t0", 1).await;
            let left = told.one().remaining;
            assert!(left <= least[index], "{left} after {}", least[index]);
            least[index] = left;
            assert_eq!(told.one().limit, quota.limit());
            assert_eq!(told.one().reset.as_secs() % 86_400, 0);
            if turn % 100 == 0 {
                nodes[1 - index].redis.release().await;
            }
        }
        assert_eq!(least[0], 0);
    }
}

async fn exact_and_leased(url: &str) {
    let prefix = unique();
    let one = leased(url, &prefix, year(100)).await;
    let two = Node::new(counters(url, &prefix, PATIENT), year(100), |redis| redis.exact()).await;
    let mut admitted = 0;
    for _ in 0..200 {
        admitted += u64::from(one.call("t0", 1).await.is_admitted());
        admitted += u64::from(two.call("t0", 1).await.is_admitted());
    }
    assert_eq!(admitted, 100);
}

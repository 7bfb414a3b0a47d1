//! Every request decided by the server: exactly as one process decides.

use std::time::Duration;

use keygate::{Limit, ManualClock, Quota, Timestamp};
use tokio::task::JoinSet;

use crate::node::*;
use crate::{Shared, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("exact::the_server_decides_as_memory_does", |url| wait(as_memory_does(url))),
    ("exact::several_limits_are_counted_all_or_none", |url| wait(all_or_none(url))),
    ("exact::limits_in_memory_are_given_back", |url| wait(memory_is_given_back(url))),
    ("exact::nodes_together_admit_exactly_the_limit", |url| wait(exactly_the_limit(url))),
    ("exact::who_waits_as_told_is_let_in", |url| wait(waits_as_told(url))),
    ("exact::every_key_expires", |url| wait(every_key_expires(url))),
    ("exact::names_tell_nothing_of_callers", |url| wait(names_tell_nothing(url))),
    ("exact::limits_of_one_name_are_one_limit", |url| wait(one_name_is_one_limit(url))),
    ("exact::a_key_of_somebody_elses_is_no_empty_count", |url| wait(not_a_count(url))),
    ("exact::a_cost_above_the_limit_is_never_admitted", |url| wait(never(url))),
    ("exact::a_server_that_forgets_its_scripts_is_told_them", |url| wait(scripts_are_told(url))),
];

/// Small numbers that are soon used up, in windows that pass while a test runs.
fn quotas() -> Vec<Quota> {
    let mut all = Vec::new();
    for (limit, millis) in [(1, 3), (7, 20), (50, 40), (1_000, 250), (3, 997)] {
        let quota = Quota::new(limit, Duration::from_millis(millis)).unwrap();
        all.extend([quota, quota.sliding(), quota.gcra()]);
    }
    all
}

/// A number below `below`, which looks random.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

/// The server's clock can't be set; so memory's is set to what the server's was.
async fn as_memory_does(url: &str) {
    let (mut seed, mut refused) = (88_172_645_463_325_252, 0);
    for quota in quotas() {
        let redis = counters(url, &unique(), PATIENT);
        let node = Node::new(redis, quota, |redis| redis.exact()).await;
        let clock = ManualClock::new(Timestamp::EPOCH);
        let memory = gate([limit(quota)], Some(clock.clone())).await;
        for _ in 0..400 {
            let cost = random(&mut seed, quota.limit().min(9) + 2);
            let told = node.call("t0", cost).await;
            let standing = told.one();
            clock.set(standing.reset.saturating_sub(standing.reset_after));
            let expected = call(&memory, "t0", cost).await;
            assert_eq!(
                (told.kind, told.retry_after),
                (expected.kind, expected.retry_after),
                "{quota:?}"
            );
            assert_eq!(told.standings, expected.standings, "{quota:?}");
            refused += usize::from(told.is_limited() && cost <= quota.limit());
        }
    }
    // A machine that is slow may never use up the short windows.
    assert!(refused > 100, "{refused}");
}

async fn all_or_none(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let (wide, tight) = (year(100), year(5));
    let limits = [
        Limit::per_tenant(wide).shared(redis.exact()),
        Limit::per_key(tight).shared(redis.exact()),
        Limit::per_address(wide).shared(redis.exact()),
    ];
    let node = Node::with(redis, limits).await;
    let remaining = |told: Told| told.standings.iter().map(|one| one.remaining).collect::<Vec<_>>();
    for left in (0..5).rev() {
        assert_eq!(remaining(node.call("t0", 1).await), [95 + left, left, 95 + left]);
    }
    for _ in 0..3 {
        let told = node.call("t0", 1).await;
        assert!(told.is_limited());
        assert_eq!(remaining(told), [95, 0, 95], "what one refused was taken of none");
    }
    let trips = node.redis.stats().round_trips;
    assert!((8..=9).contains(&trips), "{trips}: one for each, and one if the script is not known");
}

async fn memory_is_given_back(url: &str) {
    for quota in [year(100), year(100).gcra()] {
        let redis = counters(url, &unique(), PATIENT);
        let tight = Limit::per_key(year(5)).shared(redis.exact());
        let here = Limit::per_tenant(quota);
        let node = Node::with(redis, [here.clone(), tight]).await;
        for _ in 0..9 {
            node.call("t0", 1).await;
        }
        let told = node.call("t0", 1).await;
        assert!(told.is_limited());
        assert_eq!(told.standings[0].remaining, 95);
    }
}

async fn exactly_the_limit(url: &str) {
    for quota in [year(500), year(500).sliding()] {
        let prefix = unique();
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let node = Node::new(counters(url, &prefix, PATIENT), quota, |redis| redis.exact());
            let node = std::sync::Arc::new(node.await);
            for _ in 0..4 {
                let node = node.clone();
                tasks.spawn(async move {
                    let mut admitted = 0;
                    for _ in 0..50 {
                        admitted += u64::from(node.call("t1", 1).await.is_admitted());
                    }
                    admitted
                });
            }
        }
        assert_eq!(tasks.join_all().await.iter().sum::<u64>(), 500);
    }
}

async fn waits_as_told(url: &str) {
    for quota in quotas() {
        let node = Node::new(counters(url, &unique(), PATIENT), quota, |redis| redis.exact()).await;
        let all = || node.call("t0", quota.limit());
        // Two at once: between one and the next a short window may end.
        let told = loop {
            let (one, other) = tokio::join!(all(), all());
            if let Some(told) = [one, other].into_iter().find(Told::is_limited) {
                break told;
            }
        };
        let wait = told.retry_after.unwrap();
        assert!(wait <= quota.window() * 2);
        // This one waits for a clock that no test can set.
        tokio::time::sleep(wait).await;
        assert!(node.call("t0", 1).await.is_admitted(), "{quota:?}");
    }
}

/// What the server answers to a command.
pub(crate) async fn ask<T: redis::FromRedisValue>(url: &str, command: &str) -> T {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    for word in words {
        cmd.arg(word);
    }
    cmd.query_async(&mut connection(url).await).await.unwrap()
}

async fn keys(url: &str, prefix: &str) -> Vec<String> {
    ask(url, &format!("KEYS {prefix}*")).await
}

async fn every_key_expires(url: &str) {
    for quota in quotas() {
        let prefix = unique();
        for shared in [RedisMode::Exact, RedisMode::Leased, RedisMode::Approximate] {
            let redis = counters(url, &prefix, PATIENT);
            let node = Node::new(redis, quota, |redis| shared.of(redis)).await;
            assert!(!node.call("t0", 1).await.is_unavailable());
            assert!(node.call("t1", 0).await.is_admitted());
        }
        let kept = keys(url, &prefix).await;
        for key in &kept {
            let left: i64 = ask(url, &format!("PTTL {key}")).await;
            // -2 is a key that has gone meanwhile.
            let most = quota.window().as_millis() as i64 * 2 + 1_001;
            assert!((0..=most).contains(&left) || left == -2, "{key}: {left}");
        }
        assert!(kept.len() <= 1, "whoever took nothing has no key: {kept:?}");
    }
}

#[derive(Clone, Copy)]
enum RedisMode {
    Exact,
    Leased,
    Approximate,
}

impl RedisMode {
    fn of(self, redis: &keygate::limit::redis::RedisCounters) -> keygate::limit::redis::Shared {
        match self {
            Self::Exact => redis.exact(),
            Self::Leased => redis.leased(),
            Self::Approximate => redis.approximate(2, 10).unwrap(),
        }
    }
}

async fn names_tell_nothing(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    let secret = Limit::by(year(9), |_| Some("hunter2 } {".into()));
    let limits = [
        secret.shared(redis.exact()),
        Limit::per_tenant(year(9)).name("a } { name").unwrap().shared(redis.leased()),
    ];
    let node = Node::with(redis, limits).await;
    assert!(node.call("t0", 1).await.is_admitted());
    let kept = keys(url, &prefix).await;
    assert_eq!(kept.len(), 2);
    for key in kept {
        let name = key.strip_prefix(&prefix).unwrap();
        let (tag, _) = name[1..].split_once('}').unwrap();
        assert_eq!(tag.len(), 22, "{key}");
        // Two letters may stand in a hash by chance.
        assert!(!key.contains("hunter2") && !name.replace(tag, "").contains("t0"), "{key}");
    }
}

async fn one_name_is_one_limit(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let quota = year(3);
    let one = Node::new(redis.clone(), quota, |redis| redis.exact()).await;
    let two = Node::new(redis.clone(), quota, |redis| redis.exact()).await;
    let named = limit(quota).shared(redis.exact()).name("other").unwrap();
    let other = Node::with(redis, [named]).await;
    assert_eq!(one.call("t0", 1).await.one().remaining, 2);
    assert_eq!(two.call("t0", 1).await.one().remaining, 1);
    assert_eq!(other.call("t0", 1).await.one().remaining, 2);
}

async fn not_a_count(url: &str) {
    let prefix = unique();
    let node = Node::new(counters(url, &prefix, PATIENT), year(3), |redis| redis.exact()).await;
    assert!(node.call("t0", 1).await.is_admitted());
    let [key] = &keys(url, &prefix).await[..] else { panic!("one key") };
    for spoiled in ["1e300", "-1", "", "1,2,3"] {
        let _: String = ask(url, &format!("SET {key} {spoiled}")).await;
        let told = node.call("t0", 1).await;
        assert!(told.is_unavailable(), "{spoiled}: {told:?}");
    }
    assert!(!node.redis.stats().is_away, "a server that answers is there");
    let _: u64 = ask(url, &format!("DEL {key}")).await;
    assert!(node.call("t0", 1).await.is_admitted());
}

async fn never(url: &str) {
    for mode in [RedisMode::Exact, RedisMode::Leased, RedisMode::Approximate] {
        let redis = counters(url, &unique(), PATIENT);
        let node = Node::new(redis, year(3), |redis| mode.of(redis)).await;
        for cost in [4, 1 << 40, u64::MAX] {
            let told = node.call("t0", cost).await;
            assert!(told.is_limited(), "{cost}: {told:?}");
            assert_eq!((told.retry_after, told.one().remaining), (None, 3));
        }
        assert!(node.call("t0", 3).await.is_admitted());
    }
}

async fn scripts_are_told(url: &str) {
    let node = Node::new(counters(url, &unique(), PATIENT), year(9), |redis| redis.exact()).await;
    for _ in 0..3 {
        let _: String = ask(url, "SCRIPT FLUSH").await;
        assert!(node.call("t0", 1).await.is_admitted());
    }
    assert_eq!(node.redis.stats().failures, 0);
}

//! Failed authentications on all nodes.

use std::net::IpAddr;
use std::time::Duration;

use keygate::limit::redis::RedisCounters;
use keygate::policy::ClientAddress;
use keygate::{
    Authenticator, Clock, Environment, FailureBudget, KeyFormat, Quota, RejectionKind, SystemClock,
};
use support::Redis;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::exact::ask;
use crate::node::*;
use crate::{Private, Shared, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("failing::nodes_share_a_budget", |url| wait(share(url))),
    ("failing::a_burst_on_all_nodes_gets_one_more_for_each", |url| wait(burst(url))),
    ("failing::a_node_refuses_before_verification_what_others_have_seen", |url| wait(before(url))),
    ("failing::good_requests_ask_nobody", |url| wait(good(url))),
    ("failing::guesses_at_one_key_are_counted_from_all_nodes", |url| wait(prefixes(url))),
    ("failing::names_tell_nothing_and_expire", |url| wait(names(url))),
    ("failing::a_calendar_month_is_refused", |url| wait(months(url))),
];

pub(crate) const FAULTS: &[(&str, Private)] = &[
    ("failing::while_the_server_is_away_nothing_fails_uncounted", || wait(away())),
    ("failing::a_frozen_server_is_waited_for_by_nobody", || wait(frozen())),
];

/// What a failure is answered; `Ok` as what it is.
fn fail(budget: &FailureBudget, from: u8) -> Result<(), Duration> {
    answer(budget.fail(address(from), SystemClock::new().now()))
}

fn check(budget: &FailureBudget, from: u8) -> Result<(), Duration> {
    answer(budget.check(address(from), SystemClock::new().now()))
}

fn answer(answer: Result<(), keygate::Rejection>) -> Result<(), Duration> {
    answer.map_err(|why| {
        assert_eq!(why.kind(), RejectionKind::TooManyFailures);
        why.retry_after().unwrap()
    })
}

fn address(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

fn budget(redis: &RedisCounters, quota: Quota) -> FailureBudget {
    FailureBudget::new(quota).shared(redis).unwrap()
}

/// Nodes with a budget that they share.
fn nodes(url: &str, count: usize, quota: Quota) -> Vec<(RedisCounters, FailureBudget)> {
    let prefix = unique();
    let redis = (0..count).map(|_| counters(url, &prefix, PATIENT));
    redis.map(|redis| (redis.clone(), budget(&redis, quota))).collect()
}

async fn share(url: &str) {
    for quota in [
        year(6),
        year(6).sliding(),
        Quota::new(6, Duration::from_secs(86_400 * 300)).unwrap().gcra(),
    ] {
        let nodes = nodes(url, 3, quota);
        for turn in 0..6 {
            let (redis, budget) = &nodes[turn % 3];
            assert_eq!(fail(budget, 1), Ok(()), "{quota:?}");
            redis.release().await;
        }
        let mut more = 0;
        for _ in 0..5 {
            for (redis, budget) in &nodes {
                more += u64::from(fail(budget, 1).is_ok());
                redis.release().await;
            }
        }
        assert!(more <= 3, "{quota:?}: {more} beyond the budget");
        for (_, budget) in &nodes {
            let wait = fail(budget, 1).unwrap_err();
            assert!(wait > Duration::from_secs(1) && wait <= quota.window() * 2, "{wait:?}");
            assert_eq!(fail(budget, 2), Ok(()), "another address has its own");
        }
    }
}

/// As fast as they come, and again later.
async fn burst(url: &str) {
    let nodes = nodes(url, 4, year(10));
    let mut all = 0;
    for _ in 0..3 {
        let mut tasks = JoinSet::new();
        for (_, budget) in &nodes {
            for _ in 0..8 {
                let budget = budget.clone();
                tasks.spawn(async move {
                    let mut answered = 0;
                    for _ in 0..20 {
                        answered += u64::from(fail(&budget, 1).is_ok());
                        sleep(Duration::from_millis(1)).await;
                    }
                    answered
                });
            }
        }
        all += tasks.join_all().await.iter().sum::<u64>();
        for (redis, _) in &nodes {
            redis.release().await;
        }
    }
    // Those that were answered 429 while the server was told of another have failed, too.
    assert!((4..=14).contains(&all), "{all} of 10, and one for each of 4");
    assert!(nodes.iter().all(|(_, budget)| fail(budget, 1).is_err()));
}

async fn before(url: &str) {
    let nodes = nodes(url, 2, year(3));
    let [(one, here), (two, there)] = &nodes[..] else { unreachable!() };
    for _ in 0..3 {
        assert_eq!(fail(here, 1), Ok(()));
        one.release().await;
    }
    assert!(check(here, 1).is_err());
    assert_eq!(check(there, 1), Ok(()), "it has seen nothing");
    assert_eq!(fail(there, 1), Ok(()), "one for each node");
    two.release().await;
    assert!(check(there, 1).is_err());
    assert_eq!(check(there, 2), Ok(()));
    let unknown = budget(one, year(3));
    assert!(unknown.check(None, SystemClock::new().now()).is_ok());
}

/// A gate that knows the caller's address, and the key of the tenant t0.
async fn gate(budget: FailureBudget) -> Authenticator {
    let layer =
        layer().await.client_address(ClientAddress::peer_from(|_: &http::Extensions| address(1)));
    layer.failures(budget.before_verification()).into_authenticator()
}

async fn kind(gate: &Authenticator, key: &str) -> Option<RejectionKind> {
    let request = http::Request::get("/").header("x-api-key", key).body(()).unwrap();
    let head = request.into_parts().0;
    gate.authenticate(&head).await.verdict.err().map(|why| why.kind())
}

async fn good(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let gate = gate(budget(&redis, year(9))).await;
    for _ in 0..100 {
        assert!(call(&gate, "t0", 1).await.is_admitted());
    }
    assert_eq!(redis.stats().round_trips, 0);
    let stranger = KeyFormat::sk().generate(Environment::Live).unwrap();
    assert_eq!(kind(&gate, stranger.reveal()).await, Some(RejectionKind::KeyInvalid));
    redis.release().await;
    let trips = redis.stats().round_trips;
    assert!((1..=2).contains(&trips), "one, and one if the script is not known");
    for _ in 0..100 {
        assert!(call(&gate, "t0", 1).await.is_admitted());
    }
    assert_eq!(redis.stats().round_trips, trips);
}

async fn prefixes(url: &str) {
    let prefix = unique();
    let mut gates = Vec::new();
    for _ in 0..2 {
        let redis = counters(url, &prefix, PATIENT);
        let budget = FailureBudget::new(year(1_000)).per_prefix(year(2)).shared(&redis).unwrap();
        gates.push((redis, gate(budget).await));
    }
    let guess = |n: u32| format!("sk_live_abcd{n:028}");
    let mut kinds = Vec::new();
    for n in 0..8 {
        let (redis, gate) = &gates[n as usize % 2];
        kinds.push(kind(gate, &guess(n)).await.unwrap());
        redis.release().await;
    }
    let answered = kinds.iter().filter(|kind| **kind == RejectionKind::KeyInvalid).count();
    assert!((2..=4).contains(&answered), "{kinds:?}");
    assert_eq!(kinds[4..], [RejectionKind::TooManyFailures; 4]);
}

async fn names(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    assert_eq!(fail(&budget(&redis, Quota::per_minute(9).unwrap()), 77), Ok(()));
    redis.release().await;
    let kept: Vec<String> = ask(url, &format!("KEYS {prefix}*")).await;
    let [name] = &kept[..] else { panic!("{kept:?}") };
    assert!(!name.contains("192.0.2.77"), "{name}");
    let left: i64 = ask(url, &format!("PTTL {name}")).await;
    assert!((1..=61_001).contains(&left), "{left}");
}

async fn months(url: &str) {
    let redis = counters(url, &unique(), PATIENT);
    let month = Quota::per_calendar_month(9).unwrap();
    for budget in [FailureBudget::new(month), FailureBudget::new(year(9)).per_prefix(month)] {
        let why = budget.shared(&redis).unwrap_err().to_string();
        assert!(why.contains("calendar month"), "{why}");
    }
}

async fn away() {
    let mut server = Redis::start();
    let redis = counters(&server.url(), "keygate:", Duration::from_millis(100));
    let gate = gate(budget(&redis, year(1_000))).await;
    let stranger = KeyFormat::sk().generate(Environment::Live).unwrap();
    assert_eq!(kind(&gate, stranger.reveal()).await, Some(RejectionKind::KeyInvalid));
    redis.release().await;
    server.kill();
    let given_up = async {
        while !redis.stats().is_away {
            kind(&gate, stranger.reveal()).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), given_up).await.unwrap();
    for _ in 0..20 {
        assert_eq!(kind(&gate, stranger.reveal()).await, Some(RejectionKind::TooManyFailures));
        assert!(call(&gate, "t0", 1).await.is_admitted());
    }
    assert!(redis.stats().refused >= 20);
    server.resume();
    let back = async {
        while kind(&gate, stranger.reveal()).await != Some(RejectionKind::KeyInvalid) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), back).await.unwrap();
}

async fn frozen() {
    let server = Redis::start();
    let redis = counters(&server.url(), "keygate:", PATIENT);
    let budget = budget(&redis, year(1_000));
    assert_eq!(fail(&budget, 1), Ok(()));
    redis.release().await;
    server.freeze();
    assert_eq!(fail(&budget, 1), Ok(()), "nobody knows yet");
    // A 16th may be untold, until that is given up after a second.
    let answered = (0..200).filter(|_| fail(&budget, 1).is_ok()).count();
    assert!((61..200).contains(&answered), "{answered}");
    assert_eq!(fail(&budget, 2), Ok(()), "another address has its own");
    server.thaw();
    let again = async {
        while fail(&budget, 1).is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), again).await.unwrap();
}

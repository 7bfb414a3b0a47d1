//! A server that is killed, frozen, slow, or back without what it knew; a node that dies.

use std::time::{Duration, Instant};

use keygate::limit::redis::{Away, RedisCounters, Shared};
use keygate::{ManualClock, Quota, Timestamp};
use support::{PATIENCE, Redis};
use tokio::time::{sleep, timeout};

use crate::node::*;
use crate::{Private, proxy, wait, wait_on_one_thread};

pub(crate) const TESTS: &[(&str, Private)] = &[
    ("faults::a_killed_server_refuses_lets_pass_or_leaves_a_share", || wait(killed())),
    ("faults::a_frozen_server_costs_no_request_more_than_its_patience", || {
        wait_on_one_thread(frozen())
    }),
    ("faults::a_server_that_is_back_counts_again", || wait(back())),
    ("faults::a_server_that_comes_later_counts_from_then_on", || wait(comes_later())),
    ("faults::a_server_back_empty_grants_at_most_one_more_limit", || wait(back_empty())),
    ("faults::a_slice_outlives_its_server_but_not_its_window", || wait(outlives())),
    ("faults::a_slow_server_is_away_for_those_who_do_not_wait", || wait(slow_is_away())),
    ("faults::a_slow_server_decides_for_those_who_wait", || wait(slow_decides())),
    ("faults::a_killed_node_takes_its_slices_with_it_for_a_window", || wait(killed_node())),
    ("faults::approximate_goes_its_batch_and_no_further", || wait(approximate())),
    ("faults::no_error_holds_the_password", || wait(no_password())),
];

/// The default.
const HASTY: Duration = Duration::from_millis(10);
/// How late a slow server answers.
const LATE: Duration = Duration::from_millis(200);

type Mode = fn(&RedisCounters) -> Shared;

const MODES: [(&str, Mode); 3] = [
    ("exact", |redis| redis.exact()),
    ("leased", |redis| redis.leased()),
    ("approximate", |redis| redis.approximate(4, 4).unwrap()),
];

async fn node(url: &str, quota: Quota, mode: Mode, away: Away, patience: Duration) -> Node {
    let redis = counters(url, "keygate:", patience);
    Node::new(redis, quota, |redis| mode(redis).when_away(away)).await
}

/// Calls until the answer is as it should be.
async fn until(node: &Node, what: impl Fn(&Told) -> bool) -> Told {
    let calls = async {
        loop {
            let told = node.call("t0", 1).await;
            if what(&told) {
                return told;
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, calls).await.expect("in time")
}

async fn killed() {
    // Each request waits for it once the server is gone.
    const SHORT: Duration = Duration::from_millis(300);
    for (name, mode) in MODES {
        let mut server = Redis::start();
        let refuse = node(&server.url(), year(100), mode, Away::Refuse, SHORT).await;
        let allow = node(&server.url(), year(100), mode, Away::Allow, SHORT).await;
        let share = node(&server.url(), year(100), mode, Away::Share { nodes: 4 }, SHORT).await;
        for node in [&refuse, &allow, &share] {
            until(node, Told::is_admitted).await;
        }
        server.kill();
        until(&refuse, Told::is_unavailable).await;
        let told = until(&allow, |told| told.standings.is_empty()).await;
        assert!(told.is_admitted(), "{name}: uncounted");
        until(&share, Told::is_limited).await;
        let counted = share.redis.stats();
        assert_eq!(counted.refused + counted.allowed, 0);
        let admitted = counted.shared - 1;
        assert!(admitted <= 25, "{name}: {admitted} of a quarter");
        assert_eq!(share.call("t0", 1).await.one().remaining, 0);
        assert!(refuse.redis.stats().refused > 0 && allow.redis.stats().allowed > 0);
        assert!(share.call("t1", 25).await.is_admitted(), "{name}: another tenant's share");
        assert!(share.call("t1", 1).await.is_limited());
    }
}

async fn frozen() {
    let server = Redis::start();
    for (name, mode) in MODES {
        let node = node(&server.url(), year(1_000_000), mode, Away::Refuse, HASTY).await;
        until(&node, Told::is_admitted).await;
        let before = node.redis.stats();
        server.freeze();
        tokio::time::pause();
        let mut worst = Duration::ZERO;
        let mut refused = 0;
        for n in 0..20_000 {
            let begun = tokio::time::Instant::now();
            let told = node.call(&format!("t{}", n % 10), 700).await;
            worst = worst.max(begun.elapsed());
            refused += u64::from(told.is_unavailable());
            tokio::time::advance(Duration::from_micros(100)).await;
        }
        tokio::time::resume();
        let stats = node.redis.stats();
        println!("{name}: the slowest of 20000 requests took {worst:?}, {refused} were refused");
        // Timers go by whole milliseconds.
        assert!(worst <= HASTY + Duration::from_millis(2), "{name}: {worst:?}");
        assert!(refused > 0, "{name}: {stats:?}");
        assert_eq!(stats.refused - before.refused, refused, "{name}: {stats:?}");
        assert!(stats.is_away && stats.opened > before.opened, "{name}: {stats:?}");
        let trips = stats.round_trips - before.round_trips;
        assert!(trips < 200, "{name}: given up, it is not asked: {stats:?}");
        server.thaw();
        until(&node, Told::is_admitted).await;
    }
}

async fn back() {
    let mut server = Redis::start();
    let node = node(&server.url(), year(1_000_000), MODES[0].1, Away::Refuse, PATIENT).await;
    for _ in 0..3 {
        until(&node, Told::is_admitted).await;
        server.kill();
        until(&node, Told::is_unavailable).await;
        server.resume();
    }
    until(&node, Told::is_admitted).await;
    assert!(!node.redis.stats().is_away);
}

async fn comes_later() {
    let mut server = Redis::start();
    server.kill();
    let node = node(&server.url(), year(10), MODES[1].1, Away::Refuse, HASTY).await;
    assert!(node.call("t0", 1).await.is_unavailable());
    server.resume();
    until(&node, Told::is_admitted).await;
}

async fn back_empty() {
    for (name, mode) in MODES {
        let mut server = Redis::start();
        let nodes = [
            node(&server.url(), year(1_000), mode, Away::Refuse, PATIENT).await,
            node(&server.url(), year(1_000), mode, Away::Refuse, PATIENT).await,
        ];
        let mut admitted = 0;
        for round in 0..2 {
            for n in 0..4_000 {
                admitted += u64::from(nodes[n % 2].call("t0", 1).await.is_admitted());
            }
            if round == 0 {
                assert!(admitted >= 990, "{name}: {admitted}");
                server.kill();
                server.resume();
                sleep(Duration::from_millis(50)).await;
            }
        }
        println!("{name}: {admitted} of 1000 admitted around a restart without memory");
        let overshoot = mode(&nodes[0].redis).overshoot(&year(1_000));
        assert!(admitted <= 2 * (1_000 + overshoot), "{name}: {admitted}");
    }
}

/// By the node's clock, which the test has.
async fn outlives() {
    const SECOND: Duration = Duration::from_secs(1);
    let mut server = Redis::start();
    let clock = ManualClock::new(Timestamp::EPOCH);
    let redis = RedisCounters::at(&server.url()).unwrap().patience(PATIENT).unwrap();
    let redis = redis.clock(clock.clone()).start();
    let minute = Quota::per_minute(1_000_000).unwrap();
    let node = Node::new(redis, minute, |redis| redis.leased()).await;
    until(&node, Told::is_admitted).await;
    // The first one may have come so late in its window that the server has decided it alone.
    let first = until(&node, Told::is_admitted).await;
    let (window, left) = (first.window(), first.one().reset_after);
    server.kill();
    let mut lived = Duration::ZERO;
    loop {
        let told = node.call("t0", 1).await;
        if told.is_unavailable() {
            break;
        }
        assert_eq!((told.is_admitted(), told.window()), (true, window));
        clock.advance(SECOND);
        lived += SECOND;
    }
    assert!(lived < left + SECOND, "{lived:?} of {left:?}");
    assert!(lived + SECOND > left, "{lived:?} of {left:?}");
}

async fn slow_is_away() {
    let server = Redis::start();
    let url = proxy::slow(server.address(), LATE).await;
    for (name, mode) in MODES {
        let node = node(&url, year(1_000), mode, Away::Share { nodes: 2 }, HASTY).await;
        let (mut admitted, mut waited) = (0, 0);
        for _ in 0..700 {
            let begun = Instant::now();
            admitted += u64::from(node.call("t0", 1).await.is_admitted());
            waited += u64::from(begun.elapsed() >= LATE);
        }
        let there = 700 - node.redis.stats().shared;
        println!(
            "{name}: {waited} of 700 requests took as long as an answer, {there} have had one"
        );
        // Whoever waits for answers does so each time; a machine that stops now and then is no matter.
        assert!(waited < 70, "{name}: {waited}");
        // What comes late is used nevertheless.
        assert!(admitted >= 500, "{name}: {admitted}");
        if name == "exact" {
            assert!(there < 70 && admitted <= 500 + there, "{admitted} admitted, {there} there");
        }
    }
}

async fn slow_decides() {
    let server = Redis::start();
    let url = proxy::slow(server.address(), LATE).await;
    for (n, (name, mode)) in MODES.into_iter().enumerate() {
        let redis = counters(&url, &format!("slow-{n}:"), PATIENT);
        let node = Node::new(redis, year(10), mode).await;
        let mut admitted = 0;
        for _ in 0..15 {
            admitted += u64::from(node.call("t0", 1).await.is_admitted());
        }
        assert_eq!(admitted, 10, "{name}");
        assert_eq!(node.redis.stats().failures, 0, "{name}");
    }
}

async fn killed_node() {
    let server = Redis::start();
    let begun = Instant::now();
    // A window that ends before it is used up shows nothing.
    let (cut, next) = loop {
        if let Some(admitted) = around_a_kill(&server).await {
            break admitted;
        }
        assert!(begun.elapsed() < PATIENCE, "no window is long enough");
    };
    println!("{cut} of 1000 in the window of the kill, {next} in the next");
    // A slice is 256 at most where that lasts for a 24th of the window.
    assert!((1_000 - 256..=1_000).contains(&cut), "{cut}");
    assert_eq!(next, 1_000);
}

/// How many are admitted in the window in which a node is killed and in a later one, if both are used
/// up.
async fn around_a_kill(server: &Redis) -> Option<(u64, u64)> {
    let (quota, prefix) = (Quota::new(1_000, Duration::from_secs(3)).unwrap(), unique());
    let node =
        || Node::new(counters(&server.url(), &prefix, PATIENT), quota, |redis| redis.leased());
    let (survivor, victim) = (node().await, node().await);
    let mut windows = Windows::default();
    let first = until(&survivor, |told| !told.is_unavailable()).await.window();
    let fresh = until(&survivor, |told| told.window() != first).await;
    windows.count(&fresh);
    for _ in 0..50 {
        windows.count(&victim.call("t0", 1).await);
    }
    // Dropped without a word, as by a kill.
    drop(victim);
    loop {
        let told = survivor.call("t0", 1).await;
        windows.count(&told);
        if told.window() != fresh.window() && told.is_limited() {
            break;
        }
    }
    let cut = windows.0.remove(&fresh.window()).filter(|window| window.refused > 0)?;
    Some((cut.admitted, windows.used_up().next()?))
}

async fn approximate() {
    let mut server = Redis::start();
    // 400 a node.
    let mode: Mode = |redis| redis.approximate(2, 8).unwrap();
    let node = node(&server.url(), year(10_000), mode, Away::Refuse, PATIENT).await;
    assert!(node.call("t0", 1).await.is_admitted());
    node.redis.release().await;
    server.kill();
    let mut admitted = 0;
    while node.call("t0", 1).await.is_admitted() {
        admitted += 1;
    }
    assert_eq!(admitted, 400);
}

async fn no_password() {
    let password = "hunter2-of-the-tests";
    let url = format!("redis://keygate:{password}@127.0.0.1:1/");
    let redis = counters(&url, "keygate:", Duration::from_millis(50));
    let node = Node::new(redis.clone(), year(9), |redis| redis.exact()).await;
    let told = node.call("t0", 1).await;
    assert!(told.is_unavailable());
    let limit = limit(year(9)).shared(redis.leased());
    let said = format!("{told:?} {redis:?} {limit:?} {:?} {:?}", redis.stats(), redis.exact());
    assert!(!said.contains(password), "{said}");
    let wrong = RedisCounters::open(&format!("redis://x:{password}@ho st/")).unwrap_err();
    let wrong = format!("{wrong} {wrong:?}");
    assert!(wrong.contains("Redis URL") && !wrong.contains(password), "{wrong}");
}

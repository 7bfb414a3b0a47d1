//! How many requests run at a time on all nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use keygate::limit::redis::{Away, RedisCounters, SharedPermits};
use keygate::limit::{Permits, Reservation};
use keygate::{AuthLayer, Authenticator, Concurrency, Limit, Outcome, Quota, RejectionKind};
use support::Redis;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt};

use crate::exact::ask;
use crate::node::*;
use crate::{Private, Shared, proxy, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("running::so_many_run_on_all_nodes_and_one_more_when_one_has_ended", |url| wait(so_many(url))),
    ("running::who_asks_on_the_same_node_finds_what_has_ended", |url| wait(one_after_another(url))),
    ("running::a_crowd_on_three_nodes_never_runs_more", |url| wait(crowd(url))),
    ("running::all_let_run_or_none", |url| wait(all_or_none(url))),
    ("running::a_request_that_a_limit_refuses_runs_no_more", |url| wait(refused(url))),
    ("running::a_service_runs_until_its_answer_has_been_sent", |url| wait(service(url))),
    ("running::it_is_renewed_for_as_long_as_it_runs", |url| wait(renewed(url))),
    ("running::a_killed_node_frees_what_it_ran_after_the_lease", |url| wait(killed_node(url))),
    ("running::a_plan_has_its_own_number_of_one_count", |url| wait(plans(url))),
    ("running::every_key_expires_and_names_nobody", |url| wait(keys(url))),
];

pub(crate) const FAULTS: &[(&str, Private)] = &[
    ("running::a_killed_server_refuses_lets_pass_or_leaves_a_share", || wait(killed())),
    ("running::a_paused_server_still_knows_what_runs", || wait(paused())),
    ("running::a_server_back_empty_is_told_what_runs", || wait(back_empty())),
    ("running::a_request_dropped_before_its_answer_runs_no_more", || wait(dropped())),
    ("running::an_answer_that_comes_too_late_lets_nobody_run", || wait(late())),
    ("running::a_cluster_decides_a_tenants_limits_together", || wait(cluster())),
];

fn tenants(most: u64) -> Concurrency {
    Concurrency::per_tenant(most).unwrap()
}

fn second(redis: &RedisCounters) -> SharedPermits {
    redis.permits().lease(Duration::from_secs(1)).unwrap()
}

async fn node(all: impl IntoIterator<Item = Concurrency>) -> Authenticator {
    layered(|layer| all.into_iter().fold(layer, |layer, one| layer.concurrency(one).unwrap())).await
}

/// A node of its own that runs so many of each tenant's, with the usual lease.
async fn usual(url: &str, prefix: &str, most: u64) -> Authenticator {
    node([tenants(most).shared(counters(url, prefix, PATIENT).permits())]).await
}

async fn layered(change: impl FnOnce(AuthLayer) -> AuthLayer) -> Authenticator {
    change(crate::node::layer().await).into_authenticator()
}

async fn outcome(node: &Authenticator, tenant: &str) -> Outcome {
    node.authenticate(&head(tenant, 1)).await
}

fn kind(outcome: &Outcome) -> Option<RejectionKind> {
    outcome.verdict.as_ref().err().map(keygate::Rejection::kind)
}

/// What a request runs by; `None` when too many run.
async fn enter(node: &Authenticator, tenant: &str) -> Option<Permits> {
    let outcome = outcome(node, tenant).await;
    match kind(&outcome) {
        None => Some(outcome.permits),
        Some(RejectionKind::RateLimited) => None,
        Some(other) => panic!("{other:?}"),
    }
}

/// Waits until a request is let in, or is one too many.
async fn until(node: &Authenticator, is_let: bool) -> Option<Permits> {
    let wanted = if is_let { None } else { Some(RejectionKind::RateLimited) };
    let tries = async {
        loop {
            let outcome = outcome(node, "t0").await;
            if kind(&outcome) == wanted {
                return is_let.then_some(outcome.permits);
            }
            drop(outcome);
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), tries).await.expect("in time")
}

async fn so_many(url: &str) {
    let prefix = unique();
    let nodes = [usual(url, &prefix, 3).await, usual(url, &prefix, 3).await];
    let first = enter(&nodes[0], "t0").await.unwrap();
    let second = enter(&nodes[1], "t0").await.unwrap();
    let told = outcome(&nodes[0], "t0").await;
    let standing = &told.standings.as_slice()[0];
    assert_eq!((standing.limit, standing.remaining), (3, 0));
    assert_eq!(standing.name.as_str(), "tenant-concurrency");
    let refused = outcome(&nodes[1], "t0").await;
    assert_eq!(kind(&refused), Some(RejectionKind::RateLimited));
    assert_eq!(refused.verdict.unwrap_err().retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(refused.standings.as_slice()[0].remaining, 0);
    assert!(enter(&nodes[1], "t1").await.is_some(), "another tenant has its own");
    drop(first);
    until(&nodes[1], true).await;
    drop((second, told));
}

/// What this node knows to have ended needs no waiting.
async fn one_after_another(url: &str) {
    let node = usual(url, &unique(), 1).await;
    for turn in 0..500 {
        assert!(enter(&node, "t0").await.is_some(), "{turn}");
    }
}

async fn crowd(url: &str) {
    let prefix = unique();
    let (running, most) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let node = Arc::new(usual(url, &prefix, 4).await);
        for _ in 0..4 {
            let (node, running, most) = (node.clone(), running.clone(), most.clone());
            tasks.spawn(async move {
                let mut entered = 0;
                for _ in 0..100 {
                    let Some(permits) = enter(&node, "t0").await else { continue };
                    entered += 1;
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    drop(permits);
                }
                entered
            });
        }
    }
    let entered: u64 = tasks.join_all().await.iter().sum();
    assert!(entered > 100, "{entered}");
    assert!((1..=4).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

async fn all_or_none(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    let keys = || Concurrency::per_key(1).unwrap();
    let both = node([tenants(3).shared(redis.permits()), keys().shared(redis.permits())]).await;
    let mixed = node([tenants(3).shared(redis.permits()), keys()]).await;
    let held = enter(&both, "t0").await.unwrap();
    let trips = redis.stats().round_trips;
    for _ in 0..5 {
        assert!(enter(&both, "t0").await.is_none());
    }
    assert_eq!(redis.stats().round_trips, trips, "this node knows by itself");
    let here = enter(&mixed, "t0").await.unwrap();
    for _ in 0..5 {
        assert!(enter(&mixed, "t0").await.is_none());
    }
    let wide = usual(url, &prefix, 3).await;
    let last = enter(&wide, "t0").await;
    assert!(last.is_some(), "the refused ones run nowhere");
    assert!(enter(&wide, "t0").await.is_none());
    drop((held, here));
}

async fn refused(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    let node = layered(|layer| {
        let layer = layer.concurrency(tenants(2).shared(redis.permits())).unwrap();
        let here = Limit::per_tenant(Quota::per_day(1).unwrap());
        let there = Limit::per_key(Quota::per_day(1).unwrap()).shared(redis.exact());
        layer.limit(here).unwrap().limit(there).unwrap()
    });
    let node = node.await;
    let held = outcome(&node, "t0").await;
    assert!(held.verdict.is_ok());
    let names: Vec<_> = held.standings.as_slice().iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["tenant-concurrency", "tenant", "key"]);
    for _ in 0..5 {
        assert_eq!(kind(&outcome(&node, "t0").await), Some(RejectionKind::RateLimited));
    }
    let other = usual(url, &prefix, 2).await;
    let second = until(&other, true).await;
    assert!(enter(&other, "t0").await.is_none());
    drop((held, second));
}

async fn service(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    let layer = crate::node::layer().await;
    let layer = layer.concurrency(tenants(1).shared(redis.permits())).unwrap();
    let limit = Limit::per_tenant(Quota::per_day(2).unwrap()).settle_later();
    let layer = layer.limit(limit.shared(redis.exact())).unwrap();
    let inner = tower::service_fn(|request: http::Request<()>| async move {
        let reservation = request.extensions().get::<Reservation>().cloned();
        reservation.unwrap().commit(1);
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::from("sent")))
    });
    let service = layer.layer(inner);
    let call = || {
        let request = http::Request::from_parts(head("t0", 1), ());
        let service = service.clone();
        async { service.oneshot(request).await.unwrap() }
    };
    let other = usual(url, &prefix, 1).await;
    let answer = call().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "1");
    assert!(enter(&other, "t0").await.is_none(), "its body was not read");
    assert_eq!(call().await.status(), 429);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "sent");
    let again = call().await;
    assert_eq!(again.status(), 200);
    drop(again);
    let limited = call().await;
    assert_eq!(limited.status(), 429, "by the limit");
    assert_ne!(limited.headers()["retry-after"], "1");
    drop(limited);
    until(&other, true).await;
}

async fn renewed(url: &str) {
    let prefix = unique();
    let one = node([tenants(1).shared(second(&counters(url, &prefix, PATIENT)))]).await;
    let other = usual(url, &prefix, 1).await;
    let held = enter(&one, "t0").await.unwrap();
    // Leases end by the server's clock, which no test can set.
    for _ in 0..25 {
        assert!(enter(&other, "t0").await.is_none());
        sleep(Duration::from_millis(100)).await;
    }
    drop(held);
    until(&other, true).await;
}

async fn killed_node(url: &str) {
    let prefix = unique();
    let survivor = usual(url, &prefix, 2).await;
    let url = url.to_owned();
    let victim = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let held = runtime.block_on(async {
            let redis = counters(&url, &prefix, PATIENT);
            let node = node([tenants(2).shared(second(&redis))]).await;
            [enter(&node, "t0").await.unwrap(), enter(&node, "t0").await.unwrap()]
        });
        // Nobody renews, and nobody tells.
        runtime.shutdown_background();
        let [one, other] = held;
        drop(one);
        std::mem::forget(other);
    });
    victim.join().unwrap();
    assert!(enter(&survivor, "t0").await.is_none());
    let begun = std::time::Instant::now();
    let _held = until(&survivor, true).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(enter(&survivor, "t0").await.is_some(), "both");
}

async fn plans(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    let small = node([tenants(1).shared(redis.permits())]).await;
    let large = node([tenants(3).shared(redis.permits())]).await;
    let held = [enter(&large, "t0").await, enter(&large, "t0").await];
    assert!(held.iter().all(Option::is_some));
    assert!(enter(&small, "t0").await.is_none(), "two run");
    assert!(enter(&large, "t0").await.is_some());
}

async fn keys(url: &str) {
    let prefix = unique();
    let redis = counters(url, &prefix, PATIENT);
    let node = node([tenants(2).shared(second(&redis))]).await;
    let held = enter(&node, "t0").await.unwrap();
    let kept: Vec<String> = ask(url, &format!("KEYS {prefix}*")).await;
    assert_eq!(kept.len(), 1);
    let name = kept[0].strip_prefix(&prefix).unwrap();
    let (tag, _) = name[1..].split_once('}').unwrap();
    // Two letters may stand in a hash by chance.
    assert!(tag.len() == 22 && !name.replace(tag, "").contains("t0"), "{kept:?}");
    let left: i64 = ask(url, &format!("PTTL {}", kept[0])).await;
    assert!((1..=1_000).contains(&left), "{left}");
    drop(held);
    redis.release().await;
    let kept: Vec<String> = ask(url, &format!("KEYS {prefix}*")).await;
    assert!(kept.is_empty(), "who runs nothing has no key: {kept:?}");
    let said = format!("{:?} {:?}", redis.permits(), tenants(1).shared(redis.permits()));
    assert!(said.contains("lease"), "{said}");
}

async fn killed() {
    let mut server = Redis::start();
    let away = |away| {
        let redis = counters(&server.url(), "keygate:", Duration::from_millis(300));
        let permits = redis.permits().when_away(away);
        (redis, [tenants(4).shared(permits)])
    };
    let (refusing, refuse) = away(Away::Refuse);
    let (allowing, allow) = away(Away::Allow);
    let (sharing, share) = away(Away::Share { nodes: 2 });
    let (refuse, allow, share) = (node(refuse).await, node(allow).await, node(share).await);
    let before = enter(&share, "t0").await.unwrap();
    server.kill();
    for _ in 0..5 {
        assert_eq!(kind(&outcome(&refuse, "t0").await), Some(RejectionKind::Unavailable));
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(enter(&allow, "t0").await.expect("this node runs fewer"));
    }
    assert!(enter(&allow, "t0").await.is_none(), "it knows what it runs itself");
    let second = outcome(&share, "t0").await;
    assert_eq!((kind(&second), second.standings.as_slice()[0].remaining), (None, 0));
    assert!(enter(&share, "t0").await.is_none(), "two are its part");
    drop(before);
    assert!(enter(&share, "t0").await.is_some());
    assert_eq!(refusing.stats().refused, 5);
    assert_eq!((allowing.stats().allowed, sharing.stats().shared), (4, 3));
    assert!(refusing.stats().is_away);
}

async fn paused() {
    let server = Redis::start();
    let quick = Duration::from_millis(20);
    let other = usual(&server.url(), "keygate:", 2).await;
    let redis = counters(&server.url(), "keygate:", quick);
    let node = node([tenants(2).shared(redis.permits())]).await;
    let held = loop {
        let outcome = outcome(&node, "t0").await;
        if outcome.verdict.is_ok() {
            break outcome.permits;
        }
    };
    server.freeze();
    for _ in 0..20 {
        assert_eq!(kind(&outcome(&node, "t0").await), Some(RejectionKind::Unavailable));
    }
    sleep(Duration::from_millis(500)).await;
    server.thaw();
    let second = until(&other, true).await.unwrap();
    assert!(enter(&other, "t0").await.is_none(), "what ran before runs still");
    drop(held);
    until(&other, true).await;
    drop(second);
}

async fn back_empty() {
    let mut server = Redis::start();
    let redis = counters(&server.url(), "keygate:", PATIENT);
    let node = node([tenants(1).shared(second(&redis).when_away(Away::Allow))]).await;
    let other = usual(&server.url(), "keygate:", 1).await;
    for was_there in [true, false] {
        let held = if was_there { Some(until(&node, true).await.unwrap()) } else { None };
        server.kill();
        let held = match held {
            Some(held) => held,
            None => enter(&node, "t0").await.expect("let run by this node alone"),
        };
        server.resume();
        // A third of a second later at most, when the connection is there.
        let known = async {
            while !server.tell("DBSIZE").starts_with(":1") {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), known).await.expect("told what runs");
        until(&other, false).await;
        drop(held);
        until(&other, true).await;
    }
}

async fn dropped() {
    let server = Redis::start();
    let url = proxy::slow(server.address(), Duration::from_millis(100)).await;
    let redis = counters(&url, "keygate:", PATIENT);
    let node = node([tenants(5).shared(redis.permits())]).await;
    for _ in 0..5 {
        assert!(timeout(Duration::from_millis(20), enter(&node, "t0")).await.is_err());
    }
    redis.release().await;
    assert!(server.tell("DBSIZE").starts_with(":0"));
    assert_eq!(redis.stats().unsettled, 0);
}

async fn late() {
    let server = Redis::start();
    let url = proxy::slow(server.address(), Duration::from_millis(100)).await;
    let redis = counters(&url, "keygate:", Duration::from_millis(10));
    let node = node([tenants(5).shared(redis.permits())]).await;
    assert_eq!(kind(&outcome(&node, "t0").await), Some(RejectionKind::Unavailable));
    redis.release().await;
    assert!(server.tell("DBSIZE").starts_with(":0"), "what it took was given back");
}

async fn cluster() {
    let server = Redis::start_cluster();
    let setup = RedisCounters::at(&server.url()).unwrap().patience(PATIENT).unwrap();
    let redis = setup.cluster().start();
    let keys = Concurrency::per_key(1).unwrap().shared(redis.permits());
    let node = node([tenants(2).shared(second(&redis)), keys]).await;
    let mut held = Vec::new();
    for tenant in ["t0", "t1", "t2"] {
        held.push(enter(&node, tenant).await.unwrap());
    }
    // Renewed, though they lie apart.
    sleep(Duration::from_millis(1_500)).await;
    assert!(server.tell("DBSIZE").starts_with(":6"), "{}", server.tell("DBSIZE"));
    assert_eq!(redis.stats().failures, 0);
    drop(held);
    redis.release().await;
    assert!(server.tell("DBSIZE").starts_with(":0"));
}

//! A cluster, which refuses scripts that use keys of two slots.

use keygate::Limit;
use keygate::limit::redis::RedisCounters;
use support::Redis;

use crate::node::*;
use crate::{Private, wait};

pub(crate) const TESTS: &[(&str, Private)] = &[
    ("cluster::limits_of_one_tenant_are_decided_together", || wait(together())),
    ("cluster::limits_of_other_identities_are_given_back", || wait(given_back())),
    ("cluster::without_being_told_of_it_nothing_is_let_in", || wait(untold())),
    ("cluster::slices_of_many_tenants_go_back", || wait(slices_go_back())),
];

fn counters(url: &str) -> RedisCounters {
    let setup = RedisCounters::at(url).unwrap().patience(PATIENT).unwrap();
    setup.cluster().start()
}

fn remaining(told: &Told) -> Vec<u64> {
    told.standings.iter().map(|one| one.remaining).collect()
}

async fn together() {
    let server = Redis::start_cluster();
    let redis = counters(&server.url());
    let limits = [
        Limit::per_tenant(year(100)).shared(redis.exact()),
        Limit::per_key(year(3)).shared(redis.exact()),
    ];
    let node = Node::with(redis, limits).await;
    for left in [2, 1, 0] {
        assert_eq!(remaining(&node.call("t0", 1).await), [97 + left, left]);
    }
    let told = node.call("t0", 1).await;
    assert!(told.is_limited());
    assert_eq!(remaining(&told), [97, 0]);
    assert_eq!(node.redis.stats().round_trips, 5, "one each, and one for the script");
}

async fn given_back() {
    for quota in [year(100), year(100).sliding(), year(100).gcra()] {
        let server = Redis::start_cluster();
        let redis = counters(&server.url());
        let limits = [
            Limit::per_address(quota).shared(redis.exact()),
            Limit::per_key(year(3)).shared(redis.exact()),
            Limit::by(quota, |_| Some("all".into())).shared(redis.exact()),
        ];
        let node = Node::with(redis.clone(), limits).await;
        for _ in 0..10 {
            node.call("t0", 1).await;
        }
        assert!(node.call("t0", 1).await.is_limited());
        let told = node.call("t1", 1).await;
        assert!(told.is_admitted());
        assert_eq!(remaining(&told), [96, 2, 96], "{quota:?}");
    }
}

async fn untold() {
    let server = Redis::start_cluster();
    let redis = RedisCounters::at(&server.url()).unwrap().patience(PATIENT).unwrap().start();
    let limits = [
        Limit::per_address(year(100)).shared(redis.exact()),
        Limit::per_key(year(3)).shared(redis.exact()),
    ];
    let node = Node::with(redis, limits).await;
    assert!(node.call("t0", 1).await.is_unavailable());
}

async fn slices_go_back() {
    let server = Redis::start_cluster();
    let redis = counters(&server.url());
    let node = Node::new(redis.clone(), year(10_000), |redis| redis.leased()).await;
    for n in 0..10 {
        assert!(node.call(&format!("t{n}"), 3).await.is_admitted());
    }
    redis.release().await;
    let exact = Node::new(redis, year(10_000), |redis| redis.exact()).await;
    for n in 0..10 {
        assert_eq!(exact.call(&format!("t{n}"), 0).await.one().remaining, 9_997);
    }
}

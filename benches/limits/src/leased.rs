//! What a limit that many machines share adds to a request that needs no round trip.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keygate::limit::redis::RedisCounters;
use keygate::{AuthLayer, Authenticator, Limit, Quota};
use support::Redis;

use crate::Target;
use crate::rounds::median;
use crate::world::World;

const ROUNDS: usize = 200;
const TIMES: usize = 500;

/// Each request is timed alone; the few that wait for the server are far from the median.
pub(crate) fn run() -> Vec<Target> {
    if let Err(why) = Redis::program() {
        println!("\nleased: not measured, {why}");
        return vec![target(f64::NAN)];
    }
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let added = runtime.expect("a runtime").block_on(measure(&redis.url()));
    vec![target(added)]
}

fn target(added: f64) -> Target {
    let what = "leased: ns added at the median, beyond the same limit of one process".to_owned();
    Target { what, most: 1_000.0, measured: added }
}

async fn measure(url: &str) -> f64 {
    let world = World::new(64);
    let quota = Quota::per_hour(1_000_000_000).expect("a quota");
    let counters = RedisCounters::open(url).expect("a URL");
    let gate = |limit| {
        let gate = AuthLayer::new(Arc::clone(&world.store)).limit(limit);
        gate.expect("a limit").into_authenticator()
    };
    let here = gate(Limit::per_key(quota));
    let shared = gate(Limit::per_key(quota).shared(counters.leased()));
    let (mut local, mut leased) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        local.push(timed(&world, &here).await);
        leased.push(timed(&world, &shared).await);
        // So that what renews the slices is polled.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let added = median(local.iter().zip(&leased).map(|(local, leased)| leased - local));
    let trips = counters.stats().round_trips;
    println!("\n| leased, {} requests | |\n| --- | ---: |", ROUNDS * TIMES);
    println!("| ns at the median, counted in the process | {:.0} |", median(local));
    println!("| ns at the median, leased | {:.0} |", median(leased));
    println!("| round trips | {trips} |");
    added
}

/// The median of one round.
async fn timed(world: &World, gate: &Authenticator) -> f64 {
    let mut requests = world.requests(3);
    let mut nanos = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let head = requests.next();
        let start = Instant::now();
        let outcome = gate.authenticate(head).await;
        nanos.push(start.elapsed().as_nanos() as f64);
        assert!(outcome.verdict.is_ok());
    }
    median(nanos)
}

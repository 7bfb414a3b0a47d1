//! What is kept for each identity, and how it grows.

use std::borrow::Cow;
use std::cell::Cell;

use governor::{DefaultKeyedRateLimiter, RateLimiter};
use http::request::Parts;
use keygate::{AuthLayer, Authenticator, Limit};
use support::bytes;

use crate::Target;
use crate::cases::ours;
use crate::world::{World, at_once};

const MANY: usize = 1_000_000;
const MOST: usize = 10_000_000;

thread_local! {
    /// Who calls, as the limit sees it.
    static CALLER: Cell<usize> = const { Cell::new(0) };
}

/// A gate whose only key stands for as many identities as are asked for.
struct Crowd {
    gate: Authenticator,
    head: Parts,
}

impl Crowd {
    fn new(capacity: usize) -> Self {
        let world = World::new(1);
        let name = || format!("user_{}", CALLER.get());
        let limit = Limit::by(ours(), move |_| Some(Cow::Owned(name())));
        let limit = limit.capacity(capacity).expect("a capacity");
        let gate = AuthLayer::new(world.store.clone()).limit(limit).expect("a limit");
        let head = world.requests(1).next().clone();
        Self { gate: gate.into_authenticator(), head }
    }

    fn call(&self, identity: usize) {
        CALLER.set(identity);
        assert!(at_once(self.gate.authenticate(&self.head)).verdict.is_ok());
    }
}

/// Their names are in what governor keeps, and only stood for in what keygate does.
pub(crate) fn run(grow: bool) -> Vec<Target> {
    let crowd = Crowd::new(MANY);
    crowd.call(0);
    let full = bytes(|| (0..MANY).for_each(|identity| crowd.call(identity))).1;
    let more = bytes(|| (MANY..3 * MANY).for_each(|identity| crowd.call(identity))).1;
    println!("\n| in a full table of {MANY} | bytes |\n| --- | ---: |");
    println!("| for each identity, its name included | {:.1} |", full as f64 / MANY as f64);
    println!("| more, after as many new ones twice | {more} |");
    if grow {
        growth();
    }
    let what = |what: &str| format!("memory: {what}");
    vec![
        Target {
            what: what("bytes for each identity in a full table"),
            most: 64.0,
            measured: full as f64 / MANY as f64,
        },
        Target {
            what: what("bytes for each, after a flood"),
            most: 64.0,
            measured: (full + more) as f64 / MANY as f64,
        },
    ]
}

fn growth() {
    let (crowd, limiter) = (Crowd::new(MOST), governor());
    crowd.call(0);
    println!("\n| identities | keygate, with room for {MOST}: bytes each | governor: bytes each |");
    println!("| ---: | ---: | ---: |");
    let (mut ours, mut theirs, mut seen) = (0, 0, 0);
    for identities in (0..8).map(|power| 10_usize.pow(power)) {
        ours += bytes(|| (seen..identities).for_each(|identity| crowd.call(identity))).1;
        let check = |identity| drop(limiter.check_key(&format!("user_{identity}")));
        theirs += bytes(|| (seen..identities).for_each(check)).1;
        seen = identities;
        let each = |bytes: i64| bytes as f64 / identities as f64;
        println!("| {identities} | {:.1} | {:.1} |", each(ours), each(theirs));
    }
}

/// As it comes, and never told to forget.
fn governor() -> DefaultKeyedRateLimiter<String> {
    RateLimiter::keyed(governor::Quota::per_hour(std::num::NonZeroU32::MAX))
}

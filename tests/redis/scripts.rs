//! The scripts at any time and with any numbers: the server's clock is replaced by the test's.

use std::time::Duration;

use keygate::limit::Reservation;
use keygate::{Authenticator, ManualClock, Quota, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::aio::MultiplexedConnection;

use crate::node::*;
use crate::{Shared, wait};

pub(crate) const TESTS: &[(&str, Shared)] = &[
    ("scripts::decide_as_memory_does_at_any_time", at_any_time),
    ("scripts::give_back_what_was_taken", |url| wait(give_back(url))),
    ("scripts::settle_as_memory_does_at_any_time", settle_at_any_time),
];

const COUNT: &str = include_str!("../../src/limit/redis/scripts/count.lua");
const TAKE: &str = include_str!("../../src/limit/redis/scripts/take.lua");
const SETTLE: &str = include_str!("../../src/limit/redis/scripts/settle.lua");

/// The time comes as the last argument instead of from the server. By the server's own time, which
/// ends keys, little passes: how much is no matter here.
fn script(body: &str) -> redis::Script {
    redis::Script::new(&format!(
        "local now = tonumber(table.remove(ARGV))
         local function run() {COUNT}{body} end
         local answered = run()
         redis.call('PEXPIRE', KEYS[1], 3600000)
         return answered"
    ))
}

/// What a server counts, and the same in memory.
struct Both {
    key: String,
    quota: Quota,
    connection: MultiplexedConnection,
    memory: Authenticator,
    clock: ManualClock,
}

impl Both {
    async fn new(url: &str, quota: Quota) -> Self {
        let connection = connection(url).await;
        let clock = ManualClock::new(Timestamp::EPOCH);
        let memory = gate([limit(quota)], Some(clock.clone())).await;
        Self { key: unique(), quota, connection, memory, clock }
    }

    fn arguments(&self) -> [u64; 3] {
        let algorithm = match self.quota.algorithm() {
            keygate::limit::Algorithm::FixedWindow => 0,
            keygate::limit::Algorithm::SlidingWindow => 1,
            _ => 2,
        };
        [algorithm, self.quota.limit(), self.quota.window().as_micros() as u64]
    }

    /// Takes `cost` at `now`, in microseconds; true if it was admitted.
    async fn take(&mut self, now: u64, cost: u64) -> (bool, Vec<u64>) {
        let (script, arguments) = (script(TAKE), self.arguments());
        let mut call = script.key(&self.key);
        call.arg(&arguments[..]).arg(cost).arg(now);
        let answer: Vec<u64> = call.invoke_async(&mut self.connection).await.unwrap();
        (answer[0] == 1, answer[2..].to_vec())
    }

    async fn undo(&mut self, now: u64, cost: u64, taken: u64) {
        self.settle(now, [cost, taken, 0]).await;
    }

    /// What is given back, when that was taken, and what is taken besides.
    async fn settle(&mut self, now: u64, rest: [u64; 3]) {
        let (script, arguments) = (script(SETTLE), self.arguments());
        let mut call = script.key(&self.key);
        call.arg(&arguments[..]).arg(&rest[..]).arg(now);
        let _: u64 = call.invoke_async(&mut self.connection).await.unwrap();
    }

    async fn expect(&self, now: u64, cost: u64) -> bool {
        self.clock.set(Timestamp::from_nanos(now * 1_000));
        call(&self.memory, "t0", cost).await.is_admitted()
    }

    /// True when both have as much left, which neither has changed then.
    async fn admits_as_memory_does(&mut self, now: u64) -> bool {
        let left = call(&self.memory, "t0", 0).await.one().remaining;
        let (is_there, state) = self.take(now, left).await;
        self.settle(now, [left, state[0], 0]).await;
        let (is_more_there, _) = self.take(now, left + 1).await;
        is_there && !is_more_there
    }

    /// How much is left at `now`: the most that is admitted.
    async fn left(&mut self, now: u64) -> u64 {
        let (mut least, mut most) = (0, self.quota.limit());
        while least < most {
            let middle = most - (most - least) / 2;
            if self.take(now, middle).await.0 {
                self.undo(now, middle, now).await;
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        least
    }
}

/// From the smallest to the largest that a quota may be.
fn any_quota() -> impl Strategy<Value = Quota> {
    let limit = prop_oneof![1..50_u64, 1..=Quota::MAX_LIMIT, Just(Quota::MAX_LIMIT)];
    let millis = prop_oneof![1..5_000_u64, 1..=366 * 86_400_000_u64, Just(366 * 86_400_000_u64)];
    (limit, millis, 0..3).prop_map(|(limit, millis, algorithm)| {
        let quota = Quota::new(limit, Duration::from_millis(millis)).unwrap();
        match algorithm {
            0 => quota,
            1 => quota.sliding(),
            _ => quota.gcra(),
        }
    })
}

/// How time goes on, in parts of a window of a million: back, too.
fn any_call() -> impl Strategy<Value = (i64, u64)> {
    let step = prop_oneof![4 => 0..400_000_i64, 2 => 0..3_000_000_i64, 1 => -3_000_000..0_i64];
    (step, 0..=1_100_000_u64)
}

fn at_any_time(url: &str) {
    let mut runner =
        TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let calls = prop::collection::vec(any_call(), 1..40);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runner.run(&(any_quota(), calls), |(quota, calls)| {
        runtime.block_on(async {
            let mut both = Both::new(url, quota).await;
            let window = quota.window().as_micros() as i64;
            let (mut now, mut is_kept) = (1_700_000_000_000_000_i64, false);
            for (step, share) in calls {
                // The server keeps no state for those that took nothing, and so nothing by which to
                // tell that a clock was put back since.
                let step = if is_kept { step } else { step.abs() };
                now += (i128::from(step) * i128::from(window) / 1_000_000) as i64;
                let now = now.max(0) as u64;
                let cost = (u128::from(share) * u128::from(quota.limit()) / 1_000_000) as u64;
                let (admitted, _) = both.take(now, cost).await;
                is_kept = admitted && cost > 0;
                prop_assert_eq!(admitted, both.expect(now, cost).await, "{:?} at {}", quota, now);
            }
            Ok(())
        })
    });
    done.unwrap();
}

async fn give_back(url: &str) {
    const START: u64 = 1_700_006_400_000_000;
    let minute = Quota::per_minute(100).unwrap();
    for quota in [minute, minute.sliding(), minute.gcra()] {
        let mut both = Both::new(url, quota).await;
        assert!(both.take(START, 60).await.0);
        assert!(both.take(START, 30).await.0);
        both.undo(START, 30, START).await;
        assert_eq!(both.left(START).await, 40, "{quota:?}");
        both.undo(START, 1_000, START).await;
        assert_eq!(both.left(START).await, 100, "{quota:?}: never more than nothing");
    }
    // What a bucket has leaked is not given back once more.
    let mut bucket = Both::new(url, minute.gcra()).await;
    assert!(bucket.take(START, 60).await.0);
    let later = START + 30_000_000;
    bucket.undo(later, 60, START).await;
    assert_eq!(bucket.left(later).await, 100);
    assert!(bucket.take(later, 60).await.0);
    bucket.undo(later, 60, START).await;
    assert_eq!(bucket.left(later).await, 50, "only what has not leaked");
    // What was taken in the window before is not taken from this one.
    let mut fixed = Both::new(url, minute).await;
    let later = START + 60_000_000;
    assert!(fixed.take(later, 60).await.0);
    fixed.undo(later, 60, START).await;
    assert_eq!(fixed.left(later).await, 40);
}

/// A request: how long after the last one, what it reserves, how many requests later it is settled, and
/// what it has spent; in parts of a window and of a limit of a million.
fn any_reservation() -> impl Strategy<Value = (u64, u64, usize, u64)> {
    let step = prop_oneof![4 => 0..400_000_u64, 1 => 0..3_000_000_u64];
    (step, 0..=700_000_u64, 0..6_usize, 0..=1_000_000_u64)
}

/// What a request holds in both places.
struct Held {
    rounds: usize,
    reservation: Reservation,
    cost: u64,
    taken: u64,
    spent: u64,
}

fn settle_at_any_time(url: &str) {
    let mut runner =
        TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let calls = prop::collection::vec(any_reservation(), 1..40);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runner.run(&(any_quota(), calls), |(quota, calls)| {
        runtime.block_on(async {
            let mut both = Both::new(url, quota).await;
            both.memory = gate([limit(quota).settle_later()], Some(both.clock.clone())).await;
            let part =
                |part: u64, whole: u64| (u128::from(part) * u128::from(whole) / 1_000_000) as u64;
            let (mut now, mut all) = (1_700_000_000_000_000_u64, Vec::<Held>::new());
            for (step, estimate, rounds, spent) in calls {
                now += part(step, quota.window().as_micros() as u64);
                both.clock.set(Timestamp::from_nanos(now * 1_000));
                for held in all.extract_if(.., |held| held.rounds == 0) {
                    let (back, more) = (
                        held.cost.saturating_sub(held.spent),
                        held.spent.saturating_sub(held.cost),
                    );
                    both.settle(now, [back, held.taken, more]).await;
                    held.reservation.commit(held.spent);
                }
                all.iter_mut().for_each(|held| held.rounds -= 1);
                let cost = part(estimate, quota.limit());
                let (admitted, state) = both.take(now, cost).await;
                let reservation = reserve(&both.memory, "t0", cost).await;
                prop_assert_eq!(admitted, reservation.is_some(), "{:?} at {}", quota, now);
                let spent = part(spent, quota.limit());
                all.extend(reservation.map(|reservation| Held {
                    rounds,
                    reservation,
                    cost,
                    taken: state[0],
                    spent,
                }));
                prop_assert_eq!(both.admits_as_memory_does(now).await, true);
            }
            Ok(())
        })
    });
    done.unwrap();
}

//! Real threads: exact sums, and nobody waits for ever.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::*;
use crate::limit::cell::Counter;
use crate::limit::identity::Identity;
use crate::limit::table::Table;

/// Runs `work` in four threads and adds up what they return.
fn in_threads(work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for index in 0..4 {
            let (work, total) = (&work, &total);
            scope.spawn(move || total.fetch_add(work(index), Ordering::SeqCst));
        }
    });
    total.into_inner()
}

fn day(limit: u64) -> Quota {
    Quota::per_day(limit).unwrap()
}

#[test]
fn one_limit_admits_exactly_its_quota() {
    for algorithm in ALGORITHMS {
        let limits = limits([Limit::per_tenant(quota(1_000, 86_400_000, algorithm))]);
        let total = in_threads(|index| {
            admitted(&limits, &key(&format!("k{index}"), "acme"), noon(), 1_000)
        });
        assert_eq!(total, 1_000, "{algorithm:?}");
    }
}

#[test]
fn several_limits_admit_exactly_the_smallest() {
    let wide = Limit::per_tenant(day(5_000));
    let limits = limits([wide.clone(), Limit::by(day(700), |_| Some("all".into()))]);
    let caller = key("k", "acme");
    assert_eq!(in_threads(|_| admitted(&limits, &caller, noon(), 500)), 700);
    let left = take(&self::limits([wide.cost(0)]), &caller, noon()).remaining();
    assert_eq!(left, [4_300], "what the small one refused was not taken from the large one");
}

#[test]
fn gates_that_list_limits_in_another_order_do_not_wait_for_each_other() {
    let (one, two) = (Limit::per_tenant(day(30_000)), Limit::per_key(day(25_000)));
    let forth = limits([one.clone(), two.clone()]);
    let back = limits([two, one]);
    let caller = key("k", "acme");
    let total = in_threads(|index| {
        let gate = if index % 2 == 0 { &forth } else { &back };
        admitted(gate, &caller, noon(), 10_000)
    });
    assert_eq!(total, 25_000);
}

#[test]
fn a_boundary_crossed_by_threads_opens_no_window_twice() {
    let limits = limits([Limit::per_tenant(Quota::new(100, Duration::from_millis(1)).unwrap())]);
    let caller = key("k", "acme");
    // Threads read the clock in turn and then count in any order: 50 windows in all.
    let clock = AtomicU64::new(0);
    let total = in_threads(|_| {
        (0..5_000)
            .filter(|_| {
                let now = at(NOON + clock.fetch_add(2_500, Ordering::SeqCst));
                take(&limits, &caller, now).is_admitted()
            })
            .count() as u64
    });
    assert!(total <= 50 * 100, "{total}");
    assert!(total > 4_000, "{total}");
}

#[test]
fn a_crowd_beyond_the_capacity_neither_hangs_nor_grows() {
    let tight = Limit::per_key(day(10)).capacity(3).unwrap();
    let limits = limits([tight.clone(), Limit::per_tenant(day(1_000_000))]);
    let total = in_threads(|index| {
        let crowd: Vec<_> = (0..8).map(|n| key(&format!("k{index}-{n}"), "acme")).collect();
        (0..300)
            .map(|_| crowd.iter().filter(|c| take(&limits, c, noon()).is_admitted()).count() as u64)
            .sum()
    });
    assert!(total > 0);
    assert!(tight.table().len() <= 3);
}

#[test]
fn who_takes_the_place_of_others_is_never_charged_for_them() {
    let limit = Limit::per_key(day(1_000_000)).capacity(8).unwrap();
    let limits = limits([limit.clone()]);
    in_threads(|index| {
        let crowd: Vec<_> = (0..16).map(|n| key(&format!("k{index}-{n}"), "acme")).collect();
        for round in 1..=500 {
            for caller in &crowd {
                let [remaining] = take(&limits, caller, noon()).remaining()[..] else { panic!() };
                let charged = 1_000_000 - remaining;
                assert!((1..=round).contains(&charged), "{charged} for {round} calls of its own");
            }
        }
        0
    });
    assert!(limit.table().len() <= 8);
}

#[test]
fn one_caller_at_hand_of_many_threads_pays_for_each_request() {
    for algorithm in ALGORITHMS {
        let limits = limits([Limit::per_key(quota(1_000_000, 86_400_000, algorithm))]);
        let caller = key("k", "acme");
        assert_eq!(in_threads(|_| admitted(&limits, &caller, noon(), 5_000)), 20_000);
        assert_eq!(take(&limits, &caller, noon()).remaining(), [1_000_000 - 20_001]);
    }
}

#[test]
fn who_counts_while_room_is_made_is_not_forgotten_for_one_who_has_consumed_nothing() {
    let (table, hourly) = (Table::new(8), Quota::per_hour(1).unwrap());
    let (hours, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let now = |hours: u64| after(hours * 3_600);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                let stranger = Identity::Text(format!("{n}").into());
                table.place(&stranger, &hourly, now(hours.load(Ordering::SeqCst))).unwrap();
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let mut forgotten = 0;
        let mut place = table.place(&Identity::Key("k"), &hourly, now(0)).unwrap();
        for hour in 1..=100_000 {
            hours.store(hour, Ordering::SeqCst);
            // The other thread is to be at each of its steps when this one counts.
            (0..hour % 512).for_each(|_| std::hint::spin_loop());
            loop {
                if let Some(mut counter) = table.lock(&place).unwrap() {
                    counter.take(&hourly, now(hour), 1);
                    break;
                }
                place = table.readmit(&place, now(hour)).unwrap();
            }
            forgotten += u64::from(table.lock(&place).unwrap().is_none());
        }
        is_over.store(true, Ordering::SeqCst);
        assert_eq!(forgotten, 0);
    });
}

/// Takes from a few accounts one by one while strangers come, who make the shard grow at first and then
/// go again; gives how much was taken of each and what its counter says.
fn count_among_strangers(quota: &Quota, times: u64) -> [(u64, u64); 4] {
    // One shard: all of them are in each other's way.
    let table = Table::new(96);
    let who = |index: usize| Identity::Text(format!("counted{index}").into());
    let take = |index: usize| {
        let take = |mut counter: Counter<'_>| counter.take(quota, noon(), 1);
        table.count(&who(index), quota, noon(), take).unwrap().remaining
    };
    let taken = [0; 4].map(AtomicU64::new);
    let (strangers, running) = (AtomicU64::new(0), AtomicU64::new(2));
    let count = || {
        for n in 0..times {
            let index = n as usize % 4;
            // It is never missing, which is what a budget of failures asks.
            let left = |counter: Counter<'_>| counter.decide(quota, noon(), 0).1.remaining;
            let left = table.look(&who(index), quota, left).unwrap().expect("it is counted");
            let then = take(index);
            assert!(then < left, "{then} is left of {left}");
            taken[index].fetch_add(1, Ordering::Relaxed);
        }
        running.fetch_sub(1, Ordering::SeqCst);
    };
    let come = || {
        while running.load(Ordering::SeqCst) > 0 {
            let n = strangers.fetch_add(1, Ordering::Relaxed);
            // Nothing is consumed of theirs, so it is them who go.
            table.place(&Identity::Text(n.to_string().into()), quota, noon()).unwrap();
        }
    };
    (0..4).for_each(|index| {
        take(index);
        taken[index].fetch_add(1, Ordering::Relaxed);
    });
    thread::scope(|scope| {
        scope.spawn(count);
        scope.spawn(come);
        scope.spawn(come);
        count();
    });
    let counted = |index| quota.limit() - 1 - take(index);
    std::array::from_fn(|index| (taken[index].load(Ordering::Relaxed), counted(index)))
}

#[test]
fn who_is_counted_while_the_shard_grows_and_gaps_are_closed_pays_for_each_request() {
    for algorithm in ALGORITHMS {
        let quota = quota(1_000_000, 86_400_000, algorithm);
        // Short ones are over while the shard grows, long ones go on when it is full.
        for times in [100; 200].into_iter().chain([20_000; 3]) {
            for (taken, counted) in count_among_strangers(&quota, times) {
                assert_eq!(taken, counted, "{algorithm:?}");
            }
        }
    }
}

#[test]
fn what_is_held_finds_its_counter_while_that_is_moved() {
    let quota = day(1_000_000);
    for _ in 0..100 {
        let table = Table::new(96);
        let held: Vec<_> = (0..4)
            .map(|n| {
                let who = Identity::Text(format!("held{n}").into());
                let place = table.place(&who, &quota, noon()).unwrap();
                table
                    .count(&who, &quota, noon(), |mut counter| counter.take(&quota, noon(), 1_000))
                    .unwrap();
                place
            })
            .collect();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0_u64.. {
                    table.place(&Identity::Text(n.to_string().into()), &quota, noon()).unwrap();
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for round in 0..300 {
                for place in &held {
                    let mut found = false;
                    table
                        .settle(place, |mut counter| {
                            let taken = counter.last();
                            counter.give_back(&quota, noon(), taken, 1);
                            found = true;
                        })
                        .unwrap();
                    assert!(found, "{round}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        for place in &held {
            let counter = table.lock(place).unwrap().unwrap();
            assert_eq!(counter.decide(&quota, noon(), 0).1.remaining, 1_000_000 - 700);
        }
    }
}

//! One counter: what it keeps, and what becomes of it when its quota changes.

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::Answer;
use crate::limit::cell::{Cell, Counter};
use crate::limit::identity::Identity;

fn cell() -> Cell {
    Cell::new(Identity::Key("k").parts())
}

fn spend(counter: &mut Counter, quota: &Quota, now: u64, tries: u64) -> u64 {
    let admitted = |_: &u64| counter.take(quota, at(now), 1).answer == Answer::Admitted;
    (0..tries).filter(admitted).count() as u64
}

#[test]
fn a_counter_takes_32_bytes_and_a_cell_56() {
    assert_eq!(size_of::<Counter>(), 32);
    // The lock and the counter are 40, the pointer to the identity 16; an Arc adds 16.
    assert_eq!(size_of::<Cell>(), 56);
}

#[test]
fn a_smaller_limit_cuts_what_is_left() {
    for algorithm in ALGORITHMS {
        let (large, small) = (quota(1_000, 60_000, algorithm), quota(100, 60_000, algorithm));
        let mut counter = Counter::default();
        assert_eq!(spend(&mut counter, &large, NOON, 900), 900);
        assert_eq!(spend(&mut counter, &small, NOON, 1), 0, "{algorithm:?}");
        let free = NOON + 120 * SECOND;
        assert_eq!(spend(&mut counter, &small, free, 200), 100, "{algorithm:?}");
    }
}

#[test]
fn a_larger_limit_counts_what_was_taken_before() {
    for algorithm in ALGORITHMS {
        let (small, large) = (quota(100, 60_000, algorithm), quota(1_000, 60_000, algorithm));
        let mut counter = Counter::default();
        assert_eq!(spend(&mut counter, &small, NOON, 200), 100);
        assert_eq!(spend(&mut counter, &large, NOON, 2_000), 900, "{algorithm:?}");
    }
}

#[test]
fn another_window_keeps_the_count() {
    let (minute, day) = (Quota::per_minute(10).unwrap(), Quota::per_day(15).unwrap());
    let mut counter = Counter::default();
    assert_eq!(spend(&mut counter, &minute, NOON, 20), 10);
    assert_eq!(spend(&mut counter, &day, NOON + 3_600 * SECOND, 20), 5);
    assert_eq!(spend(&mut counter, &minute, NOON + 3_660 * SECOND, 20), 10);
}

#[test]
fn another_algorithm_keeps_the_count() {
    for before in ALGORITHMS {
        for then in ALGORITHMS {
            let (before, then) = (quota(10, 60_000, before), quota(15, 60_000, then));
            let mut counter = Counter::default();
            assert_eq!(spend(&mut counter, &before, NOON, 20), 10);
            assert_eq!(spend(&mut counter, &then, NOON, 20), 5, "{before:?} to {then:?}");
        }
    }
}

#[test]
fn a_part_of_a_permit_counts_as_one_when_the_quota_changes() {
    let before = quota(10, 60_000, Algorithm::Gcra);
    for then in ALGORITHMS {
        let mut counter = Counter::default();
        spend(&mut counter, &before, NOON, 10);
        // 1.5 permits are given back: one may be taken, and the half is not.
        assert_eq!(spend(&mut counter, &before, NOON + 9 * SECOND, 10), 1);
        let then = quota(10, 61_000, then);
        assert_eq!(spend(&mut counter, &then, NOON + 9 * SECOND, 10), 0, "{then:?}");
    }
}

#[test]
fn a_poisoned_counter_is_an_error() {
    let cell = cell();
    cell.poison();
    assert!(cell.lock().is_err());
    assert_eq!(cell.consumed(noon()), 0, "so that it is the first to be dropped");
}

#[test]
fn consumption_is_told_by_the_quota_it_was_counted_under() {
    let cell = cell();
    assert_eq!(cell.consumed(noon()), 0);
    cell.lock().unwrap().take(&quota(4, 1_000, Algorithm::FixedWindow), noon(), 1);
    assert_eq!(cell.consumed(noon()), 1 << 18);
    assert_eq!(cell.consumed(after(1)), 0);
}

fn any_quota() -> impl Strategy<Value = Quota> {
    (1..200_u64, 1..5_000_u64, prop::sample::select(ALGORITHMS.to_vec()))
        .prop_map(|(limit, millis, algorithm)| quota(limit, millis, algorithm))
}

proptest! {
    #[test]
    fn a_change_of_quota_never_grants_more_than_the_new_one(
        first in any_quota(), second in any_quota(),
        before in prop::collection::vec(0..SECOND, 0..50),
        then in prop::collection::vec((0..SECOND, 1..20_u64), 1..50),
    ) {
        let (mut counter, mut now) = (Counter::default(), NOON);
        for step in before {
            now += step / 10;
            counter.take(&first, at(now), 1);
        }
        let window = second.window().as_nanos() as u64;
        let (mut index, mut granted) = (now / window, 0);
        for (step, cost) in then {
            now += step / 10;
            if now / window != index {
                (index, granted) = (now / window, 0);
            }
            let decision = counter.take(&second, at(now), cost);
            prop_assert!(decision.remaining <= second.limit());
            granted += if decision.answer == Answer::Admitted { cost } else { 0 };
            // A bucket may give its burst and a window's worth in one aligned window.
            let burst = u64::from(second.algorithm() == Algorithm::Gcra) * second.limit();
            prop_assert!(granted <= second.limit() + burst);
        }
    }

    #[test]
    fn a_counter_forgets_nothing_of_a_state(
        quota in any_quota(), costs in prop::collection::vec((0..SECOND, 0..30_u64), 1..40)
    ) {
        use crate::limit::algorithm::{State, decide};
        let (mut counter, mut state, mut now) = (Counter::default(), State::default(), NOON);
        for (step, cost) in costs {
            now += step;
            let (next, expected) = decide(&quota, state, now, cost);
            prop_assert_eq!(counter.take(&quota, at(now), cost), expected);
            state = next;
        }
    }
}

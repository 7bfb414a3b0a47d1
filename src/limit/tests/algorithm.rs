//! Each algorithm against a model that keeps the whole log and counts it anew for every decision.

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::{Answer, State, decide};

/// One admitted request.
#[derive(Clone, Copy, Debug)]
struct Event {
    time: u64,
    cost: u64,
}

fn sum(log: &[Event], within: impl Fn(u64) -> bool) -> u64 {
    log.iter().filter(|event| within(event.time)).map(|event| event.cost).sum()
}

/// What is left by the definition of the algorithm.
fn left_by_log(quota: &Quota, log: &[Event], now: u64) -> u64 {
    let (limit, window) = (quota.limit(), quota.window().as_nanos() as u64);
    let index = now / window;
    let this = sum(log, |time| time / window == index);
    match quota.algorithm() {
        Algorithm::FixedWindow => limit - this,
        Algorithm::SlidingWindow => {
            let before = sum(log, |time| time / window + 1 == index);
            let left = u128::from(window - now % window);
            let weighted = u128::from(before) * left / u128::from(window);
            limit.saturating_sub(this + weighted as u64)
        }
        Algorithm::Gcra => room_of_bucket(quota, log, now),
        Algorithm::CalendarMonth => unreachable!("has a model of its own"),
    }
}

/// A bucket holds the limit, and since each event of the log it was given back `limit / window` for
/// every nanosecond: the tightest of these bounds is what is left.
fn room_of_bucket(quota: &Quota, log: &[Event], now: u64) -> u64 {
    let (limit, window) = (u128::from(quota.limit()), quota.window().as_nanos());
    let mut room = limit * window;
    let mut since = 0;
    for event in log.iter().rev() {
        since += u128::from(event.cost);
        let bound = (limit * window + u128::from(now - event.time) * limit) - since * window;
        room = room.min(bound);
    }
    (room / window) as u64
}

fn any_quota() -> impl Strategy<Value = Quota> {
    let limits = prop_oneof![4 => 1..=20_u64, 1 => 1..=Quota::MAX_LIMIT];
    let windows = prop_oneof![3 => 1..=50_u64, 2 => 900..=70_000_u64, 1 => 1..=31_622_400_000_u64];
    (limits, windows, prop::sample::select(ALGORITHMS.to_vec()))
        .prop_map(|(limit, millis, algorithm)| quota(limit, millis, algorithm))
}

/// Steps in thousandths of a window, with costs in up to the limit and a little above it.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let step = prop_oneof![4 => 0..300_u64, 1 => 0..3_000_u64];
    let cost = prop_oneof![3 => Just(1), 2 => 0..1_100_u64];
    prop::collection::vec((step, cost), 1..60)
}

fn cost_under(quota: &Quota, thousandths: u64) -> u64 {
    match thousandths {
        0 | 1 => thousandths,
        _ => (u128::from(quota.limit()) * u128::from(thousandths) / 1_000) as u64,
    }
}

fn nanos_of(quota: &Quota) -> u64 {
    quota.window().as_nanos() as u64
}

fn step_of(quota: &Quota, thousandths: u64) -> u64 {
    (u128::from(nanos_of(quota)) * u128::from(thousandths) / 1_000) as u64
}

proptest! {
    #[test]
    fn decides_as_the_log_does(quota in any_quota(), start in 0..NOON, steps in steps()) {
        let (mut now, mut state, mut log) = (start, State::default(), Vec::new());
        for (step, cost) in steps {
            now += step_of(&quota, step) + step % 7;
            let cost = cost_under(&quota, cost);
            let left = left_by_log(&quota, &log, now);
            let (next, decision) = decide(&quota, state, now, cost);
            prop_assert_eq!(decision.answer == Answer::Admitted, cost <= left);
            prop_assert_eq!(decision.answer == Answer::Never, cost > quota.limit());
            let taken = if cost <= left { cost } else { 0 };
            prop_assert_eq!(decision.remaining, left - taken);
            if taken > 0 {
                log.push(Event { time: now, cost });
            }
            state = next;
        }
    }

    #[test]
    fn waiting_as_told_lets_in_and_not_a_nanosecond_less(
        quota in any_quota(), start in 0..NOON, steps in steps()
    ) {
        let (mut now, mut state) = (start, State::default());
        for (step, cost) in steps {
            now += step_of(&quota, step);
            let cost = cost_under(&quota, cost);
            let (next, decision) = decide(&quota, state, now, cost);
            if let Answer::After(wait) = decision.answer {
                prop_assert!(wait > 0);
                let (_, early) = decide(&quota, next, now + wait - 1, cost);
                prop_assert_ne!(early.answer, Answer::Admitted);
                let (_, due) = decide(&quota, next, now + wait, cost);
                prop_assert_eq!(due.answer, Answer::Admitted);
            }
            state = next;
        }
    }

    #[test]
    fn the_whole_quota_is_back_at_reset(
        quota in any_quota(), start in 0..NOON, steps in steps()
    ) {
        let (mut now, mut state) = (start, State::default());
        for (step, cost) in steps {
            now += step_of(&quota, step);
            let (next, decision) = decide(&quota, state, now, cost_under(&quota, cost));
            let (_, whole) = decide(&quota, next, now + decision.reset, quota.limit());
            prop_assert_eq!(whole.answer, Answer::Admitted);
            if decision.remaining < quota.limit() {
                let (_, early) = decide(&quota, next, now + decision.reset - 1, quota.limit());
                prop_assert_ne!(early.answer, Answer::Admitted);
            }
            state = next;
        }
    }

    #[test]
    fn what_is_left_only_falls_inside_a_fixed_window(
        limit in 1..50_u64, mut offsets in prop::collection::vec(0..SECOND, 1..80)
    ) {
        let quota = quota(limit, 1_000, Algorithm::FixedWindow);
        offsets.sort_unstable();
        let (mut state, mut left) = (State::default(), limit);
        for offset in offsets {
            let (next, decision) = decide(&quota, state, NOON + offset, 1);
            prop_assert!(decision.remaining <= left);
            (state, left) = (next, decision.remaining);
        }
    }

    #[test]
    fn no_stretch_of_time_admits_more_than_its_bound(
        quota in any_quota(), start in 0..NOON, steps in steps()
    ) {
        let (mut now, mut state, mut log) = (start, State::default(), Vec::<Event>::new());
        for (step, cost) in steps {
            now += step_of(&quota, step);
            let cost = cost_under(&quota, cost);
            let (next, decision) = decide(&quota, state, now, cost);
            state = next;
            if decision.answer == Answer::Admitted {
                log.push(Event { time: now, cost });
            }
        }
        let window = nanos_of(&quota);
        for (index, first) in log.iter().enumerate() {
            let aligned = sum(&log, |time| time / window == first.time / window);
            let any = sum(&log, |time| time >= first.time && time - first.time < window);
            match quota.algorithm() {
                Algorithm::CalendarMonth => unreachable!("has a model of its own"),
                Algorithm::FixedWindow | Algorithm::SlidingWindow => {
                    prop_assert!(aligned <= quota.limit());
                    prop_assert!(any <= 2 * quota.limit());
                }
                Algorithm::Gcra => for last in &log[index..] {
                    let span = u128::from(last.time - first.time);
                    let total: u64 = sum(&log[index..], |time| time <= last.time);
                    let bound = u128::from(quota.limit()) * (u128::from(window) + span);
                    prop_assert!(u128::from(total) * u128::from(window) <= bound);
                },
            }
        }
    }

    #[test]
    fn no_input_panics_overdraws_or_locks_out(
        quota in any_quota(),
        last in any::<u64>(), used in any::<u64>(), past in any::<u64>(),
        now in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(u64::MAX - 1)],
        cost in prop_oneof![any::<u64>(), 0..30_u64, Just(u64::MAX)],
    ) {
        // A counter keeps at most 40 and 55 bits of these.
        let state = State { last, used: used >> 24, past: past >> 9 };
        let (next, decision) = decide(&quota, state, now, cost);
        prop_assert!(decision.remaining <= quota.limit());
        prop_assert!(next.used <= quota.limit());
        let longest = nanos_of(&quota).max(SECOND) + 2 * nanos_of(&quota);
        prop_assert!(decision.reset <= longest);
        if let Answer::After(wait) = decision.answer {
            prop_assert!(wait <= longest);
        }
        let (_, look) = decide(&quota, state, now, 0);
        prop_assert_eq!(look.answer, Answer::Admitted);
    }

    #[test]
    fn a_clock_that_stumbles_back_opens_no_window_twice(
        limit in 1..10_u64,
        offsets in prop::collection::vec(0..4 * SECOND, 1..200),
    ) {
        // Within a window of the latest time seen, in any order, as threads see it.
        let quota = quota(limit, 1_000, Algorithm::FixedWindow);
        let (mut state, mut latest, mut log) = (State::default(), NOON, Vec::<Event>::new());
        for offset in offsets {
            let now = (NOON + offset).max(latest.saturating_sub(SECOND));
            latest = latest.max(now);
            let (next, decision) = decide(&quota, state, now, 1);
            state = next;
            if decision.answer == Answer::Admitted {
                log.push(Event { time: state.last, cost: 1 });
            }
        }
        for event in &log {
            let same = sum(&log, |time| time / SECOND == event.time / SECOND);
            prop_assert!(same <= limit);
        }
    }

    #[test]
    fn a_wait_told_after_the_clock_went_back_is_true(
        quota in any_quota(), back in 0..NOON, cost in 1..5_u64
    ) {
        let full = decide(&quota, State::default(), NOON, quota.limit()).0;
        let now = NOON - back;
        let cost = cost.min(quota.limit());
        let (state, decision) = decide(&quota, full, now, cost);
        let Answer::After(wait) = decision.answer else {
            return Err(TestCaseError::fail("a full quota admits nothing"));
        };
        prop_assert!(wait <= nanos_of(&quota).max(SECOND) + 2 * nanos_of(&quota));
        prop_assert_eq!(decide(&quota, state, now + wait, cost).1.answer, Answer::Admitted);
        prop_assert_ne!(decide(&quota, state, now + wait - 1, cost).1.answer, Answer::Admitted);
    }
}

#[test]
fn a_fixed_window_ends_where_the_unix_clock_says() {
    let quota = Quota::per_minute(2).unwrap();
    let (state, first) = decide(&quota, State::default(), NOON + 59 * SECOND, 1);
    assert_eq!((first.remaining, first.reset), (1, SECOND));
    let (state, second) = decide(&quota, state, NOON + 59 * SECOND, 1);
    assert_eq!((second.answer, second.remaining), (Answer::Admitted, 0));
    let (state, third) = decide(&quota, state, NOON + 60 * SECOND - 1, 1);
    assert_eq!((third.answer, third.remaining), (Answer::After(1), 0));
    let (_, fourth) = decide(&quota, state, NOON + 60 * SECOND, 1);
    assert_eq!((fourth.answer, fourth.remaining), (Answer::Admitted, 1));
}

#[test]
fn a_sliding_window_weighs_the_one_before() {
    let quota = Quota::per_minute(100).unwrap().sliding();
    let (state, _) = decide(&quota, State::default(), NOON, 80);
    // A quarter into the next window 60 of the 80 still count.
    let (state, quarter) = decide(&quota, state, NOON + 75 * SECOND, 40);
    assert_eq!((quarter.answer, quarter.remaining), (Answer::Admitted, 0));
    let (state, denied) = decide(&quota, state, NOON + 75 * SECOND, 1);
    // floor(80 * left / 60 s) is 59 from just beyond 60 on.
    assert_eq!(denied.answer, Answer::After(1));
    let (_, half) = decide(&quota, state, NOON + 90 * SECOND, 0);
    assert_eq!(half.remaining, 100 - 40 - 40);
}

#[test]
fn a_bucket_gives_its_burst_and_then_one_each_interval() {
    // A third of a second is no whole number of nanoseconds.
    let quota = Quota::per_second(3).unwrap().gcra();
    let (state, burst) = decide(&quota, State::default(), NOON, 3);
    assert_eq!((burst.answer, burst.remaining, burst.reset), (Answer::Admitted, 0, SECOND));
    let (mut state, denied) = decide(&quota, state, NOON, 1);
    assert_eq!(denied.answer, Answer::After(333_333_334));
    let mut count = 0;
    for nanos in (0..10 * SECOND).step_by(1_000_000) {
        let (next, decision) = decide(&quota, state, NOON + nanos, 1);
        count += u32::from(decision.answer == Answer::Admitted);
        state = next;
    }
    assert_eq!(count, 29, "the thirtieth is due at 10 s, when the loop has ended");
}

#[test]
fn a_bucket_never_drifts_from_its_rate() {
    let quota = quota(7, 1_000, Algorithm::Gcra);
    let (mut state, mut now) = (decide(&quota, State::default(), NOON, 7).0, NOON);
    for _ in 0..7_000 {
        let Answer::After(wait) = decide(&quota, state, now, 1).1.answer else {
            panic!("admitted")
        };
        now += wait;
        state = decide(&quota, state, now, 1).0;
    }
    // Each wait is rounded up to a nanosecond, and the next one makes up for it.
    assert_eq!(now - NOON, 1_000 * SECOND);
}

#[test]
fn a_cost_above_the_limit_is_refused_for_good_and_takes_nothing() {
    for algorithm in ALGORITHMS {
        let quota = quota(5, 1_000, algorithm);
        let (state, decision) = decide(&quota, State::default(), NOON, 6);
        assert_eq!((decision.answer, decision.remaining), (Answer::Never, 5));
        let (_, next) = decide(&quota, state, NOON, 5);
        assert_eq!(next.answer, Answer::Admitted, "{algorithm:?}");
    }
}

#[test]
fn a_look_takes_nothing_and_is_never_refused() {
    for algorithm in ALGORITHMS {
        let quota = quota(1, 1_000, algorithm);
        let (state, _) = decide(&quota, State::default(), NOON, 1);
        let (state, look) = decide(&quota, state, NOON, 0);
        assert_eq!((look.answer, look.remaining), (Answer::Admitted, 0), "{algorithm:?}");
        let (_, next) = decide(&quota, state, NOON + 2 * SECOND, 1);
        assert_eq!(next.answer, Answer::Admitted, "{algorithm:?}");
    }
}

#[test]
fn a_clock_far_back_moves_the_count_to_the_present() {
    for algorithm in ALGORITHMS {
        let quota = quota(3, 60_000, algorithm);
        let (state, _) = decide(&quota, State::default(), NOON + 1_000_000 * SECOND, 2);
        let (state, back) = decide(&quota, state, NOON, 1);
        assert_eq!((back.answer, back.remaining), (Answer::Admitted, 0), "{algorithm:?}");
        let (_, freed) = decide(&quota, state, NOON + 120 * SECOND, 3);
        assert_eq!(freed.answer, Answer::Admitted, "{algorithm:?}");
    }
}

#[test]
fn the_longest_quota_fits_into_time() {
    for algorithm in ALGORITHMS {
        let quota = quota(Quota::MAX_LIMIT, 366 * 86_400_000, algorithm);
        let (state, all) = decide(&quota, State::default(), NOON, Quota::MAX_LIMIT);
        assert_eq!((all.answer, all.remaining), (Answer::Admitted, 0), "{algorithm:?}");
        let (_, decision) = decide(&quota, state, NOON, Quota::MAX_LIMIT);
        assert_eq!(decision.answer, Answer::After(decision.reset), "{algorithm:?}");
    }
}

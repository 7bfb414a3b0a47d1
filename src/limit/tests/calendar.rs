//! Calendar months against a calendar that is counted day by day, and against another library's.

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::{Answer, State, decide};

const DAY: u64 = 86_400 * SECOND;

fn month(limit: u64) -> Quota {
    Quota::per_calendar_month(limit).unwrap()
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The length of each month from January 1970 on.
fn lengths() -> impl Iterator<Item = u64> {
    (1970..).flat_map(|year| {
        let february = if is_leap(year) { 29 } else { 28 };
        [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    })
}

/// The first nanosecond of each month that `Timestamp` can tell, and of the one after.
fn months() -> Vec<u64> {
    let starts = lengths().scan(0_u64, |day, length| {
        let start = *day;
        *day += length;
        start.checked_mul(DAY)
    });
    starts.collect()
}

/// The time left in the month of `at`, as jiff knows it.
fn left(at: u64) -> u64 {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at)).unwrap();
    let utc = time.to_zoned(jiff::tz::TimeZone::UTC);
    let next = utc.last_of_month().unwrap().tomorrow().unwrap().start_of_day().unwrap();
    u64::try_from(next.timestamp().as_nanosecond() - i128::from(at)).unwrap()
}

#[test]
fn every_month_until_2554_begins_and_ends_where_days_are_counted_to() {
    let months = months();
    assert!(months.len() > 7_000, "{}", months.len());
    for pair in months.windows(2) {
        let [start, end] = pair else { unreachable!() };
        let full = decide(&month(5), State::default(), *start, 5).0;
        let (_, first) = decide(&month(5), State::default(), *start, 0);
        assert_eq!(first.reset, end - start);
        let (_, last) = decide(&month(5), full, end - 1, 1);
        assert_eq!((last.answer, last.remaining, last.reset), (Answer::After(1), 0, 1));
        let (_, next) = decide(&month(5), full, *end, 1);
        assert_eq!((next.answer, next.remaining), (Answer::Admitted, 4));
    }
}

#[test]
fn a_leap_day_belongs_to_its_february() {
    let day = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as u64;
    for (at, days) in [
        ("2024-02-01T00:00:00Z", 29),
        ("2024-02-29T00:00:00Z", 1),
        ("2024-03-01T00:00:00Z", 31),
        ("2026-02-01T00:00:00Z", 28),
        ("2100-02-28T00:00:00Z", 1),
        ("2000-02-28T00:00:00Z", 2),
        ("1970-01-01T00:00:00Z", 31),
        ("2026-12-31T00:00:00Z", 1),
    ] {
        assert_eq!(decide(&month(1), State::default(), day(at), 1).1.reset, days * DAY, "{at}");
    }
}

#[test]
fn the_end_of_time_is_in_a_month_too() {
    let (_, decision) = decide(&month(1), State::default(), u64::MAX, 1);
    assert_eq!(decision.answer, Answer::Admitted);
    assert!((1..31 * DAY).contains(&decision.reset));
}

#[test]
fn a_standing_tells_when_the_next_month_begins() {
    let november = |day: u64| Timestamp::from_secs(1_793_491_200 + day * 86_400);
    let limits = limits([Limit::per_key(month(2))]);
    let caller = key("k", "acme");
    assert_eq!(take(&limits, &caller, november(0)).remaining(), [1]);
    assert_eq!(take(&limits, &caller, november(20)).remaining(), [0]);
    let denied = take(&limits, &caller, november(29));
    assert_eq!(denied.retry_after(), Some(Duration::from_secs(86_400)));
    let standing = &denied.standings.as_slice()[0];
    assert_eq!(standing.reset, november(30));
    assert_eq!(standing.window, Duration::from_secs(31 * 86_400), "whatever the month");
    assert_eq!(take(&limits, &caller, november(30)).remaining(), [1]);
}

proptest! {
    #[test]
    fn a_month_ends_when_another_library_says(at in 0..u64::MAX - 31 * DAY) {
        prop_assert_eq!(decide(&month(1), State::default(), at, 1).1.reset, left(at));
    }

    #[test]
    fn a_month_admits_its_limit_whatever_the_order(
        limit in 1..20_u64,
        start in 0..NOON,
        mut steps in prop::collection::vec(0..80 * DAY, 1..60),
    ) {
        steps.sort_unstable();
        let (mut state, mut taken) = (State::default(), std::collections::HashMap::new());
        for step in steps {
            let at = start + step;
            let end = at + left(at);
            let (next, decision) = decide(&month(limit), state, at, 1);
            let count = taken.entry(end).or_insert(0_u64);
            prop_assert_eq!(decision.answer == Answer::Admitted, *count < limit);
            *count = (*count + 1).min(limit);
            prop_assert_eq!(decision.remaining, limit - *count);
            prop_assert_eq!(at + decision.reset, end);
            state = next;
        }
    }
}

//! Quotas and limits as a user of the crate sets them up.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keygate::limit::Algorithm;
use keygate::{ConfigError, FailureBudget, Limit, Quota};
use proptest::prelude::*;
use serde_json::{from_str, to_string};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_usual_windows_have_names() {
    let windows = [
        (Quota::per_second(7), Duration::from_secs(1)),
        (Quota::per_minute(7), Duration::from_secs(60)),
        (Quota::per_hour(7), Duration::from_secs(3_600)),
        (Quota::per_day(7), DAY),
    ];
    for (quota, window) in windows {
        let quota = quota.unwrap();
        assert_eq!((quota.limit(), quota.window()), (7, window));
        assert_eq!(quota, Quota::new(7, window).unwrap());
        assert_eq!(quota.algorithm(), Algorithm::FixedWindow);
    }
}

#[test]
fn the_algorithm_is_a_word_more() {
    let quota = Quota::per_second(1).unwrap();
    assert_eq!(quota.sliding().algorithm(), Algorithm::SlidingWindow);
    assert_eq!(quota.gcra().algorithm(), Algorithm::Gcra);
    assert_ne!(quota, quota.gcra());
}

#[test]
fn a_calendar_month_is_31_days_wherever_there_is_no_calendar() {
    let month = Quota::per_calendar_month(7).unwrap();
    assert_eq!((month.limit(), month.window()), (7, 31 * DAY));
    assert_eq!(month.algorithm(), Algorithm::CalendarMonth);
    let rolling = Quota::new(7, 31 * DAY).unwrap();
    assert_ne!(month, rolling);
    assert_eq!(month.sliding(), rolling.sliding());
    assert_eq!(month.gcra(), rolling.gcra());
    assert!(Quota::per_calendar_month(0).is_err());
}

#[test]
fn bounds_are_part_of_the_range() {
    let millisecond = Duration::from_millis(1);
    assert!(Quota::new(1, millisecond).is_ok());
    assert!(Quota::new(Quota::MAX_LIMIT, 366 * DAY).is_ok());
    for (limit, window) in [
        (0, DAY),
        (Quota::MAX_LIMIT + 1, DAY),
        (u64::MAX, DAY),
        (1, Duration::ZERO),
        (1, Duration::from_nanos(999_999)),
        (1, Duration::from_micros(1_500)),
        (1, 366 * DAY + millisecond),
        (1, Duration::MAX),
    ] {
        assert!(Quota::new(limit, window).is_err(), "{limit} in {window:?}");
    }
}

#[test]
fn an_error_names_what_was_given() {
    let error = Quota::per_second(0).unwrap_err();
    assert_eq!(error.to_string(), "invalid limit of a quota \"0\": not 1 to 2^40 - 1");
    let error = Quota::new(1, Duration::from_micros(1_500)).unwrap_err();
    assert!(error.to_string().contains("1.5ms"), "{error}");
}

#[test]
fn a_quota_is_kept_as_json() {
    let quota = Quota::per_hour(500).unwrap();
    let text = r#"{"limit":500,"window_ms":3600000,"algorithm":"fixed_window"}"#;
    assert_eq!(to_string(&quota).unwrap(), text);
    assert_eq!(from_str::<Quota>(text).unwrap(), quota);
    let short = r#"{"limit":500,"window_ms":3600000}"#;
    assert_eq!(from_str::<Quota>(short).unwrap(), quota);
    let gcra = r#"{"limit":500,"window_ms":3600000,"algorithm":"gcra"}"#;
    assert_eq!(from_str::<Quota>(gcra).unwrap(), quota.gcra());
    let month = Quota::per_calendar_month(500).unwrap();
    let text = r#"{"limit":500,"algorithm":"calendar_month"}"#;
    assert_eq!(to_string(&month).unwrap(), text);
    assert_eq!(from_str::<Quota>(text).unwrap(), month);
}

#[test]
fn a_quota_out_of_bounds_is_no_quota() {
    for text in [
        r#"{"limit":0,"window_ms":1000}"#,
        r#"{"limit":-1,"window_ms":1000}"#,
        r#"{"limit":1.5,"window_ms":1000}"#,
        r#"{"limit":1099511627776,"window_ms":1000}"#,
        r#"{"limit":1,"window_ms":0}"#,
        r#"{"limit":1,"window_ms":31622400001}"#,
        r#"{"limit":1,"window_ms":18446744073709551615}"#,
        r#"{"limit":1,"window_ms":1000,"algorithm":"leaky"}"#,
        r#"{"limit":0,"algorithm":"calendar_month"}"#,
        r#"{"limit":1,"window_ms":1000,"algorithm":"calendar_month"}"#,
        r#"{"limit":1,"window_ms":2678400000,"algorithm":"calendar_month"}"#,
        r#"{"limit":1,"algorithm":"gcra"}"#,
        r#"{"limit":1}"#,
        r#"{"window_ms":1000}"#,
    ] {
        assert!(from_str::<Quota>(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn json_keeps_every_quota(
        limit in 1..=Quota::MAX_LIMIT, millis in 1..=31_622_400_000_u64, algorithm in 0..4
    ) {
        let quota = Quota::new(limit, Duration::from_millis(millis)).unwrap();
        let month = Quota::per_calendar_month(limit).unwrap();
        let quota = [quota, quota.sliding(), quota.gcra(), month][algorithm as usize];
        prop_assert_eq!(from_str::<Quota>(&to_string(&quota).unwrap()).unwrap(), quota);
    }

    #[test]
    fn no_json_panics(limit in any::<u64>(), window in any::<u64>()) {
        let text = format!(r#"{{"limit":{limit},"window_ms":{window}}}"#);
        let valid = (1..=Quota::MAX_LIMIT).contains(&limit)
            && (1..=31_622_400_000).contains(&window);
        prop_assert_eq!(from_str::<Quota>(&text).is_ok(), valid);
    }
}

fn limit() -> Limit {
    Limit::per_key(Quota::per_minute(1).unwrap())
}

#[test]
fn a_name_fits_into_a_header() {
    for name in ["a", "per hour", "!#~", &"n".repeat(64)] {
        assert!(limit().name(name).is_ok(), "{name}");
    }
    for name in ["", "a\"b", "a\\b", "a\nb", "a\tb", "\u{7f}", "größe", &"n".repeat(65)] {
        let error = limit().name(name).unwrap_err();
        assert!(matches!(error, ConfigError::Invalid { .. }), "{name}");
    }
}

#[test]
fn a_capacity_is_some_and_not_endless() {
    assert!(limit().capacity(1).is_ok());
    assert!(limit().capacity(0).is_err());
    assert!(limit().capacity(usize::MAX).is_err());
}

#[test]
fn an_ipv6_prefix_has_1_to_128_bits() {
    let limit = || Limit::per_address(Quota::per_minute(1).unwrap());
    assert!(limit().ipv6_prefix(1).is_ok());
    assert!(limit().ipv6_prefix(128).is_ok());
    assert!(limit().ipv6_prefix(0).is_err());
    assert!(limit().ipv6_prefix(129).is_err());
}

#[test]
fn debug_shows_name_and_quotas() {
    let quota = Quota::per_minute(7).unwrap();
    let shown = format!("{:?}", limit().plan("starter", quota).name("mine").unwrap());
    assert!(shown.contains("mine") && shown.contains("starter"), "{shown}");
    assert!(format!("{:?}", FailureBudget::new(quota)).contains('7'));
}

#[test]
fn limits_cross_threads() {
    fn check<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    check::<Limit>();
    check::<FailureBudget>();
    check::<Quota>();
}

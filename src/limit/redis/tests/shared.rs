//! What a limit that many machines share can't do, and says at its start.

use super::super::RedisCounters;
use crate::limit::{Limit, Limits, Quota};

/// Nobody is asked here.
fn redis() -> RedisCounters {
    RedisCounters::open("redis://127.0.0.1:1/").unwrap()
}

fn hour() -> Quota {
    Quota::per_hour(10).unwrap()
}

fn refused(limits: impl IntoIterator<Item = Limit>) -> String {
    Limits::new(limits).unwrap_err().to_string()
}

#[tokio::test]
async fn a_shared_limit_has_no_calendar_months() {
    let month = Quota::per_calendar_month(10).unwrap();
    let redis = redis();
    let why = "can't be counted by calendar month";
    assert!(refused([Limit::per_key(month).shared(redis.exact())]).contains(why));
    let on_a_plan = Limit::per_key(hour()).plan("pro", month).shared(redis.leased());
    assert!(refused([on_a_plan]).contains(why));
    let rolling = Limit::per_key(month.gcra()).shared(redis.exact());
    assert!(Limits::new([rolling, Limit::per_tenant(month)]).is_ok(), "in memory there are");
}

#[tokio::test]
async fn a_shared_limit_may_be_settled_later_and_stand_beside_one_that_is() {
    let redis = redis();
    let tokens = || Limit::per_tenant(hour()).settle_later();
    assert!(Limits::new([tokens(), Limit::per_key(hour()).shared(redis.exact())]).is_ok());
    assert!(Limits::new([tokens().shared(redis.exact()), Limit::per_key(hour())]).is_ok());
}

#[test]
fn a_share_is_a_part_of_the_limit_in_the_same_window() {
    let day = Quota::per_day(100).unwrap();
    let share = crate::limit::redis::shared::share;
    for quota in [day, day.sliding(), day.gcra()] {
        let mine = share(&quota, 4);
        assert_eq!((mine.limit(), mine.window()), (25, quota.window()));
        assert_eq!(mine.algorithm(), quota.algorithm());
        assert_eq!(share(&quota, 1_000).limit(), 1, "nobody is shut out by a large number");
    }
}

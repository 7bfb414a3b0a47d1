//! Plans that change while the service runs.

use super::*;
use crate::limit::Plans;

fn hour(limit: u64) -> Quota {
    Quota::per_hour(limit).unwrap()
}

fn on_plan(plan: &str) -> Principal {
    Principal::of_key(Arc::new(record("k", Tenant::new("acme").with_plan(plan))))
}

#[test]
fn a_plan_that_is_set_holds_from_the_next_request_on() {
    let plans = Plans::new([("pro", hour(2))]);
    let limits = limits([Limit::per_tenant(hour(1)).plans(&plans)]);
    let caller = on_plan("pro");
    assert_eq!(admitted(&limits, &caller, noon(), 9), 2);
    plans.set("pro", hour(5));
    assert_eq!(admitted(&limits, &caller, noon(), 9), 5, "a new count");
    plans.set("pro", hour(2));
    assert_eq!(admitted(&limits, &caller, noon(), 9), 0, "the old one");
    plans.remove("pro");
    assert_eq!(admitted(&limits, &caller, noon(), 9), 1, "the limit's own");
}

#[test]
fn limits_and_their_clones_share_plans() {
    let plans = Plans::default();
    let (tenant, per_key) = (Limit::per_tenant(hour(9)).plans(&plans), Limit::per_key(hour(9)));
    let limits = limits([tenant.clone(), per_key.plans(&plans.clone())]);
    let clone = self::limits([tenant]);
    plans.set("pro", hour(3));
    assert_eq!(take(&limits, &on_plan("pro"), noon()).remaining(), [2, 2]);
    assert_eq!(take(&clone, &on_plan("pro"), noon()).remaining(), [1]);
}

#[test]
fn a_plan_of_the_limit_stands_in_for_one_that_is_not_shared() {
    let plans = Plans::new([("pro", hour(3))]);
    let limit = Limit::per_key(hour(1)).plan("pro", hour(7)).plan("free", hour(2)).plans(&plans);
    let limits = limits([limit]);
    assert_eq!(take(&limits, &on_plan("pro"), noon()).remaining(), [2]);
    assert_eq!(take(&limits, &on_plan("free"), noon()).remaining(), [1]);
    assert_eq!(take(&limits, &on_plan("none"), noon()).remaining(), [0]);
    plans.remove("pro");
    assert_eq!(take(&limits, &on_plan("pro"), noon()).remaining(), [6]);
}

#[test]
fn replacing_sets_all_and_ends_the_others() {
    let plans = Plans::new([("a", hour(1)), ("b", hour(2))]);
    plans.replace([("b", hour(3)), ("c", hour(4))]);
    let all = ["a", "b", "c"].map(|name| plans.get(name));
    assert_eq!(all, [None, Some(hour(3)), Some(hour(4))]);
    plans.replace(Vec::<(&str, Quota)>::new());
    assert_eq!(plans.get("b"), None);
}

#[test]
fn a_cost_above_a_shared_plan_is_found_at_start_and_refused_later() {
    let plans = Plans::new([("small", hour(2))]);
    let limit = Limit::per_key(hour(10)).plans(&plans).cost(3);
    assert!(Limits::new([limit.clone()]).is_err());
    plans.set("small", hour(3));
    let limits = limits([limit]);
    assert!(take(&limits, &on_plan("small"), noon()).is_admitted());
    plans.set("small", hour(2));
    let never = take(&limits, &on_plan("small"), noon());
    assert!(!never.is_admitted());
    assert_eq!(never.retry_after(), None);
}

#[test]
fn a_place_is_good_for_the_quota_it_was_taken_under() {
    let plans = Plans::new([("pro", hour(100))]);
    let limits = limits([Limit::per_key(hour(1)).plans(&plans)]);
    let caller = on_plan("pro");
    for turn in 1..=20 {
        for limit in [100, 200] {
            plans.set("pro", hour(limit));
            assert_eq!(take(&limits, &caller, noon()).remaining(), [limit - turn]);
        }
    }
}

#[test]
fn plans_change_under_the_hands_of_threads() {
    let plans = Plans::new([("pro", hour(1_000))]);
    let limits = limits([Limit::per_tenant(hour(1)).plans(&plans)]);
    let quotas = [hour(1_000), hour(500), hour(250)];
    let total = std::thread::scope(|scope| {
        let count = || {
            let caller = on_plan("pro");
            (0..2_000).filter(|_| take(&limits, &caller, noon()).is_admitted()).count()
        };
        let counting = [scope.spawn(count), scope.spawn(count), scope.spawn(count)];
        for turn in 0..3_000 {
            plans.set("pro", quotas[turn % 3]);
        }
        counting.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
    });
    assert!((250..=1_750).contains(&total), "never more than the sum: {total}");
}

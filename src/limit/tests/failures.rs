//! The budget of failed authentications.

use super::*;
use crate::limit::FailureBudget;

fn budget(failures: u64) -> FailureBudget {
    FailureBudget::new(Quota::per_minute(failures).unwrap())
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn fail(budget: &FailureBudget, from: &str) -> Option<Duration> {
    budget.record(address(from), noon()).unwrap()
}

#[test]
fn failures_within_the_budget_are_answered_as_they_are() {
    let budget = budget(3);
    for _ in 0..3 {
        assert_eq!(fail(&budget, "192.0.2.1"), None);
    }
    assert_eq!(fail(&budget, "192.0.2.1"), Some(Duration::from_secs(60)));
    assert_eq!(fail(&budget, "192.0.2.2"), None, "another address has its own");
    assert_eq!(budget.record(address("192.0.2.1"), after(60)).unwrap(), None);
}

#[test]
fn an_ipv6_network_has_one_budget() {
    let budget = budget(2);
    assert_eq!(fail(&budget, "2001:db8::1"), None);
    assert_eq!(fail(&budget, "2001:db8::2"), None);
    assert!(fail(&budget, "2001:db8::ffff:3").is_some());
    assert_eq!(fail(&budget, "2001:db8:0:1::1"), None);
}

#[test]
fn a_shorter_prefix_makes_larger_networks() {
    let budget = budget(1).ipv6_prefix(48).unwrap();
    assert_eq!(fail(&budget, "2001:db8::1"), None);
    assert!(fail(&budget, "2001:db8:0:ffff::1").is_some());
    assert!(budget.clone().ipv6_prefix(0).is_err());
    assert!(budget.ipv6_prefix(129).is_err());
}

#[test]
fn a_mapped_address_is_the_ipv4_one() {
    let budget = budget(1);
    assert_eq!(fail(&budget, "192.0.2.1"), None);
    assert!(fail(&budget, "::ffff:192.0.2.1").is_some());
}

#[test]
fn those_without_an_address_share_a_budget() {
    let budget = budget(1);
    assert_eq!(budget.record(None, noon()).unwrap(), None);
    assert!(budget.record(None, noon()).unwrap().is_some());
    assert_eq!(fail(&budget, "0.0.0.0"), None);
}

#[test]
fn nobody_without_an_address_is_refused_for_the_failures_of_others() {
    let budget = budget(1).before_verification();
    for _ in 0..9 {
        let _ = budget.record(None, noon());
    }
    assert_eq!(budget.exhausted(None, noon()).unwrap(), None);
    assert!(budget.check(None, noon()).is_ok());
    assert!(budget.fail(None, noon()).is_err(), "another failure is");
}

#[test]
fn a_look_tells_the_wait_and_counts_nothing() {
    let budget = budget(1);
    let look = |now| budget.exhausted(address("192.0.2.1"), now).unwrap();
    for _ in 0..5 {
        assert_eq!(look(noon()), None);
    }
    assert_eq!(fail(&budget, "192.0.2.1"), None);
    assert_eq!(look(after(10)), Some(Duration::from_secs(50)));
    assert_eq!(look(after(60)), None);
    assert_eq!(budget.record(address("192.0.2.1"), after(60)).unwrap(), None);
}

#[test]
fn looks_alone_let_time_pass_after_the_clock_was_set_back() {
    let budget = budget(1);
    budget.record(address("192.0.2.1"), after(86_400)).unwrap();
    let wait = budget.exhausted(address("192.0.2.1"), noon()).unwrap().unwrap();
    assert_eq!(wait, Duration::from_secs(60));
    let then = noon().saturating_add(wait);
    assert_eq!(budget.exhausted(address("192.0.2.1"), then).unwrap(), None);
}

#[test]
fn clones_share_the_count() {
    let budget = budget(1);
    assert_eq!(fail(&budget.clone().before_verification(), "192.0.2.1"), None);
    assert!(fail(&budget, "192.0.2.1").is_some());
}

#[test]
fn refusing_before_verification_is_a_choice() {
    assert!(!budget(1).is_before_verification());
    assert!(budget(1).before_verification().is_before_verification());
}

#[test]
fn a_flood_of_addresses_does_not_free_the_one_at_its_limit() {
    let budget = budget(5).capacity(100).unwrap();
    for _ in 0..6 {
        fail(&budget, "192.0.2.1");
    }
    for n in 0..10_000_u32 {
        budget.record(Some(IpAddr::from(n.to_be_bytes())), noon()).unwrap();
    }
    assert!(budget.exhausted(address("192.0.2.1"), noon()).unwrap().is_some());
}

#[test]
fn a_count_that_was_dropped_for_room_begins_anew() {
    let budget = budget(2).capacity(1).unwrap();
    assert_eq!(fail(&budget, "192.0.2.1"), None);
    assert_eq!(fail(&budget, "192.0.2.2"), None);
    assert_eq!(budget.exhausted(address("192.0.2.1"), noon()).unwrap(), None);
    assert_eq!(fail(&budget, "192.0.2.1"), None);
    assert_eq!(fail(&budget, "192.0.2.1"), None);
    assert!(fail(&budget, "192.0.2.1").is_some());
}

#[test]
fn a_poisoned_count_lets_nobody_pass() {
    let budget = budget(2);
    fail(&budget, "192.0.2.1");
    budget.addresses.table.poison();
    assert!(budget.record(address("192.0.2.1"), noon()).is_err());
    assert!(budget.exhausted(address("192.0.2.1"), noon()).is_err());
}

#[test]
fn every_algorithm_serves_as_a_budget() {
    for algorithm in ALGORITHMS {
        let budget = FailureBudget::new(quota(2, 60_000, algorithm));
        assert_eq!(fail(&budget, "192.0.2.1"), None);
        assert_eq!(fail(&budget, "192.0.2.1"), None);
        let wait = fail(&budget, "192.0.2.1").unwrap();
        let looked = budget.exhausted(address("192.0.2.1"), noon()).unwrap();
        assert_eq!(looked, Some(wait), "{algorithm:?}");
        let then = noon().saturating_add(wait);
        assert_eq!(budget.record(address("192.0.2.1"), then).unwrap(), None, "{algorithm:?}");
    }
}

#[test]
fn a_capacity_of_nothing_is_refused() {
    assert!(budget(1).capacity(0).is_err());
    assert!(budget(1).capacity(usize::MAX).is_err());
}

#[test]
fn a_service_that_checks_passwords_is_told_whom_to_refuse() {
    use crate::RejectionKind::{TooManyFailures, Unavailable};

    let budget = budget(2);
    let from = address("192.0.2.1");
    assert!(budget.check(from, noon()).is_ok(), "nobody has failed");
    assert!(budget.fail(from, noon()).is_ok() && budget.fail(from, noon()).is_ok());
    for refused in [budget.check(from, after(10)), budget.fail(from, after(10))] {
        let rejection = refused.unwrap_err();
        assert_eq!(rejection.kind(), TooManyFailures);
        assert_eq!(rejection.retry_after(), Some(Duration::from_secs(50)));
    }
    assert!(budget.check(from, after(60)).is_ok(), "a minute later");
    budget.addresses.table.poison();
    for refused in [budget.check(from, noon()), budget.fail(from, noon())] {
        assert_eq!(refused.unwrap_err().kind(), Unavailable);
    }
}

fn fail_with(budget: &FailureBudget, from: u32, prefix: &str, now: Timestamp) -> Option<Duration> {
    let from = Some(IpAddr::from(from.to_be_bytes()));
    let refused = budget.fail_with(from, || Some(prefix.to_owned()), now).err()?;
    assert_eq!(refused.kind(), crate::RejectionKind::TooManyFailures);
    refused.retry_after()
}

#[test]
fn guesses_at_one_prefix_are_bounded_from_however_many_addresses() {
    let budget = budget(1_000).per_prefix(Quota::per_hour(3).unwrap());
    let refused = |n| fail_with(&budget, n, "sk_live_abcd", noon()).is_some();
    assert_eq!((0..100).map(refused).filter(|refused| *refused).count(), 97);
    assert_eq!(fail_with(&budget, 200, "sk_live_abce", noon()), None, "another prefix has its own");
    assert_eq!(fail_with(&budget, 7, "sk_live_abcd", after(3_600)), None);
}

#[test]
fn a_failure_counts_for_its_address_and_its_prefix_whichever_refuses() {
    let budget = budget(2).per_prefix(Quota::per_hour(3).unwrap());
    let wait = |from, prefix, now| fail_with(&budget, from, prefix, now).map(|wait| wait.as_secs());
    assert_eq!(wait(1, "a", noon()), None);
    assert_eq!(wait(1, "a", noon()), None);
    assert_eq!(wait(1, "b", noon()), Some(60), "the address");
    assert_eq!(wait(2, "a", noon()), None);
    assert_eq!(wait(2, "a", noon()), Some(3_600), "the prefix");
    assert_eq!(wait(1, "a", noon()), Some(3_600), "the longer of both");
    assert_eq!(wait(1, "b", after(60)), None);
}

#[test]
fn what_shows_nothing_is_counted_by_its_address_alone() {
    let budget = budget(2).per_prefix(Quota::per_hour(1).unwrap());
    let fail = || budget.fail_with(address("192.0.2.1"), || None, noon());
    assert!(fail().is_ok() && fail().is_ok());
    assert!(fail().is_err());
    let unasked = self::budget(1);
    let shown = || panic!("nobody counts by it");
    assert!(unasked.fail_with(address("192.0.2.1"), shown, noon()).is_ok());
}

#[test]
fn a_prefix_at_its_limit_refuses_nobody_before_verification() {
    let budget = budget(9).per_prefix(Quota::per_hour(1).unwrap()).before_verification();
    for from in 0..5 {
        fail_with(&budget, from, "sk_live_abcd", noon());
    }
    assert!(budget.check(Some(IpAddr::from([0, 0, 0, 1])), noon()).is_ok());
}

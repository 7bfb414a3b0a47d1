//! The table: bounded, and fair to those who are at their limit.

use super::*;
use crate::limit::algorithm::Answer;
use crate::limit::identity::Identity;
use crate::limit::table::Table;

const CAPACITY: usize = 10_000;

fn hourly() -> Quota {
    Quota::per_hour(100).unwrap()
}

fn spend(table: &Table, id: &str, quota: &Quota, now: Timestamp, cost: u64) -> Answer {
    let cell = table.cell(&Identity::Key(id), quota, now).unwrap();
    cell.lock().unwrap().take(quota, now, cost).answer
}

#[test]
fn finds_what_it_has_and_nothing_else() {
    let table = Table::new(100);
    let cell = table.cell(&Identity::Key("a"), &hourly(), noon()).unwrap();
    assert!(Arc::ptr_eq(&cell, &table.cell(&Identity::Key("a"), &hourly(), noon()).unwrap()));
    assert!(Arc::ptr_eq(&cell, &table.find(&Identity::Key("a"), &hourly()).unwrap().unwrap()));
    assert!(table.find(&Identity::Tenant("a"), &hourly()).unwrap().is_none());
    assert_eq!(table.len(), 1, "looking adds nothing");
}

#[test]
fn a_million_identities_neither_fill_it_nor_free_a_caller_at_its_limit() {
    let table = Table::new(CAPACITY);
    let victims: Vec<String> = (0..50).map(|n| format!("victim{n}")).collect();
    for victim in &victims {
        assert_eq!(spend(&table, victim, &hourly(), noon(), 100), Answer::Admitted);
    }
    for n in 0..1_000_000 {
        spend(&table, &format!("flood{n}"), &hourly(), noon(), 1);
        if n % 10_000 == 0 {
            assert!(table.len() <= CAPACITY);
        }
    }
    assert!(table.len() <= CAPACITY);
    for victim in &victims {
        let answer = spend(&table, victim, &hourly(), noon(), 1);
        assert!(matches!(answer, Answer::After(_)), "{victim}: {answer:?}");
    }
}

/// The bytes of a table for each of its counters; one and its `Arc` are 64.
fn bytes_each(table: &Table) -> usize {
    table.allocated().div_ceil(table.len()) + 64
}

#[test]
fn an_identity_takes_77_bytes_in_a_full_table_its_name_included() {
    let tail = "the name of a tenant, as long as it may be: ".repeat(9);
    for capacity in [50_000, 100_000, 131_072, 300_000] {
        let table = Table::new(capacity);
        let fill = |names: std::ops::Range<usize>| {
            for n in names {
                spend(&table, &format!("{n}{tail}"), &hourly(), noon(), 1);
            }
        };
        fill(0..capacity);
        assert!(table.len() > capacity / 20 * 19, "{}", table.len());
        assert!(bytes_each(&table) <= 80, "{} for {capacity}", bytes_each(&table));
        fill(capacity..capacity * 4);
        assert_eq!(table.len(), capacity);
        assert!(bytes_each(&table) <= 77, "{} for {capacity}, after a flood", bytes_each(&table));
    }
}

#[test]
fn a_flood_leaves_no_table_larger_than_it_must_be() {
    for capacity in [1, 2, 7, 64, 100, 1_000, 4_095, 4_096] {
        let table = Table::new(capacity);
        for n in 0..20 * capacity + 100 {
            spend(&table, &n.to_string(), &hourly(), noon(), 1);
            assert!(table.len() <= capacity);
        }
        assert_eq!(table.len(), capacity);
        let found = |n: &usize| table.find(&Identity::Key(&n.to_string()), &hourly()).unwrap();
        let last = 20 * capacity + 99;
        assert!(found(&last).is_some(), "the newest is there");
        assert_eq!((0..=last).filter(|n| found(n).is_some()).count(), capacity);
    }
}

#[test]
fn long_identities_with_one_beginning_have_their_own_counters() {
    let table = Table::new(100);
    let (one, other) = ("x".repeat(200) + "1", "x".repeat(200) + "2");
    assert_eq!(spend(&table, &one, &hourly(), noon(), 100), Answer::Admitted);
    assert_eq!(spend(&table, &other, &hourly(), noon(), 100), Answer::Admitted);
    assert!(matches!(spend(&table, &one, &hourly(), noon(), 1), Answer::After(_)));
    assert!(table.find(&Identity::Key(&one), &hourly()).unwrap().is_some());
    assert!(table.find(&Identity::Tenant(&one), &hourly()).unwrap().is_none());
}

#[test]
fn an_evicted_counter_of_a_long_identity_comes_back() {
    let table = Table::new(1);
    let long = "x".repeat(200);
    let held = table.cell(&Identity::Key(&long), &hourly(), noon()).unwrap();
    held.lock().unwrap().take(&hourly(), noon(), 40);
    table.cell(&Identity::Key("other"), &hourly(), noon()).unwrap();
    table.readmit(&held, noon()).unwrap();
    assert!(Arc::ptr_eq(&held, &table.cell(&Identity::Key(&long), &hourly(), noon()).unwrap()));
}

#[test]
fn a_quota_has_its_own_counter_and_comes_back_to_it() {
    let table = Table::new(100);
    let other = Quota::per_hour(101).unwrap();
    assert_eq!(spend(&table, "a", &hourly(), noon(), 100), Answer::Admitted);
    assert_eq!(spend(&table, "a", &other, noon(), 101), Answer::Admitted);
    for quota in [hourly(), other] {
        assert!(matches!(spend(&table, "a", &quota, noon(), 1), Answer::After(_)));
    }
    assert_eq!(table.len(), 2);
}

#[test]
fn whose_quota_is_whole_again_goes_first() {
    let table = Table::new(64);
    let (second, hour) = (Quota::per_second(100).unwrap(), hourly());
    for n in 0..32 {
        spend(&table, &format!("short{n}"), &second, noon(), 99);
        spend(&table, &format!("long{n}"), &hour, noon(), 1);
    }
    for n in 0..32 {
        spend(&table, &format!("new{n}"), &hour, after(2), 1);
    }
    let is_kept =
        |n: &i32| table.find(&Identity::Key(&format!("long{n}")), &hour).unwrap().is_some();
    let kept = (0..32).filter(is_kept);
    assert!(kept.count() >= 28, "a sample without anyone expired may drop a few");
    assert!(table.len() <= 64);
}

#[test]
fn of_two_the_one_goes_that_has_consumed_the_smaller_share() {
    let table = Table::new(2);
    let (small, large) = (Quota::per_hour(10).unwrap(), Quota::per_hour(10_000).unwrap());
    spend(&table, "small", &small, noon(), 10);
    spend(&table, "large", &large, noon(), 5_000);
    spend(&table, "new", &hourly(), noon(), 1);
    assert!(table.find(&Identity::Key("small"), &small).unwrap().is_some());
    assert!(table.find(&Identity::Key("large"), &large).unwrap().is_none());
}

#[test]
fn room_for_one_is_enough() {
    let table = Table::new(1);
    for n in 0..100 {
        assert_eq!(spend(&table, &n.to_string(), &hourly(), noon(), 100), Answer::Admitted);
        assert_eq!(table.len(), 1);
    }
}

#[test]
fn an_evicted_counter_comes_back_with_its_count() {
    let table = Table::new(1);
    let held = table.cell(&Identity::Key("held"), &hourly(), noon()).unwrap();
    held.lock().unwrap().take(&hourly(), noon(), 40);
    table.cell(&Identity::Key("other"), &hourly(), noon()).unwrap();
    assert!(held.lock().unwrap().is_evicted());

    let back = table.readmit(&held, noon()).unwrap();
    assert!(Arc::ptr_eq(&back, &held));
    assert!(!held.lock().unwrap().is_evicted());
    assert_eq!(held.lock().unwrap().take(&hourly(), noon(), 1).remaining, 59);
    assert_eq!(table.len(), 1);
}

#[test]
fn an_evicted_counter_yields_to_the_one_that_came_in_between() {
    let table = Table::new(1);
    let held = table.cell(&Identity::Key("held"), &hourly(), noon()).unwrap();
    table.cell(&Identity::Key("other"), &hourly(), noon()).unwrap();
    let fresh = table.cell(&Identity::Key("held"), &hourly(), noon()).unwrap();
    assert!(!Arc::ptr_eq(&held, &fresh));
    assert!(Arc::ptr_eq(&table.readmit(&held, noon()).unwrap(), &fresh));
    assert!(held.lock().unwrap().is_evicted(), "nobody may count here any more");
}

#[test]
fn a_poisoned_counter_is_the_first_to_go() {
    let table = Table::new(2);
    table.cell(&Identity::Key("poisoned"), &hourly(), noon()).unwrap().poison();
    spend(&table, "good", &hourly(), noon(), 1);
    spend(&table, "new", &hourly(), noon(), 1);
    assert!(table.find(&Identity::Key("poisoned"), &hourly()).unwrap().is_none());
    assert!(table.find(&Identity::Key("good"), &hourly()).unwrap().is_some());
}

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
    let cell = table.cell(&Identity::Key(id), now).unwrap();
    cell.lock().unwrap().take(quota, now, cost).answer
}

#[test]
fn finds_what_it_has_and_nothing_else() {
    let table = Table::new(100);
    let cell = table.cell(&Identity::Key("a"), noon()).unwrap();
    assert!(Arc::ptr_eq(&cell, &table.cell(&Identity::Key("a"), noon()).unwrap()));
    assert!(Arc::ptr_eq(&cell, &table.find(&Identity::Key("a")).unwrap().unwrap()));
    assert!(table.find(&Identity::Tenant("a")).unwrap().is_none());
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

#[test]
fn an_identity_stays_within_a_hundred_bytes() {
    let table = Table::new(100_000);
    for n in 0..100_000 {
        table.cell(&Identity::Key(&n.to_string()), noon()).unwrap();
    }
    // Cell and Arc are 72 bytes, 16 of them the pointer to the identity's text.
    let overhead = table.allocated().div_ceil(table.len()) + 72;
    assert!(overhead <= 100, "{overhead}");
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
    let kept =
        (0..32).filter(|n| table.find(&Identity::Key(&format!("long{n}"))).unwrap().is_some());
    assert!(kept.count() >= 28, "a sample without anyone expired may drop a few");
    assert!(table.len() <= 64);
}

#[test]
fn of_two_the_one_goes_that_has_consumed_the_smaller_share() {
    let table = Table::new(2);
    spend(&table, "small", &Quota::per_hour(10).unwrap(), noon(), 10);
    spend(&table, "large", &Quota::per_hour(10_000).unwrap(), noon(), 5_000);
    spend(&table, "new", &hourly(), noon(), 1);
    assert!(table.find(&Identity::Key("small")).unwrap().is_some());
    assert!(table.find(&Identity::Key("large")).unwrap().is_none());
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
    let held = table.cell(&Identity::Key("held"), noon()).unwrap();
    held.lock().unwrap().take(&hourly(), noon(), 40);
    table.cell(&Identity::Key("other"), noon()).unwrap();
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
    let held = table.cell(&Identity::Key("held"), noon()).unwrap();
    table.cell(&Identity::Key("other"), noon()).unwrap();
    let fresh = table.cell(&Identity::Key("held"), noon()).unwrap();
    assert!(!Arc::ptr_eq(&held, &fresh));
    assert!(Arc::ptr_eq(&table.readmit(&held, noon()).unwrap(), &fresh));
    assert!(held.lock().unwrap().is_evicted(), "nobody may count here any more");
}

#[test]
fn a_poisoned_counter_is_the_first_to_go() {
    let table = Table::new(2);
    table.cell(&Identity::Key("poisoned"), noon()).unwrap().poison();
    spend(&table, "good", &hourly(), noon(), 1);
    spend(&table, "new", &hourly(), noon(), 1);
    assert!(table.find(&Identity::Key("poisoned")).unwrap().is_none());
    assert!(table.find(&Identity::Key("good")).unwrap().is_some());
}

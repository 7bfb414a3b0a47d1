//! The table: bounded, and fair to those who are at their limit.

use super::*;
use crate::limit::algorithm::Answer;
use crate::limit::cell::Counter;
use crate::limit::identity::Identity;
use crate::limit::shard::Shard;
use crate::limit::table::{Place, Table};

const CAPACITY: usize = 10_000;

fn hourly() -> Quota {
    Quota::per_hour(100).unwrap()
}

fn spend(table: &Table, id: &str, quota: &Quota, now: Timestamp, cost: u64) -> Answer {
    let take = |mut counter: Counter<'_>| counter.take(quota, now, cost).answer;
    table.count(&Identity::Key(id), quota, now, take).unwrap()
}

#[test]
fn a_shard_is_a_line_of_memory() {
    assert_eq!((size_of::<Shard>(), align_of::<Shard>()), (64, 64));
}

#[test]
fn finds_what_it_has_and_nothing_else() {
    let table = Table::new(100);
    let place = table.place(&Identity::Key("a"), &hourly(), noon()).unwrap();
    assert_eq!(table.place(&Identity::Key("a"), &hourly(), noon()).unwrap(), place);
    assert_eq!(table.find(&Identity::Key("a"), &hourly()).unwrap(), Some(place));
    assert!(table.find(&Identity::Tenant("a"), &hourly()).unwrap().is_none());
    assert_eq!(table.len(), 1, "looking adds nothing");
}

#[test]
fn a_million_identities_neither_fill_it_nor_free_a_caller_at_its_limit() {
    let table = Table::new(CAPACITY as u32);
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

fn bytes_each(table: &Table) -> usize {
    table.allocated().div_ceil(table.len())
}

#[test]
fn an_identity_takes_64_bytes_at_most_in_a_full_table_its_name_included() {
    let tail = "the name of a tenant, as long as it may be: ".repeat(9);
    for capacity in [1_000, 50_000, 100_000, 131_072, 300_000] {
        let table = Table::new(capacity);
        let fill = |names: std::ops::Range<u32>| {
            for n in names {
                spend(&table, &format!("{n}{tail}"), &hourly(), noon(), 1);
            }
        };
        fill(0..capacity);
        // Shards fill up unevenly, small ones most.
        assert!(table.len() > capacity as usize / 20 * 17, "{}", table.len());
        assert!(bytes_each(&table) <= 64, "{} for {capacity}", bytes_each(&table));
        fill(capacity..capacity * 4);
        assert_eq!(table.len(), capacity as usize);
        assert!(bytes_each(&table) <= 48, "{} for {capacity}, after a flood", bytes_each(&table));
    }
}

#[test]
fn a_table_with_room_takes_what_its_counters_need() {
    let table = Table::new(1_000_000);
    for n in 0..10_000 {
        spend(&table, &n.to_string(), &hourly(), noon(), 1);
    }
    assert!(bytes_each(&table) <= 96, "{}", bytes_each(&table));
}

#[test]
fn a_flood_leaves_no_table_larger_than_it_must_be() {
    for capacity in [1, 2, 7, 64, 100, 1_000, 4_095, 4_096] {
        let table = Table::new(capacity);
        for n in 0..20 * capacity + 100 {
            spend(&table, &n.to_string(), &hourly(), noon(), 1);
            assert!(table.len() <= capacity as usize);
        }
        assert_eq!(table.len(), capacity as usize);
        let found = |n: &u32| table.find(&Identity::Key(&n.to_string()), &hourly()).unwrap();
        let last = 20 * capacity + 99;
        assert!(found(&last).is_some(), "the newest is there");
        assert_eq!((0..=last).filter(|n| found(n).is_some()).count(), capacity as usize);
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

/// Whether `now` a crowd pushes out who has used up its quota at noon.
fn is_at_its_limit_after_a_crowd(quota: &Quota, now: Timestamp) -> bool {
    let table = Table::new(96);
    assert_eq!(spend(&table, "victim", quota, noon(), quota.limit()), Answer::Admitted);
    // It looks at what is left, which brings its counter to the present.
    spend(&table, "victim", quota, now, 0);
    for n in 0..2_000 {
        spend(&table, &format!("crowd{n}"), &hourly(), now, 1);
    }
    matches!(spend(&table, "victim", quota, now, 1), Answer::After(_))
}

#[test]
fn a_bucket_with_a_part_of_a_permit_is_at_its_limit() {
    for limit in [1, 2, 3, 7, 10, 64] {
        let bucket = Quota::per_hour(limit).unwrap().gcra();
        assert!(is_at_its_limit_after_a_crowd(&bucket, after(1)), "{limit}");
    }
}

#[test]
fn a_clock_set_back_frees_nobody_at_its_limit() {
    let month = Quota::per_calendar_month(10).unwrap();
    let quotas = ALGORITHMS.map(|algorithm| quota(10, 3_600_000, algorithm));
    for quota in quotas.iter().chain([&month]) {
        for back in [1, 3_599, 3_601, 86_400, 40 * 86_400, NOON / SECOND] {
            let now = at(NOON - back * SECOND);
            assert!(is_at_its_limit_after_a_crowd(quota, now), "{quota:?}, {back} s back");
        }
    }
}

#[test]
fn room_for_one_is_enough() {
    let table = Table::new(1);
    for n in 0..100 {
        assert_eq!(spend(&table, &n.to_string(), &hourly(), noon(), 100), Answer::Admitted);
        assert_eq!(table.len(), 1);
    }
}

fn taken(table: &Table, place: &Place) -> Option<u64> {
    let counter = table.lock(place).unwrap()?;
    Some(hourly().limit() - counter.decide(&hourly(), noon(), 0).1.remaining)
}

#[test]
fn who_had_to_make_room_has_no_counter_until_it_asks_again() {
    let table = Table::new(1);
    let held = table.place(&Identity::Key("held"), &hourly(), noon()).unwrap();
    spend(&table, "held", &hourly(), noon(), 40);
    assert_eq!(taken(&table, &held), Some(40));
    spend(&table, "other", &hourly(), noon(), 7);
    assert_eq!(taken(&table, &held), None, "that slot counts for another");

    let back = table.readmit(&held, noon()).unwrap();
    assert_eq!(taken(&table, &back), Some(0));
    assert_eq!(table.len(), 1);
    assert!(table.lock(&held).unwrap().is_none(), "its old count is gone");
    assert!(table.lock(&back).unwrap().is_some());
    table.settle(&held, |_| panic!("nor is anything given back to the new one")).unwrap();
}

#[test]
fn who_asks_again_finds_the_counter_that_came_in_between() {
    let table = Table::new(1);
    let held = table.place(&Identity::Key("held"), &hourly(), noon()).unwrap();
    table.place(&Identity::Key("other"), &hourly(), noon()).unwrap();
    let fresh = table.place(&Identity::Key("held"), &hourly(), noon()).unwrap();
    spend(&table, "held", &hourly(), noon(), 9);
    assert_eq!(table.readmit(&held, noon()).unwrap(), fresh);
    assert_eq!(taken(&table, &fresh), Some(9));
}

#[test]
fn cells_that_were_left_are_had_again() {
    let (table, second) = (Table::new(96), Quota::per_second(10).unwrap());
    for round in 0..200 {
        for n in 0..96 {
            spend(&table, &format!("{round} {n}"), &second, after(2 * round), 1);
        }
        assert!(table.len() <= 96);
    }
    assert!(table.allocated() <= 96 * 64, "{}", table.allocated());
}

#[test]
fn who_is_moved_to_make_or_close_a_gap_is_counted_on() {
    let (table, second) = (Table::new(2_000), Quota::per_second(10).unwrap());
    let mut places = Vec::new();
    for n in 0..1_000 {
        let name = format!("long{n}");
        places.push(table.place(&Identity::Key(&name), &hourly(), noon()).unwrap());
        spend(&table, &name, &hourly(), noon(), n % 100);
        spend(&table, &format!("short{n}"), &second, noon(), 10);
    }
    for n in 0..1_000 {
        spend(&table, &format!("new{n}"), &hourly(), after(2), 1);
    }
    let count = |n: u64| {
        let consumed =
            |counter: Counter<'_>| 100 - counter.decide(&hourly(), noon(), 0).1.remaining;
        table.look(&Identity::Key(&format!("long{n}")), &hourly(), consumed).unwrap()
    };
    let kept: Vec<u64> = (0..1_000).filter(|n| count(*n).is_some()).collect();
    // Where they are is left to chance, and so how many of a sample are over.
    assert!(kept.len() > 600, "{}", kept.len());
    assert!(kept.iter().all(|n| count(*n) == Some(n % 100)));
    // What is given back finds them, too.
    for n in &kept {
        let mut is_settled = false;
        table.settle(&places[*n as usize], |_| is_settled = true).unwrap();
        assert!(is_settled, "{n}");
    }
}

#[test]
fn a_table_left_locked_by_a_panic_counts_nobody() {
    let table = Table::new(2);
    let place = table.place(&Identity::Key("a"), &hourly(), noon()).unwrap();
    table.poison();
    assert!(table.place(&Identity::Key("a"), &hourly(), noon()).is_err());
    assert!(table.find(&Identity::Key("b"), &hourly()).is_err());
    assert!(table.lock(&place).is_err());
    assert!(table.settle(&place, |_| panic!("nor is anything given back")).is_err());
}

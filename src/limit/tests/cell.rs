//! One counter: what it keeps, and under which quota.

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::{State, decide};
use std::hash::RandomState;

use crate::limit::cell::{Cell, Tag};
use crate::limit::identity::Identity;

fn cell(quota: &Quota) -> Cell {
    let cell = Cell::default();
    cell.begin(Tag::new(&Identity::Key("k"), quota, &RandomState::new()));
    cell
}

#[test]
fn a_cell_takes_48_bytes() {
    assert_eq!(size_of::<Cell>(), 48);
}

#[test]
fn a_cell_is_for_one_identity_under_one_quota() {
    let mut quotas: Vec<_> = ALGORITHMS.map(|algorithm| quota(10, 60_000, algorithm)).into();
    quotas.extend([quota(11, 60_000, Algorithm::Gcra), quota(10, 60_001, Algorithm::Gcra)]);
    quotas.push(quota(Quota::MAX_LIMIT, 366 * 86_400_000, Algorithm::Gcra));
    let key = RandomState::new();
    let tag = |owner: Identity<'_>, quota| Tag::new(&owner, quota, &key);
    for (i, one) in quotas.iter().enumerate() {
        let mine = tag(Identity::Key("k"), one);
        for (j, other) in quotas.iter().enumerate() {
            let is_same = mine == tag(Identity::Key("k"), other);
            assert_eq!(is_same, i == j, "{one:?} and {other:?}");
            assert_eq!(mine.is_under(other), i == j, "{one:?} and {other:?}");
            assert_ne!(mine, tag(Identity::Tenant("k"), other));
        }
    }
    let other = Tag::new(&Identity::Key("k"), &quotas[0], &RandomState::new());
    assert_ne!(tag(Identity::Key("k"), &quotas[0]), other, "each table has its own key");
}

#[test]
fn no_two_identities_are_hashed_as_one() {
    let (key, quota) = (RandomState::new(), Quota::per_hour(1).unwrap());
    let subject = |issuer, subject| Identity::Subject { issuer, subject };
    let owners = [
        subject("ab", "c"),
        subject("a", "bc"),
        subject("abc", ""),
        subject("", "abc"),
        Identity::Tenant("abc"),
        Identity::Key("abc"),
        Identity::Text("abc".into()),
        Identity::Text("abcx".into()),
        Identity::Text("".into()),
        Identity::Nowhere,
        Identity::network(Some([192, 0, 2, 1].into()), 64),
    ];
    let tags: Vec<_> = owners.iter().map(|owner| Tag::new(owner, &quota, &key)).collect();
    for (at, tag) in tags.iter().enumerate() {
        assert!(!tags[..at].contains(tag), "{:?}", owners[at]);
    }
}

#[test]
fn a_panic_while_a_counter_is_locked_changes_nothing_of_it() {
    let quota = Quota::per_hour(10).unwrap();
    let cell = cell(&quota);
    cell.lock().take(&quota, noon(), 3);
    let spoil = || {
        let _counter = cell.lock();
        panic!("while it is locked");
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(spoil)).is_err());
    assert_eq!(cell.lock().take(&quota, noon(), 1).remaining, 6);
}

#[test]
fn a_cell_that_changes_hands_counts_from_nothing_for_nobody_else() {
    let quota = Quota::per_hour(10).unwrap();
    let (cell, key) = (cell(&quota), RandomState::new());
    let (first, second) = (cell.tag(), Tag::new(&Identity::Key("other"), &quota, &key));
    cell.lock_for(&first).unwrap().take(&quota, noon(), 10);
    let turn = cell.turn();
    cell.end(77);
    assert_eq!(cell.kept(), 77);
    assert!(cell.lock_for(&first).is_none());
    cell.begin(second);
    assert!(cell.lock_for(&first).is_none());
    assert_eq!(cell.lock_for(&second).unwrap().take(&quota, noon(), 1).remaining, 9);
    assert_ne!(cell.turn(), turn);
}

#[test]
fn the_largest_numbers_have_room() {
    let quota = quota(Quota::MAX_LIMIT, 366 * 86_400_000, Algorithm::Gcra);
    let cell = cell(&quota);
    let state = State { last: u64::MAX, used: Quota::MAX_LIMIT, past: quota.nanos() - 1 };
    cell.lock().keep(state);
    assert_eq!(cell.lock().state(), state);
    assert!(cell.tag().is_under(&quota));
    for _ in 0..(1 << 23) + 5 {
        cell.end(0);
    }
    assert_eq!(cell.lock().state(), State::default(), "however often it has changed hands");
}

#[test]
fn a_cell_ends_when_nothing_is_consumed_of_its_quota_and_tells_what_is() {
    for algorithm in ALGORITHMS {
        let quota = quota(4, 1_000, algorithm);
        let cell = cell(&quota);
        cell.lock().take(&quota, noon(), 1);
        assert_eq!(cell.end_unless_consumed(noon(), 7), 1 << 18);
        assert!(cell.tag().is_under(&quota));
        assert_eq!(cell.end_unless_consumed(after(2), 7), 0);
        assert!(!cell.tag().is_under(&quota) && cell.kept() == 7);
    }
}

fn any_quota() -> impl Strategy<Value = Quota> {
    (1..200_u64, 1..5_000_u64, prop::sample::select(ALGORITHMS.to_vec()))
        .prop_map(|(limit, millis, algorithm)| quota(limit, millis, algorithm))
}

proptest! {
    #[test]
    fn a_counter_forgets_nothing_of_a_state(
        quota in any_quota(), costs in prop::collection::vec((0..SECOND, 0..30_u64), 1..40)
    ) {
        let (cell, mut state, mut now) = (cell(&quota), State::default(), NOON);
        for (step, cost) in costs {
            now += step;
            let (next, expected) = decide(&quota, state, now, cost);
            prop_assert_eq!(cell.lock().take(&quota, at(now), cost), expected);
            state = next;
        }
    }
}

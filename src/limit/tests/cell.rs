//! One counter: what it keeps, and under which quota.

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::{State, decide};
use std::hash::RandomState;

use crate::limit::cell::{Account, Cell, Counter, Tag};
use crate::limit::identity::Identity;

fn cell(quota: &Quota) -> Cell {
    Cell::new(Tag::new(Account::new(&Identity::Key("k"), quota), &RandomState::new()))
}

#[test]
fn a_counter_takes_21_bytes_and_a_cell_48() {
    assert_eq!(size_of::<Counter>(), 21);
    // The lock and the counter are 28, the quota 10, the owner's hash 10; an Arc adds 16.
    assert_eq!(size_of::<Cell>(), 48);
}

#[test]
fn a_cell_is_for_one_identity_under_one_quota() {
    let mut quotas: Vec<_> = ALGORITHMS.map(|algorithm| quota(10, 60_000, algorithm)).into();
    quotas.extend([quota(11, 60_000, Algorithm::Gcra), quota(10, 60_001, Algorithm::Gcra)]);
    quotas.push(quota(Quota::MAX_LIMIT, 366 * 86_400_000, Algorithm::Gcra));
    let key = RandomState::new();
    let tag = |owner: Identity<'_>, quota| Tag::new(Account::new(&owner, quota), &key);
    for (i, one) in quotas.iter().enumerate() {
        let mine = tag(Identity::Key("k"), one);
        for (j, other) in quotas.iter().enumerate() {
            let is_same = mine == tag(Identity::Key("k"), other);
            assert_eq!(is_same, i == j, "{one:?} and {other:?}");
            assert_ne!(mine, tag(Identity::Tenant("k"), other));
        }
    }
    let other = Tag::new(Account::new(&Identity::Key("k"), &quotas[0]), &RandomState::new());
    assert_ne!(tag(Identity::Key("k"), &quotas[0]), other, "each table has its own key");
}

#[test]
fn a_poisoned_counter_is_an_error() {
    let cell = cell(&Quota::per_second(1).unwrap());
    cell.poison();
    assert!(cell.lock().is_err());
    assert_eq!(cell.consumed(noon()), 0, "so that it is the first to be dropped");
}

#[test]
fn consumption_is_told_by_the_quota_of_the_cell() {
    for algorithm in ALGORITHMS {
        let quota = quota(4, 1_000, algorithm);
        let cell = cell(&quota);
        assert_eq!(cell.consumed(noon()), 0);
        cell.lock().unwrap().take(&quota, noon(), 1);
        assert_eq!(cell.consumed(noon()), 1 << 18);
        assert_eq!(cell.consumed(after(2)), 0);
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
        let (mut counter, mut state, mut now) = (Counter::default(), State::default(), NOON);
        for (step, cost) in costs {
            now += step;
            let (next, expected) = decide(&quota, state, now, cost);
            prop_assert_eq!(counter.take(&quota, at(now), cost), expected);
            state = next;
        }
    }
}

//! One counter: what it keeps, and under which quota.

use proptest::prelude::*;

use super::*;
use crate::limit::algorithm::{State, decide};

use crate::limit::cell::{Cell, Number, Tag};
use crate::limit::hash_key::HashKey;
use crate::limit::identity::Identity;
use crate::limit::rough::Rough;

fn cell(quota: &Quota) -> Cell {
    let cell = Cell::default();
    begin(&cell, tag_of(&HashKey::new(), &Identity::Key("k"), quota), quota);
    cell
}

fn tag_of(key: &HashKey, identity: &Identity<'_>, quota: &Quota) -> Tag {
    Tag::new(key.of(identity), quota)
}

fn begin(cell: &Cell, tag: Tag, quota: &Quota) {
    cell.begin(tag, quota.into(), Number::default().next());
}

#[test]
fn two_cells_are_a_line_of_memory() {
    assert_eq!((size_of::<Cell>(), align_of::<Cell>()), (32, 32));
}

#[test]
fn a_tag_is_for_one_identity_under_one_quota() {
    let mut quotas: Vec<_> = ALGORITHMS.map(|algorithm| quota(10, 60_000, algorithm)).into();
    quotas.extend([quota(11, 60_000, Algorithm::Gcra), quota(10, 60_001, Algorithm::Gcra)]);
    quotas.push(quota(Quota::MAX_LIMIT, 366 * 86_400_000, Algorithm::Gcra));
    let key = HashKey::new();
    let tag = |owner: Identity<'_>, quota| tag_of(&key, &owner, quota);
    for (i, one) in quotas.iter().enumerate() {
        let mine = tag(Identity::Key("k"), one);
        for (j, other) in quotas.iter().enumerate() {
            let is_same = mine == tag(Identity::Key("k"), other);
            assert_eq!(is_same, i == j, "{one:?} and {other:?}");
            assert_ne!(mine, tag(Identity::Tenant("k"), other));
        }
    }
    let other = tag_of(&HashKey::new(), &Identity::Key("k"), &quotas[0]);
    assert_ne!(tag(Identity::Key("k"), &quotas[0]), other, "each table has its own key");
}

#[test]
fn no_two_identities_are_hashed_as_one() {
    let (key, quota) = (HashKey::new(), Quota::per_hour(1).unwrap());
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
    let tags: Vec<_> = owners.iter().map(|owner| tag_of(&key, owner, &quota)).collect();
    for (at, tag) in tags.iter().enumerate() {
        assert!(!tags[..at].contains(tag), "{:?}", owners[at]);
    }
}

#[test]
fn the_limit_of_one_never_stands_for_the_kind_of_another() {
    let key = HashKey::new();
    let kinds = [(b't', Identity::Tenant("x")), (b'k', Identity::Key("x"))];
    let limit = |limit: u8| Quota::per_hour(limit.into()).unwrap();
    let [(one, tenant), (other, holder)] = &kinds;
    assert_ne!(tag_of(&key, tenant, &limit(*other)), tag_of(&key, holder, &limit(*one)));
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
    let (cell, key) = (cell(&quota), HashKey::new());
    let (first, second) = (cell.tag().unwrap(), tag_of(&key, &Identity::Key("other"), &quota));
    cell.lock_for(first).unwrap().take(&quota, noon(), 10);
    cell.end();
    assert!(cell.tag().is_none());
    assert!(cell.lock_for(first).is_none());
    begin(&cell, second, &quota);
    assert!(cell.lock_for(first).is_none());
    assert_eq!(cell.lock_for(second).unwrap().take(&quota, noon(), 1).remaining, 9);
}

#[test]
fn a_counter_that_is_moved_takes_along_all_that_it_has() {
    for algorithm in ALGORITHMS {
        let quota = quota(1_000, 60_000, algorithm);
        let (old, new) = (cell(&quota), Cell::default());
        old.lock().take(&quota, noon(), 700);
        old.lock().take(&quota, after(61), 30);
        let all_of = |cell: &Cell| {
            let counter = cell.lock();
            (cell.tag(), counter.state(), counter.number())
        };
        let all = all_of(&old);
        old.move_to(&new);
        assert!(old.tag().is_none());
        assert_eq!(all_of(&new), all);
        assert_ne!(new.end_unless_consumed(after(61)), 0, "its rough quota, too");
    }
}

#[test]
fn the_largest_numbers_have_room() {
    let quota = quota(Quota::MAX_LIMIT, 366 * 86_400_000, Algorithm::Gcra);
    let cell = cell(&quota);
    let state = State { last: u64::MAX, used: Quota::MAX_LIMIT, past: quota.nanos() - 1 };
    cell.lock().keep(state);
    assert_eq!(cell.lock().state(), state);
    assert!(cell.end_unless_consumed(noon()) >= 1 << 20);
    cell.lock().keep(State::default());
    assert_eq!(cell.end_unless_consumed(noon()), 0);
}

#[test]
fn tenancies_are_told_apart_until_their_numbers_begin_again() {
    let mut number = Number::default();
    let mut seen = std::collections::HashSet::new();
    while seen.insert(number) {
        number = number.next();
    }
    assert_eq!((seen.len(), number), (1 << 14, Number::default()));
}

#[test]
fn a_cell_ends_when_nothing_is_consumed_of_its_quota_and_tells_what_is() {
    for algorithm in ALGORITHMS {
        let quota = quota(4, 1_000, algorithm);
        let cell = cell(&quota);
        cell.lock().take(&quota, noon(), 1);
        assert_eq!(cell.end_unless_consumed(noon()), 1 << 18);
        assert!(cell.tag().is_some());
        assert_eq!(cell.end_unless_consumed(after(3)), 0);
        assert!(cell.tag().is_none());
    }
}

/// What the state has consumed of its quota, in 1/2^20.
fn consumed(quota: &Quota, state: State, now: u64) -> u64 {
    let (_, decision) = decide(quota, state, now, 0);
    ((quota.limit() - decision.remaining) << 20).div_ceil(quota.limit())
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

proptest! {
    #[test]
    fn a_rough_quota_forgets_nobody_early_and_takes_all_at_their_limit_for_such(
        quota in any_quota(), used in 0..=200_u64, past in 0..=200_u64, idle in 0..11_000_u64
    ) {
        let limit = quota.limit();
        let past = match quota.algorithm() {
            Algorithm::SlidingWindow => past.min(limit),
            Algorithm::Gcra if used < limit => past,
            _ => 0,
        };
        let state = State { last: NOON, used: used.min(limit), past };
        let now = NOON + idle * 1_000_000;
        let (consumed, really) = (Rough::from(&quota).consumed(state, now), consumed(&quota, state, now));
        prop_assert!(consumed > 0 || really == 0, "{state:?}");
        if idle == 0 {
            prop_assert!(really < 1 << 20 || consumed >= 1 << 20, "{consumed}");
        }
        let long = 3 * quota.window().as_millis() as u64;
        prop_assert!(idle < long || consumed == 0, "remembered for ever");
    }
}

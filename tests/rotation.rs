//! Rotation: the new key before the old one ends, nothing of the record lost, and what is due.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/life.rs"]
mod life;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{NOW, bearer, clock, refusal, subject, verdict, wait};
use keygate::RejectionKind::{KeyExpired, KeyInvalid};
use keygate::lifecycle::{DueRotation, RotationStep};
use keygate::store::{Action, KeyAdmin, KeyFilter, MemoryStore};
use keygate::{
    AuthLayer, Authenticator, Environment, Issued, KeyDigest, KeyFormat, KeyId, KeyRecord,
    KeyStatus, Keys, KeysError, ManualClock, NewKey, Quota, RotationPolicy, ScopeSet, Tenant,
    Timestamp,
};
use life::{DAY, Faulty, acme, keys};
use proptest::prelude::*;

fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

fn new_key() -> NewKey {
    NewKey::new("acme", "billing job").access(ScopeSet::new(["read"]).unwrap())
}

fn issue<S: KeyAdmin>(keys: &Keys<S>, key: NewKey) -> Issued {
    wait(keys.by("ann").issue(key)).unwrap()
}

fn rotate<S: KeyAdmin>(keys: &Keys<S>, id: &KeyId, overlap: Duration) -> Issued {
    wait(keys.by("bob").rotate(&acme(), id, overlap)).unwrap()
}

fn get<S: KeyAdmin>(keys: &Keys<S>, id: &KeyId) -> Arc<KeyRecord> {
    wait(keys.get(&acme(), id)).unwrap()
}

fn gate(keys: &Keys<MemoryStore>, clock: &ManualClock) -> Authenticator {
    AuthLayer::new(keys.store().clone()).clock(clock.clone()).into_authenticator()
}

#[test]
fn both_keys_work_until_the_overlap_ends_and_then_the_new_one_alone() {
    let clock = clock();
    let keys = keys(&clock);
    let old = issue(&keys, new_key());
    let new = rotate(&keys, old.record.id(), days(7));
    let gate = gate(&keys, &clock);
    let (by_old, by_new) = (bearer(old.token.reveal()), bearer(new.token.reveal()));
    assert_eq!(subject(&gate, &by_old), old.record.id().as_str());
    assert_eq!(subject(&gate, &by_new), new.record.id().as_str());
    clock.advance(days(7) - Duration::from_nanos(1));
    assert_eq!(subject(&gate, &by_old), old.record.id().as_str());
    clock.advance(Duration::from_nanos(1));
    assert_eq!(refusal(&gate, &by_old), KeyExpired);
    assert_eq!(subject(&gate, &by_new), new.record.id().as_str());
}

/// armature's `rotate` drops name and limit, and ends the old key before the new one exists.
#[test]
fn nothing_of_the_record_is_lost() {
    let clock = clock();
    let keys = keys(&clock);
    let asked = new_key()
        .environment(Environment::Test)
        .networks(["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
        .quota(Quota::per_minute(7).unwrap())
        .rotation(RotationPolicy::new(90, 7).unwrap());
    let old = issue(&keys, asked).record;
    clock.advance(days(83));
    let new = rotate(&keys, old.id(), days(7));
    let kept = get(&keys, new.record.id());
    for record in [&new.record, &kept] {
        assert_eq!((record.name(), record.tenant()), (old.name(), old.tenant()));
        assert_eq!(record.environment(), Environment::Test);
        assert_eq!(format!("{:?}", record.access()), format!("{:?}", old.access()));
        assert_eq!((record.networks(), record.quota()), (old.networks(), old.quota()));
        assert_eq!((record.rotation(), record.expires()), (old.rotation(), None));
        assert_eq!(record.created(), NOW.saturating_add(days(83)), "its own age");
        assert_eq!((record.successor(), record.status()), (None, KeyStatus::Active));
        assert_eq!((record.deprecated(), record.revision()), (None, 0));
    }
    assert_ne!(kept.id(), old.id());
    assert_ne!(kept.digest(), old.digest());
    assert!(new.token.reveal().starts_with("sk_test_"));
    let before = old;
    let old = get(&keys, before.id());
    assert_eq!((old.successor(), old.deprecated()), (Some(kept.id()), Some(kept.created())));
    assert_eq!(
        (old.name(), old.quota(), old.status()),
        (before.name(), before.quota(), KeyStatus::Active)
    );
}

#[test]
fn the_old_key_never_outlives_its_own_expiry() {
    let keys = keys(&clock());
    let end = NOW.saturating_add(days(3));
    let old = issue(&keys, new_key().expires(end)).record;
    rotate(&keys, old.id(), days(7));
    assert_eq!(get(&keys, old.id()).expires(), Some(end));
    let other = issue(&keys, new_key().expires(end)).record;
    rotate(&keys, other.id(), days(1));
    assert_eq!(get(&keys, other.id()).expires(), Some(NOW.saturating_add(days(1))));
    let endless = issue(&keys, new_key()).record;
    rotate(&keys, endless.id(), Duration::MAX);
    assert_eq!(get(&keys, endless.id()).expires(), Some(Timestamp::MAX));
}

#[test]
fn the_new_key_lives_as_long_as_the_old_one_was_made_to_live() {
    let clock = clock();
    let keys = keys(&clock);
    let old = issue(&keys, new_key().expires(NOW.saturating_add(days(90)))).record;
    clock.advance(days(80));
    let new = rotate(&keys, old.id(), days(1)).record;
    assert_eq!(new.expires(), Some(NOW.saturating_add(days(80 + 90))));
    let third = rotate(&keys, new.id(), days(1)).record;
    assert_eq!(third.expires(), Some(NOW.saturating_add(days(80 + 90))), "and so on");
    // Who knows when an imported key was made? Its successor ends when it would have.
    let end = NOW.saturating_add(days(100));
    let imported =
        KeyRecord::new("old_1", KeyDigest::of("x"), Tenant::new("acme")).with_expires(end);
    wait(keys.by("ann").import(imported)).unwrap();
    assert_eq!(rotate(&keys, &"old_1".into(), days(1)).record.expires(), Some(end));
}

#[test]
fn rotation_without_overlap_ends_the_old_key_at_once() {
    let clock = clock();
    let keys = keys(&clock);
    let old = issue(&keys, new_key());
    let new = rotate(&keys, old.record.id(), Duration::ZERO);
    let gate = gate(&keys, &clock);
    assert_eq!(refusal(&gate, &bearer(old.token.reveal())), KeyExpired);
    assert_eq!(subject(&gate, &bearer(new.token.reveal())), new.record.id().as_str());
}

#[test]
fn a_leaked_key_is_revoked_in_the_commit_that_makes_its_successor() {
    let clock = clock();
    let keys = keys(&clock);
    let old = issue(&keys, new_key());
    let new = wait(keys.by("bob").rotate_now(&acme(), old.record.id())).unwrap();
    let gate = gate(&keys, &clock);
    assert_eq!(refusal(&gate, &bearer(old.token.reveal())), KeyInvalid);
    assert_eq!(subject(&gate, &bearer(new.token.reveal())), new.record.id().as_str());
    let ended = get(&keys, old.record.id());
    assert_eq!((ended.status(), ended.successor()), (KeyStatus::Revoked, Some(new.record.id())));
    let error = wait(keys.by("eve").reactivate(&acme(), ended.id())).unwrap_err();
    assert!(matches!(error, KeysError::Revoked));
}

#[test]
fn what_can_not_be_rotated_is_told_why() {
    let clock = clock();
    let keys = keys(&clock);
    let by = keys.by("ann");
    let tenant = acme();
    let rotate = |id: &KeyId| wait(by.rotate(&tenant, id, days(1))).unwrap_err();

    let revoked = issue(&keys, new_key()).record;
    wait(by.revoke(&tenant, revoked.id())).unwrap();
    assert!(matches!(rotate(revoked.id()), KeysError::Revoked));

    let inactive = issue(&keys, new_key()).record;
    wait(by.deactivate(&tenant, inactive.id())).unwrap();
    assert!(matches!(rotate(inactive.id()), KeysError::Inactive));

    let old = issue(&keys, new_key()).record;
    let new = wait(by.rotate(&tenant, old.id(), days(9))).unwrap().record;
    match rotate(old.id()) {
        error @ KeysError::AlreadyRotated { .. } => {
            assert!(error.to_string().contains(new.id().as_str()), "{error}");
            assert_eq!(error.status(), 409);
        }
        other => panic!("{other:?}"),
    }

    let short = issue(&keys, new_key().expires(NOW.saturating_add(days(1)))).record;
    clock.advance(days(1));
    assert!(matches!(rotate(short.id()), KeysError::Expired));
    assert!(matches!(rotate(&"key_none".into()), KeysError::NotFound));
    let total = wait(keys.list(&tenant, &KeyFilter::new())).unwrap().total;
    assert_eq!(total, 5, "no refused rotation has made a key");
}

#[test]
fn a_rotation_is_one_commit_that_tells_of_both_keys() {
    let store = Faulty::default();
    let keys = Keys::new(store.clone(), KeyFormat::sk()).clock(clock());
    let old = issue(&keys, new_key()).record;
    let new = rotate(&keys, old.id(), days(7)).record;
    assert_eq!(store.commits.load(Ordering::SeqCst), 2, "to issue, to rotate");
    let events = wait(store.events(&acme(), 0, 10)).unwrap();
    let of = |id: &KeyId| -> Vec<_> {
        let mine = events.iter().filter(|event| event.key.as_ref() == Some(id));
        mine.map(|event| (event.action, &*event.actor)).collect()
    };
    assert_eq!(of(new.id()), [(Action::Issued, "bob")]);
    assert_eq!(of(old.id()), [(Action::Rotated, "bob"), (Action::Issued, "ann")]);
}

#[test]
fn a_rotation_that_fails_leaves_the_old_key_as_it_was() {
    let store = Faulty::default();
    let keys = Keys::new(store.clone(), KeyFormat::sk()).clock(clock());
    let old = issue(&keys, new_key()).record;
    store.conflicts.store(64, Ordering::SeqCst);
    let error = wait(keys.by("bob").rotate(&acme(), old.id(), days(7))).unwrap_err();
    assert!(matches!(error, KeysError::Contended(_)));
    let kept = get(&keys, old.id());
    assert_eq!((kept.successor(), kept.expires(), kept.revision()), (None, None, 0));
    assert_eq!(wait(keys.list(&acme(), &KeyFilter::new())).unwrap().total, 1);
}

#[test]
fn of_many_rotations_at_once_one_succeeds() {
    for round in 0..50 {
        let keys = keys(&clock());
        let old = issue(&keys, new_key()).record;
        let tenant = acme();
        let results: Vec<_> = thread::scope(|scope| {
            let one = || wait(keys.by("bob").rotate(&tenant, old.id(), days(1)));
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7), "round {round}");
        let winner = won.into_iter().next().unwrap().unwrap().record;
        for error in lost.into_iter().map(Result::unwrap_err) {
            let rotated = matches!(&error, KeysError::AlreadyRotated { successor, .. } if successor == winner.id());
            assert!(rotated, "{error:?}");
        }
        assert_eq!(wait(keys.list(&tenant, &KeyFilter::new())).unwrap().total, 2);
    }
}

/// "Nothing of the record is lost": what is changed while it is rotated reaches the successor, or
/// comes after it on the old key.
#[test]
fn an_update_that_races_with_a_rotation_is_not_lost() {
    for _ in 0..100 {
        let keys = keys(&clock());
        let old = issue(&keys, new_key()).record;
        let tenant = acme();
        thread::scope(|scope| {
            scope.spawn(|| rotate(&keys, old.id(), days(1)));
            scope.spawn(|| {
                wait(keys.by("ann").update(&tenant, old.id(), |key| key.with_name("new"))).unwrap()
            });
        });
        let after = get(&keys, old.id());
        assert_eq!((after.name(), after.revision()), ("new", 2));
        assert!(after.successor().is_some() && after.expires().is_some());
    }
}

#[test]
fn requests_pass_without_a_gap_while_keys_are_rotated() {
    let clock = clock();
    let keys = keys(&clock);
    let gate = gate(&keys, &clock);
    let mut current = issue(&keys, new_key());
    let done = AtomicBool::new(false);
    let first = bearer(current.token.reveal());
    thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let mut passed = 0_u64;
            while !done.load(Ordering::SeqCst) || passed == 0 {
                assert!(verdict(&gate, &first).is_ok());
                passed += 1;
            }
            passed
        });
        for _ in 0..300 {
            let next = rotate(&keys, current.record.id(), days(1));
            assert!(verdict(&gate, &bearer(next.token.reveal())).is_ok(), "at once");
            assert!(verdict(&gate, &bearer(current.token.reveal())).is_ok(), "and still");
            current = next;
        }
        done.store(true, Ordering::SeqCst);
        assert!(requests.join().unwrap() > 0);
    });
}

// ---- What is due --------------------------------------------------------------------------------

fn policy(every: u16, notice: u16) -> RotationPolicy {
    RotationPolicy::new(every, notice).unwrap()
}

fn with_policy(every: u16, notice: u16) -> KeyRecord {
    KeyRecord::new("key_1", KeyDigest::of("x"), Tenant::new("acme"))
        .with_created(NOW)
        .with_rotation(policy(every, notice))
}

fn step_at(record: &KeyRecord, day: u64) -> Option<RotationStep> {
    let due = DueRotation::of(&Arc::new(record.clone()), NOW.saturating_add(days(day)));
    due.map(|due| due.step)
}

#[test]
fn a_rotation_is_announced_and_then_due() {
    let record = with_policy(90, 7);
    let steps: Vec<_> = [0, 82, 83, 89, 90, 500].map(|day| step_at(&record, day)).into();
    let (announce, rotate) = (Some(RotationStep::Announce), Some(RotationStep::Rotate));
    assert_eq!(steps, [None, None, announce, announce, rotate, rotate]);
    let unannounced = with_policy(90, 0);
    assert_eq!((step_at(&unannounced, 89), step_at(&unannounced, 90)), (None, rotate));
    let due = DueRotation::of(&Arc::new(record), NOW.saturating_add(days(85))).unwrap();
    assert_eq!(due.at, NOW.saturating_add(days(90)));
}

#[test]
fn a_key_that_would_expire_first_is_replaced_in_time() {
    let (announce, rotate) = (Some(RotationStep::Announce), Some(RotationStep::Rotate));
    let record = with_policy(90, 7).with_expires(NOW.saturating_add(days(90)));
    let steps: Vec<_> = [75, 76, 82, 83, 89, 90].map(|day| step_at(&record, day)).into();
    assert_eq!(steps, [None, announce, announce, rotate, rotate, None]);
    let unannounced = with_policy(90, 0).with_expires(NOW.saturating_add(days(60)));
    assert_eq!((step_at(&unannounced, 58), step_at(&unannounced, 59)), (None, rotate));
    let later = with_policy(90, 7).with_expires(NOW.saturating_add(days(91)));
    assert_eq!((step_at(&later, 83), step_at(&later, 90)), (announce, rotate));
}

#[test]
fn what_can_not_be_rotated_is_not_due() {
    let due = with_policy(90, 7);
    assert_eq!(step_at(&due, 100), Some(RotationStep::Rotate));
    for record in [
        due.clone().with_rotation(None),
        due.clone().with_status(KeyStatus::Inactive),
        due.clone().with_status(KeyStatus::Revoked),
        due.clone().with_successor("key_2".into(), NOW),
        due.clone().with_expires(NOW.saturating_add(days(100))),
    ] {
        assert_eq!(step_at(&record, 100), None, "{record:?}");
    }
    let ageless = due.with_created(Timestamp::EPOCH);
    assert_eq!(step_at(&ageless, 0), Some(RotationStep::Rotate));
}

#[test]
fn the_due_keys_of_a_tenant_are_found_over_all_pages() {
    let clock = clock();
    let keys = keys(&clock);
    let by = keys.by("ann");
    let mut expected = Vec::new();
    for index in 0..2100 {
        let key = if index % 700 == 699 { new_key().rotation(policy(90, 7)) } else { new_key() };
        let issued = wait(by.issue(key)).unwrap();
        if index % 700 == 699 {
            expected.push(issued.record.id().clone());
        }
    }
    let elsewhere = NewKey::new("other", "x").rotation(policy(1, 0));
    wait(by.issue(elsewhere)).unwrap();
    assert!(wait(keys.due(&acme())).unwrap().is_empty());
    clock.advance(days(90));
    let due = wait(keys.due(&acme())).unwrap();
    let found: Vec<_> = due.iter().map(|due| due.key.id().clone()).collect();
    assert_eq!(found, expected);
}

/// The loop that a user's scheduler runs.
#[test]
fn a_scheduler_that_does_what_is_due_has_nothing_left_to_do() {
    let clock = clock();
    let keys = keys(&clock);
    let mut current = issue(&keys, new_key().rotation(policy(90, 7))).record.id().clone();
    let mut rotated = 0;
    for _ in 0..365 {
        clock.advance(days(1));
        for due in wait(keys.due(&acme())).unwrap() {
            assert_eq!(due.key.id(), &current);
            if due.step == RotationStep::Rotate {
                current = rotate(&keys, &current, days(7)).record.id().clone();
                rotated += 1;
            }
        }
        let alive = wait(keys.list(&acme(), &KeyFilter::new().active(true))).unwrap();
        assert!((1..=2).contains(&alive.total));
    }
    assert_eq!(rotated, 365 / 90);
}

proptest! {
    /// Whatever the lives and overlaps: the old key ends no later than it would have and than the
    /// overlap says, and the new one ends no earlier than the old one would have.
    #[test]
    fn overlap_is_bounded_on_both_sides(
        life in prop::option::of(1_u64..400),
        age in 0_u64..400,
        overlap in 0_u64..1000,
    ) {
        let clock = clock();
        let keys = keys(&clock);
        let end = life.map(|life| NOW.saturating_add(days(life)));
        let old = issue(&keys, new_key().expires(end)).record;
        clock.advance(days(age));
        let now = NOW.saturating_add(days(age));
        let result = wait(keys.by("bob").rotate(&acme(), old.id(), days(overlap)));
        if end.is_some_and(|end| now >= end) {
            prop_assert!(matches!(result, Err(KeysError::Expired)));
            return Ok(());
        }
        let new = result.unwrap().record;
        let sunset = get(&keys, old.id()).expires().unwrap();
        prop_assert!(sunset <= now.saturating_add(days(overlap)));
        prop_assert!(end.is_none_or(|end| sunset <= end));
        prop_assert!(sunset == now.saturating_add(days(overlap)) || Some(sunset) == end);
        prop_assert_eq!(new.expires().is_some(), end.is_some());
        prop_assert!(new.expires() >= end);
    }
}

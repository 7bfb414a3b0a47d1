//! The life of keys: each change one commit with its event, nothing lost, nothing brought back.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/life.rs"]
mod life;

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use common::{NOW, bearer, clock, gate, refusal, subject, wait};
use keygate::RejectionKind::{InsufficientScope, KeyExpired, KeyInactive, KeyInvalid};
use keygate::store::{Action, AuditEvent, KeyAdmin, KeyFilter, MemoryStore};
use keygate::{
    Access, Environment, Issued, KeyDigest, KeyFormat, KeyId, KeyRecord, KeyStatus, Keys,
    KeysError, NewKey, Policy, Quota, RotationPolicy, Scope, ScopeSet, Tenant, TenantId,
};
use life::{DAY, Faulty, TROUBLE, acme, keys};
use proptest::prelude::*;

fn new_key() -> NewKey {
    NewKey::new("acme", "billing job").access(ScopeSet::new(["read"]).unwrap())
}

fn issue<S: KeyAdmin>(keys: &Keys<S>) -> Issued {
    wait(keys.by("ann").issue(new_key())).unwrap()
}

fn events<S: KeyAdmin>(keys: &Keys<S>) -> Vec<AuditEvent> {
    wait(keys.store().events(&acme(), 0, 1000)).unwrap()
}

fn get<S: KeyAdmin>(keys: &Keys<S>, id: &KeyId) -> Arc<KeyRecord> {
    wait(keys.get(&acme(), id)).unwrap()
}

fn actions<S: KeyAdmin>(keys: &Keys<S>) -> Vec<Action> {
    events(keys).iter().rev().map(|event| event.action).collect()
}

/// Everything that a caller could print of an error.
fn printed(error: &KeysError) -> String {
    format!("{error} {error:?}")
}

#[test]
fn an_issued_key_has_what_was_asked_for_and_opens_the_gate_at_once() {
    let keys = keys(&clock());
    let end = NOW.saturating_add(Duration::from_secs(90 * DAY));
    let policy = RotationPolicy::new(90, 7).unwrap();
    let asked = new_key()
        .environment(Environment::Test)
        .expires(end)
        .networks(["192.0.2.0/24".parse().unwrap()])
        .quota(Quota::per_minute(7).unwrap())
        .rotation(policy);
    let issued = wait(keys.by("ann").issue(asked)).unwrap();
    let kept = get(&keys, issued.record.id());
    for record in [&issued.record, &kept] {
        assert_eq!((record.name(), record.tenant().id()), ("billing job", &acme()));
        assert_eq!(record.environment(), Environment::Test);
        assert!(record.access().grants(&Scope::new("read").unwrap()));
        assert!(!record.access().grants(&Scope::new("write").unwrap()));
        assert_eq!((record.created(), record.expires()), (NOW, Some(end)));
        assert_eq!(record.networks(), ["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(record.quota(), Some(&Quota::per_minute(7).unwrap()));
        assert_eq!((record.rotation(), record.status()), (Some(policy), KeyStatus::Active));
        assert_eq!(record.digest(), &issued.token.digest());
        assert!(issued.token.reveal().starts_with(record.display()));
        assert_eq!(record.display().len(), "sk_test_".len() + 4);
    }
    let issued = issue(&keys);
    let gate = gate(keys.store().clone()).into_authenticator();
    assert_eq!(subject(&gate, &bearer(issued.token.reveal())), issued.record.id().as_str());
}

#[test]
fn an_event_tells_who_did_what_to_which_key_and_when() {
    let keys = keys(&clock());
    let issued = issue(&keys);
    let event = &events(&keys)[0];
    assert_eq!((&*event.actor, event.action, event.at), ("ann", Action::Issued, NOW));
    assert_eq!((&event.tenant, event.key.as_ref()), (&acme(), Some(issued.record.id())));
}

#[test]
fn ids_are_random_and_short() {
    let ids: HashSet<_> = (0..1000).map(|_| KeyId::random().unwrap()).collect();
    assert_eq!(ids.len(), 1000);
    let mut seen = HashSet::new();
    for id in &ids {
        let body = id.as_str().strip_prefix("key_").unwrap();
        assert!(body.len() == 22 && body.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        seen.extend(body.bytes());
    }
    assert_eq!(seen.len(), 62, "every digit occurs");
}

#[test]
fn the_secret_is_nowhere_but_in_the_answer() {
    let keys = keys(&clock());
    let issued = issue(&keys);
    let secret = issued.token.reveal().to_owned();
    let listed = wait(keys.list(&acme(), &KeyFilter::new())).unwrap();
    let printed = format!("{issued:?} {listed:?} {:?} {keys:?} {:?}", events(&keys), keys.by("x"));
    assert!(!printed.contains(&secret) && !printed.contains(&secret[20..]), "{printed}");
    assert!(printed.contains("[redacted]"));
}

#[test]
fn a_key_that_loses_a_scope_is_refused_from_the_next_request_on() {
    let keys = keys(&clock());
    let issued = issue(&keys);
    let reads = gate(keys.store().clone()).require(Policy::all_of(["read"]).unwrap());
    let (reads, request) = (reads.into_authenticator(), bearer(issued.token.reveal()));
    assert_eq!(subject(&reads, &request), issued.record.id().as_str());
    assert_eq!(subject(&reads, &request), issued.record.id().as_str());
    let (by, other) = (keys.by("ann"), ScopeSet::new(["write"]).unwrap());
    wait(by.update(&acme(), issued.record.id(), |key| key.with_access(other.clone()))).unwrap();
    assert_eq!(refusal(&reads, &request), InsufficientScope);
}

#[test]
fn every_change_is_one_commit_with_one_event() {
    let store = Faulty::over(MemoryStore::new().with_clock(clock()));
    let keys = Keys::new(store, KeyFormat::sk()).clock(clock());
    let by = keys.by("ann");
    let id = issue(&keys).record.id().clone();
    wait(by.update(&acme(), &id, |key| key.with_name("new"))).unwrap();
    wait(by.deactivate(&acme(), &id)).unwrap();
    wait(by.reactivate(&acme(), &id)).unwrap();
    wait(by.revoke(&acme(), &id)).unwrap();
    wait(by.delete(&acme(), &id)).unwrap();
    let expected = [
        Action::Issued,
        Action::Updated,
        Action::Deactivated,
        Action::Reactivated,
        Action::Revoked,
        Action::Deleted,
    ];
    assert_eq!(actions(&keys), expected);
    assert_eq!(keys.store().commits.load(Ordering::SeqCst), expected.len());
    assert!(events(&keys).iter().all(|event| event.key.as_ref() == Some(&id)));
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let keys = keys(&clock());
    let id = issue(&keys).record.id().clone();
    let by = keys.by("ann");
    wait(by.reactivate(&acme(), &id)).unwrap();
    wait(by.deactivate(&acme(), &id)).unwrap();
    wait(by.deactivate(&acme(), &id)).unwrap();
    wait(by.revoke(&acme(), &id)).unwrap();
    let again = wait(by.revoke(&acme(), &id)).unwrap();
    assert_eq!(again.status(), KeyStatus::Revoked);
    assert_eq!(actions(&keys), [Action::Issued, Action::Deactivated, Action::Revoked]);
    assert_eq!(get(&keys, &id).revision(), 2);
}

#[test]
fn a_change_answers_with_the_record_as_it_is_kept() {
    let keys = keys(&clock());
    let id = issue(&keys).record.id().clone();
    let by = keys.by("ann");
    let changes = [
        wait(by.update(&acme(), &id, |key| key.with_name("new"))).unwrap(),
        wait(by.deactivate(&acme(), &id)).unwrap(),
        wait(by.reactivate(&acme(), &id)).unwrap(),
    ];
    let kept = get(&keys, &id);
    let revisions: Vec<_> = changes.iter().map(|record| record.revision()).collect();
    assert_eq!((revisions, kept.revision()), (vec![1, 2, 3], 3));
    assert_eq!((changes[2].name(), changes[2].status()), (kept.name(), kept.status()));
}

#[test]
fn the_gate_feels_each_change() {
    let keys = keys(&clock());
    let issued = issue(&keys);
    let gate = gate(keys.store().clone()).into_authenticator();
    let (by, id) = (keys.by("ann"), issued.record.id());
    let head = bearer(issued.token.reveal());
    wait(by.deactivate(&acme(), id)).unwrap();
    assert_eq!(refusal(&gate, &head), KeyInactive);
    wait(by.reactivate(&acme(), id)).unwrap();
    assert_eq!(subject(&gate, &head), id.as_str());
    wait(by.update(&acme(), id, |key| key.with_expires(NOW))).unwrap();
    assert_eq!(refusal(&gate, &head), KeyExpired);
    wait(by.revoke(&acme(), id)).unwrap();
    assert_eq!(refusal(&gate, &head), KeyInvalid);
    wait(by.delete(&acme(), id)).unwrap();
    assert_eq!(refusal(&gate, &head), KeyInvalid);
}

#[test]
fn a_revoked_key_stays_revoked() {
    let keys = keys(&clock());
    let id = issue(&keys).record.id().clone();
    let by = keys.by("ann");
    wait(by.revoke(&acme(), &id)).unwrap();
    let revive = |key: KeyRecord| key.with_status(KeyStatus::Active);
    for result in [
        wait(by.reactivate(&acme(), &id)),
        wait(by.deactivate(&acme(), &id)),
        wait(by.update(&acme(), &id, revive)),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, KeysError::Revoked), "{error:?}");
        assert_eq!(error.status(), 409);
    }
    assert_eq!(get(&keys, &id).status(), KeyStatus::Revoked);
    assert_eq!(actions(&keys), [Action::Issued, Action::Revoked]);
}

/// A closure with a bug, or one fed from a request's body, must not make another key of it.
#[test]
fn an_update_changes_what_it_may_and_nothing_else() {
    let keys = keys(&clock());
    let before = issue(&keys).record;
    let forged = |_: KeyRecord| {
        KeyRecord::new("key_forged", KeyDigest::of("mine"), Tenant::new("evil"))
            .with_name("new name")
            .with_access(Access::Full)
            .with_environment(Environment::Test)
            .with_status(KeyStatus::Revoked)
            .with_successor("key_forged".into(), NOW)
            .with_revision(99)
    };
    wait(keys.by("ann").update(&acme(), before.id(), forged)).unwrap();
    let after = get(&keys, before.id());
    assert_eq!(after.name(), "new name");
    assert!(after.access().grants(&Scope::new("write").unwrap()));
    assert_eq!((after.digest(), after.tenant().id()), (before.digest(), &acme()));
    assert_eq!((after.environment(), after.status()), (Environment::Live, KeyStatus::Active));
    assert_eq!((after.successor(), after.deprecated()), (None, None));
    assert_eq!((after.revision(), after.created()), (1, NOW));
}

#[test]
fn another_tenants_key_is_not_there() {
    let keys = keys(&clock());
    let id = issue(&keys).record.id().clone();
    let (by, other) = (keys.by("eve"), TenantId::from("other"));
    let day = Duration::from_secs(DAY);
    let errors = [
        wait(keys.get(&other, &id)).unwrap_err(),
        wait(by.update(&other, &id, |key| key)).unwrap_err(),
        wait(by.deactivate(&other, &id)).unwrap_err(),
        wait(by.reactivate(&other, &id)).unwrap_err(),
        wait(by.revoke(&other, &id)).unwrap_err(),
        wait(by.delete(&other, &id)).unwrap_err(),
        wait(by.rotate(&other, &id, day)).unwrap_err(),
        wait(by.rotate_now(&other, &id)).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, KeysError::NotFound), "{error:?}");
        assert_eq!(error.status(), 404);
    }
    assert_eq!(actions(&keys), [Action::Issued]);
    assert_eq!(wait(keys.list(&other, &KeyFilter::new())).unwrap().total, 0);
    assert!(wait(keys.store().events(&other, 0, 10)).unwrap().is_empty());
}

#[test]
fn a_key_that_has_expired_already_is_not_issued() {
    let keys = keys(&clock());
    for end in [NOW, NOW.saturating_sub(Duration::from_nanos(1))] {
        let error = wait(keys.by("ann").issue(new_key().expires(end))).unwrap_err();
        assert!(matches!(error, KeysError::Expired));
    }
    assert!(events(&keys).is_empty());
}

#[test]
fn a_format_of_existing_keys_issues_none() {
    let format = KeyFormat::existing("old-", 20..=40).unwrap();
    let keys = Keys::new(MemoryStore::new(), format);
    let error = wait(keys.by("ann").issue(new_key())).unwrap_err();
    assert!(matches!(error, KeysError::Generate(_)));
    assert_eq!(error.status(), 500);
}

#[test]
fn an_imported_key_is_taken_as_it_is_and_once() {
    let keys = keys(&clock());
    let text = "old-0123456789abcdefghij";
    let record = KeyRecord::new("old_17", KeyDigest::of(text), Tenant::new("acme"))
        .with_revision(12)
        .with_name("theirs");
    wait(keys.by("migration").import(record.clone())).unwrap();
    assert_eq!(get(&keys, &"old_17".into()).name(), "theirs");
    let formats = [KeyFormat::existing("old-", 20..=20).unwrap()];
    let gate = gate(keys.store().clone()).key_formats(formats).unwrap().into_authenticator();
    assert_eq!(subject(&gate, &bearer(text)), "old_17");
    let error = wait(keys.by("migration").import(record)).unwrap_err();
    assert!(matches!(error, KeysError::Exists(_)) && error.status() == 409, "{error:?}");
    assert_eq!(actions(&keys), [Action::Imported]);
    wait(keys.by("ann").update(&acme(), &"old_17".into(), |key| key.with_name("ours"))).unwrap();
}

#[test]
fn a_conflict_is_tried_again_on_what_was_written_meanwhile() {
    let store = Faulty::over(MemoryStore::new());
    let keys = Keys::new(store.clone(), KeyFormat::sk()).clock(clock());
    let id = issue(&keys).record.id().clone();
    store.conflicts.store(63, Ordering::SeqCst);
    wait(keys.by("ann").update(&acme(), &id, |key| key.with_name("new"))).unwrap();
    assert_eq!(get(&keys, &id).name(), "new");
    assert_eq!(actions(&keys), [Action::Issued, Action::Updated], "one event for all attempts");
}

#[test]
fn endless_conflicts_end() {
    let store = Faulty::over(MemoryStore::new());
    let keys = Keys::new(store.clone(), KeyFormat::sk()).clock(clock());
    let id = issue(&keys).record.id().clone();
    for change in [0, 1] {
        store.conflicts.store(1000, Ordering::SeqCst);
        let by = keys.by("ann");
        let error = match change {
            0 => wait(by.revoke(&acme(), &id)).unwrap_err(),
            _ => wait(by.rotate_now(&acme(), &id)).unwrap_err(),
        };
        assert!(matches!(error, KeysError::Contended(_)), "{error:?}");
        assert_eq!((error.status().as_u16(), error.is_unavailable()), (503, false));
        assert_eq!(store.conflicts.load(Ordering::SeqCst), 1000 - 64);
    }
    assert_eq!(get(&keys, &id).status(), KeyStatus::Active);
    assert_eq!(actions(&keys), [Action::Issued]);
}

#[test]
fn an_outage_is_told_apart_and_its_cause_is_for_the_log_alone() {
    let store = Faulty::over(MemoryStore::new());
    let keys = Keys::new(store.clone(), KeyFormat::sk()).clock(clock());
    let id = issue(&keys).record.id().clone();
    let by = keys.by("ann");
    let away = || store.outages.store(1, Ordering::SeqCst);
    away();
    let mut errors = vec![wait(by.issue(new_key())).unwrap_err()];
    away();
    errors.push(wait(by.revoke(&acme(), &id)).unwrap_err());
    away();
    errors.push(wait(by.delete(&acme(), &id)).unwrap_err());
    away();
    errors.push(wait(by.rotate_now(&acme(), &id)).unwrap_err());
    away();
    errors.push(wait(keys.list(&acme(), &KeyFilter::new())).unwrap_err());
    away();
    errors.push(wait(keys.due(&acme())).unwrap_err());
    for error in errors {
        assert!(error.is_unavailable() && error.status() == 503, "{error:?}");
        assert!(!error.to_string().contains("db-7"), "{error}");
        let cause = error.source().unwrap().source().unwrap();
        assert_eq!(cause.to_string(), TROUBLE);
    }
    assert_eq!(actions(&keys), [Action::Issued]);
}

#[test]
fn a_change_whose_answer_was_lost_is_seen_by_reading() {
    let store = Faulty::over(MemoryStore::new());
    let keys = Keys::new(store.clone(), KeyFormat::sk()).clock(clock());
    store.lost_answers.store(1, Ordering::SeqCst);
    let error = wait(keys.by("ann").issue(new_key())).unwrap_err();
    assert!(error.is_unavailable());
    assert!(!printed(&error).contains("sk_live_"));
    let listed = wait(keys.list(&acme(), &KeyFilter::new())).unwrap();
    assert_eq!(listed.total, 1, "it shows, so that it can be revoked");
    let id = listed.keys[0].id();
    store.lost_answers.store(1, Ordering::SeqCst);
    wait(keys.by("ann").revoke(&acme(), id)).unwrap_err();
    wait(keys.by("ann").revoke(&acme(), id)).unwrap();
    assert_eq!(actions(&keys), [Action::Issued, Action::Revoked], "the second found it done");
}

#[test]
fn updates_at_the_same_time_lose_nothing() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let keys = keys(&clock());
    let id = issue(&keys).record.id().clone();
    let add = |name: &str| {
        let mark = format!("{name},");
        wait(keys.by(name).update(&acme(), &id, |key| {
            let longer = format!("{}{mark}", key.name());
            key.with_name(longer)
        }))
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let add = &add;
            scope.spawn(move || {
                for step in 0..EACH {
                    let name = format!("{thread}.{step}");
                    // Who is contended has changed nothing, and may try again.
                    while let Err(error) = add(&name) {
                        assert!(matches!(error, KeysError::Contended(_)), "{error:?}");
                    }
                }
            });
        }
    });
    let after = get(&keys, &id);
    let marks = after.name().strip_prefix("billing job").unwrap();
    let marks: HashSet<_> = marks.split_terminator(',').collect();
    assert_eq!(marks.len(), THREADS * EACH, "each update is there");
    assert_eq!(after.revision(), (THREADS * EACH) as u64);
    let told = events(&keys);
    let actors: HashSet<_> = told.iter().map(|event| &event.actor).collect();
    assert_eq!((told.len(), actors.len()), (THREADS * EACH + 1, THREADS * EACH + 1));
}

#[test]
fn of_revocation_and_other_changes_at_the_same_time_revocation_wins() {
    for _ in 0..200 {
        let keys = keys(&clock());
        let id = issue(&keys).record.id().clone();
        let (by, tenant) = (keys.by("ann"), acme());
        thread::scope(|scope| {
            scope.spawn(|| wait(by.deactivate(&tenant, &id)).map(drop));
            scope.spawn(|| wait(by.update(&tenant, &id, |key| key.with_name("x"))).map(drop));
            scope.spawn(|| wait(by.reactivate(&tenant, &id)).map(drop));
            scope.spawn(|| wait(by.revoke(&tenant, &id)).unwrap());
        });
        assert_eq!(get(&keys, &id).status(), KeyStatus::Revoked);
        let last = actions(&keys).into_iter().rev().find(|action| *action != Action::Issued);
        assert_eq!(last, Some(Action::Revoked), "nothing was done to it afterwards");
    }
}

/// Handlers run on multi-threaded runtimes, and over stores behind a pointer.
#[tokio::test]
async fn its_futures_can_be_spawned_and_its_store_can_be_dynamic() {
    let store: Arc<dyn KeyAdmin> = Arc::new(MemoryStore::new());
    let keys = Keys::new(store, KeyFormat::sk());
    let task = tokio::spawn({
        let keys = keys.clone();
        async move {
            let by = keys.by("ann");
            let id = by.issue(new_key()).await?.record.id().clone();
            by.update(&acme(), &id, |key| key.with_name("new")).await?;
            by.deactivate(&acme(), &id).await?;
            by.reactivate(&acme(), &id).await?;
            let next = by.rotate(&acme(), &id, Duration::from_secs(DAY)).await?;
            by.revoke(&acme(), next.record.id()).await?;
            by.delete(&acme(), &id).await?;
            keys.due(&acme()).await?;
            keys.list(&acme(), &KeyFilter::new()).await
        }
    });
    assert_eq!(task.await.unwrap().unwrap().total, 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Update,
    Deactivate,
    Reactivate,
    Revoke,
    Rotate,
    RotateNow,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Update),
        Just(Step::Deactivate),
        Just(Step::Reactivate),
        Just(Step::Revoke),
        Just(Step::Rotate),
        Just(Step::RotateNow),
        (1..3 * DAY).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever is done in whatever order: revoked is for good, each commit tells once, a key's
    /// revision counts its changes, and a key with a successor has a successor that exists.
    #[test]
    fn no_order_of_changes_breaks_the_rules(steps in prop::collection::vec(step(), 1..20)) {
        let clock = clock();
        let keys = keys(&clock);
        let issued = wait(keys.by("ann").issue(new_key())).unwrap();
        let id = issued.record.id();
        let mut was_revoked = false;
        for step in steps {
            let (by, tenant) = (keys.by("ann"), acme());
            let before = (get(&keys, id), events(&keys).len());
            let (done, told) = match step {
                Step::Update => (wait(by.update(&tenant, id, |key| key)).map(drop), 1),
                Step::Deactivate => (wait(by.deactivate(&tenant, id)).map(drop), 1),
                Step::Reactivate => (wait(by.reactivate(&tenant, id)).map(drop), 1),
                Step::Revoke => (wait(by.revoke(&tenant, id)).map(drop), 1),
                Step::Rotate => {
                    (wait(by.rotate(&tenant, id, Duration::from_secs(DAY))).map(drop), 2)
                }
                Step::RotateNow => (wait(by.rotate_now(&tenant, id)).map(drop), 2),
                Step::Wait(secs) => {
                    clock.advance(Duration::from_secs(secs));
                    (Ok(()), 0)
                }
            };
            let after = get(&keys, id);
            let changed = after.revision() - before.0.revision();
            prop_assert!(changed <= 1 && (done.is_ok() || changed == 0));
            prop_assert_eq!((events(&keys).len() - before.1) as u64, changed * told);
            prop_assert!(!was_revoked || after.status() == KeyStatus::Revoked);
            was_revoked = after.status() == KeyStatus::Revoked;
            prop_assert_eq!(after.successor().is_some(), after.deprecated().is_some());
            if let Some(successor) = after.successor() {
                let next = get(&keys, successor);
                prop_assert_eq!(next.name(), after.name());
            }
        }
    }
}

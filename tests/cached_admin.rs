//! Changes through the cache are felt at once.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/backend.rs"]
mod stores;

use std::sync::Arc;
use std::task::{Context, Waker};

use common::{NOW, bearer, clock, gate, live_key, record, refusal, subject, token, verifier, wait};
use keygate::RejectionKind::{KeyInactive, KeyInvalid, TenantSuspended};
use keygate::store::{
    Action, AuditEvent, Cached, Change, Commit, KeyAdmin, KeyFilter, KeyStore, MemoryStore,
    TenantDirectory,
};
use keygate::{KeyDigest, KeyRecord, KeyStatus, Tenant, TenantId, TenantStatus};
use stores::{Backend, backend, keyed};

fn cached(backend: &Backend) -> Cached<Backend> {
    Cached::new(backend.clone()).with_clock(clock())
}

fn acme() -> TenantId {
    TenantId::from("acme")
}

fn suspended() -> Tenant {
    Tenant::new("acme").with_status(TenantStatus::Suspended)
}

fn find(store: &impl KeyStore, text: &str) -> Option<Arc<KeyRecord>> {
    let digest = KeyDigest::of(text);
    store.peek(&digest).unwrap_or_else(|| wait(store.find(&digest))).unwrap()
}

fn kept(store: &impl KeyAdmin, id: &str) -> KeyRecord {
    KeyRecord::clone(&wait(store.get(&acme(), &id.into())).unwrap().unwrap())
}

#[test]
fn a_key_lives_and_dies_without_a_moment_of_doubt() {
    let (key, backend) = (live_key(), Backend::default());
    let store = cached(&backend);
    let gate = gate(store.clone()).into_authenticator();
    let asked = || bearer(key.reveal());
    assert_eq!(refusal(&gate, &asked()), KeyInvalid, "kept as unknown");
    wait(store.insert(record("key_1", &key, Tenant::new("acme")))).unwrap();
    assert_eq!(subject(&gate, &asked()), "key_1");
    for (status, expected) in [
        (KeyStatus::Inactive, Some(KeyInactive)),
        (KeyStatus::Active, None),
        (KeyStatus::Revoked, Some(KeyInvalid)),
    ] {
        wait(store.replace(kept(&store, "key_1").with_status(status))).unwrap();
        match expected {
            Some(kind) => assert_eq!(refusal(&gate, &asked()), kind),
            None => assert_eq!(subject(&gate, &asked()), "key_1"),
        }
    }
    wait(store.replace(kept(&store, "key_1").with_status(KeyStatus::Active))).unwrap();
    assert_eq!(subject(&gate, &asked()), "key_1");
    assert!(wait(store.delete(&acme(), &"key_1".into())).unwrap());
    assert_eq!(refusal(&gate, &asked()), KeyInvalid);
    assert!(!wait(store.delete(&acme(), &"key_1".into())).unwrap());
    assert_eq!(backend.finds(), 7, "one for each state, and the store is not asked in between");
}

/// Memory has a higher revision than the one that is written now, from an earlier life of the key.
#[test]
fn a_change_is_felt_although_the_key_was_removed_and_made_again_elsewhere() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    for _ in 0..2 {
        wait(backend.inner.replace(kept(&backend, "k"))).unwrap();
    }
    assert_eq!(find(&store, "k").unwrap().revision(), 2);
    wait(backend.inner.delete(&acme(), &"k".into())).unwrap();
    wait(backend.inner.insert(keyed("k"))).unwrap();
    wait(store.replace(kept(&store, "k").with_status(KeyStatus::Revoked))).unwrap();
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Revoked);
}

#[test]
fn a_tenant_that_is_suspended_is_refused_with_all_its_cached_keys() {
    let keys = [live_key(), live_key()];
    let other = live_key();
    let backend = Backend::default();
    for (id, key, tenant) in
        [("a", &keys[0], "acme"), ("b", &keys[1], "acme"), ("c", &other, "other")]
    {
        wait(backend.insert(record(id, key, Tenant::new(tenant)))).unwrap();
    }
    let store = cached(&backend);
    let gate = gate(store.clone()).into_authenticator();
    let each = || keys.iter().map(|key| bearer(key.reveal()));
    each().for_each(|asked| drop(subject(&gate, &asked)));
    assert_eq!(subject(&gate, &bearer(other.reveal())), "c");
    wait(store.put_tenant(suspended())).unwrap();
    each().for_each(|asked| assert_eq!(refusal(&gate, &asked), TenantSuspended));
    wait(store.put_tenant(Tenant::new("acme"))).unwrap();
    each().for_each(|asked| drop(subject(&gate, &asked)));
    assert_eq!(subject(&gate, &bearer(other.reveal())), "c");
    assert_eq!(backend.finds(), 2 * 3 + 1, "others' keys stay");
}

#[test]
fn a_key_that_gets_another_digest_is_found_by_the_new_one_only() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    assert!(find(&store, "k").is_some() && find(&store, "new").is_none());
    wait(store.replace(kept(&store, "k").with_digest(KeyDigest::of("new")))).unwrap();
    assert!(find(&store, "k").is_none(), "not from memory either");
    assert_eq!(find(&store, "new").unwrap().revision(), 1);
}

#[test]
fn all_changes_of_a_commit_are_felt() {
    let backend = backend(&["a", "b", "c"]);
    let store = cached(&backend);
    ["a", "b", "c", "d"].iter().for_each(|id| drop(find(&store, id)));
    let changes = vec![
        Change::Insert(keyed("d")),
        Change::Replace(kept(&store, "a").with_name("one")),
        Change::Replace(kept(&store, "a").with_revision(1).with_name("two")),
        Change::Delete { tenant: acme(), id: "b".into() },
        Change::PutTenant(Tenant::new("acme").with_plan("pro")),
    ];
    let event = AuditEvent::new(NOW, "ann", Action::Updated, acme(), None);
    wait(store.commit(Commit::new(changes, vec![event.clone()]))).unwrap();
    assert_eq!(find(&store, "a").unwrap().name(), "two");
    assert!(find(&store, "b").is_none());
    assert_eq!(find(&store, "c").unwrap().tenant().plan(), Some("pro"));
    assert!(find(&store, "d").is_some());
    assert_eq!(wait(store.events(&acme(), 0, 10)).unwrap(), [event]);
    assert_eq!(wait(store.list(&acme(), &KeyFilter::new())).unwrap().total, 3);
}

#[test]
fn a_commit_that_conflicts_changes_nothing_that_is_believed() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    find(&store, "k");
    let stale = kept(&store, "k");
    wait(store.replace(stale.clone().with_name("first"))).unwrap();
    find(&store, "k");
    assert!(wait(store.replace(stale.with_name("second"))).unwrap_err().is_conflict());
    assert_eq!(find(&store, "k").unwrap().name(), "first", "and it is no outage");
}

#[test]
fn a_commit_that_reports_failure_may_have_happened() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    let key = kept(&store, "k");
    find(&store, "k");
    backend.forget_to_say();
    let done = wait(store.replace(key.with_status(KeyStatus::Revoked)));
    assert!(done.unwrap_err().is_unavailable());
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Revoked);
}

#[test]
fn reading_a_key_ends_what_memory_kept_of_the_time_before() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Active);
    // A commit of which nobody knew whether it was made, and which was made only now.
    let revoked = kept(&backend, "k").with_status(KeyStatus::Revoked);
    wait(backend.replace(revoked)).unwrap();
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Active, "memory does not know");
    assert_eq!(kept(&store, "k").status(), KeyStatus::Revoked);
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Revoked);
}

#[test]
fn so_may_one_that_nobody_waits_for() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    let key = kept(&store, "k");
    find(&store, "k");
    backend.hold();
    let mut writing = store.replace(key.with_status(KeyStatus::Revoked));
    assert!(writing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(writing); // whoever asked has hung up
    backend.release();
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Revoked);
}

#[test]
fn tenants_are_the_stores_own_affair() {
    let memory = MemoryStore::new();
    wait(memory.put_tenant(Tenant::new("acme").with_plan("pro"))).unwrap();
    let store = Cached::new(memory.clone());
    let plan = |found: Option<Arc<Tenant>>| found.unwrap().plan().map(str::to_owned);
    assert_eq!(plan(wait(store.tenant(&acme())).unwrap()).as_deref(), Some("pro"));
    assert_eq!(plan(store.peek_tenant(&acme()).unwrap().unwrap()).as_deref(), Some("pro"));
    let gate = gate(MemoryStore::new()).jwt(verifier()).tenants(store).into_authenticator();
    let token = bearer(&token(r#","tenant":"acme""#));
    assert_eq!(subject(&gate, &token), "ann");
    wait(memory.put_tenant(suspended())).unwrap();
    assert_eq!(refusal(&gate, &token), TenantSuspended);
}

/// Removed behind the cache's back, and put in again through it: its revisions begin anew.
#[test]
fn a_digest_that_is_used_again_is_another_key() {
    let backend = backend(&["k"]);
    let store = cached(&backend);
    wait(store.replace(kept(&store, "k").with_name("changed"))).unwrap();
    assert_eq!(find(&store, "k").unwrap().revision(), 1);
    wait(backend.inner.delete(&acme(), &"k".into())).unwrap();
    wait(store.insert(keyed("k"))).unwrap();
    assert_eq!(find(&store, "k").unwrap().revision(), 0);
}

/// As when its digest is made anew with another pepper while somebody removes it.
#[test]
fn a_key_that_is_removed_is_refused_under_every_digest_that_it_had() {
    let backend = backend(&["k", "other"]);
    let store = cached(&backend);
    assert!(find(&store, "k").is_some() && find(&store, "other").is_some());
    wait(backend.inner.replace(kept(&store, "k").with_digest(KeyDigest::of("new")))).unwrap();
    assert!(find(&store, "new").is_some(), "both are in memory");
    assert!(wait(store.delete(&acme(), &"k".into())).unwrap());
    assert!(find(&store, "k").is_none() && find(&store, "new").is_none());
    assert!(store.peek(&KeyDigest::of("other")).is_some(), "others stay");
}

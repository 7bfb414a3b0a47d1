//! Clauses of [`KeyAdmin::commit`]: all or nothing.

use std::sync::Arc;

use super::sample::{
    acme, at_once, event, facts, find, get, key, key_of, list, must, must_conflict, read, suspended,
};
use crate::store::{Action, Change, Commit, KeyAdmin, KeyFilter, StoreError};
use crate::{KeyDigest, KeyId, KeyRecord, TenantId, Timestamp};

/// A new key, and the old one with it as its successor, and the event.
fn rotation(old: KeyRecord, new: &str) -> Commit {
    let told = event(Action::Rotated, old.id().as_str());
    let old = old.with_successor(KeyId::from(new), Timestamp::from_secs(9));
    Commit::new(vec![Change::Insert(key(new)), Change::Replace(old)], vec![told])
}

fn delete(id: &str) -> Change {
    Change::Delete { tenant: acme(), id: KeyId::from(id) }
}

/// Changes of several kinds, with their events, are made together.
pub async fn a_commit_makes_all_its_changes(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.insert(key("k2")).await);
    let mut commit = rotation(key("k1"), "k3");
    commit.changes.extend([delete("k2"), Change::PutTenant(suspended("acme"))]);
    must(store.commit(commit).await);
    assert_eq!(list(&store, KeyFilter::new()).await.0, ["k1", "k3"]);
    assert_eq!(read(&store, "k1").await.successor(), Some(&KeyId::from("k3")));
    assert!(find(&store, "k3").await.is_some_and(|found| found.tenant().is_suspended()));
    assert_eq!(must(store.events(&acme(), 0, 9).await), [event(Action::Rotated, "k1")]);
}

/// When one change conflicts, none is made and no event is kept, wherever in the commit it stands.
pub async fn a_conflict_leaves_nothing_of_a_commit(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.insert(key("k2")).await);
    let good = |n: usize| {
        vec![
            Change::Insert(key(&format!("new{n}"))),
            Change::Replace(key("k1").with_name("changed")),
            delete("k2"),
            Change::PutTenant(suspended("acme")),
        ]
    };
    let bad = [Change::Insert(key("k1")), Change::Replace(key("gone")), delete("gone")];
    for (n, conflict) in bad.into_iter().enumerate() {
        for place in [0, 4] {
            let mut changes = good(n);
            changes.insert(place, conflict.clone());
            let commit = Commit::new(changes, vec![event(Action::Updated, "k1")]);
            must_conflict(store.commit(commit).await);
        }
    }
    assert_eq!(list(&store, KeyFilter::new()).await.0, ["k1", "k2"]);
    assert_eq!(facts(&read(&store, "k1").await), facts(&key("k1")));
    assert!(find(&store, "new0").await.is_none() && get(&store, "new1").await.is_none());
    assert!(must(store.events(&acme(), 0, 9).await).is_empty());
}

/// A change sees the changes before it in the same commit.
pub async fn changes_are_made_in_their_order(store: impl KeyAdmin) {
    let next = key("k1").with_revision(1).with_name("second");
    let changes = vec![
        Change::Insert(key("k1").with_name("zeroth")),
        Change::Replace(key("k1").with_name("first")),
        Change::Replace(next),
        Change::Insert(key("k2")),
        delete("k2"),
        Change::Insert(key("k2").with_name("again")),
    ];
    must(store.commit(Commit::new(changes, Vec::new())).await);
    let record = read(&store, "k1").await;
    assert_eq!((record.name(), record.revision()), ("second", 2));
    assert_eq!(read(&store, "k2").await.name(), "again");
    let twice = vec![Change::Insert(key("k3")), Change::Insert(key("k3"))];
    must_conflict(store.commit(Commit::new(twice, Vec::new())).await);
}

/// A digest that one change frees, the next may give to another key, which is then found by it.
pub async fn a_digest_that_is_freed_can_be_given_on(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.insert(key("k2")).await);
    let heir = key("k2").with_digest(KeyDigest::of("k1"));
    let successor = key("k3").with_digest(KeyDigest::of("k2"));
    let changes = vec![delete("k1"), Change::Replace(heir), Change::Insert(successor)];
    must(store.commit(Commit::new(changes, Vec::new())).await);
    for (text, id) in [("k1", "k2"), ("k2", "k3")] {
        let found = find(&store, text).await;
        assert_eq!(found.as_ref().map(|found| found.id().as_str()), Some(id), "{text}");
    }
    assert!(find(&store, "k3").await.is_none() && get(&store, "k1").await.is_none());
}

/// A key that is deleted here and inserted there, in one commit, has moved to another tenant.
pub async fn a_key_can_move_to_another_tenant(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    let changes = vec![delete("k1"), Change::Insert(key_of("other", "k1"))];
    must(store.commit(Commit::new(changes, Vec::new())).await);
    assert_eq!(list(&store, KeyFilter::new()).await, (vec![], 0));
    assert!(get(&store, "k1").await.is_none());
    let other = TenantId::from("other");
    assert_eq!(must(store.list(&other, &KeyFilter::new()).await).total, 1);
    let found = find(&store, "k1").await;
    assert_eq!(found.as_ref().map(|found| found.tenant().id()), Some(&other));
}

/// A commit may be of events only, or of nothing.
pub async fn an_empty_commit_is_no_conflict(store: impl KeyAdmin) {
    must(store.commit(Commit::default()).await);
    must(store.commit(Commit::new(Vec::new(), vec![event(Action::Updated, "k1")])).await);
    assert_eq!(must(store.events(&acme(), 0, 9).await).len(), 1);
}

/// Of many at once that rotate one key, one succeeds: one successor, one event.
pub async fn of_concurrent_rotations_one_is_made(store: impl KeyAdmin) {
    let store = Arc::new(store);
    must(store.insert(key("k1")).await);
    let rotate = |store: Arc<_>, n: usize| async move {
        KeyAdmin::commit(&*store, rotation(key("k1"), &format!("new{n}"))).await
    };
    let results = at_once(&store, 8, rotate).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results.into_iter().filter(Result::is_err).for_each(must_conflict);
    let (ids, total) = list(&*store, KeyFilter::new()).await;
    assert_eq!(total, 2, "{ids:?}");
    let successor = read(&*store, "k1").await.successor().cloned();
    assert_eq!(successor.as_ref().map(KeyId::as_str), ids.get(1).map(String::as_str));
    assert_eq!(must(store.events(&acme(), 0, 9).await).len(), 1);
}

/// Commits of many changes at once, in opposite orders, are all made in the end: none waits for
/// another in a circle, and what fails for that reason may be repeated.
pub async fn concurrent_commits_of_many_changes_all_end(store: impl KeyAdmin) {
    const KEYS: usize = 4;
    let store = Arc::new(store);
    for n in 0..KEYS {
        must(store.insert(key(&n.to_string())).await);
    }
    let change_all = |store: Arc<_>, task: usize| async move {
        while !must_or_again(change_all(&*store, task.is_multiple_of(2)).await) {}
    };
    at_once(&store, 4, change_all).await;
    for n in 0..KEYS {
        assert_eq!(read(&*store, &n.to_string()).await.revision(), 4);
    }

    async fn change_all(store: &impl KeyAdmin, upwards: bool) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for n in 0..KEYS {
            let n = if upwards { n } else { KEYS - 1 - n };
            changes.push(Change::Replace(read(store, &n.to_string()).await));
        }
        store.commit(Commit::new(changes, Vec::new())).await
    }
}

/// False when it may be tried again.
fn must_or_again(result: Result<(), StoreError>) -> bool {
    let again = result.as_ref().is_err_and(|error| error.is_conflict() || error.is_unavailable());
    if !again {
        must(result);
    }
    !again
}

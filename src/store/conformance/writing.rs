//! Clauses of insert, replace and delete: who comes second learns it, and nothing is lost.

use std::sync::Arc;

use super::sample::{
    acme, at_once, facts, find, get, key, key_of, list, must, must_conflict, read,
};
use crate::store::{KeyAdmin, KeyFilter};
use crate::{KeyDigest, KeyId, Tenant, TenantId};

/// Ids are unique over all tenants. A refused insert leaves nothing behind.
pub async fn an_id_is_inserted_once(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must_conflict(store.insert(key("k1").with_digest(KeyDigest::of("a"))).await);
    must_conflict(store.insert(key_of("other", "k1").with_digest(KeyDigest::of("b"))).await);
    assert!(find(&store, "a").await.is_none() && find(&store, "b").await.is_none());
    assert_eq!(list(&store, KeyFilter::new()).await.1, 1);
    assert_eq!(facts(&read(&store, "k1").await), facts(&key("k1")), "the first is untouched");
}

/// Digests are unique over all tenants.
pub async fn a_digest_is_inserted_once(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must_conflict(store.insert(key("k2").with_digest(KeyDigest::of("k1"))).await);
    must_conflict(store.insert(key_of("other", "k3").with_digest(KeyDigest::of("k1"))).await);
    assert!(get(&store, "k2").await.is_none());
    assert_eq!(find(&store, "k1").await.map(|found| facts(&found)), Some(facts(&key("k1"))));
}

/// Of many at once that insert one id, one succeeds and the others conflict.
pub async fn of_concurrent_inserts_of_an_id_one_succeeds(store: impl KeyAdmin) {
    let store = Arc::new(store);
    let insert = |store: Arc<_>, n: usize| async move {
        KeyAdmin::insert(&*store, key("k1").with_digest(KeyDigest::of(&n.to_string()))).await
    };
    let results = at_once(&store, 8, insert).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results.into_iter().filter(Result::is_err).for_each(must_conflict);
    let mut found = 0;
    for n in 0..8 {
        found += usize::from(find(&*store, &n.to_string()).await.is_some());
    }
    assert_eq!(found, 1, "the digests of those that conflicted are not kept");
}

/// Of many at once that insert one digest, one succeeds and the others conflict.
pub async fn of_concurrent_inserts_of_a_digest_one_succeeds(store: impl KeyAdmin) {
    let store = Arc::new(store);
    let insert = |store: Arc<_>, n: usize| async move {
        KeyAdmin::insert(&*store, key(&n.to_string()).with_digest(KeyDigest::of("one"))).await
    };
    let results = at_once(&store, 8, insert).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results.into_iter().filter(Result::is_err).for_each(must_conflict);
    assert_eq!(list(&*store, KeyFilter::new()).await.1, 1);
}

/// Each change counts the revision up by one.
pub async fn a_replaced_key_is_of_the_next_revision(store: impl KeyAdmin) {
    must(store.insert(key("k1").with_revision(7)).await);
    for revision in [8, 9] {
        let changed = read(&store, "k1").await.with_name(format!("{revision}"));
        must(store.replace(changed.clone()).await);
        let expected = facts(&changed.with_revision(revision));
        assert_eq!(find(&store, "k1").await.map(|found| facts(&found)), Some(expected.clone()));
        assert_eq!(facts(&read(&store, "k1").await), expected);
    }
}

/// A change of what was read before another's change conflicts, as does one of a revision that is yet
/// to come.
pub async fn replace_refuses_what_was_changed_meanwhile(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    let first_read = read(&store, "k1").await;
    must(store.replace(first_read.clone().with_name("one")).await);
    must_conflict(store.replace(first_read.with_name("two")).await);
    must_conflict(store.replace(key("k1").with_revision(2)).await);
    assert_eq!(find(&store, "k1").await.map(|found| found.name().to_owned()), Some("one".into()));
}

/// A change never brings a key back, nor makes one.
pub async fn replace_refuses_a_key_that_is_gone(store: impl KeyAdmin) {
    must_conflict(store.replace(key("k1")).await);
    must(store.insert(key("k1")).await);
    assert!(must(store.delete(&acme(), &KeyId::from("k1")).await));
    must_conflict(store.replace(key("k1")).await);
    assert!(find(&store, "k1").await.is_none() && get(&store, "k1").await.is_none());
}

/// A digest that is one key's is never another's.
pub async fn replace_refuses_the_digest_of_another_key(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.insert(key("k2")).await);
    must_conflict(store.replace(key("k1").with_digest(KeyDigest::of("k2"))).await);
    for id in ["k1", "k2"] {
        assert_eq!(find(&store, id).await.map(|found| facts(&found)), Some(facts(&key(id))));
    }
}

/// A key that moves to another digest is found under the new one only, and the old one is free.
pub async fn a_key_can_move_to_another_digest(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.replace(key("k1").with_digest(KeyDigest::of("new"))).await);
    assert!(find(&store, "k1").await.is_none());
    assert_eq!(find(&store, "new").await.map(|found| found.revision()), Some(1));
    must(store.insert(key("k2").with_digest(KeyDigest::of("k1"))).await);
}

/// Many that read, change, and on a conflict read again, all get their change in.
pub async fn concurrent_updates_lose_nothing(store: impl KeyAdmin) {
    const TASKS: usize = 6;
    const CHANGES: usize = 8;
    let store = Arc::new(store);
    must(store.insert(key("k1")).await);
    let lengthen = |store: Arc<_>, _| async move {
        let mut made = 0;
        while made < CHANGES {
            let before = read(&*store, "k1").await;
            let name = format!("{}x", before.name());
            match KeyAdmin::replace(&*store, before.with_name(name)).await {
                Ok(()) => made += 1,
                conflict => must_conflict(conflict),
            }
        }
    };
    at_once(&store, TASKS, lengthen).await;
    let after = read(&*store, "k1").await;
    assert_eq!(after.name().len(), TASKS * CHANGES);
    assert_eq!(after.revision(), (TASKS * CHANGES) as u64);
}

/// After a delete neither the digest, nor the id, nor a listing knows the key. Deleting nothing is
/// `false`.
pub async fn a_deleted_key_is_gone_from_everywhere(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.insert(key("k2")).await);
    assert!(must(store.delete(&acme(), &KeyId::from("k1")).await));
    assert!(!must(store.delete(&acme(), &KeyId::from("k1")).await));
    assert!(find(&store, "k1").await.is_none() && get(&store, "k1").await.is_none());
    assert_eq!(list(&store, KeyFilter::new()).await, (vec!["k2".into()], 1));
}

/// The id and the digest of a deleted key are free.
pub async fn a_deleted_key_may_come_again(store: impl KeyAdmin) {
    must(store.insert(key("k1").with_name("old")).await);
    assert!(must(store.delete(&acme(), &KeyId::from("k1")).await));
    must(store.insert(key("k1")).await);
    assert_eq!(find(&store, "k1").await.map(|found| facts(&found)), Some(facts(&key("k1"))));
}

/// A key of another tenant is not there: it is neither read, nor changed, nor deleted, nor moved.
pub async fn a_tenant_changes_only_its_own_keys(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    let (other, id) = (TenantId::from("other"), KeyId::from("k1"));
    assert!(must(store.get(&other, &id).await).is_none());
    assert!(!must(store.delete(&other, &id).await));
    must_conflict(store.replace(key("k1").with_tenant(Tenant::new("other"))).await);
    assert_eq!(find(&store, "k1").await.map(|found| facts(&found)), Some(facts(&key("k1"))));
}

//! Clauses of [`TenantDirectory`], and of tenants and their keys.

use std::sync::Arc;

use super::sample::{acme, at_once, find, key, key_of, must, read, suspended};
use crate::store::{KeyAdmin, TenantDirectory};
use crate::{KeyRecord, Tenant, TenantId};

/// A tenant's status and plan are those of its keys, however they are read, at once; no key's
/// revision counts that, and no other tenant's key.
pub async fn a_tenants_change_reaches_its_keys(store: impl KeyAdmin) {
    for record in [key("k1"), key("k2"), key_of("other", "k3")] {
        must(store.insert(record).await);
    }
    let changed = suspended("acme").with_plan("pro");
    must(store.put_tenant(changed.clone()).await);
    let mut seen: Vec<KeyRecord> = vec![read(&store, "k1").await];
    for id in ["k1", "k2"] {
        seen.extend(find(&store, id).await.map(|record| KeyRecord::clone(&record)));
    }
    let page = must(store.list(&acme(), &Default::default()).await);
    seen.extend(page.keys.iter().map(|record| KeyRecord::clone(record)));
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|r| **r.tenant() == changed && r.revision() == 0), "{seen:?}");
    assert!(find(&store, "k3").await.is_some_and(|found| !found.tenant().is_suspended()));
    must(store.put_tenant(Tenant::new("acme")).await);
    assert_eq!(**read(&store, "k1").await.tenant(), Tenant::new("acme"));
}

/// A record says what it knew of its tenant when it was made; what the store knows counts.
pub async fn a_suspended_tenant_gets_no_key_that_works(store: impl KeyAdmin) {
    must(store.put_tenant(suspended("acme")).await);
    must(store.insert(key("k1")).await);
    assert!(find(&store, "k1").await.is_some_and(|found| found.tenant().is_suspended()));
    must(store.replace(key("k1").with_tenant(Tenant::new("acme"))).await);
    assert!(find(&store, "k1").await.is_some_and(|found| found.tenant().is_suspended()));
    assert!(read(&store, "k1").await.tenant().is_suspended());
}

/// A suspension that is written while keys are inserted holds for all of them.
pub async fn an_insert_races_no_suspension_away(store: impl KeyAdmin) {
    let store = Arc::new(store);
    let task = |store: Arc<_>, n: usize| async move {
        match n {
            0 => must(KeyAdmin::put_tenant(&*store, suspended("acme")).await),
            n => must(KeyAdmin::insert(&*store, key(&n.to_string())).await),
        }
    };
    at_once(&store, 8, task).await;
    for n in 1..8 {
        let found = find(&*store, &n.to_string()).await;
        assert!(found.is_some_and(|found| found.tenant().is_suspended()), "{n}");
    }
}

async fn known(store: &impl TenantDirectory, id: &str) -> Option<Tenant> {
    must(store.tenant(&TenantId::from(id)).await).map(|tenant| Tenant::clone(&tenant))
}

/// No tenant is an answer, not an error.
pub async fn an_unknown_tenant_is_none(store: impl TenantDirectory) {
    assert_eq!(known(&store, "acme").await, None);
}

/// A tenant is known as it was put last, with its plan or without.
pub async fn a_tenant_is_known_as_it_was_put(store: impl KeyAdmin + TenantDirectory) {
    let versions = [suspended("acme").with_plan("pro"), Tenant::new("acme"), suspended("acme")];
    for version in versions {
        must(store.put_tenant(version.clone()).await);
        assert_eq!(known(&store, "acme").await, Some(version));
    }
}

/// A tenant of which nothing was known is known by its first key, and not changed by the next.
pub async fn a_tenant_that_came_with_a_key_is_known(store: impl KeyAdmin + TenantDirectory) {
    for (id, plan) in [("k1", "free"), ("k2", "pro")] {
        must(store.insert(key(id).with_tenant(Tenant::new("acme").with_plan(plan))).await);
        assert_eq!(known(&store, "acme").await, Some(Tenant::new("acme").with_plan("free")));
    }
}

/// Case and spaces count.
pub async fn tenants_names_are_compared_exactly(store: impl KeyAdmin + TenantDirectory) {
    must(store.put_tenant(suspended("Acme")).await);
    for other in ["acme", "ACME", "Acme ", ""] {
        assert_eq!(known(&store, other).await, None, "{other:?}");
        must(store.put_tenant(Tenant::new(other)).await);
    }
    assert_eq!(known(&store, "Acme").await, Some(suspended("Acme")));
}

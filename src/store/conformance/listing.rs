//! Clauses of [`KeyAdmin::list`].

use super::sample::{NOW, acme, full, get, key, key_of, list, must, read, suspended};
use crate::store::{KeyAdmin, KeyFilter};
use crate::{Environment, KeyId, KeyStatus, TenantId, Timestamp};

async fn insert(store: &impl KeyAdmin, ids: &[&str]) {
    for id in ids {
        must(store.insert(key(id)).await);
    }
}

/// The oldest first, by when they were inserted, not by their names or times.
pub async fn keys_are_listed_in_order_of_issue(store: impl KeyAdmin) {
    insert(&store, &["b", "c"]).await;
    must(store.insert(key("a").with_created(NOW)).await);
    must(store.insert(key("d")).await);
    assert_eq!(list(&store, KeyFilter::new()).await.0, ["b", "c", "a", "d"]);
}

/// A key that is changed, or whose digest or tenant is, stays where it is; one that comes again is
/// the last.
pub async fn a_change_keeps_the_place_in_the_listing(store: impl KeyAdmin) {
    insert(&store, &["c", "b", "a", "d"]).await;
    must(store.replace(read(&store, "c").await.with_name("changed")).await);
    let moved = read(&store, "b").await.with_digest(crate::KeyDigest::of("moved"));
    must(store.replace(moved).await);
    must(store.put_tenant(suspended("acme")).await);
    assert!(must(store.delete(&acme(), &KeyId::from("a")).await));
    insert(&store, &["a"]).await;
    assert_eq!(list(&store, KeyFilter::new()).await.0, ["c", "b", "d", "a"]);
}

/// A key is in use when it is active and has not expired.
pub async fn filters_choose_by_environment_and_use(store: impl KeyAdmin) {
    let (past, future) = (Timestamp::from_secs(1), Timestamp::MAX);
    let test = Environment::Test;
    let revoked = key("5").with_status(KeyStatus::Revoked).with_environment(test);
    let keys = [
        key("1"),
        key("2").with_expires(past),
        key("3").with_expires(future).with_environment(test),
        key("4").with_status(KeyStatus::Inactive),
        revoked.with_expires(future),
    ];
    for record in keys {
        must(store.insert(record).await);
    }
    let all = KeyFilter::new();
    let table = [
        (all, "12345"),
        (all.environment(Environment::Live), "124"),
        (all.environment(test), "35"),
        (all.active(true), "13"),
        (all.active(false), "245"),
        (all.active(true).environment(test), "3"),
        (all.active(false).environment(Environment::Live), "24"),
        (all.active(false).environment(test), "5"),
    ];
    for (filter, expected) in table {
        let (ids, total) = list(&store, filter).await;
        assert_eq!((ids.concat().as_str(), total), (expected, expected.len()), "{filter:?}");
    }
}

/// Pages cut the listing without loss or repetition, and each knows the total of what the filter
/// admits.
pub async fn pages_cut_the_listing(store: impl KeyAdmin) {
    insert(&store, &["7", "6", "5", "4", "3"]).await;
    must(store.insert(full("9")).await);
    let live = KeyFilter::new().environment(Environment::Live);
    let table =
        [(1, 2, "76"), (2, 2, "54"), (3, 2, "3"), (1, 5, "76543"), (2, 4, "3"), (1, 1000, "76543")];
    for (page, per_page, expected) in table {
        let (ids, total) = list(&store, live.page(page, per_page)).await;
        assert_eq!((ids.concat().as_str(), total), (expected, 5), "{page} {per_page}");
    }
}

/// Beyond the last page there is nothing, however far beyond, and the total is still told.
pub async fn a_page_beyond_the_end_is_empty_and_knows_the_total(store: impl KeyAdmin) {
    assert_eq!(list(&store, KeyFilter::new()).await, (vec![], 0));
    insert(&store, &["a", "b"]).await;
    for page in [2, 3, usize::MAX] {
        assert_eq!(list(&store, KeyFilter::new().page(page, 2)).await, (vec![], 2), "{page}");
    }
}

/// A listing is of one tenant's keys.
pub async fn a_tenant_sees_only_its_own_keys(store: impl KeyAdmin) {
    insert(&store, &["a", "b"]).await;
    must(store.insert(key_of("other", "c")).await);
    assert_eq!(list(&store, KeyFilter::new()).await, (vec!["a".into(), "b".into()], 2));
    let others = must(store.list(&TenantId::from("other"), &KeyFilter::new()).await);
    assert_eq!((others.total, others.keys.len()), (1, 1));
    assert!(others.keys.iter().all(|found| found.id().as_str() == "c"));
    let nobody = must(store.list(&TenantId::from("nobody"), &KeyFilter::new()).await);
    assert_eq!((nobody.total, nobody.keys.len()), (0, 0));
    assert!(get(&store, "c").await.is_none());
}

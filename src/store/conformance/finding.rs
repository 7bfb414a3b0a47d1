//! Clauses of [`KeyStore::find`](crate::store::KeyStore::find) and [`KeyAdmin::get`]: what was
//! written is read.

use super::sample::{acme, facts, find, full, get, key, key_of, must};
use crate::store::KeyAdmin;
use crate::{Access, KeyDigest, KeyId, KeyRecord, Quota, Tenant, TenantId, Timestamp};

/// No record is an answer, not an error.
pub async fn an_unknown_digest_is_none(store: impl KeyAdmin) {
    assert!(find(&store, "k1").await.is_none());
    assert!(get(&store, "k1").await.is_none());
    must(store.insert(key("k1")).await);
    assert!(find(&store, "k2").await.is_none());
    assert!(get(&store, "k2").await.is_none());
}

/// An insert counts for the next lookup, by digest and by id.
pub async fn an_inserted_key_is_found_by_digest_and_by_id(store: impl KeyAdmin) {
    must(store.insert(key("k1")).await);
    must(store.insert(key("k2")).await);
    for id in ["k1", "k2"] {
        assert_eq!(find(&store, id).await.map(|record| facts(&record)), Some(facts(&key(id))));
        assert_eq!(get(&store, id).await.map(|record| facts(&record)), Some(facts(&key(id))));
    }
}

/// [`KeyStore::find_again`](crate::store::KeyStore::find_again): a key that came meanwhile is found,
/// and one that is not there is not.
pub async fn who_asks_again_is_answered_with_what_is(store: impl KeyAdmin) {
    for _ in 0..2 {
        assert!(find(&store, "k1").await.is_none());
        assert!(must(store.find_again(key("k1").digest()).await).is_none());
    }
    must(store.insert(key("k1")).await);
    for _ in 0..2 {
        let found = must(store.find_again(key("k1").digest()).await);
        assert_eq!(found.map(|record| facts(&record)), Some(facts(&key("k1"))));
    }
}

/// All facts of a record come back as they were, by each of the three ways to read it.
pub async fn every_field_comes_back(store: impl KeyAdmin) {
    let everything = key("k2").with_access(Access::Full);
    for record in [full("k1"), everything] {
        must(store.insert(record.clone()).await);
        let id = &record.id().as_str().to_owned();
        // The second key's tenant is the one that came with the first.
        let expected = facts(&record.with_tenant(Tenant::new("acme").with_plan("pro")));
        assert_eq!(find(&store, id).await.map(|record| facts(&record)), Some(expected.clone()));
        assert_eq!(get(&store, id).await.map(|record| facts(&record)), Some(expected.clone()));
        let page = must(store.list(&acme(), &Default::default()).await);
        assert!(page.keys.iter().any(|listed| facts(listed) == expected), "{page:?}");
    }
}

/// What a record leaves open stays open: no expiry, no networks, no quota; no scope is not every
/// scope.
pub async fn what_is_absent_stays_absent(store: impl KeyAdmin) {
    must(store.insert(full("k1")).await);
    let plain = KeyRecord::new("k1", KeyDigest::of("k1"), Tenant::new("acme").with_plan("pro"));
    must(store.replace(plain.clone().with_revision(41)).await);
    let expected = facts(&plain.with_revision(42));
    assert_eq!(find(&store, "k1").await.map(|record| facts(&record)), Some(expected));
}

/// Texts are kept whole: long ones, empty ones, of any script, with all that a language of queries
/// may take for its own.
pub async fn texts_come_back_as_they_were(store: impl KeyAdmin) {
    let long = "x".repeat(5_000);
    let texts = ["", " ", "'; DROP TABLE keys; --", "Ключ 鍵 🔑", "a\"b\\c\n\td", "%_$1?:x", &long];
    for (n, text) in texts.into_iter().enumerate() {
        let id = format!("{n} {}", &text[..text.len().min(40)]);
        let record = key(&id).with_name(text).with_display(text);
        must(store.insert(record.clone()).await);
        assert_eq!(get(&store, &id).await.map(|found| facts(&found)), Some(facts(&record)));
    }
}

/// Times and numbers come back exactly, at both ends of what is of use.
pub async fn times_come_back_to_the_nanosecond(store: impl KeyAdmin) {
    let quota = Quota::per_second(Quota::MAX_LIMIT).ok();
    let times = [Timestamp::EPOCH, Timestamp::from_nanos(1), Timestamp::MAX];
    for (n, time) in times.into_iter().enumerate() {
        let id = n.to_string();
        let record = key(&id).with_created(time).with_expires(time).with_quota(quota);
        let record = record.with_successor(KeyId::from("next"), time).with_revision(u64::MAX >> n);
        must(store.insert(record.clone()).await);
        assert_eq!(find(&store, &id).await.map(|found| facts(&found)), Some(facts(&record)));
    }
}

/// Two names are the same only when they are written the same: case, spaces and accents count.
pub async fn names_are_compared_exactly(store: impl KeyAdmin) {
    must(store.insert(key_of("acme", "Key")).await);
    for other in ["key", "KEY", "Key ", " Key", "Kéy", "Ke"] {
        assert!(get(&store, other).await.is_none(), "{other:?}");
        must(store.insert(key(other)).await);
    }
    for other in ["ACME", "acme ", "açme", "acm"] {
        let found = must(store.get(&TenantId::from(other), &KeyId::from("Key")).await);
        assert!(found.is_none(), "{other:?}");
    }
}

//! What both databases do alike.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keygate::store::{
    Action, AuditEvent, Commit, KeyFilter, KeyStore, Month, StoreError, TenantDirectory, Use,
};
use keygate::{
    Access, KeyDigest, KeyId, KeyRecord, ManualClock, Quota, RotationPolicy, ScopeSet, Tenant,
    TenantId, Timestamp,
};

use crate::stores::{Place, Store};
use crate::{Test, wait};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_row_that_cant_be_read_is_an_error", a_row_that_cant_be_read_is_an_error),
    ("a_tenant_that_cant_be_read_is_an_error", a_tenant_that_cant_be_read_is_an_error),
    ("an_event_or_use_that_cant_be_read_is_an_error", odd_events_and_uses),
    ("a_suspension_is_one_row", a_suspension_is_one_row),
    ("a_thousand_endpoints_are_told_apart", a_thousand_endpoints_are_told_apart),
    ("a_time_beyond_2262_is_the_end_of_time", a_time_beyond_2262_is_the_end_of_time),
    ("listings_judge_by_the_stores_clock", listings_judge_by_the_stores_clock),
    ("calls_that_nobody_waits_for_leave_no_trace", calls_that_nobody_waits_for_leave_no_trace),
    ("a_missing_table_is_no_outage", a_missing_table_is_no_outage),
];

fn acme() -> TenantId {
    TenantId::from("acme")
}

fn full() -> KeyRecord {
    KeyRecord::new("k1", KeyDigest::of("k1"), Tenant::new("acme").with_plan("pro"))
        .with_access(Access::Scopes(ScopeSet::new(["read:a"]).unwrap()))
        .with_networks(["203.0.113.0/24".parse().unwrap()])
        .with_quota(Quota::per_hour(5).unwrap())
        .with_rotation(RotationPolicy::new(90, 7).unwrap())
        .with_expires(Timestamp::from_secs(4_000_000_000))
        .with_successor(KeyId::from("k2"), Timestamp::from_secs(1))
}

/// Neither an outage nor a conflict; the cause names the column.
fn must_be_unreadable(error: StoreError, column: &str) {
    assert!(!error.is_unavailable() && !error.is_conflict(), "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains(&format!("column {column} ")), "{cause}");
}

fn a_row_that_cant_be_read_is_an_error(place: Place) {
    let table = [
        ("environment", "'prod'"),
        ("environment", "'LIVE'"),
        ("access", "'full'"),
        ("access", "'\"FULL\"'"),
        ("access", "''"),
        ("access", "'{\"scopes\":[\"two words\"]}'"),
        ("access", "'{\"scopes\":[\"read:a\"],\"more\":1}'"),
        ("access", "'{\"scopes\":null}'"),
        ("created", "-1"),
        ("expires", "-1"),
        ("status", "'gone'"),
        ("networks", "'203.0.113.0/24'"),
        ("networks", "'[\"203.0.113.0/33\"]'"),
        ("networks", "'[\"203.0.113.0/24\",\"\"]'"),
        ("quota", "'{}'"),
        ("quota", "'{\"limit\":0,\"window_ms\":1000}'"),
        ("quota", "'{\"limit\":1,\"window_ms\":1000,\"algorithm\":\"other\"}'"),
        ("rotation", "'{\"every_days\":7,\"notify_days_before\":7}'"),
        ("deprecated", "-1"),
    ];
    wait(async {
        let store = place.open().await;
        for (column, value) in table {
            store.insert(full()).await.unwrap();
            place.sql(&format!("UPDATE keygate_keys SET {column} = {value}")).await;
            every_reader_fails(&store, column).await;
            assert!(store.delete(&acme(), &KeyId::from("k1")).await.unwrap());
        }
        for half in ["successor = NULL", "deprecated = NULL"] {
            store.insert(full()).await.unwrap();
            place.sql(&format!("UPDATE keygate_keys SET {half}")).await;
            every_reader_fails(&store, "successor").await;
            store.delete(&acme(), &KeyId::from("k1")).await.unwrap();
        }
    });
}

async fn every_reader_fails(store: &Arc<dyn Store>, column: &str) {
    must_be_unreadable(store.find(&KeyDigest::of("k1")).await.unwrap_err(), column);
    must_be_unreadable(store.get(&acme(), &KeyId::from("k1")).await.unwrap_err(), column);
    must_be_unreadable(store.list(&acme(), &KeyFilter::new()).await.unwrap_err(), column);
}

fn a_tenant_that_cant_be_read_is_an_error(place: Place) {
    wait(async {
        let store = place.open().await;
        store.insert(full()).await.unwrap();
        place.sql("UPDATE keygate_tenants SET status = 'paused'").await;
        every_reader_fails(&store, "status of the tenant").await;
        let error = store.tenant(&acme()).await.unwrap_err();
        must_be_unreadable(error, "status of the tenant");
    });
}

fn odd_events_and_uses(place: Place) {
    wait(async {
        let store = place.open().await;
        let told = AuditEvent::new(Timestamp::EPOCH, "ann", Action::Issued, acme(), None);
        store.commit(Commit::new(Vec::new(), vec![told])).await.unwrap();
        place.sql("UPDATE keygate_events SET action = 'danced'").await;
        must_be_unreadable(store.events(&acme(), 0, 9).await.unwrap_err(), "action");
        let key = KeyId::from("k1");
        store.add_uses(&[Use::new(key.clone(), "a", Timestamp::EPOCH)]).await.unwrap();
        place.sql("UPDATE keygate_last_uses SET at = -5").await;
        let month = Month::of(Timestamp::EPOCH);
        must_be_unreadable(store.usage(&key, month).await.unwrap_err(), "at");
    });
}

fn a_suspension_is_one_row(place: Place) {
    wait(async {
        let store = place.open().await;
        for id in ["k1", "k2"] {
            let record = KeyRecord::new(id, KeyDigest::of(id), Tenant::new("acme"));
            store.insert(record).await.unwrap();
        }
        place.sql("UPDATE keygate_tenants SET status = 'suspended' WHERE id = 'acme'").await;
        for id in ["k1", "k2"] {
            let found = store.find(&KeyDigest::of(id)).await.unwrap().unwrap();
            assert!(found.tenant().is_suspended());
        }
        assert_eq!(place.number("SELECT count(*) FROM keygate_tenants").await, 1);
    });
}

fn a_thousand_endpoints_are_told_apart(place: Place) {
    wait(async {
        let store = place.open().await;
        let (key, month) = (KeyId::from("k1"), Month::of(Timestamp::EPOCH));
        let used = |n: usize| Use::new(key.clone(), format!("GET /{n:04}"), Timestamp::EPOCH);
        let uses: Vec<_> = (0..1_100).map(used).collect();
        store.add_uses(&uses).await.unwrap();
        store.add_uses(&[used(0), used(5_000)]).await.unwrap();
        let usage = store.usage(&key, month).await.unwrap();
        assert_eq!((usage.total, usage.by_endpoint.len()), (1_102, 1_001));
        assert_eq!((usage.by_endpoint["other"], usage.by_endpoint["GET /0000"]), (101, 2));
    });
}

fn a_time_beyond_2262_is_the_end_of_time(place: Place) {
    wait(async {
        let store = place.open().await;
        let last = Timestamp::from_nanos((1 << 63) - 2);
        for (n, (time, expected)) in
            [(last, last), (Timestamp::from_nanos(1 << 63), Timestamp::MAX)].into_iter().enumerate()
        {
            let id = n.to_string();
            let record = KeyRecord::new(id.as_str(), KeyDigest::of(&id), Tenant::new("acme"));
            store.insert(record.with_expires(time)).await.unwrap();
            let found = store.find(&KeyDigest::of(&id)).await.unwrap().unwrap();
            assert_eq!(found.expires(), Some(expected));
        }
    });
}

/// Each of the ways to ask fails as an outage, and within `limit`.
pub(crate) async fn every_call_is_unavailable(store: &impl Store, limit: Duration) {
    for n in 0..8 {
        is_unavailable_within(limit, async || call(store, n).await).await;
    }
}

/// In one of three tries: a machine may stop in the midst of some.
pub(crate) async fn is_unavailable_within(
    limit: Duration,
    mut call: impl AsyncFnMut() -> Result<(), StoreError>,
) {
    let mut took = Vec::new();
    while took.iter().all(|took| *took >= limit) {
        assert!(took.len() < 3, "{took:?}");
        let begun = Instant::now();
        let error = call().await.expect_err("it is an outage");
        took.push(begun.elapsed());
        assert!(error.is_unavailable(), "{error:?}");
    }
}

async fn call(store: &impl Store, n: usize) -> Result<(), StoreError> {
    let key = KeyId::from("k1");
    match n {
        0 => store.find(&KeyDigest::of("k1")).await.map(drop),
        1 => store.get(&acme(), &key).await.map(drop),
        2 => store.list(&acme(), &KeyFilter::new()).await.map(drop),
        3 => store.events(&acme(), 0, 1).await.map(drop),
        4 => store.tenant(&acme()).await.map(drop),
        5 => store.usage(&key, Month::of(Timestamp::EPOCH)).await.map(drop),
        6 => store.insert(full()).await,
        _ => store.add_uses(&[Use::new(key, "a", Timestamp::EPOCH)]).await,
    }
}

fn listings_judge_by_the_stores_clock(place: Place) {
    wait(async {
        let end = Timestamp::from_secs(1_000);
        let clock = ManualClock::new(Timestamp::from_nanos(end.as_nanos() - 1));
        let store = place.open_with_clock(clock.clone()).await;
        store.insert(full().with_expires(end)).await.unwrap();
        for expected in [1, 0] {
            let page = store.list(&acme(), &KeyFilter::new().active(true)).await.unwrap();
            assert_eq!((page.total, page.keys.len()), (expected, expected));
            clock.advance(Duration::from_nanos(1));
        }
    });
}

/// A request that is given up drops its call at any point of it.
fn calls_that_nobody_waits_for_leave_no_trace(place: Place) {
    wait(async {
        let store = place.open().await;
        store.insert(full()).await.unwrap();
        for n in 0..200_u32 {
            let lookup = {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.find(&KeyDigest::of("k1")).await.map(drop) })
            };
            let change = {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    store.put_tenant(Tenant::new(format!("t{n}").as_str())).await
                })
            };
            (0..n % 20).for_each(|_| std::thread::yield_now());
            lookup.abort();
            change.abort();
        }
        assert!(store.find(&KeyDigest::of("k1")).await.unwrap().is_some());
        let read = KeyRecord::clone(&store.get(&acme(), &"k1".into()).await.unwrap().unwrap());
        store.replace(read).await.expect("nothing stays locked");
    });
}

fn a_missing_table_is_no_outage(place: Place) {
    wait(async {
        let store = place.open().await;
        place.sql("DROP TABLE keygate_keys").await;
        let error = store.find(&KeyDigest::of("k1")).await.unwrap_err();
        assert!(!error.is_unavailable() && !error.is_conflict(), "{error:?}");
        assert!(error.source().is_some());
    });
}

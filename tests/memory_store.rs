//! The store in memory: writing, listing, tenants and uses.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{NOW, bearer, clock, gate, live_key, record, refusal, subject, wait};
use keygate::RejectionKind::{KeyExpired, KeyInactive, KeyInvalid, TenantSuspended};
use keygate::store::{
    Action, AuditEvent, Change, Commit, KeyAdmin, KeyFilter, KeyPage, KeyStore, MemoryStore, Month,
    StoreError, TenantDirectory, UsageStore, Use,
};
use keygate::{
    Environment, KeyDigest, KeyId, KeyRecord, KeyStatus, Tenant, TenantId, TenantStatus, Timestamp,
};
use proptest::prelude::*;

fn acme() -> TenantId {
    TenantId::from("acme")
}

fn keyed(id: &str, text: &str) -> KeyRecord {
    KeyRecord::new(id, KeyDigest::of(text), Tenant::new("acme"))
}

fn suspended(id: &str) -> Tenant {
    Tenant::new(id).with_status(TenantStatus::Suspended)
}

fn find(store: &MemoryStore, text: &str) -> Option<Arc<KeyRecord>> {
    let digest = KeyDigest::of(text);
    let found = wait(store.find(&digest)).unwrap();
    let peeked = store.peek(&digest).unwrap().unwrap();
    let names = |record: &Arc<KeyRecord>| (record.id().clone(), record.revision());
    assert_eq!(found.as_ref().map(names), peeked.as_ref().map(names), "both ways alike");
    found
}

fn get(store: &MemoryStore, id: &str) -> Option<Arc<KeyRecord>> {
    wait(store.get(&acme(), &id.into())).unwrap()
}

fn ids(page: &KeyPage) -> Vec<&str> {
    page.keys.iter().map(|key| key.id().as_str()).collect()
}

fn list(store: &MemoryStore, filter: KeyFilter) -> KeyPage {
    wait(store.list(&acme(), &filter)).unwrap()
}

fn conflicts(result: Result<(), StoreError>) -> bool {
    result.is_err_and(|error| error.is_conflict() && !error.is_unavailable())
}

#[test]
fn an_inserted_key_is_found_at_once_by_digest_and_by_id() {
    let store = MemoryStore::default();
    assert!(find(&store, "a").is_none() && get(&store, "k1").is_none());
    wait(store.insert(keyed("k1", "a"))).unwrap();
    assert_eq!(find(&store, "a").unwrap().id().as_str(), "k1");
    assert_eq!(get(&store, "k1").unwrap().digest(), &KeyDigest::of("a"));
    assert!(find(&store, "b").is_none());
    assert!(find(&store.clone(), "a").is_some(), "clones share the keys");
    assert!(find(&MemoryStore::new(), "a").is_none(), "stores do not");
}

#[test]
fn an_id_or_digest_is_inserted_once() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    assert!(conflicts(wait(store.insert(keyed("k1", "b")))));
    assert!(conflicts(wait(store.insert(keyed("k2", "a")))));
    let elsewhere = KeyRecord::new("k1", KeyDigest::of("c"), Tenant::new("other"));
    assert!(conflicts(wait(store.insert(elsewhere))), "ids are unique over all tenants");
    assert!(find(&store, "b").is_none() && find(&store, "c").is_none(), "nothing is left behind");
    assert_eq!(list(&store, KeyFilter::new()).total, 1);
}

#[test]
fn a_tenant_sees_and_changes_only_its_own_keys() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    let other = TenantId::from("other");
    let id = KeyId::from("k1");
    assert!(wait(store.get(&other, &id)).unwrap().is_none());
    assert_eq!(wait(store.list(&other, &KeyFilter::new())).unwrap().total, 0);
    assert!(!wait(store.delete(&other, &id)).unwrap());
    let stolen = keyed("k1", "a").with_tenant(Tenant::new("other"));
    assert!(conflicts(wait(store.replace(stolen))));
    assert_eq!(find(&store, "a").unwrap().tenant().id(), &acme());
}

#[test]
fn replace_takes_only_what_was_read_last() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    let read = KeyRecord::clone(&get(&store, "k1").unwrap());
    wait(store.replace(read.clone().with_name("one"))).unwrap();
    let now = get(&store, "k1").unwrap();
    assert_eq!((now.name(), now.revision()), ("one", 1));
    assert!(conflicts(wait(store.replace(read.with_name("two")))), "somebody was faster");
    assert_eq!(find(&store, "a").unwrap().name(), "one");
    let now = KeyRecord::clone(&now);
    wait(store.insert(keyed("k2", "b"))).unwrap();
    let stolen = now.clone().with_digest(KeyDigest::of("b"));
    assert!(conflicts(wait(store.replace(stolen))), "the digest is another key's");
    assert!(conflicts(wait(store.replace(keyed("k9", "z")))), "there is none");
    assert!(wait(store.delete(&acme(), now.id())).unwrap());
    assert!(conflicts(wait(store.replace(now))), "it is gone");
    assert!(find(&store, "a").is_none());
}

#[test]
fn a_key_can_be_kept_under_another_digest() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    let moved = keyed("k1", "a").with_digest(KeyDigest::of("pepper and a"));
    wait(store.replace(moved)).unwrap();
    assert!(find(&store, "a").is_none());
    assert!(find(&store, "pepper and a").is_some());
    wait(store.insert(keyed("k2", "a"))).expect("the old digest is free");
}

#[test]
fn a_commit_is_made_whole_or_not_at_all() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    let event = AuditEvent::new(NOW, "ann", Action::Rotated, acme(), Some(KeyId::from("k1")));
    let rotation = |new: KeyRecord| {
        let old = keyed("k1", "a").with_successor(new.id().clone(), NOW);
        Commit::new(vec![Change::Insert(new), Change::Replace(old)], vec![event.clone()])
    };
    wait(store.commit(rotation(keyed("k2", "b")))).unwrap();
    assert!(conflicts(wait(store.commit(rotation(keyed("k3", "c"))))), "k1 was changed meanwhile");
    assert!(find(&store, "b").is_some());
    assert!(find(&store, "c").is_none(), "nothing of a commit that conflicts is kept");
    assert_eq!(wait(store.events(&acme(), 0, 10)).unwrap(), [event]);
}

#[test]
fn the_last_revision_is_followed_by_the_first() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a").with_revision(u64::MAX))).unwrap();
    wait(store.replace(keyed("k1", "a").with_revision(u64::MAX))).unwrap();
    assert_eq!(get(&store, "k1").unwrap().revision(), 0);
    assert!(find(&store, "a").is_some());
}

#[test]
fn no_change_is_lost_when_many_threads_change_one_key() {
    const THREADS: usize = 8;
    const CHANGES: usize = 50;
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    let change = |store: &MemoryStore| loop {
        let read = KeyRecord::clone(&get(store, "k1").unwrap());
        let longer = format!("{}x", read.name());
        match wait(store.replace(read.with_name(longer))) {
            Ok(()) => break,
            Err(error) => assert!(error.is_conflict()),
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..CHANGES).for_each(|_| change(&store)));
        }
    });
    let record = find(&store, "a").unwrap();
    assert_eq!(record.name().len(), THREADS * CHANGES);
    assert_eq!(record.revision(), (THREADS * CHANGES) as u64);
}

#[test]
fn of_many_threads_that_insert_one_id_one_succeeds() {
    let store = MemoryStore::new();
    let results: Vec<bool> = thread::scope(|scope| {
        let insert = |n: usize| wait(store.insert(keyed("k1", &n.to_string()))).is_ok();
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || insert(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|ok| **ok).count(), 1);
    let found = (0..8).filter(|n| find(&store, &n.to_string()).is_some()).count();
    assert_eq!(found, 1);
}

#[test]
fn a_deleted_key_is_gone_from_everywhere_and_may_come_again() {
    let store = MemoryStore::new();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    assert!(wait(store.delete(&acme(), &"k1".into())).unwrap());
    assert!(!wait(store.delete(&acme(), &"k1".into())).unwrap());
    assert!(find(&store, "a").is_none() && get(&store, "k1").is_none());
    assert_eq!(list(&store, KeyFilter::new()).total, 0);
    wait(store.insert(keyed("k1", "a"))).unwrap();
    assert_eq!(list(&store, KeyFilter::new()).total, 1);
}

#[test]
fn what_is_changed_counts_at_the_next_request() {
    let key = live_key();
    let store = MemoryStore::new();
    wait(store.insert(record("k1", &key, Tenant::new("acme")))).unwrap();
    let gate = gate(store.clone()).into_authenticator();
    let request = bearer(key.reveal());
    assert_eq!(subject(&gate, &request), "k1");
    for (status, kind) in [(KeyStatus::Inactive, KeyInactive), (KeyStatus::Revoked, KeyInvalid)] {
        let read = KeyRecord::clone(&get(&store, "k1").unwrap());
        wait(store.replace(read.with_status(status))).unwrap();
        assert_eq!(refusal(&gate, &request), kind);
    }
    let read = KeyRecord::clone(&get(&store, "k1").unwrap()).with_status(KeyStatus::Active);
    wait(store.replace(read.clone().with_expires(NOW))).unwrap();
    assert_eq!(refusal(&gate, &request), KeyExpired);
    wait(store.replace(read.clone().with_revision(3).with_expires(None))).unwrap();
    wait(store.put_tenant(suspended("acme"))).unwrap();
    assert_eq!(refusal(&gate, &request), TenantSuspended);
    wait(store.put_tenant(Tenant::new("acme"))).unwrap();
    assert_eq!(subject(&gate, &request), "k1");
    wait(store.delete(&acme(), &"k1".into())).unwrap();
    assert_eq!(refusal(&gate, &request), KeyInvalid);
}

#[test]
fn a_tenants_keys_follow_it_and_other_tenants_do_not() {
    let store = MemoryStore::new();
    for (id, text, tenant) in [("k1", "a", "acme"), ("k2", "b", "acme"), ("k3", "c", "other")] {
        let record = KeyRecord::new(id, KeyDigest::of(text), Tenant::new(tenant));
        wait(store.insert(record)).unwrap();
    }
    wait(store.put_tenant(suspended("acme").with_plan("pro"))).unwrap();
    for text in ["a", "b"] {
        let tenant = Arc::clone(find(&store, text).unwrap().tenant());
        assert!(tenant.is_suspended() && tenant.plan() == Some("pro"));
    }
    assert!(get(&store, "k1").unwrap().tenant().is_suspended(), "in listings too");
    assert!(!find(&store, "c").unwrap().tenant().is_suspended());
    assert_eq!(get(&store, "k1").unwrap().revision(), 0, "no key was changed by anybody");
}

#[test]
fn a_suspended_tenant_gets_no_key_that_works() {
    let store = MemoryStore::new();
    wait(store.put_tenant(suspended("acme"))).unwrap();
    wait(store.insert(keyed("k1", "a"))).unwrap();
    assert!(find(&store, "a").unwrap().tenant().is_suspended());
    let freed = keyed("k1", "a").with_tenant(Tenant::new("acme"));
    wait(store.replace(freed)).unwrap();
    assert!(find(&store, "a").unwrap().tenant().is_suspended(), "nor by a change");
}

#[test]
fn the_directory_knows_tenants_that_were_put_or_came_with_a_key() {
    let store = MemoryStore::new();
    let known = |id: &str| {
        let id = TenantId::from(id);
        let found = wait(store.tenant(&id)).unwrap();
        assert_eq!(found, store.peek_tenant(&id).unwrap().unwrap());
        found
    };
    assert!(known("acme").is_none());
    wait(store.put_tenant(Tenant::new("acme").with_plan("pro"))).unwrap();
    assert_eq!(known("acme").unwrap().plan(), Some("pro"));
    let first = KeyRecord::new("k1", KeyDigest::of("a"), Tenant::new("other").with_plan("free"));
    wait(store.insert(first)).unwrap();
    assert_eq!(known("other").unwrap().plan(), Some("free"));
    assert!(known("ACME").is_none(), "names are compared exactly");
}

fn five() -> MemoryStore {
    let store = MemoryStore::new().with_clock(clock());
    let later = NOW.saturating_add(Duration::from_nanos(1));
    let test = |record: KeyRecord| record.with_environment(Environment::Test);
    for record in [
        keyed("k5", "a"),
        test(keyed("k1", "b")),
        keyed("k4", "c").with_status(KeyStatus::Inactive),
        keyed("k2", "d").with_expires(NOW),
        test(keyed("k3", "e").with_expires(later)),
    ] {
        wait(store.insert(record)).unwrap();
    }
    store
}

#[test]
fn listings_are_in_order_of_issue_and_filtered() {
    let store = five();
    let all = KeyFilter::default();
    let table = [
        (all, vec!["k5", "k1", "k4", "k2", "k3"]),
        (all.environment(Environment::Live), vec!["k5", "k4", "k2"]),
        (all.environment(Environment::Test), vec!["k1", "k3"]),
        (all.active(true), vec!["k5", "k1", "k3"]),
        (all.active(false), vec!["k4", "k2"]),
        (all.active(true).environment(Environment::Live), vec!["k5"]),
        (all.active(false).environment(Environment::Test), vec![]),
    ];
    for (filter, expected) in table {
        let page = list(&store, filter);
        assert_eq!(ids(&page), expected, "{filter:?}");
        assert_eq!(page.total, expected.len());
    }
}

#[test]
fn an_expired_key_is_listed_as_not_in_use_from_that_moment() {
    let clock = clock();
    let store = MemoryStore::new().with_clock(clock.clone());
    let end = NOW.saturating_add(Duration::from_secs(10));
    wait(store.insert(keyed("k1", "a").with_expires(end))).unwrap();
    let active = || list(&store, KeyFilter::new().active(true)).total;
    clock.advance(Duration::from_nanos(9_999_999_999));
    assert_eq!(active(), 1);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(active(), 0);
}

#[test]
fn a_change_keeps_the_place_in_the_listing_and_a_new_key_is_last() {
    let store = five();
    let read = KeyRecord::clone(&get(&store, "k1").unwrap());
    wait(store.replace(read.with_name("new"))).unwrap();
    wait(store.delete(&acme(), &"k4".into())).unwrap();
    wait(store.insert(keyed("k0", "f"))).unwrap();
    wait(store.put_tenant(Tenant::new("acme"))).unwrap();
    assert_eq!(ids(&list(&store, KeyFilter::new())), ["k5", "k1", "k2", "k3", "k0"]);
}

#[test]
fn pages_are_counted_from_one_and_bounded() {
    let store = five();
    let table = [
        (1, 2, vec!["k5", "k1"]),
        (2, 2, vec!["k4", "k2"]),
        (3, 2, vec!["k3"]),
        (4, 2, vec![]),
        (0, 2, vec!["k5", "k1"]),
        (1, 0, vec!["k5"]),
        (2, 0, vec!["k1"]),
        (usize::MAX, usize::MAX, vec![]),
        (1, usize::MAX, vec!["k5", "k1", "k4", "k2", "k3"]),
    ];
    for (page, per_page, expected) in table {
        let filter = KeyFilter::new().page(page, per_page);
        let listed = list(&store, filter);
        assert_eq!(ids(&listed), expected, "{page} {per_page}");
        assert_eq!(listed.total, 5, "the total is that of all pages");
        assert!((1..=1000).contains(&filter.limit()));
    }
    assert_eq!(KeyFilter::new().limit(), 20);
    assert_eq!(KeyFilter::new().page(3, 20).offset(), 40);
}

// Uses

fn used(store: &MemoryStore, endpoint: &str, at: Timestamp, count: u64) {
    let mut used = Use::new("k1".into(), endpoint, at);
    used.count = count;
    wait(store.add_uses(&[used])).unwrap();
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

#[test]
fn uses_are_summed_by_key_month_and_endpoint() {
    let store = MemoryStore::new();
    let november = Timestamp::from_secs(1_793_491_200); // 2026-11-01T00:00:00Z
    let before = november.saturating_sub(Duration::from_nanos(1));
    used(&store, "GET /a", november, 1);
    used(&store, "GET /a", november, 2);
    used(&store, "GET /b", november, 4);
    used(&store, "GET /a", before, 8);
    let other = Use::new("k2".into(), "GET /a", november);
    wait(store.add_uses(&[other.clone(), other])).unwrap();
    let usage = |key: &str, of| wait(store.usage(&key.into(), month(of))).unwrap();
    let november_use = usage("k1", "2026-11");
    assert_eq!((november_use.total, november_use.by_endpoint["GET /a"]), (7, 3));
    assert_eq!(november_use.last_used, Some(november), "a use that is told late changes nothing");
    assert_eq!(usage("k1", "2026-10").total, 8);
    assert_eq!(usage("k2", "2026-11").total, 2);
    assert_eq!(usage("k1", "2026-12").total, 0);
    assert_eq!(usage("k3", "2026-11"), keygate::store::Usage::default());
}

#[test]
fn a_thousand_endpoints_are_told_apart_and_the_rest_is_other() {
    let store = MemoryStore::new();
    (0..1_100).for_each(|n| used(&store, &format!("GET /{n}"), NOW, 1));
    used(&store, "GET /0", NOW, 5);
    let usage = wait(store.usage(&"k1".into(), Month::of(NOW))).unwrap();
    assert_eq!(usage.total, 1_105, "nothing is lost");
    assert_eq!(usage.by_endpoint.len(), 1_001);
    assert_eq!((usage.by_endpoint["other"], usage.by_endpoint["GET /0"]), (100, 6));
    let next = NOW.saturating_add(Duration::from_secs(32 * 86_400));
    used(&store, "GET /new", next, 1);
    let usage = wait(store.usage(&"k1".into(), Month::of(next))).unwrap();
    assert_eq!(usage.by_endpoint["GET /new"], 1, "each month begins anew");
}

#[test]
fn counts_saturate() {
    let store = MemoryStore::new();
    for endpoint in ["a", "a", "b"] {
        used(&store, endpoint, NOW, u64::MAX);
    }
    let usage = wait(store.usage(&"k1".into(), Month::of(NOW))).unwrap();
    assert_eq!((usage.total, usage.by_endpoint["a"]), (u64::MAX, u64::MAX));
}

#[test]
fn months_are_those_of_the_calendar() {
    // Seconds by `date -u -d … +%s`.
    let table = [
        (0, "1970-01"),
        (2_678_399, "1970-01"),
        (2_678_400, "1970-02"),
        (951_782_400, "2000-02"), // 2000-02-29T00:00:00Z
        (951_868_799, "2000-02"), // 2000-02-29T23:59:59Z
        (951_868_800, "2000-03"),
        (1_709_164_800, "2024-02"), // 2024-02-29
        (1_709_251_200, "2024-03"),
        (1_767_225_599, "2025-12"), // 2025-12-31T23:59:59Z
        (1_767_225_600, "2026-01"),
        (4_107_542_399, "2100-02"), // 2100-02-28T23:59:59Z: no leap year
        (4_107_542_400, "2100-03"),
        (4_133_980_799, "2100-12"),
        (18_446_744_073, "2554-07"),
    ];
    for (secs, expected) in table {
        assert_eq!(Month::of(Timestamp::from_secs(secs)).to_string(), expected, "{secs}");
    }
    assert_eq!(Month::of(Timestamp::MAX).to_string(), "2554-07");
}

#[test]
fn months_are_read_in_their_one_form() {
    assert_eq!(month("2026-11").to_string(), "2026-11");
    assert!(month("2026-11") < month("2027-01") && month("2026-02") < month("2026-10"));
    for odd in [
        "",
        "2026",
        "2026-",
        "2026-1",
        "2026-00",
        "2026-13",
        "26-11",
        "2026-11-01",
        "2026/11",
        " 2026-11",
        "2026-11 ",
        "+026-11",
        "-026-11",
        "2026-+1",
        "2026--1",
        "２０２６-11",
        "2026–11",
        "02026-11",
        "2026-011",
        "abcd-ef",
    ] {
        let error = odd.parse::<Month>().unwrap_err().to_string();
        assert!(error.contains(odd), "{error}");
    }
}

proptest! {
    #[test]
    fn a_month_is_what_a_calendar_library_says(nanos: u64) {
        let time = Timestamp::from_nanos(nanos);
        let civil = jiff::Timestamp::from_second(time.as_secs() as i64).unwrap();
        let civil = civil.to_zoned(jiff::tz::TimeZone::UTC);
        let expected = format!("{:04}-{:02}", civil.year(), civil.month());
        prop_assert_eq!(Month::of(time).to_string(), expected.clone());
        prop_assert_eq!(expected.parse::<Month>().unwrap(), Month::of(time));
    }

    #[test]
    fn any_text_is_a_month_that_writes_itself_or_refused(text in ".{0,10}|[0-9]{4}-[0-9]{2}") {
        if let Ok(month) = text.parse::<Month>() {
            prop_assert_eq!(month.to_string(), text);
        }
    }

    #[test]
    fn pages_cut_the_listing_without_loss_or_repetition(count in 0_usize..30, per_page in 1_usize..12) {
        let store = MemoryStore::new();
        for n in 0..count {
            wait(store.insert(keyed(&format!("k{n}"), &n.to_string()))).unwrap();
        }
        let pages = (1..=count / per_page + 1).map(|n| list(&store, KeyFilter::new().page(n, per_page)));
        let seen: Vec<_> = pages.flat_map(|page| page.keys).map(|key| key.id().clone()).collect();
        let expected: Vec<_> = (0..count).map(|n| KeyId::new(format!("k{n}"))).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn the_store_is_a_map_whatever_is_done_to_it(
        steps in proptest::collection::vec((0_u8..3, 0_u8..4), 0..40),
    ) {
        let store = MemoryStore::new();
        let mut model: HashSet<u8> = HashSet::new();
        for (what, n) in steps {
            let (id, text) = (format!("k{n}"), format!("t{n}"));
            match what {
                0 => prop_assert_eq!(wait(store.insert(keyed(&id, &text))).is_ok(), model.insert(n)),
                1 => prop_assert_eq!(wait(store.delete(&acme(), &id.as_str().into())).unwrap(), model.remove(&n)),
                _ => match get(&store, &id) {
                    Some(read) => prop_assert!(wait(store.replace(KeyRecord::clone(&read))).is_ok()),
                    None => prop_assert!(!model.contains(&n)),
                },
            }
            for n in 0..4 {
                prop_assert_eq!(find(&store, &format!("t{n}")).is_some(), model.contains(&n));
                prop_assert_eq!(get(&store, &format!("k{n}")).is_some(), model.contains(&n));
            }
            prop_assert_eq!(list(&store, KeyFilter::new()).total, model.len());
        }
    }
}

#[test]
fn a_stores_error_says_its_kind_and_keeps_its_cause_to_itself() {
    let cause = || std::io::Error::other("password=hunter2 at 10.0.0.5");
    let table = [
        (StoreError::unavailable(cause()), true, false),
        (StoreError::conflict(cause()), false, true),
        (StoreError::other(cause()), false, false),
    ];
    for (error, unavailable, conflict) in table {
        assert_eq!((error.is_unavailable(), error.is_conflict()), (unavailable, conflict));
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let source = error.source().unwrap();
        assert!(source.downcast_ref::<std::io::Error>().is_some() && source.source().is_none());
        assert!(source.to_string().contains("hunter2"), "for the log");
    }
    assert_eq!(format!("{:?}", five()), "MemoryStore { .. }");
}

#[test]
fn a_shared_store_is_a_store() {
    let store = Arc::new(five());
    let digest = KeyDigest::of("a");
    assert!(wait(KeyStore::find(&store, &digest)).unwrap().is_some());
    assert!(KeyStore::peek(&store, &digest).is_some(), "the short way is not lost");
    assert!(wait(TenantDirectory::tenant(&store, &acme())).unwrap().is_some());
    assert!(TenantDirectory::peek_tenant(&store, &acme()).is_some());
    let dynamic: Arc<dyn KeyStore> = store;
    assert!(wait(KeyStore::find(&dynamic, &digest)).unwrap().is_some());
}

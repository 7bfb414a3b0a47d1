//! What the cache keeps, for how long, and how much of it.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/backend.rs"]
mod stores;

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use common::{NOW, bearer, clock, gate, get, live_key, record, refusal, subject, wait, with_peer};
use keygate::RejectionKind::{AddressDenied, KeyExpired, KeyInactive, KeyInvalid};
use keygate::store::feed::Invalidation;
use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore};
use keygate::{KeyDigest, KeyRecord, KeyStatus, ManualClock, Tenant, Timestamp};
use stores::{Backend, backend, keyed};
use wait as block;

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn cached(backend: &Backend, clock: &ManualClock) -> Cached<Backend> {
    Cached::new(backend.clone()).with_clock(clock.clone())
}

/// Asks as the gate does: memory first.
fn find(store: &impl KeyStore, id: &str) -> Option<Arc<KeyRecord>> {
    let digest = KeyDigest::of(id);
    let found = store.peek(&digest).unwrap_or_else(|| block(store.find(&digest)));
    found.unwrap()
}

fn is_kept(store: &impl KeyStore, id: &str) -> bool {
    store.peek(&KeyDigest::of(id)).is_some()
}

#[test]
fn a_hit_is_answered_from_memory_and_asks_nobody() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    assert!(!is_kept(&store, "k"), "nothing is kept before it was asked for");
    let first = find(&store, "k").unwrap();
    for _ in 0..1000 {
        assert!(Arc::ptr_eq(&first, &find(&store, "k").unwrap()), "the record with its counters");
    }
    assert_eq!(backend.finds(), 1);
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses, stats.fills, stats.known), (1000, 1, 1, 1));
}

#[test]
fn an_unknown_key_costs_the_store_one_question() {
    let backend = backend(&[]);
    let store = cached(&backend, &clock());
    (0..1000).for_each(|_| assert!(find(&store, "invented").is_none()));
    assert_eq!(backend.finds(), 1);
    let stats = store.stats();
    assert_eq!((stats.unknown_hits, stats.unknown, stats.known), (999, 1, 0));
}

#[test]
fn a_key_whose_text_is_wrong_never_gets_as_far_as_the_cache() {
    let backend = backend(&[]);
    let store = cached(&backend, &clock());
    let gate = gate(store.clone()).into_authenticator();
    let key = live_key();
    let text = key.reveal();
    let last = if text.ends_with('a') { 'b' } else { 'a' };
    let mistyped = format!("{}{last}", &text[..text.len() - 1]);
    for _ in 0..100 {
        assert_eq!(refusal(&gate, &bearer(&mistyped)), KeyInvalid);
        assert_eq!(refusal(&gate, &bearer(text)), KeyInvalid);
    }
    assert_eq!(backend.finds(), 1, "one for the well-formed key, none for the mistyped one");
    assert_eq!(store.stats().misses, 1);
}

#[test]
fn what_is_kept_ends_when_it_is_no_longer_fresh() {
    for (fresh, store) in [
        (5 * SECOND, cached as fn(&Backend, &ManualClock) -> Cached<Backend>),
        (9 * SECOND, |b, c| cached(b, c).fresh_for(9 * SECOND)),
    ] {
        for id in ["k", "invented"] {
            let (backend, clock) = (backend(&["k"]), clock());
            let store = store(&backend, &clock);
            find(&store, id);
            clock.advance(fresh - NANO);
            assert!(is_kept(&store, id));
            clock.advance(NANO);
            assert!(!is_kept(&store, id), "{id} after {fresh:?}");
            find(&store, id);
            assert_eq!(backend.finds(), 2);
        }
    }
}

/// Without a feed, a change elsewhere is felt when the entry ends and not later.
#[test]
fn a_revocation_elsewhere_is_felt_within_the_bound() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = cached(&backend, &clock);
    find(&store, "k");
    backend.revoke("acme", "k");
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Active, "not known yet");
    for _ in 0..49 {
        clock.advance(SECOND / 10);
        find(&store, "k"); // steady use prolongs nothing
    }
    clock.advance(SECOND / 10);
    assert_eq!(find(&store, "k").unwrap().status(), KeyStatus::Revoked);
}

#[test]
fn an_answer_ages_from_its_question() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = cached(&backend, &clock);
    let digest = KeyDigest::of("k");
    backend.hold();
    let mut asking = store.find(&digest);
    assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    clock.advance(3 * SECOND);
    backend.release();
    assert!(block(asking).unwrap().is_some());
    clock.advance(2 * SECOND - NANO);
    assert!(is_kept(&store, "k"));
    clock.advance(NANO);
    assert!(!is_kept(&store, "k"));
}

#[test]
fn a_question_that_took_longer_than_its_answer_is_good_is_kept_for_nobody() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = cached(&backend, &clock);
    let digest = KeyDigest::of("k");
    backend.hold();
    let mut cx = Context::from_waker(Waker::noop());
    let mut asking = store.find(&digest);
    assert!(asking.as_mut().poll(&mut cx).is_pending());
    let mut joining = store.find(&digest);
    assert!(joining.as_mut().poll(&mut cx).is_pending());
    clock.advance(30 * SECOND);
    backend.revoke("acme", "k");
    backend.release();
    assert_eq!(block(asking).unwrap().unwrap().status(), KeyStatus::Active, "its own question");
    let joined = block(joining).unwrap().unwrap();
    assert_eq!(joined.status(), KeyStatus::Revoked, "30 s old is too old for whoever joined");
    assert_eq!(backend.finds(), 2);
}

#[test]
fn what_is_kept_ends_when_the_key_expires() {
    let (backend, clock) = (Backend::default(), clock());
    let end = NOW.saturating_add(2 * SECOND);
    block(backend.insert(keyed("k").with_expires(end))).unwrap();
    let store = cached(&backend, &clock);
    find(&store, "k");
    clock.advance(2 * SECOND - NANO);
    assert!(is_kept(&store, "k"));
    clock.advance(NANO);
    assert!(!is_kept(&store, "k"), "its owner may have got more time");
    find(&store, "k");
    assert_eq!(backend.finds(), 2);
    (0..1000).for_each(|_| assert!(find(&store, "k").is_some()));
    assert_eq!(backend.finds(), 2, "an expired key is kept like any other");
}

#[test]
fn a_clock_that_is_put_back_makes_nothing_last_longer() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = cached(&backend, &clock);
    find(&store, "k");
    clock.set(Timestamp::from_secs(1));
    clock.advance(5 * SECOND);
    assert!(!is_kept(&store, "k"));
    find(&store, "k");
    clock.set(Timestamp::from_secs(4_000_000_000));
    assert!(is_kept(&store, "k"), "no time has passed");
}

#[test]
fn expiry_status_and_addresses_are_judged_on_every_hit() {
    let (key, time) = (live_key(), clock());
    let memory = MemoryStore::new();
    let kept = record("key_1", &key, Tenant::new("acme"))
        .with_expires(NOW.saturating_add(SECOND))
        .with_networks(["192.0.2.0/24".parse().unwrap()]);
    block(memory.insert(kept)).unwrap();
    let backend = Backend::over(memory);
    let store = cached(&backend, &time);
    let gate = gate(store.clone()).clock(time.clone()).into_authenticator();
    let from = |peer: &str| with_peer(bearer(key.reveal()), peer);
    assert_eq!(subject(&gate, &from("192.0.2.7")), "key_1");
    assert_eq!(refusal(&gate, &from("198.51.100.7")), AddressDenied);
    assert_eq!(refusal(&gate, &bearer(key.reveal())), AddressDenied);
    assert_eq!(backend.finds(), 1);
    time.set(NOW.saturating_add(SECOND));
    assert_eq!(refusal(&gate, &from("192.0.2.7")), KeyExpired, "though memory knows it");
    assert_eq!(backend.finds(), 1);
    let kept = block(store.get(&"acme".into(), &"key_1".into())).unwrap().unwrap();
    let off = KeyRecord::clone(&kept).with_status(KeyStatus::Inactive);
    block(store.replace(off)).unwrap();
    assert_eq!(refusal(&gate, &from("192.0.2.7")), KeyInactive);
    assert_eq!(refusal(&gate, &get(&[])), keygate::RejectionKind::MissingCredential);
}

#[test]
fn with_no_freshness_nothing_is_kept() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock()).fresh_for(Duration::ZERO);
    (0..3).for_each(|_| assert!(find(&store, "k").is_some() && find(&store, "x").is_none()));
    assert_eq!(backend.finds(), 6);
    let stats = store.stats();
    assert_eq!((stats.hits, stats.unknown_hits, stats.fills), (0, 0, 6));
}

#[test]
fn an_endless_freshness_is_no_overflow() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = cached(&backend, &clock).fresh_for(Duration::MAX).lease(Duration::MAX);
    find(&store, "k");
    clock.advance(Duration::from_secs(1 << 33));
    assert!(is_kept(&store, "k"));
}

#[test]
fn never_more_is_kept_than_the_capacity_and_no_less() {
    for (capacity, unknown_capacity) in [(1, 1), (7, 3), (64, 129), (1000, 500), (5000, 4999)] {
        let names: Vec<_> = (0..capacity * 3).map(|n| format!("k{n}")).collect();
        let ids: Vec<_> = names.iter().map(String::as_str).collect();
        let store =
            cached(&backend(&ids), &clock()).capacity(capacity).unknown_capacity(unknown_capacity);
        for (at, id) in ids.iter().enumerate() {
            find(&store, id);
            assert!(store.stats().known <= capacity.min(at + 1));
            find(&store, &format!("not {at}"));
            assert!(store.stats().unknown <= unknown_capacity.min(at + 1));
        }
        for more in 0..unknown_capacity * 3 {
            find(&store, &format!("nor {more}"));
        }
        // Each shard fills its own share; with so many digests all do.
        let stats = store.stats();
        assert_eq!((stats.known, stats.unknown), (capacity, unknown_capacity));
        let put_in = capacity * 6 + unknown_capacity * 3;
        assert_eq!(stats.evictions as usize, put_in - capacity - unknown_capacity);
    }
}

/// Whatever is dropped leaves its room, and whatever is read again takes no more.
#[test]
fn room_is_left_by_what_is_dropped_and_not_taken_twice() {
    let names: Vec<_> = (0..10).map(|n| format!("k{n}")).collect();
    let ids: Vec<_> = names.iter().map(String::as_str).collect();
    let (backend, clock) = (backend(&ids), clock());
    let store = cached(&backend, &clock).capacity(10).unknown_capacity(10);
    let invented: Vec<_> = (0..10).map(|n| format!("not {n}")).collect();
    let all = || ids.iter().copied().chain(invented.iter().map(String::as_str));
    let gauges = || (store.stats().known, store.stats().unknown);
    for step in [1, 3, 7, 9] {
        all().for_each(|id| drop(find(&store, id)));
        assert_eq!(gauges(), (10, 10));
        for dropped in 0..10 {
            let at = dropped * step % 10;
            for id in [ids[at], &invented[at]] {
                store.invalidate(&Invalidation::key(KeyDigest::of(id))).unwrap();
                assert!(!is_kept(&store, id));
            }
            assert_eq!(gauges(), (9 - dropped, 9 - dropped));
            assert_eq!(all().filter(|id| is_kept(&store, id)).count(), 2 * (9 - dropped));
        }
        for _ in 0..3 {
            all().for_each(|id| drop(find(&store, id)));
            assert_eq!(gauges(), (10, 10));
            clock.advance(6 * SECOND);
        }
    }
    assert_eq!(store.stats().evictions, 0);
    block(backend.inner.insert(keyed("not 0"))).unwrap();
    block(backend.inner.delete(&"acme".into(), &"k0".into())).unwrap();
    all().for_each(|id| drop(find(&store, id)));
    assert_eq!(gauges(), (10, 10), "one of each has become the other");
}

#[test]
fn a_capacity_of_none_is_one() {
    let store = cached(&backend(&["a", "b"]), &clock()).capacity(0).unknown_capacity(0);
    ["a", "b", "x", "y"].iter().for_each(|id| drop(find(&store, id)));
    assert_eq!((store.stats().known, store.stats().unknown), (1, 1));
    assert!(is_kept(&store, "b") && is_kept(&store, "y"), "the last ones");
}

#[test]
fn keys_in_use_outlive_those_that_are_asked_for_once() {
    let names: Vec<_> = (0..2000).map(|n| format!("once{n}")).collect();
    let hot: Vec<_> = (0..8).map(|n| format!("hot{n}")).collect();
    let ids: Vec<_> = names.iter().chain(&hot).map(String::as_str).collect();
    let backend = backend(&ids);
    let store = cached(&backend, &clock()).capacity(32);
    for id in &names {
        find(&store, id);
        hot.iter().for_each(|id| drop(find(&store, id)));
    }
    assert_eq!(backend.finds(), 2000 + 8, "none in use was ever dropped");
}

#[test]
fn use_of_long_ago_counts_for_nothing() {
    let names: Vec<_> = (0..32).map(|n| format!("old{n}")).collect();
    let fresh: Vec<_> = (0..16).map(|n| format!("new{n}")).collect();
    let ids: Vec<_> = names.iter().chain(&fresh).map(String::as_str).collect();
    let (backend, clock) = (backend(&ids), clock());
    let store = cached(&backend, &clock).capacity(32);
    names.iter().for_each(|id| drop((find(&store, id), find(&store, id))));
    clock.advance(6 * SECOND);
    fresh.iter().for_each(|id| drop((find(&store, id), find(&store, id))));
    assert!(fresh.iter().all(|id| is_kept(&store, id)), "those past their time went first");
}

#[test]
fn a_flood_of_invented_keys_pushes_out_no_real_one() {
    let backend = backend(&["a", "b", "c"]);
    let store = cached(&backend, &clock()).capacity(3).unknown_capacity(10);
    ["a", "b", "c"].iter().for_each(|id| drop(find(&store, id)));
    (0..10_000).for_each(|n| drop(find(&store, &format!("invented {n}"))));
    assert!(["a", "b", "c"].iter().all(|id| is_kept(&store, id)));
    assert_eq!((store.stats().known, store.stats().unknown), (3, 10));
    assert_eq!(backend.finds(), 10_003);
}

#[test]
fn clones_share_what_is_kept_and_stores_do_not() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    find(&store.clone(), "k");
    assert!(is_kept(&store, "k"));
    assert!(!is_kept(&cached(&backend, &clock()), "k"));
    assert!(!is_kept(&store.clone().capacity(9), "k"), "another size is another cache");
    assert_eq!(store.store().finds(), 1);
    let told = format!("{store:?}");
    assert!(told.contains("known: 1") && !told.contains("acme"), "{told}");
}

#[test]
fn a_cache_is_a_store_behind_a_pointer_and_over_one_too() {
    let backend: Arc<dyn KeyStore> = Arc::new(backend(&["k"]));
    let store: Arc<dyn KeyStore> = Arc::new(Cached::new(Cached::new(backend)));
    assert!(find(&store, "k").is_some());
    assert!(is_kept(&store, "k"));
}

//! The cache among threads and on a runtime, and what a hit allocates.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/backend.rs"]
mod stores;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use common::{bearer, gate, live_key, record, wait};
use keygate::store::feed::{Invalidation, LocalFeed};
use keygate::store::{Cached, KeyAdmin, KeyStore};
use keygate::{KeyDigest, KeyRecord, KeyStatus, RejectionKind, Tenant};
use stores::{Backend, backend};
use support::{allocations, wait_until};

#[global_allocator]
static COUNTING: support::Counting = support::Counting;

#[test]
fn a_hit_allocates_nothing() {
    let store = Cached::new(backend(&["k"]));
    let digests = [KeyDigest::of("k"), KeyDigest::of("unknown")];
    digests.iter().for_each(|digest| drop(wait(store.find(digest)).unwrap()));
    let (_, allocated) = allocations(|| {
        for digest in digests.iter().cycle().take(1000) {
            assert!(store.peek(digest).is_some());
        }
    });
    assert_eq!(allocated, 0);
}

#[test]
fn ten_thousand_first_requests_on_a_runtime_make_one_query() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let key = live_key();
    let backend = Backend::default();
    wait(backend.insert(record("key_1", &key, Tenant::new("acme")))).unwrap();
    let store = Cached::new(backend.clone()).fresh_for(Duration::from_secs(3600));
    let gate = Arc::new(gate(store.clone()).into_authenticator());
    backend.hold();
    let found = runtime.block_on(async {
        let ask = |_| {
            let (gate, head) = (gate.clone(), bearer(key.reveal()));
            tokio::spawn(async move { gate.authenticate(&head).await.verdict.is_ok() })
        };
        let asking: Vec<_> = (0..10_000).map(ask).collect();
        while store.stats().misses < 10_000 {
            tokio::task::yield_now().await;
        }
        backend.release();
        let mut found = 0;
        for asked in asking {
            found += usize::from(asked.await.unwrap());
        }
        found
    });
    assert_eq!((found, backend.finds()), (10_000, 1));
}

/// Readers, leaders that hang up, and a writer that revokes and brings back: no reader that begins
/// after a change was announced sees the state before it.
#[test]
fn threads_never_see_what_was_before_a_change() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let backend = backend(&["k"]);
    let store = Cached::new(backend);
    // The revision that every read from now on must have at least.
    let announced = Arc::new(AtomicUsize::new(0));
    let (done, reading) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let reader = |hangs_up: bool| {
        let (store, announced, done) = (store.clone(), announced.clone(), done.clone());
        let reading = reading.clone();
        async move {
            let digest = KeyDigest::of("k");
            let mut is_new = true;
            while !done.load(Ordering::SeqCst) {
                let least = announced.load(Ordering::SeqCst) as u64;
                let mut asking = store.find(&digest);
                if hangs_up {
                    let once = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_ready()));
                    once.await;
                } else {
                    let found = asking.await.unwrap().unwrap();
                    assert!(found.revision() >= least, "{} < {least}", found.revision());
                }
                if std::mem::take(&mut is_new) {
                    reading.fetch_add(1, Ordering::SeqCst);
                }
                tokio::task::yield_now().await;
            }
        }
    };
    let runtime_readers: Vec<_> = (0..8).map(|n| runtime.spawn(reader(n % 4 == 3))).collect();
    wait_until("all read", || reading.load(Ordering::SeqCst) == 8);
    for revision in 1..=2_000 {
        let kept = wait(store.get(&"acme".into(), &"k".into())).unwrap().unwrap();
        let status = if revision % 2 == 0 { KeyStatus::Active } else { KeyStatus::Revoked };
        wait(store.replace(KeyRecord::clone(&kept).with_status(status))).unwrap();
        announced.store(revision, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    for reader in runtime_readers {
        wait(reader).unwrap();
    }
}

/// The walk through all that is kept misses nothing, although the cache grows meanwhile.
#[test]
fn a_change_of_a_tenant_reaches_every_key_of_a_cache_that_grows() {
    const KEYS: usize = 5_000;
    let ids: Vec<_> = (0..KEYS).map(|n| format!("k{n}")).collect();
    let digests: Vec<_> = ids.iter().map(|id| KeyDigest::of(id)).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let backend = backend(&ids);
    for round in 0..5 {
        let store = Cached::new(backend.clone());
        let plan = |number: usize| format!("{round}-{number:03}");
        let (filled, changed) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for first in 0..2 {
                let (store, digests, filled, changed) = (&store, &digests, &filled, &changed);
                scope.spawn(move || {
                    for (n, digest) in digests.iter().enumerate().skip(first).step_by(2) {
                        // The first change comes in their midst, however long it takes.
                        if n > KEYS / 2 {
                            wait_until("it changes", || changed.load(Ordering::SeqCst));
                        }
                        wait(store.find(digest)).unwrap().unwrap();
                        filled.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let mut number = 0;
            while filled.load(Ordering::SeqCst) < KEYS {
                number += 1;
                let tenant = Tenant::new("acme").with_plan(&*plan(number));
                wait(backend.inner.put_tenant(tenant)).unwrap();
                store.invalidate(&Invalidation::Tenant("acme".into())).unwrap();
                changed.store(true, Ordering::SeqCst);
                for digest in &digests {
                    let kept = store.peek(digest).and_then(|found| found.unwrap());
                    let is_old = kept.filter(|kept| kept.tenant().plan() != Some(&*plan(number)));
                    assert!(is_old.is_none(), "{is_old:?} after change {number}");
                }
            }
        });
    }
}

#[test]
fn plain_threads_share_a_cache_without_a_runtime() {
    let store = Cached::new(backend(&["a", "b", "c", "d"])).capacity(2);
    thread::scope(|scope| {
        for at in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..2_000_usize {
                    let id = ["a", "b", "c", "d", "x"][(round + at) % 5];
                    let found = wait(store.find(&KeyDigest::of(id))).unwrap();
                    assert_eq!(found.is_some(), id != "x");
                    if round % 100 == 0 {
                        store.invalidate(&Invalidation::Tenant("acme".into())).unwrap();
                    }
                }
            });
        }
    });
    assert!(store.stats().known <= 2);
}

/// The whole of it: a gate over a cache over a slow store, a feed that beats, a revocation on
/// another node.
#[test]
fn a_gate_feels_a_revocation_through_its_feed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let key = live_key();
    let backend = Backend::default();
    wait(backend.insert(record("key_1", &key, Tenant::new("acme")))).unwrap();
    let feed = LocalFeed::new();
    let store = Cached::new(backend.clone()).lease(Duration::from_secs(3600));
    let following = runtime.spawn(store.follow(feed.subscribe()));
    let gate = gate(store.clone()).into_authenticator();
    let asked = bearer(key.reveal());
    let admin = Cached::new(backend).announce_to(feed.clone());
    feed.beat();
    runtime.block_on(async {
        while store.stats().feed_silent_for.is_some() {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            assert!(gate.authenticate(&asked).await.verdict.is_ok());
        }
        assert_eq!(store.stats().hits, 1);
        let kept = admin.get(&"acme".into(), &"key_1".into()).await.unwrap().unwrap();
        admin.replace(KeyRecord::clone(&kept).with_status(KeyStatus::Revoked)).await.unwrap();
        while gate.authenticate(&asked).await.verdict.is_ok() {
            tokio::task::yield_now().await;
        }
        let refused = gate.authenticate(&asked).await.verdict.unwrap_err();
        assert_eq!(refused.kind(), RejectionKind::KeyInvalid);
        feed.close();
        following.await.unwrap();
    });
}

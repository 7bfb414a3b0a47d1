//! Keys that move from one digest to another while a cache remembers where they were not.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use async_trait::async_trait;
use common::{bearer, clock, live_key, refusal, subject, wait};
use keygate::RejectionKind::KeyInvalid;
use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore, StoreError};
use keygate::{AuthLayer, Authenticator, KeyDigest, KeyRecord, KeyToken, Pepper, Peppers, Tenant};

type Found = Result<Option<Arc<KeyRecord>>, StoreError>;

fn pepper(secret: &str) -> Pepper {
    Pepper::new(secret).unwrap()
}

fn present() -> Pepper {
    pepper("the pepper of this year, 32 bytes or more")
}

fn former() -> Pepper {
    pepper("the pepper of last year, 32 bytes or more")
}

/// A database with a key under its former digest, which another node keeps anew as soon as somebody
/// looks for it there.
#[derive(Clone)]
struct Moving {
    inner: MemoryStore,
    record: KeyRecord,
    to: KeyDigest,
    moves: Arc<AtomicBool>,
    finds: Arc<AtomicUsize>,
}

impl Moving {
    fn of(key: &KeyToken) -> Self {
        let record = KeyRecord::new("key_1", former().digest(key.reveal()), Tenant::new("acme"));
        let inner = MemoryStore::new();
        wait(inner.insert(record.clone())).unwrap();
        let to = present().digest(key.reveal());
        Self { inner, record, to, moves: Arc::new(true.into()), finds: Arc::default() }
    }

    async fn move_now(&self) {
        let moved = KeyRecord::clone(&self.record).with_digest(self.to);
        self.inner.replace(moved).await.unwrap();
    }

    fn finds(&self) -> usize {
        self.finds.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyStore for Moving {
    async fn find(&self, digest: &KeyDigest) -> Found {
        self.finds.fetch_add(1, Ordering::SeqCst);
        if digest == self.record.digest() && self.moves.swap(false, Ordering::SeqCst) {
            self.move_now().await;
        }
        tokio::task::yield_now().await;
        self.inner.find(digest).await
    }
}

fn gate(store: impl KeyStore) -> Authenticator {
    let peppers = Peppers::new(present()).retired(former()).unwrap();
    AuthLayer::new(store).clock(clock()).peppers(peppers).into_authenticator()
}

fn cached(store: Moving) -> Cached<Moving> {
    Cached::new(store).with_clock(clock())
}

#[test]
fn a_key_that_another_node_keeps_anew_at_that_moment_is_found() {
    let key = live_key();
    let stores: [fn(Moving) -> Arc<dyn KeyStore>; 3] = [
        |store| Arc::new(store),
        |store| Arc::new(cached(store)),
        |store| Arc::new(Cached::new(cached(store)).with_clock(clock())),
    ];
    for store in stores {
        let gate = gate(store(Moving::of(&key)));
        for _ in 0..3 {
            assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1");
        }
    }
}

#[test]
fn nor_does_a_client_that_hangs_up_leave_its_key_refused() {
    for polls in 0..9 {
        let key = live_key();
        let store = Moving::of(&key);
        let gate = gate(cached(store));
        let head = bearer(key.reveal());
        {
            let mut asking = Box::pin(gate.authenticate(&head));
            let mut cx = Context::from_waker(Waker::noop());
            let _ = (0..polls).find(|_| asking.as_mut().poll(&mut cx).is_ready());
        }
        assert_eq!(subject(&gate, &head), "key_1", "after {polls} polls");
    }
}

#[test]
fn an_unknown_key_costs_the_store_three_questions_and_then_nothing() {
    let store = Moving::of(&live_key());
    let gate = gate(cached(store.clone()));
    for _ in 0..100 {
        let invented = live_key();
        assert_eq!(refusal(&gate, &bearer(invented.reveal())), KeyInvalid);
        assert_eq!(store.finds(), 3, "now, formerly, and now once more");
        (0..100).for_each(|_| assert_eq!(refusal(&gate, &bearer(invented.reveal())), KeyInvalid));
        assert_eq!(store.finds(), 0);
    }
}

#[test]
fn a_flood_of_one_unknown_key_asks_the_store_once_for_all() {
    let store = Moving::of(&live_key());
    let gate = gate(cached(store.clone()));
    let invented = bearer(live_key().reveal());
    let mut cx = Context::from_waker(Waker::noop());
    let mut asking: Vec<_> = (0..100).map(|_| Box::pin(gate.authenticate(&invented))).collect();
    while !asking.is_empty() {
        asking.retain_mut(|asked| asked.as_mut().poll(&mut cx).is_pending());
    }
    assert!(store.finds() <= 4, "all wait for the same answers");
}

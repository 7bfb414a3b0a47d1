//! One question for many who ask, failures, and outages.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/backend.rs"]
mod stores;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{bearer, clock, gate, live_key, record, refusal, subject, wait};
use keygate::RejectionKind::Unavailable;
use keygate::store::feed::Invalidation;
use keygate::store::{Cached, KeyAdmin, KeyStore, StoreError};
use keygate::{KeyDigest, KeyRecord, KeyStatus, ManualClock, Tenant};
use stores::{Backend, Failure, backend};

const SECOND: Duration = Duration::from_secs(1);

type Found = Result<Option<Arc<KeyRecord>>, StoreError>;
type Asking<'s> = Pin<Box<dyn Future<Output = Found> + Send + 's>>;

fn cached(backend: &Backend, clock: &ManualClock) -> Cached<Backend> {
    Cached::new(backend.clone()).with_clock(clock.clone())
}

fn digest() -> KeyDigest {
    KeyDigest::of("k")
}

fn find(store: &impl KeyStore) -> Found {
    store.peek(&digest()).unwrap_or_else(|| wait(store.find(&digest())))
}

/// Asks, up to where the question is on its way or another's is waited for.
fn begin<'s>(store: &'s Cached<Backend>, digest: &'s KeyDigest) -> Asking<'s> {
    let mut asking = store.find(digest);
    assert!(poll(&mut asking, Waker::noop()).is_pending());
    asking
}

/// Runs all at the same time, as a server does.
fn finish(mut asking: Vec<Asking<'_>>) -> Vec<Found> {
    let mut found: Vec<_> = asking.iter().map(|_| None).collect();
    wait(std::future::poll_fn(|cx| {
        for (asking, found) in asking.iter_mut().zip(&mut found) {
            if found.is_none()
                && let Poll::Ready(answer) = asking.as_mut().poll(cx)
            {
                *found = Some(answer);
            }
        }
        if found.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    }));
    found.into_iter().flatten().collect()
}

fn poll(asking: &mut Asking<'_>, waker: &Waker) -> Poll<Found> {
    asking.as_mut().poll(&mut Context::from_waker(waker))
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ten_thousand_who_ask_at_once_make_one_question() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    let digest = digest();
    backend.hold();
    let mut asking: Vec<_> = (0..10_000).map(|_| begin(&store, &digest)).collect();
    let woken = Arc::new(Woken::default());
    for asking in &mut asking {
        assert!(poll(asking, &Waker::from(woken.clone())).is_pending());
    }
    backend.release();
    let first = wait(asking.remove(0)).unwrap().unwrap();
    assert!(woken.0.load(Ordering::SeqCst) >= 9_999, "all wake together");
    for mut asking in asking {
        let Poll::Ready(found) = poll(&mut asking, Waker::noop()) else { panic!("not answered") };
        assert!(Arc::ptr_eq(&first, &found.unwrap().unwrap()));
    }
    assert_eq!(backend.finds(), 1);
    let stats = store.stats();
    assert_eq!((stats.misses, stats.coalesced, stats.fills), (10_000, 9_999, 1));
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    let backend = backend(&["k", "l"]);
    let store = cached(&backend, &clock());
    let digest = digest();
    backend.hold();
    let held = begin(&store, &digest);
    let other = KeyDigest::of("l");
    let also = begin(&store, &other);
    assert_eq!(backend.finds(), 2);
    backend.release();
    assert!(wait(also).unwrap().is_some() && wait(held).unwrap().is_some());
}

#[test]
fn a_leader_that_hangs_up_strands_nobody() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    let digest = digest();
    backend.hold();
    let leader = begin(&store, &digest);
    let mut waiting: Vec<_> = (0..100).map(|_| begin(&store, &digest)).collect();
    let woken = Arc::new(Woken::default());
    waiting.iter_mut().for_each(|one| drop(poll(one, &Waker::from(woken.clone()))));
    drop(leader);
    assert_eq!(woken.0.load(Ordering::SeqCst), 100, "told at once");
    let half = waiting.split_off(50);
    for mut one in half {
        assert!(poll(&mut one, Waker::noop()).is_pending());
        drop(one); // and these hang up as well, the new leader among them
    }
    backend.release();
    let found = finish(waiting);
    assert!(found.len() == 50 && found.iter().all(|one| matches!(one, Ok(Some(_)))));
    assert_eq!(backend.finds(), 1 + 50 + 1, "one for each who led, one after the other");
}

#[test]
fn a_store_that_panics_harms_its_own_caller_only() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    backend.fail(Failure::Panics);
    let digest = digest();
    backend.hold();
    let mut leader = begin(&store, &digest);
    let waiting = begin(&store, &digest);
    backend.release();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        poll(&mut leader, Waker::noop()).is_ready()
    }));
    assert!(panicked.is_err());
    drop(leader);
    backend.fail(None);
    assert!(wait(waiting).unwrap().is_some());
    assert!(find(&store).unwrap().is_some());
}

#[test]
fn a_failure_is_answered_to_all_who_wait_and_is_not_kept() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    let digest = digest();
    for (failure, text) in
        [(Failure::Away, "connection refused"), (Failure::Unreadable, "a row that makes no sense")]
    {
        let before = backend.finds();
        backend.fail(failure);
        backend.hold();
        let asking: Vec<_> = (0..100).map(|_| begin(&store, &digest)).collect();
        backend.release();
        for one in finish(asking) {
            let error = one.unwrap_err();
            assert_eq!(error.is_unavailable(), failure == Failure::Away);
            assert!(!error.is_conflict());
            assert_eq!(error.source().unwrap().to_string(), text, "the cause, once");
            assert!(error.source().unwrap().source().is_none());
        }
        assert_eq!(backend.finds(), before + 1);
        backend.fail(None);
        assert!(wait(store.find(&digest)).unwrap().is_some(), "asked again at once");
        store.invalidate(&Invalidation::Everything).unwrap();
    }
    assert_eq!(store.stats().failures, 2);
}

#[test]
fn an_outage_refuses_by_default() {
    let (key, time) = (live_key(), clock());
    let backend = Backend::default();
    wait(backend.insert(record("key_1", &key, Tenant::new("acme")))).unwrap();
    let store = cached(&backend, &time);
    let gate = gate(store.clone()).clock(time.clone()).into_authenticator();
    assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1");
    backend.fail(Failure::Away);
    assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1", "still fresh");
    time.advance(5 * SECOND);
    assert_eq!(refusal(&gate, &bearer(key.reveal())), Unavailable, "503, not 401 and not 200");
    assert_eq!(refusal(&gate, &bearer(live_key().reveal())), Unavailable);
    backend.fail(None);
    assert_eq!(subject(&gate, &bearer(key.reveal())), "key_1", "and all is well again");
}

#[test]
fn by_choice_an_outage_serves_what_was_verified_for_a_stated_time() {
    let (backend, time) = (backend(&["k"]), clock());
    let store = cached(&backend, &time).danger_serve_verified_during_outage(60 * SECOND);
    assert!(find(&store).unwrap().is_some());
    assert!(wait(store.find(&KeyDigest::of("invented"))).unwrap().is_none());
    backend.fail(Failure::Away);
    time.advance(30 * SECOND);
    assert!(find(&store).unwrap().is_some());
    assert_eq!(backend.finds(), 3, "the store is asked first, each time");
    let unknown = wait(store.find(&KeyDigest::of("invented")));
    assert!(unknown.unwrap_err().is_unavailable(), "what was unknown may have been issued");
    assert!(wait(store.find(&KeyDigest::of("never seen"))).unwrap_err().is_unavailable());
    time.advance(30 * SECOND - Duration::from_nanos(1));
    assert!(find(&store).unwrap().is_some(), "being served does not verify anew");
    time.advance(Duration::from_nanos(1));
    assert!(find(&store).unwrap_err().is_unavailable(), "60 s after it was read");
    assert_eq!(store.stats().served_in_outage, 2);
    backend.fail(None);
    assert!(find(&store).unwrap().is_some());
}

#[test]
fn an_outage_serves_nothing_that_is_known_to_have_changed() {
    for what in [
        Invalidation::key(digest()),
        Invalidation::changed(digest(), 1),
        Invalidation::gone(digest()),
        Invalidation::Tenant("acme".into()),
        Invalidation::Everything,
    ] {
        let (backend, time) = (backend(&["k"]), clock());
        let store = cached(&backend, &time).danger_serve_verified_during_outage(60 * SECOND);
        assert!(find(&store).unwrap().is_some());
        backend.fail(Failure::Away);
        store.invalidate(&what).unwrap();
        assert!(find(&store).unwrap_err().is_unavailable(), "{what:?}");
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_no_outage() {
    let (backend, time) = (backend(&["k"]), clock());
    let store = cached(&backend, &time).danger_serve_verified_during_outage(60 * SECOND);
    assert!(find(&store).unwrap().is_some());
    backend.fail(Failure::Unreadable);
    time.advance(6 * SECOND);
    let error = find(&store).unwrap_err();
    assert!(!error.is_unavailable(), "refused: the store is there, and says nothing good");
}

/// The classic: the question reads the good key, the key is revoked, the answer arrives.
#[test]
fn a_fill_that_raced_with_a_revocation_does_not_bring_the_key_back() {
    for told in [
        |record: &KeyRecord| Invalidation::key(*record.digest()),
        |record: &KeyRecord| Invalidation::changed(*record.digest(), record.revision() + 1),
        |_: &KeyRecord| Invalidation::Tenant("acme".into()),
        |_: &KeyRecord| Invalidation::Everything,
    ] {
        let backend = backend(&["k"]);
        let store = cached(&backend, &clock());
        let digest = digest();
        backend.hold();
        let filling = begin(&store, &digest);
        let joining = begin(&store, &digest);
        store.invalidate(&told(&backend.revoke("acme", "k"))).unwrap();
        let later = begin(&store, &digest);
        backend.release();
        let mut found = finish(vec![filling, joining, later]);
        found.push(find(&store));
        for asked in found.drain(1..) {
            assert_eq!(asked.unwrap().unwrap().status(), KeyStatus::Revoked);
        }
    }
}

#[test]
fn an_answer_from_before_what_was_announced_is_asked_for_again() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    let digest = digest();
    backend.hold();
    let filling = begin(&store, &digest);
    backend.revoke("acme", "k");
    store.invalidate(&Invalidation::changed(digest, 1)).unwrap();
    backend.release();
    let answer = wait(filling).unwrap().unwrap();
    assert_eq!(answer.status(), KeyStatus::Revoked, "even for whoever asked before");
    assert_eq!(backend.finds(), 2);
}

#[test]
fn a_replica_that_lags_is_an_outage_and_not_believed() {
    let (backend, time) = (backend(&["k"]), clock());
    let store = cached(&backend, &time);
    let past = find(&store).unwrap();
    backend.lag(Some(past));
    backend.revoke("acme", "k");
    store.invalidate(&Invalidation::changed(digest(), 1)).unwrap();
    assert!(find(&store).unwrap_err().is_unavailable());
    assert_eq!(backend.finds(), 1 + 3, "asked three times");
    wait(backend.inner.delete(&"acme".into(), &"k".into())).unwrap();
    store.invalidate(&Invalidation::gone(digest())).unwrap();
    assert!(find(&store).unwrap_err().is_unavailable(), "removed, says the feed");
    backend.lag(None);
    assert!(find(&store).unwrap().is_none());
    assert!(store.peek(&digest()).is_some(), "and kept");
}

#[test]
fn what_was_announced_is_remembered_for_a_minute() {
    let (backend, time) = (backend(&["k"]), clock());
    let store = cached(&backend, &time);
    store.invalidate(&Invalidation::changed(digest(), 1)).unwrap();
    time.advance(60 * SECOND - Duration::from_nanos(1));
    assert!(find(&store).unwrap_err().is_unavailable(), "revision 0 is older");
    time.advance(Duration::from_nanos(1));
    assert!(find(&store).unwrap().is_some(), "a store that was put back to a backup recovers");
}

#[test]
fn a_key_that_is_said_to_be_there_and_is_not_is_not_kept_as_unknown() {
    let backend = backend(&[]);
    let store = cached(&backend, &clock());
    store.invalidate(&Invalidation::inserted(digest(), 0)).unwrap();
    assert!(find(&store).unwrap().is_none(), "a replica that lags, or a removal not heard of yet");
    assert!(store.peek(&digest()).is_none());
    wait(backend.inner.insert(stores::keyed("k"))).unwrap();
    assert!(find(&store).unwrap().is_some());
}

#[test]
fn a_key_that_is_gone_can_come_back() {
    for back in [
        Invalidation::inserted(digest(), 0),
        Invalidation::changed(digest(), 0),
        Invalidation::key(digest()),
    ] {
        let backend = backend(&["k"]);
        let store = cached(&backend, &clock());
        store.invalidate(&Invalidation::gone(digest())).unwrap();
        assert!(find(&store).is_err());
        store.invalidate(&back).unwrap();
        assert!(find(&store).unwrap().is_some());
    }
}

#[test]
fn news_that_come_twice_or_late_cost_nothing() {
    let backend = backend(&["k"]);
    let store = cached(&backend, &clock());
    backend.revoke("acme", "k");
    backend.revoke("acme", "k");
    for revision in [2, 1, 2, 0] {
        store.invalidate(&Invalidation::changed(digest(), revision)).unwrap();
        assert_eq!(find(&store).unwrap().unwrap().revision(), 2);
    }
    assert_eq!(backend.finds(), 1, "what is kept is as new as what is told");
    assert_eq!(store.stats().invalidations, 4);
}

/// A question that began before a key came here says nothing of it to whoever asks again.
#[test]
fn who_asks_again_believes_no_question_from_before() {
    let (backend, clock) = (backend(&[]), clock());
    let store = cached(&backend, &clock);
    backend.hold();
    let digest = digest();
    let before = begin(&store, &digest);
    wait(backend.inner.insert(stores::keyed("k"))).unwrap();
    let mut again = store.find_again(&digest);
    assert!(poll(&mut again, Waker::noop()).is_pending());
    backend.release();
    let found = finish(vec![before, again]);
    assert!(found[0].as_ref().unwrap().is_none(), "it was not there");
    assert!(found[1].as_ref().unwrap().is_some());
    assert_eq!(backend.finds(), 2);
}

/// What is found is there, whoever has found it.
#[test]
fn who_asks_again_shares_what_others_find() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = cached(&backend, &clock);
    assert!(find(&store).unwrap().is_some());
    for _ in 0..3 {
        assert!(wait(store.find_again(&digest())).unwrap().is_some());
    }
    assert_eq!(backend.finds(), 1);
    assert!(wait(store.find_again(&KeyDigest::of("x"))).unwrap().is_none());
    assert!(wait(store.find_again(&KeyDigest::of("x"))).unwrap().is_none());
    assert_eq!((backend.finds(), store.stats().unknown), (2, 1));
    clock.advance(5 * SECOND);
    assert!(wait(store.find_again(&KeyDigest::of("x"))).unwrap().is_none());
    assert_eq!(backend.finds(), 3, "for as long as any answer");
}

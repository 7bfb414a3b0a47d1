//! What is left of a cache after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::Cached;
use super::cache::{Answer, Asked, Core, Digest, Failure, Fetched, News, Value};
use crate::KeyDigest;
use crate::store::MemoryStore;
use crate::store::feed::{Invalidation, LocalFeed};

const NOW: u64 = 1;
const FRESH: u64 = 1_000;

impl Value for u64 {
    fn revision(&self) -> u64 {
        *self
    }
}

type Cache = Core<u64, &'static str>;

/// A cache of many shards, with keys in all of them.
fn cache() -> (Cache, Vec<Digest>) {
    let cache = Cache::new(2_000, 2_000);
    let digests: Vec<_> = (0..=255).map(|byte| [byte; 32]).collect();
    digests.iter().for_each(|digest| assert!(ask(&cache, digest).is_ok()));
    (cache, digests)
}

fn ask(cache: &Cache, digest: &Digest) -> Answer<u64, &'static str> {
    let fetch = || std::future::ready(Ok(Fetched { found: Some(7), fresh: FRESH }));
    let asking = pin!(cache.resolve(digest, Asked::Once, || NOW, fetch));
    match asking.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nobody else asks"),
    }
}

fn panic_at(cache: &Cache, digest: &Digest) {
    assert!(catch_unwind(AssertUnwindSafe(|| cache.panic_at(digest))).is_err());
}

fn are_kept(cache: &Cache, digests: &[Digest]) -> usize {
    digests.iter().filter(|digest| cache.peek(digest, NOW).is_some()).count()
}

#[test]
fn a_panic_in_one_shard_keeps_nothing_from_the_others_and_is_told() {
    for everything in [true, false] {
        let (cache, digests) = cache();
        panic_at(&cache, &digests[7]);
        let told = if everything { cache.empty() } else { cache.drop_where(|_| true) };
        assert!(told.is_err(), "whoever follows a feed gives it up");
        assert_eq!(are_kept(&cache, &digests), 0, "of its own shard neither");
    }
}

#[test]
fn after_a_panic_a_key_can_be_revoked_and_nothing_is_kept_anew() {
    let (cache, digests) = cache();
    panic_at(&cache, &digests[7]);
    assert_eq!(are_kept(&cache, &digests), 256, "an entry is whole or is not there");
    assert!(cache.announce(&digests[7], News::Revision(8), NOW).is_err());
    assert_eq!(are_kept(&cache, &digests), 255);
    for _ in 0..2 {
        assert!(matches!(ask(&cache, &digests[7]), Err(Failure::Poisoned)));
    }
    assert!(cache.empty().is_err());
    let answered = digests.iter().filter(|digest| ask(&cache, digest).is_ok()).count();
    assert!((200..256).contains(&answered), "{answered} of the other shards");
}

#[test]
fn a_feed_that_can_not_empty_the_cache_gives_it_no_trust() {
    let (cache, digests) = cache();
    let feed = cache.adopt_feed(NOW).expect("sound");
    panic_at(&cache, &digests[7]);
    assert!(cache.hear(feed, NOW, NOW + 10, NOW).is_err());
    assert_eq!(are_kept(&cache, &digests), 0);
    assert_eq!(cache.totals(NOW).known, 0);
}

#[test]
fn a_feed_whose_message_can_not_be_taken_in_is_given_up() {
    let (store, feed) = (Cached::new(MemoryStore::new()), LocalFeed::new());
    let mut following = pin!(store.follow(feed.subscribe()));
    let mut listen = || following.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    feed.beat();
    assert!(listen().is_pending());
    assert_eq!(store.stats().feed_silent_for, None);
    assert!(catch_unwind(AssertUnwindSafe(|| store.records.panic_at(&[7; 32]))).is_err());
    feed.publish(Invalidation::key(KeyDigest::from_bytes([7; 32])));
    assert!(listen().is_ready());
    assert!(store.stats().feed_silent_for.is_some(), "from that moment on");
}

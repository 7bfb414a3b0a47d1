//! Changes on other nodes: feeds, leases on them, silence.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/backend.rs"]
mod stores;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use common::{bearer, clock, gate, live_key, record, refusal, subject, wait};
use keygate::RejectionKind::{KeyInvalid, TenantSuspended};
use keygate::store::feed::{Feed, Heard, Invalidation, KeyState, LocalFeed, Subscription};
use keygate::store::{Cached, KeyAdmin, KeyStore, StoreError};
use keygate::{
    Authenticator, KeyDigest, KeyRecord, KeyStatus, KeyToken, ManualClock, Tenant, TenantStatus,
    Timestamp,
};
use stores::{Backend, Failure, backend};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// A node: a cache that follows a feed, and the future that does so.
struct Node {
    store: Cached<Backend>,
    following: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Node {
    fn of(store: Cached<Backend>, feed: impl Feed) -> Self {
        let following = Box::pin(store.follow(feed));
        Self { store, following }
    }

    /// Takes in all that the feed has to say; true when that was the end of it.
    fn listen(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        // A feed that fails gives way once for each failure.
        (0..10).any(|_| self.following.as_mut().poll(&mut cx).is_ready())
    }

    fn find(&self) -> Option<Arc<KeyRecord>> {
        let digest = KeyDigest::of("k");
        self.store.peek(&digest).unwrap_or_else(|| wait(self.store.find(&digest))).unwrap()
    }

    fn status(&self) -> KeyStatus {
        self.find().unwrap().status()
    }

    fn is_kept(&self) -> bool {
        self.store.peek(&KeyDigest::of("k")).is_some()
    }

    fn silent_for(&self) -> Option<Duration> {
        self.store.stats().feed_silent_for
    }
}

/// A database with the key `k`, a feed, and a node that follows it and has heard it.
fn world() -> (Backend, LocalFeed, ManualClock, Node) {
    let (backend, clock) = (backend(&["k"]), clock());
    let feed = LocalFeed::new().with_clock(clock.clone());
    let mut node = node(&backend, &feed, &clock);
    feed.beat();
    node.listen();
    (backend, feed, clock, node)
}

fn node(backend: &Backend, feed: &LocalFeed, clock: &ManualClock) -> Node {
    let store = Cached::new(backend.clone()).with_clock(clock.clone());
    Node::of(store, feed.subscribe())
}

fn digest() -> KeyDigest {
    KeyDigest::of("k")
}

/// Says what a test has put in, and nothing more.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<VecDeque<Result<Heard, StoreError>>>>);

impl Script {
    fn say(&self, heard: Heard) {
        self.0.lock().unwrap().push_back(Ok(heard));
    }

    fn fail(&self) {
        self.0.lock().unwrap().push_back(Err(StoreError::unavailable("connection reset")));
    }
}

#[async_trait]
impl Feed for Script {
    async fn next(&mut self) -> Result<Heard, StoreError> {
        std::future::poll_fn(|_| match self.0.lock().unwrap().pop_front() {
            Some(heard) => Poll::Ready(heard),
            None => Poll::Pending,
        })
        .await
    }
}

const ALIVE: Heard = Heard::Alive { age: Duration::ZERO };

#[test]
fn a_revocation_is_felt_as_soon_as_it_is_told() {
    for told in [
        Invalidation::changed(digest(), 1),
        Invalidation::key(digest()),
        Invalidation::Id("k".into()),
        Invalidation::Tenant("acme".into()),
        Invalidation::Everything,
    ] {
        let (backend, feed, _, mut node) = world();
        assert_eq!(node.status(), KeyStatus::Active);
        backend.revoke("acme", "k");
        assert_eq!(node.status(), KeyStatus::Active, "not told yet");
        feed.publish(told);
        node.listen();
        assert_eq!(node.status(), KeyStatus::Revoked);
    }
}

#[test]
fn a_removal_and_an_issue_are_felt_too() {
    let (backend, feed, _, mut node) = world();
    assert!(node.find().is_some());
    wait(backend.delete(&"acme".into(), &"k".into())).unwrap();
    feed.publish(Invalidation::gone(digest()));
    node.listen();
    assert!(node.find().is_none() && node.is_kept());
    wait(backend.insert(stores::keyed("k"))).unwrap();
    feed.publish(Invalidation::inserted(digest(), 0));
    node.listen();
    assert!(node.find().is_some());
}

#[test]
fn other_keys_and_other_tenants_stay_in_memory() {
    let (backend, feed, _, mut node) = world();
    node.find();
    feed.publish(Invalidation::key(KeyDigest::of("another")));
    feed.publish(Invalidation::Tenant("another".into()));
    node.listen();
    assert!(node.is_kept());
    assert_eq!((backend.finds(), node.store.stats().invalidations), (1, 2));
}

#[test]
fn while_the_feed_is_heard_entries_last_a_minute() {
    let (backend, feed, clock, mut node) = world();
    node.find();
    for _ in 0..59 {
        clock.advance(SECOND);
        feed.beat();
        node.listen();
        assert!(node.is_kept());
    }
    clock.advance(SECOND - NANO);
    assert!(node.is_kept());
    clock.advance(NANO);
    assert!(!node.is_kept(), "without a message of the feed that got lost, too");
    node.find();
    assert_eq!((backend.finds(), node.silent_for()), (2, None));
}

/// The number that is documented: what was revoked after the feed was cut is refused 5 s later.
#[test]
fn a_revocation_that_nobody_tells_of_is_felt_within_the_lease() {
    let (backend, _feed, clock, node) = world();
    assert_eq!(node.status(), KeyStatus::Active);
    backend.revoke("acme", "k");
    clock.advance(5 * SECOND - NANO);
    assert_eq!(node.status(), KeyStatus::Active);
    assert_eq!(node.silent_for(), None);
    clock.advance(NANO);
    assert_eq!(node.status(), KeyStatus::Revoked);
    assert_eq!(node.silent_for(), Some(5 * SECOND));
}

#[test]
fn in_silence_every_read_goes_to_the_store() {
    let (backend, _feed, clock, node) = world();
    (0..10).for_each(|_| drop(node.find()));
    clock.advance(5 * SECOND);
    (0..10).for_each(|_| drop(node.find()));
    assert_eq!(backend.finds(), 1 + 10);
    let stats = node.store.stats();
    assert_eq!((stats.hits, stats.misses, stats.read_throughs), (9, 11, 10));
    clock.advance(3 * SECOND);
    assert_eq!(node.silent_for(), Some(8 * SECOND));
    backend.fail(Failure::Away);
    assert!(wait(node.store.find(&digest())).unwrap_err().is_unavailable());
}

#[test]
fn the_lease_can_be_set() {
    let (backend, clock) = (backend(&["k"]), clock());
    let feed = LocalFeed::new().with_clock(clock.clone());
    let store = Cached::new(backend).with_clock(clock.clone()).lease(SECOND);
    let mut node = Node::of(store, feed.subscribe());
    feed.beat();
    node.listen();
    node.find();
    clock.advance(SECOND - NANO);
    assert!(node.is_kept());
    clock.advance(NANO);
    assert!(!node.is_kept() && node.silent_for().is_some());
}

#[test]
fn when_it_is_heard_again_the_cache_starts_empty() {
    let (backend, feed, clock, mut node) = world();
    node.find();
    assert!(wait(node.store.find(&KeyDigest::of("x"))).unwrap().is_none());
    clock.advance(7 * SECOND);
    backend.revoke("acme", "k"); // its message was lost
    node.find();
    feed.beat();
    node.listen();
    let stats = node.store.stats();
    assert_eq!((stats.known, stats.unknown, stats.feed_silent_for), (0, 0, None));
    assert_eq!(node.status(), KeyStatus::Revoked);
    assert!(node.is_kept(), "what was read since is kept");
}

#[test]
fn a_cache_that_was_never_told_of_its_feed_trusts_nothing() {
    let (backend, clock) = (backend(&["k"]), clock());
    let store = Cached::new(backend.clone()).with_clock(clock.clone());
    let node = Node::of(store, Script::default());
    (0..3).for_each(|_| drop(node.find()));
    assert_eq!(backend.finds(), 3, "from the call on, polled or not");
    assert_eq!(node.silent_for(), Some(Duration::ZERO));
    clock.advance(SECOND);
    assert_eq!(node.silent_for(), Some(SECOND));
}

#[test]
fn a_follower_that_is_dropped_is_a_silent_feed() {
    let (backend, feed, clock, mut node) = world();
    node.find();
    node.following = Box::pin(std::future::pending());
    feed.beat();
    clock.advance(5 * SECOND);
    (0..3).for_each(|_| drop(node.find()));
    assert_eq!(backend.finds(), 4);
}

#[test]
fn a_follower_that_gets_no_turn_is_a_silent_feed() {
    let (backend, feed, clock, mut node) = world();
    node.find();
    clock.advance(4 * SECOND);
    feed.beat();
    clock.advance(4 * SECOND);
    assert!(!node.is_kept(), "the beat waits to be heard");
    node.listen();
    node.find();
    assert!(node.is_kept(), "it was 4 s old: good for one more");
    clock.advance(SECOND);
    assert!(!node.is_kept());
    feed.beat();
    clock.advance(5 * SECOND);
    node.listen();
    node.find();
    assert!(!node.is_kept(), "a beat that is older than the lease is none");
    assert_eq!(backend.finds(), 3);
}

#[test]
fn a_sign_of_life_is_as_old_as_its_question() {
    let (backend, clock) = (backend(&["k"]), clock());
    let feed = Script::default();
    let store = Cached::new(backend).with_clock(clock.clone());
    clock.advance(60 * SECOND);
    let mut node = Node::of(store, feed.clone());
    feed.say(ALIVE);
    clock.advance(3 * SECOND);
    feed.say(Heard::Alive { age: 2 * SECOND });
    node.listen();
    node.find();
    clock.advance(5 * SECOND - NANO);
    assert!(node.is_kept(), "the better of the two counts");
    clock.advance(NANO);
    assert!(!node.is_kept());
    for age in [6 * SECOND, 60 * 60 * SECOND, Duration::MAX] {
        feed.say(Heard::Alive { age });
        node.listen();
        assert!(node.silent_for().is_some(), "{age:?}");
    }
}

#[test]
fn messages_are_no_sign_of_life() {
    let (backend, feed, clock, mut node) = world();
    node.find();
    for _ in 0..5 {
        clock.advance(SECOND);
        feed.publish(Invalidation::key(KeyDigest::of("another")));
        node.listen();
    }
    assert!(!node.is_kept(), "they may be old");
    assert_eq!(backend.finds(), 1);
}

#[test]
fn a_feed_that_fails_is_not_trusted_from_that_moment() {
    let (backend, clock) = (backend(&["k"]), clock());
    let feed = Script::default();
    let mut node = Node::of(Cached::new(backend.clone()).with_clock(clock.clone()), feed.clone());
    feed.say(ALIVE);
    node.listen();
    node.find();
    feed.fail();
    node.listen();
    assert!(!node.is_kept(), "not a moment longer");
    assert_eq!(node.silent_for(), Some(Duration::ZERO));
    backend.revoke("acme", "k");
    feed.fail();
    feed.say(ALIVE);
    assert!(!node.listen());
    assert_eq!(node.status(), KeyStatus::Revoked, "connected again, and empty");
}

#[test]
fn a_feed_that_fails_without_end_holds_no_thread() {
    struct Broken;
    #[async_trait]
    impl Feed for Broken {
        async fn next(&mut self) -> Result<Heard, StoreError> {
            Err(StoreError::unavailable("no such host"))
        }
    }
    let store = Cached::new(backend(&["k"])).with_clock(clock());
    let mut following = pin!(store.follow(Broken));
    let mut cx = Context::from_waker(Waker::noop());
    (0..100).for_each(|_| assert!(following.as_mut().poll(&mut cx).is_pending()));
}

#[test]
fn a_feed_that_ends_is_not_trusted_and_followed_no_more() {
    let (_, feed, _, mut node) = world();
    node.find();
    feed.close();
    assert!(node.listen());
    assert!(!node.is_kept());
}

#[test]
fn the_word_of_the_feed_that_is_followed_last_counts() {
    let (backend, former, clock, mut node) = world();
    let feed = LocalFeed::new().with_clock(clock.clone());
    let store = node.store.clone();
    let mut next = Node::of(store, feed.subscribe());
    former.beat();
    assert!(node.listen(), "the former one is left");
    assert!(node.silent_for().is_some());
    feed.beat();
    assert!(!next.listen());
    assert_eq!((node.silent_for(), backend.finds()), (None, 0));
}

#[test]
fn a_clock_that_is_put_back_prolongs_no_lease() {
    let (_, _feed, clock, node) = world();
    node.find();
    clock.advance(3 * SECOND);
    clock.set(Timestamp::from_secs(0));
    clock.advance(2 * SECOND);
    assert!(!node.is_kept() && node.silent_for() == Some(5 * SECOND));
}

#[test]
fn an_outage_in_silence_serves_what_was_verified_by_choice_only() {
    let (backend, clock) = (backend(&["k"]), clock());
    let feed = Script::default();
    let store = Cached::new(backend.clone())
        .with_clock(clock.clone())
        .danger_serve_verified_during_outage(60 * SECOND);
    let mut node = Node::of(store, feed.clone());
    feed.say(ALIVE);
    node.listen();
    node.find();
    feed.fail();
    node.listen();
    backend.fail(Failure::Away);
    assert!(node.find().is_some(), "both are gone, as when a database is");
    feed.say(ALIVE);
    node.listen();
    let lost = wait(node.store.find(&digest()));
    assert!(lost.unwrap_err().is_unavailable(), "heard again: nobody knows what was missed");
}

#[test]
fn a_subscriber_that_falls_behind_forgets_everything() {
    let (backend, feed, _, mut node) = world();
    node.find();
    backend.revoke("acme", "k");
    feed.publish(Invalidation::key(digest()));
    for n in 0..100_000 {
        feed.publish(Invalidation::key(KeyDigest::of(&n.to_string())));
    }
    node.listen();
    assert_eq!(node.status(), KeyStatus::Revoked);
    assert!(node.store.stats().invalidations <= 1025, "a queue has a bound");
}

#[test]
fn beats_that_nobody_hears_pile_up_nowhere() {
    let feed = LocalFeed::new();
    let mut end: Subscription = feed.subscribe();
    (0..1_000_000).for_each(|_| feed.beat());
    assert!(matches!(wait(end.next()).unwrap(), Heard::Alive { .. }));
    assert!(pin!(end.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(format!("{feed:?} {end:?}").contains("subscribers: 1"));
    drop(end);
    assert!(format!("{feed:?}").contains("subscribers: 0"));
}

#[test]
fn news_travel_as_json() {
    for (what, text) in [
        (Invalidation::Everything, r#""everything""#),
        (Invalidation::Tenant("acme".into()), r#"{"tenant":"acme"}"#),
    ] {
        assert_eq!(serde_json::to_string(&what).unwrap(), text);
    }
    for state in
        [KeyState::Unknown, KeyState::Gone, KeyState::Inserted(0), KeyState::Revision(u64::MAX)]
    {
        let what = Invalidation::Key { digest: KeyDigest::from_bytes([255; 32]), state };
        let text = serde_json::to_string(&what).unwrap();
        assert_eq!(serde_json::from_str::<Invalidation>(&text).unwrap(), what);
        assert!(text.len() < 500, "{text}");
    }
}

/// Two gates on one slow database, each with a cache; what one changes the other is told of.
struct TwoNodes {
    gates: [Authenticator; 2],
    admin: Cached<Backend>,
    other: Node,
    feed: LocalFeed,
    key: KeyToken,
}

fn two_nodes() -> TwoNodes {
    let (key, clock) = (live_key(), clock());
    let backend = Backend::default();
    wait(backend.insert(record("key_1", &key, Tenant::new("acme")))).unwrap();
    let feed = LocalFeed::new().with_clock(clock.clone());
    let mut other = node(&backend, &feed, &clock);
    let admin = Cached::new(backend).with_clock(clock.clone()).announce_to(feed.clone());
    let gates = [admin.clone(), other.store.clone()];
    let gates = gates.map(|store| gate(store).into_authenticator());
    feed.beat();
    other.listen();
    TwoNodes { gates, admin, other, feed, key }
}

#[test]
fn what_one_node_changes_the_other_refuses() {
    let mut nodes = two_nodes();
    let asked = bearer(nodes.key.reveal());
    nodes.gates.iter().for_each(|gate| assert_eq!(subject(gate, &asked), "key_1"));
    let suspended = Tenant::new("acme").with_status(TenantStatus::Suspended);
    wait(nodes.admin.put_tenant(suspended)).unwrap();
    nodes.other.listen();
    nodes.gates.iter().for_each(|gate| assert_eq!(refusal(gate, &asked), TenantSuspended));
    wait(nodes.admin.put_tenant(Tenant::new("acme"))).unwrap();
    nodes.other.listen();
    nodes.gates.iter().for_each(|gate| assert_eq!(subject(gate, &asked), "key_1"));
    assert!(wait(nodes.admin.delete(&"acme".into(), &"key_1".into())).unwrap());
    nodes.other.listen();
    nodes.gates.iter().for_each(|gate| assert_eq!(refusal(gate, &asked), KeyInvalid));
    nodes.feed.beat();
    assert_eq!(nodes.other.silent_for(), None);
}

//! Any order of reads, changes, messages, outages and time, held to a model of what may be answered.
//!
//! The model knows each key's whole past. An answer is right if the key was so at some moment that
//! is not too long ago: not before a change that the cache made or was told of, not longer ago than
//! entries are good for, and not before now when the feed is silent.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/backend.rs"]
mod stores;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use common::{clock, wait};
use keygate::store::feed::{Invalidation, LocalFeed};
use keygate::store::{Cached, KeyAdmin, KeyStore};
use keygate::{Clock, KeyDigest, KeyRecord, ManualClock};
use proptest::prelude::*;
use stores::{Backend, Failure, keyed};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const FRESH: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(5);
const CAPACITY: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Find(usize),
    /// Makes the key, or changes it if it is there.
    Change(usize, Where),
    Remove(usize, Where),
    Tell(usize, bool),
    TellEverything,
    Beat,
    Advance(u64),
    PutBack,
    Fail(bool),
}

#[derive(Clone, Copy, Debug)]
enum Where {
    Here,
    Elsewhere,
}

fn steps(with_feed: bool) -> impl Strategy<Value = Vec<Step>> {
    let place = || prop_oneof![Just(Where::Here), Just(Where::Elsewhere)];
    let beats = if with_feed { 3 } else { 0 };
    let step = prop_oneof![
        8 => (0..4_usize).prop_map(Step::Find),
        3 => (0..4_usize, place()).prop_map(|(key, place)| Step::Change(key, place)),
        1 => (0..4_usize, place()).prop_map(|(key, place)| Step::Remove(key, place)),
        2 => (0..4_usize, any::<bool>()).prop_map(|(key, exact)| Step::Tell(key, exact)),
        1 => Just(Step::TellEverything),
        beats => Just(Step::Beat),
        3 => (1..4_000_u64).prop_map(Step::Advance),
        1 => Just(Step::Advance(20_000)),
        1 => Just(Step::PutBack),
        1 => any::<bool>().prop_map(Step::Fail),
    ];
    prop::collection::vec(step, 1..120)
}

type State = Option<u64>;

struct World {
    backend: Backend,
    store: Cached<Backend>,
    feed: LocalFeed,
    following: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    clock: ManualClock,
    failing: bool,
    heard: Option<Duration>,
    /// Since when each key is as it is, and was.
    past: HashMap<&'static str, Vec<(Duration, State)>>,
    /// The moment before which no answer may be.
    told: HashMap<&'static str, usize>,
}

impl World {
    fn new(with_feed: bool) -> Self {
        let (backend, clock) = (Backend::default(), clock());
        let feed = LocalFeed::new().with_clock(clock.clone());
        let store = Cached::new(backend.clone())
            .capacity(CAPACITY)
            .unknown_capacity(CAPACITY)
            .fresh_for(FRESH)
            .with_clock(clock.clone());
        let following = with_feed.then(|| {
            let following: Pin<Box<dyn Future<Output = ()> + Send>> =
                Box::pin(store.follow(feed.subscribe()));
            following
        });
        let past = KEYS.map(|key| (key, vec![(Duration::ZERO, None)])).into();
        let told = KEYS.map(|key| (key, 0)).into();
        Self { backend, store, feed, following, clock, failing: false, heard: None, past, told }
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    fn listen(&mut self) {
        if let Some(following) = &mut self.following {
            assert!(following.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    }

    fn is_trusted(&self) -> bool {
        let heard = self.heard.is_some_and(|heard| self.now() - heard < LEASE);
        self.following.is_none() || heard
    }

    fn state(&self, key: &str) -> State {
        self.past[key].last().unwrap().1
    }

    fn changed(&mut self, key: &'static str, state: State, place: Where) {
        let now = self.now();
        let past = self.past.get_mut(key).unwrap();
        past.push((now, state));
        if let Where::Here = place {
            self.told.insert(key, past.len() - 1);
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Find(key) => self.find(KEYS[key]),
            Step::Change(key, place) => self.change(KEYS[key], place),
            Step::Remove(key, place) => self.remove(KEYS[key], place),
            Step::Tell(key, exact) => self.tell(KEYS[key], exact),
            Step::TellEverything => {
                self.publish(Invalidation::Everything);
                let latest = KEYS.map(|key| (key, self.past[key].len() - 1));
                self.told.extend(latest);
            }
            Step::Beat => {
                self.feed.beat();
                self.heard = Some(self.now());
                self.listen();
            }
            Step::Advance(millis) => self.clock.advance(Duration::from_millis(millis)),
            Step::PutBack => self.clock.set(common::NOW),
            Step::Fail(fails) => {
                self.failing = fails;
                self.backend.fail(fails.then_some(Failure::Away));
            }
        }
        let stats = self.store.stats();
        assert!(stats.known <= CAPACITY && stats.unknown <= CAPACITY);
        assert_eq!(stats.feed_silent_for.is_none(), self.is_trusted());
    }

    /// Without a feed, told by whoever else tells.
    fn publish(&mut self, what: Invalidation) {
        if self.following.is_some() {
            self.feed.publish(what);
            self.listen();
        } else {
            self.store.invalidate(&what).unwrap();
        }
    }

    fn tell(&mut self, key: &'static str, exact: bool) {
        let digest = KeyDigest::of(key);
        let untold = &self.past[key][self.told[key]..];
        let is_new = untold.iter().any(|(_, state)| state.is_none());
        self.publish(match self.state(key) {
            Some(revision) if exact && is_new => Invalidation::inserted(digest, revision),
            Some(revision) if exact => Invalidation::changed(digest, revision),
            None if exact => Invalidation::gone(digest),
            _ => Invalidation::key(digest),
        });
        self.told.insert(key, self.past[key].len() - 1);
    }

    fn change(&mut self, key: &'static str, place: Where) {
        let state = self.state(key).map_or(0, |revision| revision + 1);
        let write = async |store: &dyn KeyAdmin| match store.get(&"acme".into(), &key.into()).await
        {
            Ok(Some(kept)) => store.replace(KeyRecord::clone(&kept)).await,
            _ => store.insert(keyed(key)).await,
        };
        wait(async {
            match place {
                Where::Here => write(&self.store).await,
                Where::Elsewhere => write(&self.backend.inner).await,
            }
        })
        .unwrap();
        self.changed(key, Some(state), place);
    }

    fn remove(&mut self, key: &'static str, place: Where) {
        let (tenant, id) = ("acme".into(), key.into());
        let removed = match place {
            Where::Here => wait(self.store.delete(&tenant, &id)),
            Where::Elsewhere => wait(self.backend.inner.delete(&tenant, &id)),
        };
        if removed.unwrap() {
            self.changed(key, None, place);
        }
    }

    fn find(&mut self, key: &'static str) {
        let digest = KeyDigest::of(key);
        let peeked = self.store.peek(&digest);
        let from_memory = peeked.is_some();
        assert!(!from_memory || self.is_trusted(), "memory is not looked at in silence");
        let found = peeked.unwrap_or_else(|| wait(self.store.find(&digest)));
        match found {
            Ok(found) => self.judge(key, found.map(|record| record.revision()), from_memory),
            // Made again after a removal that was told of: refused until that is told of, too.
            Err(error) => assert!(error.is_unavailable() && (self.failing || self.is_reborn(key))),
        }
    }

    fn is_reborn(&self, key: &str) -> bool {
        self.past[key].iter().filter(|(_, state)| *state == Some(0)).count() > 1
            || self.past[key].iter().any(|(_, state)| state.is_none())
    }

    fn judge(&self, key: &str, answer: State, from_memory: bool) {
        let (past, now) = (&self.past[key], self.now());
        if !from_memory {
            return assert_eq!(answer, self.state(key), "a question is answered with what is");
        }
        let right = past.iter().enumerate().any(|(at, (_, state))| {
            let ended = past.get(at + 1).map_or(now, |(since, _)| *since);
            let recent = at + 1 == past.len() || now - ended < FRESH;
            *state == answer && recent && at >= self.told[key]
        });
        assert!(right, "{key} is {answer:?} at {now:?}, told {}: {past:?}", self.told[key]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_answer_is_right_without_a_feed(steps in steps(false)) {
        let mut world = World::new(false);
        steps.into_iter().for_each(|step| world.run(step));
    }

    #[test]
    fn every_answer_is_right_with_a_feed(steps in steps(true)) {
        let mut world = World::new(true);
        steps.into_iter().for_each(|step| world.run(step));
    }
}

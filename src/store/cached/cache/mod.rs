//! The cache without a store, a clock or keys: what is remembered, who asks, what is announced.
//!
//! What is remembered lies in one map that is read without a lock. The books beside it (who asks,
//! what was announced, which entry goes when there is no room) lie in shards, each under a lock; and
//! only who holds the lock of a digest's shard changes what the map says of it.
//!
//! Time is an argument: nanoseconds of a clock that never goes back. `tests/interleavings` compiles
//! these files against loom and walks through all orders in which threads can meet here.

mod bounded;
mod counts;
mod entry;
mod fence;
mod flight;
mod lead;
mod lease;
mod ring;
mod shard;

use std::future::Future;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError};

use hashbrown::DefaultHashBuilder;

use self::counts::{Counts, Hits};
use self::entry::Entry;
use self::flight::{End, Flight};
use self::lead::Lead;
use self::lease::Lease;
use self::shard::{Shard, Table};
use super::sync::Map;

pub(crate) use self::counts::Totals;
pub(crate) use self::fence::News;

/// Enough that threads seldom meet, few enough to be small when empty.
const MAX_SHARDS: usize = 64;
/// Fewer would make the choice of what to drop a poor one.
const MIN_ENTRIES_PER_SHARD: usize = 64;

pub(crate) type Digest = [u8; 32];

/// What a store answered, or why it did not.
pub(crate) type Answer<V, E> = Result<Option<V>, Failure<E>>;

/// What is kept of a key.
pub(crate) trait Value: Clone {
    /// How often it was changed.
    fn revision(&self) -> u64;
}

/// How a question was put: what is known must have been found out by one like it, or a stronger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    Once,
    /// After the same key was looked for elsewhere, from where it may have come meanwhile.
    Again,
}

/// An answer of the store.
#[derive(Debug)]
pub(crate) struct Fetched<V> {
    pub(crate) found: Option<V>,
    /// For how long after the question was put it is good, in nanoseconds.
    pub(crate) fresh: u64,
}

/// Why there is no answer. All who waited for one question share its failure.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    Store(Arc<E>),
    /// The store answers with what was before an announcement, again and again.
    Behind,
    /// A thread panicked while it changed the cache.
    Poisoned,
}

impl<E> Clone for Failure<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Store(error) => Self::Store(Arc::clone(error)),
            Self::Behind => Self::Behind,
            Self::Poisoned => Self::Poisoned,
        }
    }
}

/// A thread panicked while it changed the cache.
#[derive(Debug)]
pub(crate) struct Poisoned;

impl<T> From<PoisonError<T>> for Poisoned {
    fn from(_: PoisonError<T>) -> Self {
        Self
    }
}

impl<E> From<Poisoned> for Failure<E> {
    fn from(_: Poisoned) -> Self {
        Self::Poisoned
    }
}

/// A keyed hash: nobody can choose digests that meet in one place.
trait Hash {
    fn hash(&self, digest: &Digest) -> u64;
}

impl Hash for DefaultHashBuilder {
    #[inline]
    fn hash(&self, digest: &Digest) -> u64 {
        self.hash_one(digest)
    }
}

type Entries<V> = Map<Entry<V>>;

pub(crate) struct Core<V, E> {
    entries: Entries<V>,
    shards: Box<[Shard<V, E>]>,
    hasher: DefaultHashBuilder,
    lease: Lease,
    hits: Hits,
    counts: Counts,
}

/// What a request meets.
enum Entered<'c, V: Value, E> {
    Answered(Option<V>),
    Joined(Arc<Flight<V, E>>),
    Leads(Lead<'c, V, E>),
}

impl<V: Value, E> Core<V, E> {
    /// Room for so many keys that are there and so many that are not, at least 1 each.
    pub(crate) fn new(known: usize, unknown: usize) -> Self {
        let count = (known.min(unknown) / MIN_ENTRIES_PER_SHARD).clamp(1, MAX_SHARDS);
        let share = |all: usize, index| all / count + usize::from(index < all % count);
        let shards = (0..count).map(|index| Shard::new(share(known, index), share(unknown, index)));
        Self {
            entries: Map::new(),
            shards: shards.collect(),
            hasher: DefaultHashBuilder::default(),
            lease: Lease::new(),
            hits: Hits::default(),
            counts: Counts::default(),
        }
    }

    fn shard(&self, hash: u64) -> &Shard<V, E> {
        &self.shards[hash as usize % self.shards.len()]
    }

    /// What is known from memory. `None` when the store has to be asked.
    #[inline]
    pub(crate) fn peek(&self, digest: &Digest, now: u64) -> Option<Option<V>> {
        if !self.lease.is_held(now) {
            return None;
        }
        self.known(digest, Asked::Once, now)
    }

    #[inline]
    fn known(&self, digest: &Digest, asked: Asked, now: u64) -> Option<Option<V>> {
        let found = self.entries.read(digest, |entry| entry.answer(asked, now))??;
        self.hits.count(found.is_some());
        Some(found)
    }

    /// The answer from memory, from a flight under way, or from `fetch`, which is then a flight that
    /// others may join.
    ///
    /// Whoever joins a flight that began earlier believes its answer only while memory would be
    /// believed, and not that there is no key if it asks again; a second flight began after whoever
    /// waits for it had come, and is always believed.
    pub(crate) async fn resolve<F>(
        &self,
        digest: &Digest,
        asked: Asked,
        now: impl Fn() -> u64,
        fetch: impl Fn() -> F,
    ) -> Answer<V, E>
    where
        F: Future<Output = Result<Fetched<V>, E>>,
    {
        let mut has_waited = false;
        loop {
            match self.enter(digest, asked, now(), has_waited)? {
                Entered::Answered(found) => return Ok(found),
                Entered::Leads(lead) => return lead.ask(&now, fetch).await,
                Entered::Joined(flight) => {
                    if let End::Landed { answer, until } = flight.ended().await
                        && (has_waited || self.believes(&answer, asked, until, now()))
                    {
                        return answer;
                    }
                    has_waited = true;
                }
            }
        }
    }

    /// True if the answer to an earlier question will do.
    fn believes(&self, answer: &Answer<V, E>, asked: Asked, until: u64, now: u64) -> bool {
        match answer {
            Err(_) => true,
            Ok(None) if asked == Asked::Again => false,
            Ok(_) => now < until && self.lease.is_held(now),
        }
    }

    fn enter(
        &self,
        digest: &Digest,
        asked: Asked,
        now: u64,
        has_waited: bool,
    ) -> Result<Entered<'_, V, E>, Poisoned> {
        let trusted = self.lease.is_held(now);
        let hash = self.hasher.hash(digest);
        let (flight, is_new) = match self.shard(hash).with(|table| {
            // It may have come in since it was looked for without the lock.
            let known = trusted.then(|| self.known(digest, asked, now)).flatten();
            known.ok_or_else(|| table.flight(digest, Flight::new))
        })? {
            Ok(found) => return Ok(Entered::Answered(found)),
            Err(flight) => flight,
        };
        if !has_waited {
            self.count_miss(trusted, is_new);
        }
        Ok(if is_new {
            Entered::Leads(Lead::new(self, *digest, hash, asked, flight))
        } else {
            Entered::Joined(flight)
        })
    }

    fn count_miss(&self, trusted: bool, leads: bool) {
        self.counts.misses.add();
        if !trusted {
            self.counts.read_throughs.add();
        }
        if !leads {
            self.counts.coalesced.add();
        }
    }

    /// A key that was read less than `longest` ago, fresh or not, for a store that is away.
    pub(crate) fn verified(&self, digest: &Digest, now: u64, longest: u64) -> Option<V> {
        let value = self.entries.read(digest, |entry| entry.verified(now, longest))??;
        self.counts.served_in_outage.add();
        Some(value)
    }

    /// Takes in what was announced of one key.
    pub(crate) fn announce(&self, digest: &Digest, news: News, now: u64) -> Result<(), Poisoned> {
        self.counts.invalidations.add();
        let hash = self.hasher.hash(digest);
        self.shard(hash).purge(|table| {
            table.announce(&self.entries, hash, digest, news, now, &self.hasher);
        })
    }

    /// Drops all values of which `stale` says so.
    ///
    /// What is put in after the flights were recalled was asked for after this was called.
    pub(crate) fn drop_where(&self, stale: impl Fn(&V) -> bool) -> Result<(), Poisoned> {
        self.counts.invalidations.add();
        let is_stale = |entry: &Entry<V>| entry.found.as_ref().is_some_and(&stale);
        let recalled = self.each(Table::recall);
        let forgotten = self.entries.pick(is_stale).into_iter().map(|digest| {
            let shard = self.shard(self.hasher.hash(&digest));
            shard.purge(|table| table.forget(&self.entries, &digest))
        });
        all(forgotten).and(recalled)
    }

    /// Drops everything.
    pub(crate) fn empty(&self) -> Result<(), Poisoned> {
        self.counts.invalidations.add();
        self.empty_all()
    }

    fn empty_all(&self) -> Result<(), Poisoned> {
        self.each(|table| table.empty(&self.entries))
    }

    /// A bug while the shard of `digest` is changed.
    #[cfg(test)]
    pub(crate) fn panic_at(&self, digest: &Digest) {
        let _ = self.shard(self.hasher.hash(digest)).with(|_| panic!("a bug"));
    }

    fn each(&self, work: impl Fn(&mut Table<V, E>)) -> Result<(), Poisoned> {
        all(self.shards.iter().map(|shard| shard.purge(&work)))
    }

    /// Trusts memory only while a feed is heard, from now on; the feed's number.
    pub(crate) fn adopt_feed(&self, now: u64) -> Result<u64, Poisoned> {
        self.lease.adopt(now)
    }

    /// The feed was heard at `heard`, and may be silent until `until`. False if it is followed no
    /// more.
    pub(crate) fn hear(
        &self,
        feed: u64,
        heard: u64,
        until: u64,
        now: u64,
    ) -> Result<bool, Poisoned> {
        self.lease.renew(feed, heard, until, now, || self.empty_all())
    }

    /// The feed can't be trusted until it is heard again. False if it is followed no more.
    pub(crate) fn lose_feed(&self, feed: u64) -> bool {
        self.lease.lose(feed)
    }

    pub(crate) fn follows_feed(&self) -> bool {
        self.lease.follows_feed()
    }

    pub(crate) fn totals(&self, now: u64) -> Totals {
        let counts = &self.counts;
        let mut totals = Totals {
            misses: counts.misses.total(),
            coalesced: counts.coalesced.total(),
            read_throughs: counts.read_throughs.total(),
            fills: counts.fills.total(),
            failures: counts.failures.total(),
            evictions: counts.evictions.total(),
            invalidations: counts.invalidations.total(),
            served_in_outage: counts.served_in_outage.total(),
            silent_for: self.lease.silent_for(now),
            ..Totals::default()
        };
        self.hits.add_to(&mut totals);
        self.shards.iter().for_each(|shard| shard.add_to(&mut totals));
        totals
    }
}

/// All are done, whatever becomes of one.
fn all(done: impl Iterator<Item = Result<(), Poisoned>>) -> Result<(), Poisoned> {
    done.fold(Ok(()), Result::and)
}

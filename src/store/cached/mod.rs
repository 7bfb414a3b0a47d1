//! A store over a store, with what was found kept in memory.

mod admin;
mod cache;
mod follow;
mod stats;
mod sync;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub(super) use self::cache::News;
use self::cache::{Asked, Core, Failure, Fetched, Value};
pub use self::stats::CacheStats;
use super::feed::Invalidation;
use super::{KeyStore, StoreError};
use crate::{Clock, KeyDigest, KeyRecord, SystemClock};

type Found = Option<Arc<KeyRecord>>;
type Records = Core<Arc<KeyRecord>, StoreError>;

/// For how long entries are good without a feed.
const FRESH_ALONE: Duration = Duration::from_secs(5);
/// For how long with one, which says what has changed.
const FRESH_WITH_FEED: Duration = Duration::from_secs(60);
/// For how long a feed may be silent.
const LEASE: Duration = Duration::from_secs(5);
const CAPACITY: usize = 100_000;

/// Keeps in memory what a slow store has found, and what it has not. Clones share it; settings come
/// before clones.
///
/// A hit is answered without a future. Of all who miss one key at the same time one asks the store,
/// and the others wait for its answer; whoever asks may be dropped, then another asks. A failure is
/// answered to all who wait for it and is not kept.
///
/// Expiry, status, addresses, environment and limits are judged on every hit, as for any store: what
/// is kept are facts, not verdicts.
///
/// # How old an answer may be
///
/// | | a change through this store | a change elsewhere |
/// | --- | --- | --- |
/// | no feed | is felt at once | within [`fresh_for`](Self::fresh_for): 5 s |
/// | a [feed](super::feed) that is heard | at once | as fast as the feed, without one of its messages within `fresh_for`: 60 s |
/// | a feed that is silent | at once | within its [`lease`](Self::lease): 5 s |
///
/// So **a key that was revoked is refused everywhere after 5 s at the latest**, whatever becomes of
/// network and nodes, where all who write announce it on the feed that is followed and no
/// message of it is lost (a lost one costs up to `fresh_for`, the table says); a query of the
/// store that takes longer adds what it takes. Where somebody writes past the feed, another process
/// beside a [`LocalFeed`](super::feed::LocalFeed) among them, set `fresh_for` to 5 s. With a feed that is
/// silent for longer than its lease, memory is not trusted: every read goes to the store, and
/// [`CacheStats::feed_silent_for`] says so. When it is heard again, the cache starts empty.
///
/// A change of a tenant reaches its cached keys in the same time.
///
/// Ages are told by [`Clock::monotonic`], beginning with the question to the store: putting the
/// clock back makes nothing older than it may be. An entry ends when its key expires, at the latest;
/// a key that has expired already is kept like any other, so that asking for it again and again
/// costs the store nothing.
///
/// # Races
///
/// An answer that the store gave before a change was heard of is not kept, however late it comes.
/// What was announced with its revision is remembered for a minute: an answer that is older, from a
/// replica that lags, is asked for again and then refused as an outage. Let the store read where it
/// writes, or announce without revisions.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use keygate::store::{Cached, KeyAdmin, KeyStore, MemoryStore};
/// use keygate::{AuthLayer, Environment, KeyFormat, KeyRecord, Tenant};
///
/// let database = MemoryStore::new(); // stands for one on a network
/// let store = Cached::new(database);
/// let gate = AuthLayer::new(store.clone());
///
/// let key = KeyFormat::sk().generate(Environment::Live)?;
/// store.insert(KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))).await?;
/// assert!(store.peek(&key.digest()).is_none(), "not asked for yet");
/// assert!(store.find(&key.digest()).await?.is_some());
/// assert!(store.peek(&key.digest()).is_some(), "kept");
/// assert_eq!(store.stats().fills, 1);
/// # let _ = gate;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cached<S> {
    store: Arc<S>,
    records: Arc<Records>,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    capacity: usize,
    unknown_capacity: usize,
    fresh: Option<Duration>,
    lease: Duration,
    outage: Option<Duration>,
    announce: Option<super::feed::LocalFeed>,
    clock: Arc<dyn Clock>,
}

impl<S> Cached<S> {
    /// Keeps up to 100,000 keys of `store` in memory, and as many that it does not have.
    pub fn new(store: S) -> Self {
        let settings = Settings {
            capacity: CAPACITY,
            unknown_capacity: CAPACITY,
            fresh: None,
            lease: LEASE,
            outage: None,
            announce: None,
            clock: Arc::new(SystemClock::new()),
        };
        Self { store: Arc::new(store), records: settings.empty_cache(), settings }
    }

    /// How many keys are kept at most, at least 1. Beyond that, the ones go that were not asked for
    /// lately. One takes about 150 bytes besides its record: with a short name, tenant and a
    /// scope 820 in all.
    #[must_use]
    pub fn capacity(mut self, keys: usize) -> Self {
        self.settings.capacity = keys.max(1);
        self.records = self.settings.empty_cache();
        self
    }

    /// How many digests are kept at most of which the store has no key, at least 1: about 150 bytes
    /// each, in a budget of their own, so that a flood of invented keys pushes out no real one.
    #[must_use]
    pub fn unknown_capacity(mut self, digests: usize) -> Self {
        self.settings.unknown_capacity = digests.max(1);
        self.records = self.settings.empty_cache();
        self
    }

    /// For how long an answer of the store is good; by default 5 s, and 60 s once a
    /// [feed](Self::follow) is followed. Zero keeps nothing, and shares flights only.
    #[must_use]
    pub fn fresh_for(mut self, duration: Duration) -> Self {
        self.settings.fresh = Some(duration);
        self
    }

    /// For how long a feed may be silent before memory is not trusted any more; by default 5 s. It
    /// is the bound for a revocation when the feed is cut. A feed should be heard several times in
    /// it: once a second for the default.
    #[must_use]
    pub fn lease(mut self, duration: Duration) -> Self {
        self.settings.lease = duration;
        self
    }

    /// Serves keys while the store is [unavailable](StoreError::is_unavailable), if they were read
    /// from it at most `duration` ago. By default they are refused with 503.
    ///
    /// **Dangerous:** a key that is revoked during an outage works on for up to `duration`, wherever
    /// this setting is used. What was announced is honoured as far as the feed is heard; unknown keys
    /// are refused as ever; so are answers that the store gives but that can't be read.
    #[must_use]
    pub fn danger_serve_verified_during_outage(mut self, duration: Duration) -> Self {
        self.settings.outage = Some(duration);
        self
    }

    /// Tells `feed` of what is changed through this store, for other stores in this process that
    /// follow it.
    ///
    /// What is read is not told. After a commit of which nobody knows whether it was made,
    /// [`get`](super::KeyAdmin::get) mends this store's memory; the others have dropped what they kept
    /// when it failed, and if they have read too early since, they ask again after
    /// [`fresh_for`](Self::fresh_for). A feed of the database itself tells of such a commit when it is made.
    #[must_use]
    pub fn announce_to(mut self, feed: super::feed::LocalFeed) -> Self {
        self.settings.announce = Some(feed);
        self
    }

    /// Another clock, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// The store beneath, which knows nothing of the cache: a change made there is felt here like
    /// one made elsewhere.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// What was counted, and how the cache stands.
    pub fn stats(&self) -> CacheStats {
        self.records.totals(self.now()).into()
    }

    /// Takes in that something has changed, from whatever tells of it besides a feed: a webhook, an
    /// operator. When it returns, no request that comes is answered from before.
    ///
    /// # Errors
    ///
    /// When a thread has panicked while it changed the cache. What was announced is dropped even so;
    /// of all keys a share can't be asked for any more, and is refused with 503.
    pub fn invalidate(&self, what: &Invalidation) -> Result<(), StoreError> {
        let taken_in = match what {
            Invalidation::Key { digest, state } => {
                self.records.announce(digest.as_bytes(), (*state).into(), self.now())
            }
            Invalidation::Id(id) => self.records.drop_where(|record| record.id() == id),
            Invalidation::Tenant(id) => {
                self.records.drop_where(|record| record.tenant().id() == id)
            }
            Invalidation::Everything => self.records.empty(),
        };
        taken_in.map_err(|_| poisoned())
    }

    #[inline]
    fn now(&self) -> u64 {
        nanos(self.settings.clock.monotonic())
    }

    /// For how long an answer is good that came just now.
    fn freshness(&self, record: Option<&KeyRecord>) -> u64 {
        let with_feed = self.records.follows_feed();
        let usual = if with_feed { FRESH_WITH_FEED } else { FRESH_ALONE };
        let usual = self.settings.fresh.unwrap_or(usual);
        let now = self.settings.clock.now();
        let expires = record.and_then(KeyRecord::expires).filter(|end| *end > now);
        nanos(expires.map_or(usual, |end| usual.min(end.since(now))))
    }

    /// A key that may be served although the store is away.
    fn verified(&self, digest: &KeyDigest, error: &StoreError) -> Option<Arc<KeyRecord>> {
        let longest = self.settings.outage.filter(|_| error.is_unavailable())?;
        let now = self.now();
        self.records.verified(digest.as_bytes(), now, nanos(longest))
    }
}

impl Settings {
    fn empty_cache(&self) -> Arc<Records> {
        Arc::new(Core::new(self.capacity, self.unknown_capacity))
    }
}

impl<S: KeyStore> Cached<S> {
    async fn ask(&self, digest: &KeyDigest, asked: Asked) -> Result<Found, StoreError> {
        let (now, fetch) = (|| self.now(), || self.fetch(digest, asked));
        let answer = self.records.resolve(digest.as_bytes(), asked, now, fetch).await;
        answer.or_else(|failure| {
            let error = failure.into();
            self.verified(digest, &error).map(Some).ok_or(error)
        })
    }

    async fn fetch(
        &self,
        digest: &KeyDigest,
        asked: Asked,
    ) -> Result<Fetched<Arc<KeyRecord>>, StoreError> {
        let found = match asked {
            Asked::Once => self.store.find(digest).await?,
            Asked::Again => self.store.find_again(digest).await?,
        };
        let fresh = self.freshness(found.as_deref());
        Ok(Fetched { found, fresh })
    }
}

#[async_trait]
impl<S: KeyStore> KeyStore for Cached<S> {
    async fn find(&self, digest: &KeyDigest) -> Result<Found, StoreError> {
        self.ask(digest, Asked::Once).await
    }

    /// That there is no key is answered from memory only if it was the answer to such a question.
    async fn find_again(&self, digest: &KeyDigest) -> Result<Found, StoreError> {
        self.ask(digest, Asked::Again).await
    }

    #[inline]
    fn peek(&self, digest: &KeyDigest) -> Option<Result<Found, StoreError>> {
        self.records.peek(digest.as_bytes(), self.now()).map(Ok)
    }
}

impl Value for Arc<KeyRecord> {
    fn revision(&self) -> u64 {
        KeyRecord::revision(self)
    }
}

impl From<Failure<StoreError>> for StoreError {
    fn from(failure: Failure<StoreError>) -> Self {
        match failure {
            Failure::Store(error) => Self::shared(error),
            Failure::Behind => Self::unavailable("the store lags behind what was announced"),
            Failure::Poisoned => poisoned(),
        }
    }
}

fn poisoned() -> StoreError {
    StoreError::unavailable("a thread panicked while it changed the cache")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<S> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            records: Arc::clone(&self.records),
            settings: self.settings.clone(),
        }
    }
}

impl<S> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { capacity, unknown_capacity, fresh, lease, outage, .. } = &self.settings;
        f.debug_struct("Cached")
            .field("capacity", capacity)
            .field("unknown_capacity", unknown_capacity)
            .field("fresh", fresh)
            .field("lease", lease)
            .field("outage", outage)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

//! Keys in this process's memory: the reference implementation, and the embedded default.

mod books;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use hashbrown::DefaultHashBuilder;

use self::books::{Books, Draft};
use super::{
    AuditEvent, Change, Commit, KeyAdmin, KeyFilter, KeyPage, KeyStore, Month, StoreError,
};
use super::{TenantDirectory, Usage, UsageStore, Use};
use crate::{Clock, KeyDigest, KeyId, KeyRecord, SystemClock, Tenant, TenantId, Timestamp};

/// Enough that threads seldom meet, few enough to be small when empty.
const SHARDS: usize = 64;
/// Endpoints counted by name for one key and month; the rest is counted as `other`.
const ENDPOINTS: usize = 1000;

type Found = Option<Arc<KeyRecord>>;
/// The hash is keyed, though digests are uniform: whoever brings keys of his own can choose them.
type Shard = RwLock<HashMap<[u8; 32], Arc<KeyRecord>, DefaultHashBuilder>>;

/// Keys in memory. Clones share them. Nothing survives the process.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use keygate::store::{KeyAdmin, KeyStore, MemoryStore};
/// use keygate::{Environment, KeyFormat, KeyRecord, Tenant};
///
/// let store = MemoryStore::new();
/// let key = KeyFormat::sk().generate(Environment::Live)?;
/// store.insert(KeyRecord::new("key_1", key.digest(), Tenant::new("acme"))).await?;
/// assert!(store.find(&key.digest()).await?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

struct Shared {
    /// What requests read: records by digest.
    shards: [Shard; SHARDS],
    /// What writers hold while they change a shard, so that a change is one step.
    books: RwLock<Books>,
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    uses: RwLock<Uses>,
}

#[derive(Default)]
struct Uses {
    counts: HashMap<(KeyId, Month), BTreeMap<String, u64>>,
    last: HashMap<KeyId, Timestamp>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let shared = Shared {
            shards: std::array::from_fn(|_| Shard::default()),
            books: RwLock::default(),
            tenants: RwLock::default(),
            uses: RwLock::default(),
        };
        Self { shared: Arc::new(shared), clock: Arc::new(SystemClock::new()) }
    }

    /// The same store with another clock, by which listings judge what has expired.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn lookup(&self, digest: &KeyDigest) -> Result<Found, StoreError> {
        let shard = self.shared.shard(digest).read().map_err(poisoned)?;
        Ok(shard.get(digest.as_bytes()).cloned())
    }

    fn lookup_tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        Ok(self.shared.tenants.read().map_err(poisoned)?.get(id).cloned())
    }
}

impl Shared {
    /// A digest is uniform: any of its bytes spreads as well as a hash.
    fn shard(&self, digest: &KeyDigest) -> &Shard {
        &self.shards[usize::from(digest.as_bytes()[31]) % SHARDS]
    }

    fn publish(&self, record: &Arc<KeyRecord>) -> Result<(), StoreError> {
        let mut shard = self.shard(record.digest()).write().map_err(poisoned)?;
        shard.insert(*record.digest().as_bytes(), Arc::clone(record));
        Ok(())
    }

    fn withdraw(&self, record: &KeyRecord) -> Result<(), StoreError> {
        let mut shard = self.shard(record.digest()).write().map_err(poisoned)?;
        shard.remove(record.digest().as_bytes());
        Ok(())
    }

    /// Puts a draft in force for those who read. A new digest comes before the old one goes: a key
    /// that is kept under another digest is always found under one of them.
    fn publish_all(&self, books: &Books, draft: &Draft) -> Result<(), StoreError> {
        let mut tenants = self.tenants.write().map_err(poisoned)?;
        tenants.extend(draft.tenants().map(|tenant| (tenant.id().clone(), Arc::clone(tenant))));
        drop(tenants);
        for (before, after) in books.compare(draft) {
            after.map_or(Ok(()), |record| self.publish(record))?;
            let moved = before.filter(|b| after.is_none_or(|a| a.digest() != b.digest()));
            moved.map_or(Ok(()), |record| self.withdraw(record))?;
        }
        Ok(())
    }
}

fn poisoned<T>(_: PoisonError<T>) -> StoreError {
    StoreError::unavailable("a thread panicked while it changed the store")
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn find(&self, digest: &KeyDigest) -> Result<Found, StoreError> {
        self.lookup(digest)
    }

    fn peek(&self, digest: &KeyDigest) -> Option<Result<Found, StoreError>> {
        Some(self.lookup(digest))
    }
}

#[async_trait]
impl TenantDirectory for MemoryStore {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        self.lookup_tenant(id)
    }

    fn peek_tenant(&self, id: &TenantId) -> Option<Result<Option<Arc<Tenant>>, StoreError>> {
        Some(self.lookup_tenant(id))
    }
}

#[async_trait]
impl KeyAdmin for MemoryStore {
    async fn get(&self, tenant: &TenantId, id: &KeyId) -> Result<Found, StoreError> {
        let books = self.shared.books.read().map_err(poisoned)?;
        Ok(books.get(tenant, id).cloned())
    }

    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError> {
        let now = self.clock.now();
        let books = self.shared.books.read().map_err(poisoned)?;
        let asked = || books.keys_of(tenant).filter(|record| filter.admits(record, now));
        let keys = asked().skip(filter.offset()).take(filter.limit()).cloned().collect();
        Ok(KeyPage::new(keys, asked().count()))
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let mut books = self.shared.books.write().map_err(poisoned)?;
        let mut draft = Draft::default();
        for change in commit.changes {
            draft.make(&books, change)?;
        }
        self.shared.publish_all(&books, &draft)?;
        books.close(draft, commit.events);
        Ok(())
    }

    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let books = self.shared.books.read().map_err(poisoned)?;
        Ok(books.events_of(tenant).skip(offset).take(limit).cloned().collect())
    }
}

#[async_trait]
impl UsageStore for MemoryStore {
    async fn add_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut kept = self.shared.uses.write().map_err(poisoned)?;
        uses.iter().for_each(|used| kept.add(used));
        Ok(())
    }

    async fn usage(&self, key: &KeyId, month: Month) -> Result<Usage, StoreError> {
        let kept = self.shared.uses.read().map_err(poisoned)?;
        let by_endpoint = kept.counts.get(&(key.clone(), month)).cloned().unwrap_or_default();
        let total = by_endpoint.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        Ok(Usage { total, by_endpoint, last_used: kept.last.get(key).copied() })
    }
}

impl Uses {
    fn add(&mut self, used: &Use) {
        let month = self.counts.entry((used.key.clone(), Month::of(used.at))).or_default();
        let known = month.len() < ENDPOINTS || month.contains_key(&used.endpoint);
        let endpoint = if known { used.endpoint.as_str() } else { "other" };
        let count = month.entry(endpoint.to_owned()).or_default();
        *count = count.saturating_add(used.count);
        let last = self.last.entry(used.key.clone()).or_default();
        *last = used.at.max(*last);
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

//! Keys in this process's memory: the reference implementation, and the embedded default.

mod books;
mod readers;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use self::books::{Books, Draft, Kept};
use self::readers::Readers;
use super::{
    AuditEvent, Change, Commit, KeyAdmin, KeyFilter, KeyPage, KeyStore, Month, StoreError,
};
use super::{TenantDirectory, Usage, UsageStore, Use};
use crate::{Clock, KeyDigest, KeyId, KeyRecord, SystemClock, Tenant, TenantId, Timestamp};

/// Endpoints counted by name for one key and month; the rest is counted as `other`.
const ENDPOINTS: usize = 1000;

type Found = Option<Arc<KeyRecord>>;

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

#[derive(Default)]
struct Shared {
    readers: Readers,
    /// What writers hold while they change what others read, so that a commit is one step to them.
    books: RwLock<Books>,
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
        Self { shared: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    /// The same store with another clock, by which listings judge what has expired.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

fn poisoned<T>(_: PoisonError<T>) -> StoreError {
    StoreError::unavailable("a thread panicked while it changed the store")
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn find(&self, digest: &KeyDigest) -> Result<Found, StoreError> {
        Ok(self.shared.readers.record(digest))
    }

    fn peek(&self, digest: &KeyDigest) -> Option<Result<Found, StoreError>> {
        Some(Ok(self.shared.readers.record(digest)))
    }
}

#[async_trait]
impl TenantDirectory for MemoryStore {
    async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, StoreError> {
        Ok(self.shared.readers.tenant(id))
    }

    fn peek_tenant(&self, id: &TenantId) -> Option<Result<Option<Arc<Tenant>>, StoreError>> {
        Some(Ok(self.shared.readers.tenant(id)))
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
        let kept = Kept { books: &books, readers: &self.shared.readers };
        for change in commit.changes {
            draft.make(kept, change)?;
        }
        self.shared.readers.publish(&books, &draft);
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

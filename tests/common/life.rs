//! What the tests of keys' lives share: stores that conflict, fail and interleave.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use keygate::store::{
    AuditEvent, Commit, KeyAdmin, KeyFilter, KeyPage, KeyStore, MemoryStore, StoreError,
};
use keygate::{KeyDigest, KeyFormat, KeyId, KeyRecord, Keys, ManualClock, TenantId};

type Found = Result<Option<Arc<KeyRecord>>, StoreError>;

pub const DAY: u64 = 86_400;

/// What the store behind says of its troubles, which no caller may see.
pub const TROUBLE: &str = "connection to db-7.internal refused";

pub fn acme() -> TenantId {
    TenantId::from("acme")
}

pub fn keys(clock: &ManualClock) -> Keys<MemoryStore> {
    let store = MemoryStore::new().with_clock(clock.clone());
    Keys::new(store, KeyFormat::sk()).clock(clock.clone())
}

/// A store that goes wrong as it is told.
#[derive(Clone, Default)]
pub struct Faulty {
    pub inner: MemoryStore,
    /// The next so many commits conflict, and write nothing.
    pub conflicts: Arc<AtomicUsize>,
    /// The next so many calls find the store away.
    pub outages: Arc<AtomicUsize>,
    /// The next so many commits are made, and then reported as an outage.
    pub lost_answers: Arc<AtomicUsize>,
    pub commits: Arc<AtomicUsize>,
}

impl Faulty {
    pub fn over(inner: MemoryStore) -> Self {
        Self { inner, ..Self::default() }
    }

    fn check(&self) -> Result<(), StoreError> {
        if due(&self.outages) { Err(StoreError::unavailable(TROUBLE)) } else { Ok(()) }
    }
}

pub fn due(counter: &AtomicUsize) -> bool {
    let one_less = |left: usize| left.checked_sub(1);
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
}

#[async_trait]
impl KeyStore for Faulty {
    async fn find(&self, digest: &KeyDigest) -> Found {
        self.check()?;
        self.inner.find(digest).await
    }
}

#[async_trait]
impl KeyAdmin for Faulty {
    async fn get(&self, tenant: &TenantId, id: &KeyId) -> Found {
        self.check()?;
        self.inner.get(tenant, id).await
    }

    async fn list(&self, tenant: &TenantId, filter: &KeyFilter) -> Result<KeyPage, StoreError> {
        self.check()?;
        self.inner.list(tenant, filter).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.check()?;
        if due(&self.conflicts) {
            return Err(StoreError::conflict(TROUBLE));
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.inner.commit(commit).await?;
        if due(&self.lost_answers) { Err(StoreError::unavailable(TROUBLE)) } else { Ok(()) }
    }

    async fn events(
        &self,
        tenant: &TenantId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        self.inner.events(tenant, offset, limit).await
    }
}
